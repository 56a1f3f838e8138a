"""The tables of docs/metrics.md, generated from the catalogue.

Sizes are measured by rendering sample snapshots. Nothing here reads or writes a file, or reads a clock.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from exporter.metrics.catalogue import BATCH_JOBS, CATALOGUE, OWN, PROBE, PROCESS, TASKS, Definition, Label
from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import LedgerFigures
from exporter.task.model import Anomaly

from .markdown import code, table
from .sample_snapshot import EVERYTHING, INSTANT, USUAL, Content, sample_snapshot

ANOMALIES: Mapping[Anomaly, str] = {
    Anomaly.MISSING_AUTHORED_ON: "no authoredOn, in the Task or its meta: no duration, and the deadline counts from "
    "when the exporter first saw the Task",
    Anomaly.PARTIAL_AUTHORED_ON: "an authoredOn without time or time zone, such as a date alone: likewise",
    Anomaly.NEGATIVE_DURATION: "ended before its authoredOn: no duration",
    Anomaly.FUTURE_STAMP: "a lastUpdated more than a minute ahead of the server's own clock",
    Anomaly.MISSING_STATUS: "no status: shown as `unknown`",
    Anomaly.UNKNOWN_STATUS: "a status that FHIR R4 does not have: shown as `unknown`",
    Anomaly.MISSING_OWNER: "nothing in Task.owner that names a payer: shown as `unknown`",
    Anomaly.MISSING_REQUESTER: "nothing in Task.requester that names a payer: shown as `unknown`",
    Anomaly.MISSING_FOCUS: "no Task.focus, which should refer to the Consent",
    Anomaly.MISSING_FOR: "no Task.for, which should refer to the member",
    Anomaly.WENT_BACK: "the server returns an older version than one already seen: a restored backup or a lagging "
    "replica",
    Anomaly.LATE_OLD: "first found by a comparison, though last updated before the baseline: in gauges only",
    Anomaly.FOREIGN: "has the tag of an exchange but another code: only in metrics by `kind`",
    Anomaly.UNPARSABLE: "cannot be read as a Task: only in metrics by `kind`, until it can",
}
"""What each kind means, for docs/metrics.md; writing the page fails if a kind is missing."""

PAIRS = (1, 10, 50, 101)
"""The last is the default of `--pairs.max`, and the pair `other`, `other`."""


class Weight(NamedTuple):
    """Samples in a text, and its `size` in bytes before compression."""

    samples: int
    size: int


def tables() -> Mapping[str, str]:
    """Write every table of the page, by name."""
    return {
        "tasks": _metrics(TASKS),
        "exporter": _metrics(OWN.values()),
        "batch jobs": _metrics(BATCH_JOBS.values()),
        "process": _metrics(PROCESS),
        "probe": _metrics(PROBE.values()),
        "labels": _labels(),
        "anomalies": table(("kind", "meaning"), ((f"`{kind}`", ANOMALIES[kind]) for kind in Anomaly)),
        "weights": _weights(),
        "sizes": _sizes(),
    }


def _metrics(definitions: Iterable[Definition]) -> str:
    rows = ((f"`{m.name}`", m.kind, code(m.label_names), _meaning(m)) for m in definitions)
    return table(("metric", "type", "labels", "meaning"), rows)


def _meaning(metric: Definition) -> str:
    bounds = ", ".join(f"{bound:.7g}" for bound in metric.buckets)
    return f"{metric.help} Buckets: {bounds}." if bounds else metric.help


def _labels() -> str:
    users: dict[Label, list[str]] = {}
    for metric in (*CATALOGUE, *PROBE.values()):
        for label in metric.labels:
            users.setdefault(label, []).append(metric.name)
    rows = ((f"`{label.name}`", label.meaning, _values(label), _users(names)) for label, names in users.items())
    return table(("label", "meaning", "values", "metrics"), rows)


def _values(label: Label) -> str:
    return code(label.values) if label.closed else f"{code(label.values)} …".strip()


def _users(names: list[str]) -> str:
    return code(names) if len(names) < len(TASKS) // 2 else "every metric of Tasks except those by `kind`"


def _weights() -> str:
    rows = (
        ("the exporter itself", _own_weight()),
        ("a pair with Tasks in four statuses and two reasons for failure", _pair_weight(USUAL)),
        ("a pair with every status and reason", _pair_weight(EVERYTHING)),
    )
    cells = ((what, str(weight.samples), f"{weight.size / 1000:.1f} KB") for what, weight in rows)
    return table(("part", "samples", "text"), cells)


def _sizes() -> str:
    own, usual, most = _own_weight(), _pair_weight(USUAL), _pair_weight(EVERYTHING)
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
    return table(("pairs", "samples, typical", "text, typical", "samples at most", "`sample_limit`"), rows)


def _own_weight() -> Weight:
    """Measure what does not grow with the pairs: metrics of the exporter and the process, and the anomalies."""
    own = Telemetry()
    own.set_build_info("1.0.0", "3.11.2")
    own.set_clock_skew(0.1)
    own.set_ledger_figures(LedgerFigures(1_000_000, 100, 0, 10**9, INSTANT, INSTANT, baseline_complete=True))
    ours, none = _weigh(own.render(Format.TEXT)), _weigh(_tasks(0, USUAL))
    return Weight(ours.samples + none.samples + len(PROCESS), ours.size + none.size)


def _pair_weight(content: Content) -> Weight:
    """Measure what one more pair adds, without metric names and help texts."""
    one, two = (_weigh(_tasks(pairs, content)) for pairs in (1, 2))
    return Weight(two.samples - one.samples, two.size - one.size)


def _tasks(pairs: int, content: Content) -> bytes:
    return TaskText().render(sample_snapshot(pairs, content), Format.TEXT)


def _weigh(text: bytes) -> Weight:
    return Weight(sum(not line.startswith(b"#") for line in text.splitlines()), len(text))
