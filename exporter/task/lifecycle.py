"""Which changes of a Task are noticed, and what each one means.

Rule 1: what a version means for counters and gauges is decided here. Which version is newer is decided in `versions`,
which open Tasks miss their deadline in `ledger/transaction`, which Tasks have vanished in `reconcile/missing`.
Rule 2: nothing here knows the network, the ledger or the time; a walk passes the time at which it looked.

See docs/design.md#exact-counters, docs/design.md#durations, docs/design.md#deadlines.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .deadline import Deadline, Deadlines
from .model import (
    DURATION_BUCKETS,
    NO_PAIR,
    OPEN,
    TERMINAL,
    TIMED,
    Anomaly,
    Event,
    Exemplar,
    ExemplarKey,
    Instant,
    Pair,
    PairStatus,
    Series,
    Status,
    Task,
)
from .rows import ANOMALY_BITS, Removal, Row, pack_anomalies, unpack_anomalies
from .versions import Verdict, verdict, version_number, version_rank

FUTURE_TOLERANCE_MS = 60_000
"""Milliseconds that a stamp may be ahead of the server's clock: the `Date` header has whole seconds, nodes differ."""

LONGEST_DURATION_SECONDS = 10 * 365 * 86_400
"""Seconds. Longer spans are typing errors; one of them would drown every other in the histogram's sum."""


@dataclass(frozen=True, slots=True)
class Observation:
    """When and why a walk looked at the server.

    `now` is the server's clock. In the baseline nothing is `counting`. `joining`, given by comparisons, is the
    server's clock at the start of the baseline: unknown Tasks with earlier stamps join the baseline late.
    """

    now: Instant
    deadlines: Deadlines
    counting: bool = True
    joining: Instant | None = None


@dataclass(slots=True)
class Changes:
    """What one page changes: rows to write, differences to add to gauges, events to count.

    `seen_ids` lists every Task of the page. `durations` are in seconds. `counted_stamps` has, by Task, the stamp of the
    last version that was counted: those before it, from a history, are not late.
    """

    seen_ids: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    tasks: Counter[PairStatus] = field(default_factory=Counter)
    anomalous: Counter[Anomaly] = field(default_factory=Counter)
    counts: Counter[Series] = field(default_factory=Counter)
    durations: list[tuple[PairStatus, float]] = field(default_factory=list)
    exemplars: dict[ExemplarKey, Exemplar] = field(default_factory=dict)
    last_transition: dict[PairStatus, Instant] = field(default_factory=dict)
    counted_stamps: dict[str, Instant] = field(default_factory=dict)

    @property
    def earliest(self) -> Instant | None:
        """The smallest of them, from which the lateness metric is observed."""
        return min(self.counted_stamps.values(), default=None)


def compare(known: Mapping[str, Row], sightings: Iterable[tuple[Task, Pair]], observation: Observation) -> Changes:
    """Compare every Task of a page with its row, in order; one page may hold the same Task twice."""
    changes = Changes()
    for task, pair in sightings:
        row = changes.rows.get(task.id) or known.get(task.id)
        after = _transition(row, task, pair, observation, changes)
        changes.seen_ids.append(task.id)
        if after is not None and after != row:
            _update_row(row, after, changes)
    return changes


def vanish(rows: Iterable[Row], now: Instant, why: Removal = Removal.DELETED) -> Changes:
    """Remove Tasks that the server no longer has, or that no longer match the selection."""
    changes = Changes()
    for row in rows:
        _update_row(row, _remove(row, why, now, changes), changes)
    return changes


def _update_row(before: Row | None, after: Row, changes: Changes) -> None:
    """Replace a row, and move the gauges from its old values to its new ones."""
    changes.rows[after.id] = after
    if before is not None and before.present:
        changes.tasks[PairStatus(before.pair, before.status)] -= 1
    if after.present:
        changes.tasks[PairStatus(after.pair, after.status)] += 1
    old = before.anomaly_bits if before is not None and before.removal is None else 0
    new = after.anomaly_bits if after.removal is None else 0
    if old != new:
        changes.anomalous.update(unpack_anomalies(new & ~old))
        changes.anomalous.subtract(unpack_anomalies(old & ~new))


