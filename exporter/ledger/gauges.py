"""The gauges of a snapshot: some are stored, and moved by each change; the ages of open Tasks are read from their rows.

Oldest stamps and counts of the stalled are seeks on partial indexes of the open Tasks, and only where a Task changed or
a bound passed one since the last snapshot: at rest nothing is counted, however many Tasks are open.
"""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from ..task.deadline import Cutoffs, Deadlines
from ..task.lifecycle import Changes
from ..task.model import OPEN, Anomaly, Gauges, Instant, Pair, PairStatus, Status
from .pairs import PairTable
from .state import PollEnd


class StoredGauges(NamedTuple):
    """The gauges that only a change of Tasks moves.

    `tasks` keeps a status once met, at 0 when there is none: zero is known, a series that ends would read as unknown.
    """

    tasks: dict[PairStatus, int]
    last_transition: dict[PairStatus, Instant]
    anomalous: dict[Anomaly, int]


class CountBefore(NamedTuple):
    """How many stamps are before a bound, and the first one at or behind it: until there the count stays."""

    bound: Instant
    n: int
    next: Instant | None


LOWEST = -(2**62)
NOT_COUNTED = CountBefore(LOWEST, 0, LOWEST)
"""Before the first count: whatever bound comes, it is past `next`."""


class OpenTaskAges(NamedTuple):
    """What is known of the open Tasks of one pair in one status."""

    oldest_authored: Instant | None
    oldest_updated: Instant | None
    stalled: CountBefore
    overdue: CountBefore


class GaugeTables:
    """The stored gauges, kept in memory with the ages of open Tasks until a change. Only a transaction writes."""

    def __init__(self, connection: sqlite3.Connection, pairs: PairTable) -> None:
        self._connection = connection
        self._pairs = pairs
        self._stored: StoredGauges | None = None
        self._ages: dict[PairStatus, OpenTaskAges] = {}

    def add(self, changes: Changes) -> None:
        """Move the gauges; ages are dropped where Tasks change: each row moves the count of its old and new status."""
        self._stored = None
        for key in changes.tasks:
            self._ages.pop(key, None)
        self._add_tasks(changes)
        self._add_anomalous(changes)
        self._move_last_transition(changes)

    def _add_tasks(self, changes: Changes) -> None:
        self._connection.executemany(
            """
            INSERT INTO tally (pair, status, n) VALUES (:pair, :status, :n)
            ON CONFLICT (pair, status) DO UPDATE SET n = tally.n + excluded.n
            """,
            [{**self._key(key), "n": n} for key, n in changes.tasks.items() if n],
        )

    def _add_anomalous(self, changes: Changes) -> None:
        self._connection.executemany(
            """
            INSERT INTO anomalous (kind, n) VALUES (:kind, :n)
            ON CONFLICT (kind) DO UPDATE SET n = anomalous.n + excluded.n
            """,
            [{"kind": kind, "n": n} for kind, n in changes.anomalous.items() if n],
        )

    def _move_last_transition(self, changes: Changes) -> None:
        self._connection.executemany(
            """
            INSERT INTO latest (pair, status, at) VALUES (:pair, :status, :at)
            ON CONFLICT (pair, status) DO UPDATE SET at = max(latest.at, excluded.at)
            """,
            [{**self._key(key), "at": at} for key, at in changes.last_transition.items()],
        )

    def _key(self, key: PairStatus) -> dict[str, object]:
        return {"pair": self._pairs.number(key.pair), "status": key.status}

    def stored(self) -> StoredGauges:
        """Read what only a change of Tasks moves."""
        if self._stored is None:
            self._stored = self._read_stored()
        return self._stored

    def _read_stored(self) -> StoredGauges:
        tasks = self._connection.execute("SELECT pair, status, n FROM tally")
        latest = self._connection.execute("SELECT pair, status, at FROM latest")
        anomalous = self._connection.execute("SELECT kind, n FROM anomalous WHERE n <> 0")
        return StoredGauges(
            {PairStatus(self._pairs.pair(pair), Status(status)): n for pair, status, n in tasks},
            {PairStatus(self._pairs.pair(pair), Status(status)): at for pair, status, at in latest},
            {Anomaly(kind): n for kind, n in anomalous},
        )

    def read(self, end: PollEnd, cutoffs: Cutoffs) -> Gauges:
        """Read all gauges as they are at the end of a poll, by the server's clock."""
        stored = self.stored()
        ages: dict[PairStatus, OpenTaskAges] = {}
        for key in sorted(key for key in stored.tasks if key.status in OPEN):
            tasks = _OpenTasks(self._connection, self._key(key))
            ages[key] = tasks.ages(self._ages.get(key), end.stalled_before, cutoffs.of(key.pair.source))
        self._ages = ages
        return _gauges(stored, ages, end.deadlines)


