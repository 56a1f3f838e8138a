"""Versions of one Task as they are seen, and what comparing them gives."""

from exporter.task.deadline import Deadlines, FixedTime
from exporter.task.lifecycle import Changes, Observation, compare
from exporter.task.model import NO_PAIR, Event, Instant, Pair, Status, Task
from exporter.task.rows import Row

NOW: Instant = 1_795_176_000_000
HOUR = 3_600_000
DEADLINE = Deadlines(FixedTime(24 * HOUR))
PAIR = Pair("Old Payer", "New Payer")
OTHER = Pair("Third Payer", "New Payer")
UUIDS = ("f0e1d2c3-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")


def at(minutes: float) -> Instant:
    """Give the instant so many minutes after NOW."""
    return NOW + round(minutes * 60_000)


def version(number_: str = "1", minutes: float = -10, status: Status = Status.REQUESTED, **more: object) -> Task:
    """Make a version of the Task `t`, authored an hour ago, stamped so many minutes from now."""
    return Task("t", number_, at(minutes), status, **({"authored": NOW - HOUR} | more))  # type: ignore[arg-type]


def observation(counting: bool = True, joining: Instant | None = None, now: Instant = NOW) -> Observation:
    return Observation(now, DEADLINE, counting, joining)


def see(row: Row | None, *tasks: Task, pair: Pair = PAIR, on: Observation | None = None) -> Changes:
    """Compare these versions, as they are on one page, with what was known."""
    known = {} if row is None else {row.id: row}
    placed = [(task, pair if task.tagged and task.usable else NO_PAIR) for task in tasks]
    return compare(known, placed, on or observation())


def known(*tasks: Task, counting: bool = True) -> Row:
    """The row after these versions, each seen at its own time."""
    row = None
    for task in tasks:
        row = see(row, task, on=observation(counting)).rows.get("t", row)
    assert row is not None
    return row


def counted(changes: Changes) -> dict[tuple[Event, str], int]:
    """What is counted, by event and label; what is 0 is left out."""
    return {(series.event, series.label): n for series, n in changes.counts.items() if n}


def moved(changes: Changes) -> dict[Status, int]:
    """How the gauge of Tasks moves, by status."""
    return {key.status: n for key, n in changes.tasks.items() if n}