def _transition(row: Row | None, task: Task, pair: Pair, observation: Observation, changes: Changes) -> Row | None:
    """Return the row as it is after this version was seen; None where there is nothing to remember."""
    what = verdict(row, task)
    if not task.tagged:
        return _remove_untagged(row, observation, changes)
    if row is None or (row.removal is Removal.DELETED and what is Verdict.NEWER):
        return _add_new(task, pair, observation, changes)
    if what is Verdict.RECREATED:
        if row.removal is None and observation.counting:
            _remove(row, Removal.DELETED, observation.now, changes)
        return _add_new(task, pair, observation, changes)
    if what is Verdict.NEWER:
        return _apply_newer(row, task, pair, observation, changes)
    if what is Verdict.STALE and observation.counting:
        changes.counts[Series(Event.ANOMALY, None, Anomaly.WENT_BACK)] += 1
    return _apply_uncounted(row, task, pair, observation)


def _remove_untagged(row: Row | None, observation: Observation, changes: Changes) -> Row | None:
    """Remove a Task that lost its tag; one that was never tagged leaves nothing.

    The row keeps the last tagged version: what the Task became meanwhile is news when it is tagged again.
    """
    if row is None or row.removal is not None:
        return row
    if not observation.counting:
        return row._replace(removal=Removal.UNTAGGED, removed_at=observation.now)
    return _remove(row, Removal.UNTAGGED, observation.now, changes)


def _remove(row: Row, why: Removal, now: Instant, changes: Changes) -> Row:
    if row.usable:
        changes.counts[Series(Event.VANISHED, row.pair)] += 1
    return row._replace(removal=why, removed_at=now)


def _add_new(task: Task, pair: Pair, observation: Observation, changes: Changes) -> Row:
    """Make the row of a Task that is seen for the first time, and count it."""
    counting = observation.counting
    if observation.joining is not None and task.updated < observation.joining:
        counting = False
        changes.counts[Series(Event.ANOMALY, None, Anomaly.LATE_OLD)] += 1
    deadline = observation.deadlines.of(pair.source)
    missed = _ended_late(task, observation.now, deadline)
    if not counting:  # overdue already: overdue, but not counted as missed later
        authored = observation.now if task.authored is None else task.authored
        missed |= deadline.due(authored) < observation.now
    row = _new_row(task, pair, observation, deadline_missed=missed)
    if counting:
        _count_anomalies(task, row, changes)
        if row.usable:
            changes.counts[Series(Event.CREATED, pair)] += 1
            _count_status_entered(None, task, pair, changes)
            changes.counts[Series(Event.DEADLINE_MISSED, pair)] += missed
    if row.usable:
        _update_last_transition(task, pair, observation, changes)
    return row


def _apply_newer(row: Row, task: Task, pair: Pair, observation: Observation, changes: Changes) -> Row:
    """Apply a newer version of a known Task. It is counted only if it is above every version counted before."""
    if row.pair == NO_PAIR and task.usable:
        return _add_new(task, pair, observation, changes)
    after = _row_of_version(row, task, pair, observation)
    entered = task.status != row.status
    missed = row.deadline_missed or (
        entered and _ended_late(task, row.first_seen, observation.deadlines.of(pair.source))
    )
    max_version, uncounted = _max_version(row, after)
    if uncounted and observation.counting:
        _count_anomalies(task, after, changes)
        if entered and after.usable:
            _count_status_entered(row.status, task, pair, changes)
            changes.counts[Series(Event.DEADLINE_MISSED, pair)] += missed and not row.deadline_missed
    if entered and after.usable and uncounted:
        _update_last_transition(task, pair, observation, changes)
    return after._replace(max_version_counted=max_version, first_seen=row.first_seen, deadline_missed=missed)


def _max_version(row: Row, after: Row) -> tuple[int, bool]:
    """Return the highest rank counted from now on, and whether the newer version is above the one so far.

    Numbers and stamps have no common order: a number that could not be read once must not hide those that follow.
    """
    old, new = row.max_version_counted, after.max_version_counted
    opaque = version_number(after.version) is None
    if opaque == (version_number(row.version) is None):
        return max(new, old), new > old or (opaque and new == old)
    return (old if opaque else new), True


