"""Which changes of a Task we notice, and what each one means.

Rule 1: every judgement about a change is made in this file; nobody else compares versions or statuses.
Rule 2: nothing here knows the network, the ledger or the time; a walk says when it looked.

See docs/design.md#exact-counters, docs/design.md#durations, docs/design.md#deadlines.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .deadline import Deadline
from .model import (
    DURATION_BUCKETS,
    NO_PAIR,
    OPEN,
    TERMINAL,
    TIMED,
    Anomaly,
    Event,
    Instant,
    Pair,
    PairStatus,
    Series,
    Status,
    Task,
)
from .rows import BITS, Gone, Row, mask, unmask
from .versions import Verdict, number, rank, verdict

FUTURE_TOLERANCE = 60_000
"""Milliseconds that a stamp may be ahead of the server's clock: the `Date` header has whole seconds, nodes differ."""

LONGEST_DURATION = 10 * 365 * 86_400
"""Seconds. Longer spans are typing errors; one of them would drown every other in the histogram's sum."""


@dataclass(frozen=True, slots=True)
class Observation:
    """When and why a walk looked.

    `now` is the server's clock. In the baseline nothing is `counting`. `joining`, given by the full comparison,
    is the server's clock at the start of the baseline: unknown Tasks stamped before it join the baseline late.
    """

    now: Instant
    deadline: Deadline
    counting: bool = True
    joining: Instant | None = None


@dataclass(slots=True)
class Changes:
    """What one page changes: rows to write, gauges to move by so much, facts to count.

    `earliest` is the smallest stamp among counted versions, for the lateness we show; `sighted` names every Task on it.
    """

    sighted: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    tasks: Counter[PairStatus] = field(default_factory=Counter)
    anomalous: Counter[Anomaly] = field(default_factory=Counter)
    counts: Counter[Series] = field(default_factory=Counter)
    durations: list[tuple[PairStatus, float]] = field(default_factory=list)
    latest: dict[PairStatus, Instant] = field(default_factory=dict)
    earliest: Instant | None = None


def compare(known: Mapping[str, Row], sightings: Iterable[tuple[Task, Pair]], occasion: Observation) -> Changes:
    """Judge every Task of a page, in order; the same Task may stand on it twice."""
    changes = Changes()
    for task, pair in sightings:
        row = changes.rows.get(task.id) or known.get(task.id)
        after = _judge(row, task, pair, occasion, changes)
        changes.sighted.append(task.id)
        if after is not None and after != row:
            _replace(row, after, changes)
    return changes


def vanish(rows: Iterable[Row], now: Instant, why: Gone = Gone.DELETED) -> Changes:
    """Judge Tasks that the server no longer has, or no longer as ours."""
    changes = Changes()
    for row in rows:
        _replace(row, _drop(row, why, now, changes), changes)
    return changes


def _replace(before: Row | None, after: Row, changes: Changes) -> None:
    """Book a row and move the gauges from what was to what is."""
    changes.rows[after.id] = after
    if before is not None and before.present:
        changes.tasks[PairStatus(before.pair, before.status)] -= 1
    if after.present:
        changes.tasks[PairStatus(after.pair, after.status)] += 1
    old = before.kinds if before is not None and before.gone is None else 0
    new = after.kinds if after.gone is None else 0
    if old != new:
        changes.anomalous.update(unmask(new & ~old))
        changes.anomalous.subtract(unmask(old & ~new))


def _judge(row: Row | None, task: Task, pair: Pair, occasion: Observation, changes: Changes) -> Row | None:
    """Return the row as it should be; None where there is nothing to remember."""
    what = verdict(row, task)
    if not task.tagged:
        return _untag(row, occasion, changes)
    if row is None or (row.gone is Gone.DELETED and what is Verdict.NEWER):
        return _meet(task, pair, occasion, changes)
    if what is Verdict.RECREATED:
        if row.gone is None and occasion.counting:
            _drop(row, Gone.DELETED, occasion.now, changes)
        return _meet(task, pair, occasion, changes)
    if what is Verdict.NEWER:
        return _advance(row, task, pair, occasion, changes)
    if what is Verdict.STALE and occasion.counting:
        changes.counts[Series(Event.ANOMALY, None, Anomaly.WENT_BACK)] += 1
    return _recall(row, task, pair, occasion)


def _untag(row: Row | None, occasion: Observation, changes: Changes) -> Row | None:
    """Let go of a Task without our tag: if it was ours, it has vanished.

    The version stays the one that was ours: what it became meanwhile is news when it is tagged again.
    """
    if row is None or row.gone is not None:
        return row
    if not occasion.counting:
        return row._replace(gone=Gone.UNTAGGED, gone_at=occasion.now)
    return _drop(row, Gone.UNTAGGED, occasion.now, changes)


def _drop(row: Row, why: Gone, now: Instant, changes: Changes) -> Row:
    if row.usable:
        changes.counts[Series(Event.VANISHED, row.pair)] += 1
    return row._replace(gone=why, gone_at=now)


