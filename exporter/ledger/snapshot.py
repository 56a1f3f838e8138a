"""Reading the ledger for a picture: counters as they are shown, gauges as they are now.

Oldest stamps and counts of the stalled are seeks on partial indexes of the open Tasks, and only where a Task changed or
a bound passed one since the last picture: at rest nothing is counted, however many Tasks are open.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..task.deadline import Deadline
from ..task.lifecycle import Changes
from ..task.model import OPEN, Anomaly, Event, Gauges, Histogram, Instant, Pair, PairStatus, Series, Status
from . import statements as sql
from .pairs import PairBook
from .schema import SUM_PART
from .state import PollEnd


class Counts(NamedTuple):
    """The counted half of a Snapshot."""

    counts: Mapping[Series, int]
    durations: Mapping[PairStatus, Histogram]


class Standing(NamedTuple):
    """The gauges that only a change of Tasks moves."""

    tasks: dict[PairStatus, int]
    last_transition: dict[PairStatus, Instant]
    anomalous: dict[Anomaly, int]


class Passed(NamedTuple):
    """How many stamps lie before a bound, and the first one at or behind it: until there nothing changes."""

    bound: Instant
    n: int
    next: Instant | None


LOWEST = -(2**62)
NONE_PASSED = Passed(LOWEST, 0, LOWEST)
"""Before the first look: whatever bound comes, it has passed something."""


class Age(NamedTuple):
    """What is known of the open Tasks of one pair in one status."""

    oldest_authored: Instant | None
    oldest_updated: Instant | None
    stalled: Passed
    overdue: Passed


@dataclass(slots=True)
class Memory:
    """What was read of the ledger and has not changed since; a few values a series. Read anew after a roll-back."""

    counts: Counts | None = None
    standing: Standing | None = None
    ages: dict[PairStatus, Age] = field(default_factory=dict)

    def forget(self, changes: Changes) -> None:
        """Drop what is about Tasks that change: each row moves the tally of what it was and of what it is."""
        self.standing = None
        for key in changes.tasks:
            self.ages.pop(key, None)


def read_counts(connection: sqlite3.Connection, pairs: PairBook) -> Counts:
    """Read what every series shows."""
    counts: dict[Series, int] = {}
    parts: dict[PairStatus, list[float]] = {}
    for fact, pair, label, part, shown in connection.execute(sql.COUNTERS):
        if fact == Event.DURATION:
            key = PairStatus(pairs.pair(pair), Status(label))
            parts.setdefault(key, [0.0] * (SUM_PART + 1))[part] = shown
        else:
            counts[Series(Event(fact), pairs.pair(pair) if pair else None, label)] = int(shown)
    return Counts(counts, {key: Histogram(tuple(map(int, each[:-1])), each[-1]) for key, each in parts.items()})


def read_standing(connection: sqlite3.Connection, pairs: PairBook) -> Standing:
    """Read what only a change of Tasks moves."""
    latest = connection.execute(sql.LATESTS)
    return Standing(
        {PairStatus(pairs.pair(pair), Status(status)): n for pair, status, n in connection.execute(sql.TALLIES)},
        {PairStatus(pairs.pair(pair), Status(status)): at for pair, status, at in latest},
        {Anomaly(kind): n for kind, n in connection.execute(sql.ANOMALIES)},
    )


def read_gauges(connection: sqlite3.Connection, pairs: PairBook, closing: PollEnd, memory: Memory) -> Gauges:
    """Read what is true now, by the server's clock."""
    memory.standing = memory.standing or read_standing(connection, pairs)
    tasks, latest, anomalous = memory.standing
    cutoff = closing.deadline.cutoff(closing.now)
    gauges = Gauges(tasks=tasks, last_transition=latest, anomalous=anomalous)
    found: dict[PairStatus, Age] = {}
    for key in sorted(key for key in tasks if key.status in OPEN):
        asked = _Key(connection, pairs.number(key.pair), key.status)
        found[key] = asked.age(memory.ages.get(key), closing.stalled_before, cutoff)
    memory.ages = found
    return _with_ages(gauges, found, closing.deadline)


def _with_ages(gauges: Gauges, found: Mapping[PairStatus, Age], deadline: Deadline) -> Gauges:
    overdue: dict[Pair, int] = {}
    next_due: dict[Pair, Instant] = {}
    for (pair, _), age in found.items():
        overdue[pair] = overdue.get(pair, 0) + age.overdue.n
        if age.overdue.next is not None:
            due = deadline.due(age.overdue.next)
            next_due[pair] = min(due, next_due.get(pair, due))
    return replace(
        gauges,
        oldest_authored={key: age.oldest_authored for key, age in found.items() if age.oldest_authored is not None},
        oldest_updated={key: age.oldest_updated for key, age in found.items() if age.oldest_updated is not None},
        stalled={key: age.stalled.n for key, age in found.items()},
        next_due=next_due,
        overdue=overdue,
    )


class _Key:
    """Questions about the open Tasks of one pair in one status."""

    def __init__(self, connection: sqlite3.Connection, pair: int, status: Status) -> None:
        self._connection = connection
        self._values: dict[str, object] = {"pair": pair, "status": status}

    def age(self, known: Age | None, stalled_before: Instant, cutoff: Instant) -> Age:
        """Tell the age; of what is known only that is read which the two bounds have passed since."""
        if known is None:
            known = Age(self._ask(sql.OLDEST_AUTHORED), self._ask(sql.OLDEST_UPDATED), NONE_PASSED, NONE_PASSED)
        stalled = self._move(known.stalled, stalled_before, sql.STALLED, sql.NEXT_STALLED)
        return known._replace(stalled=stalled, overdue=self._move(known.overdue, cutoff, sql.OVERDUE, sql.NEXT_DUE))

    def _move(self, known: Passed, bound: Instant, between: str, following: str) -> Passed:
        """Move a bound; one that moves back, since the server's clock did, gives back what it had passed."""
        if known.bound <= bound and (known.next is None or bound <= known.next):
            return known
        low, high = sorted((known.bound, bound))
        passed = self._ask(between, low=low, high=high) or 0
        n = known.n + (passed if bound == high else -passed)
        return Passed(bound, n, self._ask(following, low=bound))

    def _ask(self, statement: str, **bounds: Instant) -> int | None:
        found: tuple[int | None] | None = self._connection.execute(statement, {**self._values, **bounds}).fetchone()
        return None if found is None else found[0]