def _gauges(stored: StoredGauges, ages: Mapping[PairStatus, OpenTaskAges], deadlines: Deadlines) -> Gauges:
    overdue: dict[Pair, int] = {}
    next_due: dict[Pair, Instant] = {}
    for (pair, _), age in ages.items():
        overdue[pair] = overdue.get(pair, 0) + age.overdue.n
        if age.overdue.next is not None:
            due = deadlines.of(pair.source).due(age.overdue.next)
            next_due[pair] = min(due, next_due.get(pair, due))
    return Gauges(
        tasks=stored.tasks,
        last_transition=stored.last_transition,
        anomalous=stored.anomalous,
        oldest_authored={key: age.oldest_authored for key, age in ages.items() if age.oldest_authored is not None},
        oldest_updated={key: age.oldest_updated for key, age in ages.items() if age.oldest_updated is not None},
        stalled={key: age.stalled.n for key, age in ages.items()},
        next_due=next_due,
        overdue=overdue,
    )


class _OpenTasks:
    """Queries on the open Tasks of one pair in one status; each is a seek on a partial index."""

    def __init__(self, connection: sqlite3.Connection, key: dict[str, object]) -> None:
        self._connection = connection
        self._key = key

    def ages(self, known: OpenTaskAges | None, stalled_before: Instant, cutoff: Instant) -> OpenTaskAges:
        """Read the ages; where they are known, only what the two bounds have passed since."""
        if known is None:
            known = OpenTaskAges(self._oldest_authored(), self._oldest_updated(), NOT_COUNTED, NOT_COUNTED)
        return known._replace(
            stalled=self._stalled(known.stalled, stalled_before), overdue=self._overdue(known.overdue, cutoff)
        )

    def _oldest_authored(self) -> Instant | None:
        return self._query(
            """
            SELECT authored FROM task
            WHERE open = 1 AND pair = :pair AND status = :status AND authored IS NOT NULL ORDER BY authored LIMIT 1
            """
        )

    def _oldest_updated(self) -> Instant | None:
        return self._query(
            """
            SELECT updated FROM task
            WHERE open = 1 AND pair = :pair AND status = :status ORDER BY updated LIMIT 1
            """
        )

    def _stalled(self, known: CountBefore, bound: Instant) -> CountBefore:
        return self._move(
            known,
            bound,
            between="""
                SELECT count(*) FROM task
                WHERE open = 1 AND pair = :pair AND status = :status AND updated >= :low AND updated < :high
            """,
            following="""
                SELECT min(updated) FROM task
                WHERE open = 1 AND pair = :pair AND status = :status AND updated >= :low
            """,
        )

    def _overdue(self, known: CountBefore, bound: Instant) -> CountBefore:
        return self._move(
            known,
            bound,
            between="""
                SELECT
                    (SELECT count(*) FROM task WHERE open = 1 AND pair = :pair AND status = :status
                        AND authored >= :low AND authored < :high) +
                    (SELECT count(*) FROM task WHERE open = 1 AND pair = :pair AND status = :status
                        AND authored IS NULL AND seen >= :low AND seen < :high)
            """,
            following="""
                SELECT min(began) FROM (
                    SELECT min(authored) AS began FROM task
                        WHERE open = 1 AND pair = :pair AND status = :status AND authored >= :low
                    UNION ALL SELECT min(seen) FROM task
                        WHERE open = 1 AND pair = :pair AND status = :status AND authored IS NULL AND seen >= :low
                ) AS first_ones
            """,
        )

    def _move(self, known: CountBefore, bound: Instant, *, between: str, following: str) -> CountBefore:
        """Move a bound; where it moves back, as the server's clock did, what it had passed is taken off again."""
        if known.bound <= bound and (known.next is None or bound <= known.next):
            return known
        low, high = sorted((known.bound, bound))
        passed = self._query(between, low=low, high=high) or 0
        n = known.n + (passed if bound == high else -passed)
        return CountBefore(bound, n, self._query(following, low=bound))

    def _query(self, statement: str, **bounds: Instant) -> int | None:
        found: tuple[int | None] | None = self._connection.execute(statement, {**self._key, **bounds}).fetchone()
        return None if found is None else found[0]