def _meet(task: Task, pair: Pair, occasion: Observation, changes: Changes) -> Row:
    """See a Task for the first time."""
    counting = occasion.counting
    if occasion.joining is not None and task.updated < occasion.joining:
        counting = False
        changes.counts[Series(Event.ANOMALY, None, Anomaly.LATE_OLD)] += 1
    missed = _missed(task, occasion.now, occasion)
    if not counting:  # overdue already: overdue, but not counted as missed later
        missed |= occasion.deadline.due(task.authored or occasion.now) < occasion.now
    row = _row(task, pair, occasion, missed=missed)
    if counting:
        _count_anomalies(task, row, changes)
        if row.usable:
            changes.counts[Series(Event.CREATED, pair)] += 1
            _count_entry(None, task, pair, changes)
            changes.counts[Series(Event.DEADLINE_MISSED, pair)] += missed
    if row.usable:
        _note_latest(task, pair, occasion, changes)
    return row


def _advance(row: Row, task: Task, pair: Pair, occasion: Observation, changes: Changes) -> Row:
    """See a newer version of a known Task. Only one above the highest ever counted is counted."""
    if row.pair == NO_PAIR and task.usable:
        return _meet(task, pair, occasion, changes)
    after = _follow(row, task, pair, occasion)
    entered = task.status != row.status
    missed = row.missed or (entered and _missed(task, row.seen, occasion))
    highest, fresh = _height(row, after)
    if fresh and occasion.counting:
        _count_anomalies(task, after, changes)
        if entered and after.usable:
            _count_entry(row.status, task, pair, changes)
            changes.counts[Series(Event.DEADLINE_MISSED, pair)] += missed and not row.missed
    if entered and after.usable and fresh:
        _note_latest(task, pair, occasion, changes)
    return after._replace(highest=highest, seen=row.seen, missed=missed)


def _height(row: Row, after: Row) -> tuple[int, bool]:
    """Give the highest rank counted from now on, and whether a newer version is above the one so far.

    Numbers and stamps have no common order: a number that could not be read once must not hide those that follow.
    """
    opaque = number(after.version) is None
    if opaque == (number(row.version) is None):
        return max(after.highest, row.highest), after.highest > row.highest or (opaque and after.highest == row.highest)
    return (row.highest if opaque else after.highest), True


def _recall(row: Row, task: Task, pair: Pair, occasion: Observation) -> Row:
    """See again what we know, or an older version that the server insists on: gauges only."""
    return _follow(row, task, pair, occasion)._replace(highest=row.highest, seen=row.seen, missed=row.missed)


def _follow(row: Row, task: Task, pair: Pair, occasion: Observation) -> Row:
    """Make the row of another version.

    One that is no exchange keeps whose it was, and its status: as ours again it is not new and may enter another one.
    """
    after = _row(task, pair, occasion)
    if after.usable or (row.pair == NO_PAIR and Anomaly.UNPARSABLE not in task.anomalies):
        return after
    return after._replace(pair=row.pair, status=row.status)


def _row(task: Task, pair: Pair, occasion: Observation, *, missed: bool = False) -> Row:
    kinds = mask(task.anomalies) if task.anomalies else 0
    if task.updated > occasion.now + FUTURE_TOLERANCE:
        kinds |= BITS[Anomaly.FUTURE_STAMP]
    return Row(
        *(task.id, task.version, task.updated, rank(task.version, task.updated), task.status, pair),
        *(task.authored, occasion.now, missed, kinds),
    )


def _missed(task: Task, seen: Instant, occasion: Observation) -> bool:
    """Judge a Task that ended: one still open is judged when a complete poll closes."""
    began = seen if task.authored is None else task.authored
    return task.status in TERMINAL and task.updated > occasion.deadline.due(began)


def _count_anomalies(task: Task, row: Row, changes: Changes) -> None:
    if changes.earliest is None or task.updated < changes.earliest:
        changes.earliest = task.updated
    for kind in unmask(row.kinds):
        changes.counts[Series(Event.ANOMALY, None, kind)] += 1


def _count_entry(before: Status | None, task: Task, pair: Pair, changes: Changes) -> None:
    """Count that a Task entered its status, on the pair and reason of this version."""
    counts = changes.counts
    counts[Series(Event.TRANSITION, pair, task.status)] += 1
    if before in TERMINAL and task.status in OPEN:
        counts[Series(Event.REOPENED, pair)] += 1
    if task.status is Status.FAILED:
        counts[Series(Event.FAILURE, pair, task.reason)] += 1
    if task.status is Status.COMPLETED:
        counts[Series(Event.ARCHIVED_DOCUMENT, pair)] += task.documents
        counts[Series(Event.COMPLETED_EMPTY, pair)] += task.outputs == 0
    seconds = _duration(task)
    if seconds is not None:
        changes.durations.append((PairStatus(pair, task.status), seconds))


def _duration(task: Task) -> float | None:
    if task.status not in TIMED or task.authored is None:
        return None
    seconds = (task.updated - task.authored) / 1000
    return seconds if 0 <= seconds <= LONGEST_DURATION else None


def _note_latest(task: Task, pair: Pair, occasion: Observation, changes: Changes) -> None:
    """Remember when a status was last entered; a stamp ahead of the clock counts as now."""
    key = PairStatus(pair, task.status)
    changes.latest[key] = max(changes.latest.get(key, 0), min(task.updated, occasion.now))


def bucket(seconds: float) -> int:
    """Find the bucket of a duration: the first bound not below it, or one past the last (Prometheus `le`)."""
    return next((place for place, bound in enumerate(DURATION_BUCKETS) if seconds <= bound), len(DURATION_BUCKETS))
