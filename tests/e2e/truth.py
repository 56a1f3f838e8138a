"""What the exporter must show of the Tasks on a server, according to whoever wrote them.

A naive second opinion: it knows nothing of searches, pages, versions and ledgers, only what each Task said when it was
written, in order. Stamps are milliseconds, the server's own. `samples` gives every Task metric but those that are 0.

Nothing here knows how long a Task has been unchanged: no test lasts four hours, so none is stalled.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

BOUNDS = (300, 900, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 345600, 604800, 1209600)
TERMINAL = frozenset({"completed", "failed", "cancelled", "rejected", "entered-in-error"})
TIMED = TERMINAL - {"entered-in-error"}
DAY = 86_400_000
"""Milliseconds; also the exporter's default deadline."""
BETWEEN = 30.0
"""Seconds by which the last transition may be shown too early (`fhir_task_last_transition_timestamp_seconds`).

A Task edited between a search and the reading of its page comes with a stamp later than the search, and a stamp ahead
of the clock counts as now.
"""

Sample = tuple[str, frozenset[tuple[str, str]]]
Pair = tuple[str, str]


class Facts(NamedTuple):
    """What the newest version of a Task says."""

    status: str
    pair: Pair
    updated: int
    authored: int | None
    reason: str = "unclassified"
    documents: int = 0
    outputs: int = 0
    kinds: frozenset[str] = frozenset()

    @property
    def foreign(self) -> bool:
        return "foreign" in self.kinds

    @property
    def open(self) -> bool:
        return self.status not in TERMINAL and not self.foreign

    @property
    def late(self) -> bool:
        """Whether its deadline had passed when it was written."""
        return self.authored is not None and self.authored + DAY < self.updated and not self.foreign


