"""docs/metrics.md as a function of the catalogue, so that it cannot say anything else than the code.

Sizes are measured by rendering invented pictures. Nothing here reads or writes a file, or reads a clock.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..ports import LedgerState
from ..task.lifecycle import LONGEST_DURATION
from ..task.model import (
    DAY,
    DURATION_BUCKETS,
    OPEN,
    REASONS,
    TIMED,
    UNCLASSIFIED,
    Anomaly,
    Fact,
    Gauges,
    Histogram,
    Pair,
    PairStatus,
    Series,
    Snapshot,
    Status,
)
from .catalogue import CATALOGUE, OWN, PROCESS, TASKS, Definition, Label
from .exposition import Format
from .families import TaskText
from .own import Own

INTRODUCTION = """\
# Metrics

This page is written by the code (`make docs`) from `exporter/metrics/catalogue.py`, and a test holds the two equal.

## How to read them

* **As of the last complete poll.** Each scrape asks the FHIR server what changed. When it cannot answer in
  time the last picture is shown; after `--poll.max-staleness` the gauges of Tasks disappear, and counters
  stay. `fhir_task_up` tells whether the server answers,
  `fhir_task_exporter_last_complete_poll_timestamp_seconds` how old the picture is.
* **Unknown is absent, zero is zero.** Before the baseline (the first complete walk) is done there is no
  metric of a pair of payers. After it, every pair shows the five statuses that Smile CDR documents, at 0
  where there is no Task; other statuses, and reasons, from when they are first met. After a restart counters
  are there at once, gauges with the first complete poll.
* **Counters are exact and lag a little.** Each change of status is counted once, across restarts too. A
  series is born at 0, and after every start shows its last value, for `--series.hold` (2 minutes): so that
  `increase()` sees its first event. Tasks of the baseline are in gauges, never in counters.
* **Only Prometheus counts as a scrape**, by its header `X-Prometheus-Scrape-Timeout-Seconds`. A new series moves
  when it was scraped twice and `--series.hold` has passed since the first time. A person with curl therefore sees
  counters stand still for three holds (6 minutes) after a start, and each event at once from then on;
  `--series.hold 0s` shows them at once from the start.
* **An event belongs to the payers and the reason at its time.** It is never moved: a renamed payer is a new
  pair at 0. Purging Tasks on the server lowers gauges and no counter.
* **Durations are upper bounds**: from `authoredOn` to `lastUpdated` of the version *first seen* in that
  status. Tasks with missing, partial or contradictory dates are not observed; `fhir_task_anomalies_total`
  counts them. Nor are spans over {years} years, which are typing errors; nothing counts these.
* **Timestamps, not ages**: write `time() - fhir_task_oldest_authored_timestamp_seconds`.
* **Failures**: the sum of `fhir_task_failures_total` over all reasons equals
  `fhir_task_transitions_total{{status="failed"}}`.
* **Adding up**: with replicas of the exporter take `max by (job, fhir_source, …)` before `sum`, or each
  counts.
* Histogram bounds are written as Prometheus 3 writes them: `le="86400.0"`, `le="1.2096e+06"` (two weeks).
"""

ANOMALIES: Mapping[Anomaly, str] = {
    Anomaly.MISSING_AUTHORED_ON: "no authoredOn, in the Task or its meta: no duration, and its deadline runs from our "
    "first sight of it",
    Anomaly.PARTIAL_AUTHORED_ON: "an authoredOn that is no instant, such as a date alone: likewise",
    Anomaly.NEGATIVE_DURATION: "ended before its authoredOn: no duration",
    Anomaly.FUTURE_STAMP: "a lastUpdated more than a minute ahead of the server's own clock",
    Anomaly.MISSING_STATUS: "no status: shown as `unknown`",
    Anomaly.UNKNOWN_STATUS: "a status that FHIR R4 does not have: shown as `unknown`",
    Anomaly.MISSING_OWNER: "nothing in Task.owner that could name a payer",
    Anomaly.MISSING_REQUESTER: "nothing in Task.requester that could name a payer",
    Anomaly.MISSING_FOCUS: "no Task.focus: the Consent is not told",
    Anomaly.MISSING_FOR: "no Task.for: the member is not told",
    Anomaly.WENT_BACK: "the server holds to an older version than one seen: a restored backup, or a replica that lags",
    Anomaly.LATE_OLD: "first found by a full comparison, though stamped before the baseline: in gauges alone",
    Anomaly.FOREIGN: "has our tag and another code, so it is no exchange: in metrics by kind alone",
    Anomaly.UNPARSABLE: "cannot be read as a Task: in metrics by kind alone until it can",
}
"""What each kind means, for people; a kind without a line here ends the writing of the page."""

SIZE = """\
## Size, and the limit to set

A pair of payers with names of 30 letters usually shows {usual.samples} samples in {kilobytes:.1f} KB of text:
Tasks in four statuses, and two reasons for failure. A pair that has met every status and reason shows
{most.samples}. The exporter itself adds {own.samples}. A scrape past `sample_limit` fails whole, so the last
column is for pairs that have met everything, rounded up to thousands; each reason of the operator's own adds a
sample a pair. `body_size_limit` counts text before compression: allow three times what the table says, or leave
it unset.

