"""Reading the ledger for a picture: counters as they are shown, gauges as they are now.

Oldest stamps and counts of the stalled are seeks on partial indexes of the open Tasks: milliseconds at a million rows.
"""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from ...ports import Closing
from ...task.model import (
    OPEN,
    Anomaly,
    Fact,
    Gauges,
    Histogram,
    Instant,
    Pair,
    PairStatus,
    Series,
    Status,
)
from . import statements as sql
from .pairs import PairBook
from .schema import SUM_PART


class Counts(NamedTuple):
    """The counted half of a Snapshot."""

    counts: Mapping[Series, int]
    durations: Mapping[PairStatus, Histogram]


def read_counts(connection: sqlite3.Connection, pairs: PairBook) -> Counts:
    """Read what every series shows."""
    counts: dict[Series, int] = {}
    parts: dict[PairStatus, list[float]] = {}
    for fact, pair, label, part, shown in connection.execute(sql.COUNTERS):
        if fact == Fact.DURATION:
            key = PairStatus(pairs.pair(pair), Status(label))
            parts.setdefault(key, [0.0] * (SUM_PART + 1))[part] = shown
        else:
            counts[Series(Fact(fact), pairs.pair(pair) if pair else None, label)] = int(shown)
    return Counts(counts, {key: Histogram(tuple(map(int, each[:-1])), each[-1]) for key, each in parts.items()})


def read_gauges(connection: sqlite3.Connection, pairs: PairBook, closing: Closing) -> Gauges:
    """Read what is true now, by the server's clock."""
    tasks = {PairStatus(pairs.pair(pair), Status(status)): n for pair, status, n in connection.execute(sql.TALLIES)}
    latest = connection.execute(sql.LATESTS)
    ages = _Ages(connection, pairs, closing)
    for key in sorted(tasks):
        if key.status in OPEN:
            ages.add(key)
    return Gauges(
        tasks=tasks,
        oldest_authored=ages.oldest_authored,
        oldest_updated=ages.oldest_updated,
        last_transition={PairStatus(pairs.pair(pair), Status(status)): at for pair, status, at in latest},
        stalled=ages.stalled,
        next_due=ages.next_due,
        overdue=ages.overdue,
        anomalous={Anomaly(kind): n for kind, n in connection.execute(sql.ANOMALIES)},
    )


class _Ages:
    """What depends on now, gathered pair by pair and status by status."""

    def __init__(self, connection: sqlite3.Connection, pairs: PairBook, closing: Closing) -> None:
        self._connection = connection
        self._pairs = pairs
        self._deadline = closing.deadline
        self._times = {"before": closing.stalled_before, "cutoff": closing.deadline.cutoff(closing.now)}
        self.oldest_authored: dict[PairStatus, Instant] = {}
        self.oldest_updated: dict[PairStatus, Instant] = {}
        self.stalled: dict[PairStatus, int] = {}
        self.next_due: dict[Pair, Instant] = {}
        self.overdue: dict[Pair, int] = {}

    def add(self, key: PairStatus) -> None:
        """Gather one status of one pair."""
        if (authored := self._ask(sql.OLDEST_AUTHORED, key)) is not None:
            self.oldest_authored[key] = authored
        if (updated := self._ask(sql.OLDEST_UPDATED, key)) is not None:
            self.oldest_updated[key] = updated
        self.stalled[key] = self._ask(sql.STALLED, key) or 0
        self.overdue[key.pair] = self.overdue.get(key.pair, 0) + (self._ask(sql.OVERDUE, key) or 0)
        if (began := self._ask(sql.NEXT_DUE, key)) is not None:
            due = self._deadline.due(began)
            self.next_due[key.pair] = min(due, self.next_due.get(key.pair, due))

    def _ask(self, statement: str, key: PairStatus) -> int | None:
        values = {**self._times, "pair": self._pairs.number(key.pair), "status": key.status}
        found: tuple[int | None] | None = self._connection.execute(statement, values).fetchone()
        return None if found is None else found[0]