@dataclass
class Truth:
    """Counts as a person would with a pencil; before the baseline's end nothing is `counting`."""

    counting: bool = False
    tasks: dict[str, Facts] = field(default_factory=dict)
    hidden: dict[str, Facts] = field(default_factory=dict)
    counts: Counter[Sample] = field(default_factory=Counter)
    durations: dict[tuple[Pair, str], list[float]] = field(default_factory=dict)
    latest: dict[tuple[Pair, str], int] = field(default_factory=dict)
    missed: set[str] = field(default_factory=set)

    def appear(self, identifier: str, facts: Facts) -> None:
        """A Task that was not there before."""
        self.missed.discard(identifier)
        self.hidden.pop(identifier, None)
        self.tasks[identifier] = facts
        if not facts.foreign:
            self._count("fhir_task_created_total", facts.pair)
            self._enter(None, facts)
        self._judge(identifier, facts)

    def change(self, identifier: str, facts: Facts) -> None:
        """A newer version of a Task that is there."""
        before = self.tasks[identifier]
        self.tasks[identifier] = facts
        if facts.status != before.status and not facts.foreign:
            self._enter(before.status, facts)
        self._judge(identifier, facts)

    def vanish(self, identifier: str) -> None:
        """A Task deleted, or no longer tagged."""
        facts = self.hidden[identifier] = self.tasks.pop(identifier)
        if not facts.foreign:
            self._count("fhir_task_vanished_total", facts.pair)

    def come_back(self, identifier: str, facts: Facts | None = None) -> None:
        """An untagged Task that is tagged again: by a newer version, or as it was."""
        self.tasks[identifier] = self.hidden.pop(identifier)
        if facts is not None:
            self.change(identifier, facts)

    def join_late(self, identifier: str, facts: Facts) -> None:
        """A Task of before the baseline that was tagged only afterwards, and found by a full comparison."""
        self.tasks[identifier] = facts
        self._note_latest(facts)
        self.counts[_sample("fhir_task_anomalies_total", kind="late_old")] += 1

    def afresh(self) -> "Truth":
        """What an exporter sees that looks only now."""
        fresh = Truth()
        for identifier, facts in self.tasks.items():
            fresh.appear(identifier, facts)
        return fresh

    def after_absence(self, known: Mapping[str, Facts]) -> "Truth":
        """What an exporter sees that comes back: it knew these Tasks, and of each other one sees the last version."""
        truth = Truth()
        for identifier, facts in known.items():
            truth.appear(identifier, facts)
        truth.counting = True
        for identifier, facts in self.tasks.items():
            if identifier not in known:
                truth.appear(identifier, facts)
            elif facts != known[identifier]:
                truth.change(identifier, facts)
        return truth

    def samples(self, now: int) -> dict[Sample, float]:
        """Every sample of the Task metrics that is not 0."""
        found: Counter[Sample] = Counter({_sample("fhir_task_up"): 1}) + self.counts
        shown: dict[Sample, float] = {**found}
        shown.update(self._gauges())
        shown.update(self._stamps(now))
        shown.update(self._histograms())
        return {sample: value for sample, value in shown.items() if value}

    def _enter(self, before: str | None, facts: Facts) -> None:
        self._count("fhir_task_transitions_total", facts.pair, status=facts.status)
        if before in TERMINAL and facts.open:
            self._count("fhir_task_reopened_total", facts.pair)
        if facts.status == "failed":
            self._count("fhir_task_failures_total", facts.pair, reason=facts.reason)
        if facts.status == "completed":
            self._count("fhir_task_archived_documents_total", facts.pair, n=facts.documents)
            self._count("fhir_task_completed_empty_total", facts.pair, n=int(facts.outputs == 0))
        seconds = -1.0 if facts.authored is None else (facts.updated - facts.authored) / 1000
        if self.counting and facts.status in TIMED and seconds >= 0:
            self.durations.setdefault((facts.pair, facts.status), []).append(seconds)
        self._note_latest(facts)

    def _judge(self, identifier: str, facts: Facts) -> None:
        """Count what is odd about this version, and a deadline once."""
        for kind in facts.kinds if self.counting else ():
            self.counts[_sample("fhir_task_anomalies_total", kind=kind)] += 1
        if facts.late and identifier not in self.missed:
            self.missed.add(identifier)
            self._count("fhir_task_deadlines_missed_total", facts.pair)

    def _note_latest(self, facts: Facts) -> None:
        key = (facts.pair, facts.status)
        self.latest[key] = max(facts.updated, self.latest.get(key, 0))

    def _count(self, name: str, pair: Pair, n: int = 1, **labels: str) -> None:
        if self.counting:
            self.counts[_of(name, pair, **labels)] += n

    def _gauges(self) -> Counter[Sample]:
        found: Counter[Sample] = Counter()
        for facts in self.tasks.values():
            found.update(_sample("fhir_tasks_anomalous", kind=kind) for kind in facts.kinds)
            found[_of("fhir_tasks", facts.pair, status=facts.status)] += not facts.foreign
        return found

    def _stamps(self, now: int) -> Iterator[tuple[Sample, float]]:
        least: dict[Sample, int] = {}
        overdue: Counter[Sample] = Counter()
        for facts in self.tasks.values():
            if not facts.open:
                continue
            _lower(
                least, _of("fhir_task_oldest_updated_timestamp_seconds", facts.pair, status=facts.status), facts.updated
            )
            if facts.authored is None:
                continue  # due a day after it was first seen: the driver keeps an earlier one of each pair
            _lower(
                least,
                _of("fhir_task_oldest_authored_timestamp_seconds", facts.pair, status=facts.status),
                facts.authored,
            )
            if facts.authored + DAY < now:
                overdue[_of("fhir_tasks_overdue", facts.pair)] += 1
            else:
                _lower(least, _of("fhir_task_next_due_timestamp_seconds", facts.pair), facts.authored + DAY)
        yield from overdue.items()
        yield from ((sample, at / 1000) for sample, at in least.items())
        for (pair, status), at in self.latest.items():
            yield _of("fhir_task_last_transition_timestamp_seconds", pair, status=status), at / 1000

    def _histograms(self) -> Iterator[tuple[Sample, float]]:
        name = "fhir_task_duration_seconds"
        for (pair, status), seconds in self.durations.items():
            places = Counter(sum(each > bound for bound in BOUNDS) for each in seconds)
            bounds = (*(f"{bound:.1f}" for bound in BOUNDS[:-1]), "1.2096e+06", "+Inf")
            for bound, n in zip(bounds, accumulate(places[place] for place in range(len(bounds))), strict=True):
                yield _of(name + "_bucket", pair, status=status, le=bound), n
            yield _of(name + "_count", pair, status=status), len(seconds)
            yield _of(name + "_sum", pair, status=status), round(sum(seconds), 3)


def shown(text: str) -> dict[Sample, float]:
    """Every sample of the Task metrics in an exposition that is not 0."""
    return {
        (sample.name, frozenset(sample.labels.items())): round(sample.value, 3)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("fhir_task") and not sample.name.startswith("fhir_task_exporter_") and sample.value
    }


def differences(text: str, truth: Truth, now: int) -> list[str]:
    """Say in one line each where an exposition and the truth differ."""
    facts, seen = truth.samples(now), shown(text)
    return [
        f"{sample[0]}{dict(sorted(sample[1]))} is {seen.get(sample, 0)}, not {facts.get(sample, 0)}"
        for sample in sorted(facts.keys() | seen.keys(), key=str)
        if not _agree(sample[0], facts.get(sample, 0), seen.get(sample, 0))
    ]


def _agree(name: str, facts: float, seen: float) -> bool:
    if name == "fhir_task_last_transition_timestamp_seconds":
        return facts - BETWEEN <= seen <= facts
    return round(facts, 3) == seen


def _lower(least: dict[Sample, int], sample: Sample, at: int) -> None:
    least[sample] = min(at, least.get(sample, at))


def _of(name: str, pair: Pair, **labels: str) -> Sample:
    return _sample(name, source_payer=pair[0], requesting_payer=pair[1], **labels)


def _sample(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())