"""

INSTANT = 1_700_000_000_123
"""As long as any stamp of these years."""

PAIRS = (1, 10, 50, 101)
"""The last is the default of `--pairs.max`, and the pair `other`, `other`."""


class Content(NamedTuple):
    """What a pair of payers has met."""

    statuses: tuple[Status, ...]
    reasons: tuple[str, ...]


class Weight(NamedTuple):
    """What a text comes to; `size` is bytes before compression."""

    samples: int
    size: int


USUAL = Content((Status.REQUESTED, Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED), REASONS[:2])
EVERYTHING = Content(tuple(Status), (*REASONS, UNCLASSIFIED))


def metrics_markdown() -> str:
    """Write the page."""
    parts = (
        INTRODUCTION.format(years=LONGEST_DURATION // (365 * DAY)),
        _section("Tasks", "`fhir_tasks…` say how many there are now, `fhir_task_…` the rest.", TASKS),
        _section("The exporter itself", "There from the start, every closed label at 0.", OWN.values()),
        _section("The process", "Told by prometheus-client, on Linux.", PROCESS),
        _vocabularies(),
        _anomalies(),
        _sizes(),
    )
    return "\n".join(parts)


def picture(pairs: int, content: Content) -> Snapshot:
    """Invent so many pairs of payers that have met this much."""
    who = [
        Pair(f"Source payer with a long name {n:03d}"[-30:], f"Requesting payer, as long, {n:03d}")
        for n in range(pairs)
    ]
    keys = {status: [PairStatus(pair, status) for pair in who] for status in content.statuses}
    every = [key for status in keys for key in keys[status]]
    still_open = [key for key in every if key.status in OPEN]
    counts = {Series(Fact.CREATED, pair): 1234 for pair in who}
    counts |= {Series(Fact.TRANSITION, pair, status): 1234 for pair, status in every}
    counts |= {Series(Fact.FAILURE, pair, reason): 1234 for pair in who for reason in content.reasons}
    ended = Histogram((123,) * (len(DURATION_BUCKETS) + 1), 12345678.9)
    gauges = Gauges(
        tasks=dict.fromkeys(every, 1234),
        oldest_authored=dict.fromkeys(still_open, INSTANT),
        oldest_updated=dict.fromkeys(still_open, INSTANT),
        last_transition=dict.fromkeys(every, INSTANT),
        stalled=dict.fromkeys(still_open, 12),
        next_due=dict.fromkeys(who, INSTANT),
        overdue=dict.fromkeys(who, 12),
    )
    return Snapshot(counts, {key: ended for key in every if key.status in TIMED}, gauges)


def _section(title: str, opening: str, definitions: Iterable[Definition]) -> str:
    rows = ((f"`{m.name}`", m.kind, _words(m.label_names), _meaning(m)) for m in definitions)
    return f"## {title}\n\n{opening}\n\n" + _table(("metric", "type", "labels", "meaning"), rows)


def _meaning(metric: Definition) -> str:
    bounds = ", ".join(f"{bound:.7g}" for bound in metric.buckets)
    return f"{metric.help} Buckets: {bounds}." if bounds else metric.help


def _vocabularies() -> str:
    users: dict[Label, list[str]] = {}
    for metric in CATALOGUE:
        for label in metric.labels:
            users.setdefault(label, []).append(metric.name)
    rows = ((f"`{label.name}`", label.meaning, _values(label), _users(names)) for label, names in users.items())
    return "## Labels and what they may say\n\n" + _table(("label", "meaning", "values", "of"), rows)


def _values(label: Label) -> str:
    return _words(label.values) if label.closed else f"{_words(label.values)} …".strip()


def _users(names: list[str]) -> str:
    return _words(names) if len(names) < len(TASKS) // 2 else "every metric of Tasks but those by `kind`"


def _anomalies() -> str:
    rows = ((f"`{kind}`", ANOMALIES[kind]) for kind in Anomaly)
    return "## Kinds of anomaly\n\n" + _table(("kind", "what was seen"), rows)


def _sizes() -> str:
    own = _own_weight()
    usual, most = (_pair_weight(content) for content in (USUAL, EVERYTHING))
    words = SIZE.format(usual=usual, kilobytes=usual.size / 1000, most=most, own=own)
    rows = (
        (
            str(pairs),
            str(own.samples + usual.samples * pairs),
            f"{(own.size + usual.size * pairs) / 1000:.0f} KB",
            str(own.samples + most.samples * pairs),
            str(-(-(own.samples + most.samples * pairs) // 1000) * 1000),
        )
        for pairs in PAIRS
    )
    heads = ("pairs", "samples, usually", "text, usually", "samples at most", "`sample_limit`")
    return words + _table(heads, rows)


def _own_weight() -> Weight:
    """Weigh what does not grow with the pairs: our own metrics, those of the process, and the anomalies."""
    own = Own()
    own.built("1.0.0", "3.11.2")
    own.skewed(0.1)
    own.ledger(LedgerState(1_000_000, 100, 0, 10**9, INSTANT, INSTANT, baseline_complete=True))
    ours, none = _weigh(own.render(Format.TEXT)), _weigh(TaskText().render(picture(0, USUAL), Format.TEXT))
    return Weight(ours.samples + none.samples + len(PROCESS), ours.size + none.size)


def _pair_weight(content: Content) -> Weight:
    """Weigh one pair more, names and help left aside."""
    one, two = (_weigh(TaskText().render(picture(pairs, content), Format.TEXT)) for pairs in (1, 2))
    return Weight(two.samples - one.samples, two.size - one.size)


def _weigh(text: bytes) -> Weight:
    return Weight(sum(not line.startswith(b"#") for line in text.splitlines()), len(text))


def _words(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in _lines(heads, rows))


def _lines(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    yield heads
    yield ("---",) * len(heads)
    yield from rows