def _apply_uncounted(row: Row, task: Task, pair: Pair, observation: Observation) -> Row:
    """Apply a known version, or an older one that the server insists on: gauges only."""
    return _row_of_version(row, task, pair, observation)._replace(
        max_version_counted=row.max_version_counted,
        first_seen=row.first_seen,
        deadline_missed=row.deadline_missed,
    )


def _row_of_version(row: Row, task: Task, pair: Pair, observation: Observation) -> Row:
    """Make the row of another version of a known Task.

    A version that is no exchange keeps pair and status of the one before: when the Task is an exchange again, it is not
    new, and may enter another status.
    """
    after = _new_row(task, pair, observation)
    if after.usable or (row.pair == NO_PAIR and Anomaly.UNPARSABLE not in task.anomalies):
        return after
    return after._replace(pair=row.pair, status=row.status)


def _new_row(task: Task, pair: Pair, observation: Observation, *, deadline_missed: bool = False) -> Row:
    bits = pack_anomalies(task.anomalies) if task.anomalies else 0
    if task.updated > observation.now + FUTURE_TOLERANCE_MS:
        bits |= ANOMALY_BITS[Anomaly.FUTURE_STAMP]
    return Row(
        id=task.id,
        version=task.version,
        updated=task.updated,
        max_version_counted=version_rank(task.version, task.updated),
        status=task.status,
        pair=pair,
        authored=task.authored,
        first_seen=observation.now,
        deadline_missed=deadline_missed,
        anomaly_bits=bits,
    )


def _ended_late(task: Task, first_seen: Instant, deadline: Deadline) -> bool:
    """Whether a Task ended after its deadline; open ones are checked at the end of a complete poll."""
    began = first_seen if task.authored is None else task.authored
    return task.status in TERMINAL and task.updated > deadline.due(began)


def _count_anomalies(task: Task, row: Row, changes: Changes) -> None:
    changes.counted_stamps[task.id] = task.updated
    for kind in unpack_anomalies(row.anomaly_bits):
        changes.counts[Series(Event.ANOMALY, None, kind)] += 1


def _count_status_entered(before: Status | None, task: Task, pair: Pair, changes: Changes) -> None:
    """Count that a Task entered its status, on the pair and reason of this version."""
    counts = changes.counts
    counts[Series(Event.TRANSITION, pair, task.status)] += 1
    if before in TERMINAL and task.status in OPEN:
        counts[Series(Event.REOPENED, pair)] += 1
    if task.status is Status.FAILED:
        failure = Series(Event.FAILURE, pair, task.reason)
        counts[failure] += 1
        changes.exemplars[ExemplarKey(failure)] = Exemplar(task.id, 1)
    if task.status is Status.COMPLETED:
        counts[Series(Event.ARCHIVED_DOCUMENT, pair)] += task.documents
        counts[Series(Event.COMPLETED_EMPTY, pair)] += task.outputs == 0
    seconds = _duration_seconds(task)
    if seconds is not None:
        changes.durations.append((PairStatus(pair, task.status), seconds))
        bucket = ExemplarKey(Series(Event.DURATION, pair, task.status), bucket_index(seconds))
        changes.exemplars[bucket] = Exemplar(task.id, seconds)


def _duration_seconds(task: Task) -> float | None:
    if task.status not in TIMED or task.authored is None:
        return None
    seconds = (task.updated - task.authored) / 1000
    return seconds if 0 <= seconds <= LONGEST_DURATION_SECONDS else None


def _update_last_transition(task: Task, pair: Pair, observation: Observation, changes: Changes) -> None:
    """Remember when a status was last entered; a stamp ahead of the clock counts as now."""
    key, latest = PairStatus(pair, task.status), changes.last_transition
    latest[key] = max(latest.get(key, 0), min(task.updated, observation.now))


def bucket_index(seconds: float) -> int:
    """Find the bucket of a duration: the first bound not below it, or one past the last (Prometheus `le`)."""
    return next((place for place, bound in enumerate(DURATION_BUCKETS) if seconds <= bound), len(DURATION_BUCKETS))
