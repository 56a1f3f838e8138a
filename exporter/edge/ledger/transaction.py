"""One transaction: how changes are written. Reading for pictures is next door, in `picture`."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping

from ...ports import Closing, Remembered, WalkState
from ...task.lifecycle import Changes, bucket
from ...task.model import (
    FIRST_SHOWN,
    NO_PAIR,
    OTHER_PAIR,
    Fact,
    Instant,
    Pair,
    PairStatus,
    Series,
    Snapshot,
    Status,
)
from ...task.rows import Row
from . import statements as sql
from .pairs import PairBook
from .picture import Counts, read_counts, read_gauges
from .rows import TaskRows
from .schema import SUM_PART


class Transaction:
    """What can be done between BEGIN and COMMIT; made by `Ledger.transaction`.

    `born` is the number of the picture in which a series made now shows first.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        pairs: PairBook,
        rows: TaskRows,
        states: dict[str, str],
        counts: Counts | None,
    ) -> None:
        self._connection = connection
        self._pairs = pairs
        self._rows = rows
        self.states = states
        self.counts = counts
        self.born = 0
        self.sweeping = False
        self.closed = False

    def slots(self, pairs: Iterable[Pair]) -> Mapping[Pair, Pair]:
        """Tell in whose series each pair shows; a pair met for the first time gets its slot now, for good."""
        return {pair: self._pairs.slot(pair) or self._admit(pair) for pair in set(pairs)}

    def _admit(self, pair: Pair) -> Pair:
        slot = pair if self._pairs.admits(pair) else OTHER_PAIR
        if slot != pair and self._pairs.slot(OTHER_PAIR) is None:
            self._admit(OTHER_PAIR)
        self._connection.execute(sql.ADD_PAIR, self._pairs.add(pair, slot))
        if slot == pair:
            for fact, label in FIRST_SHOWN:
                self._count(Series(fact, pair, label), 0)
        return slot

    def apply(self, changes: Changes) -> None:
        """Write what a page changed. Pairs in it have slots."""
        number = self._pairs.number
        if self.sweeping:
            self._connection.executemany(sql.SIGHTED, [(id_,) for id_ in changes.sighted])
        if changes.rows:
            self._rows.write([_values(row, number(row.pair)) for row in changes.rows.values()])
        self._many(sql.TALLY, [_keyed(number, key, n=n) for key, n in changes.tasks.items() if n])
        self._many(sql.ANOMALOUS, [{"kind": kind, "n": n} for kind, n in changes.anomalous.items() if n])
        self._many(sql.LATEST, [_keyed(number, key, at=at) for key, at in changes.latest.items()])
        for series, n in changes.counts.items():
            if n:
                self._count(series, n)
        for (pair, status), seconds in changes.durations:
            self._observe(pair, status, seconds)

    def _many(self, statement: str, rows: list[dict[str, object]]) -> None:
        if rows:
            self._connection.executemany(statement, rows)

    def _observe(self, pair: Pair, status: Status, seconds: float) -> None:
        series = Series(Fact.DURATION, pair, status)
        self._count(series, 0)
        self._count_part(series, bucket(seconds), 1)
        self._count_part(series, SUM_PART, seconds)

    def _count(self, series: Series, n: int) -> None:
        """Add to a counter; a histogram's parts are all made at once, so that all are born together."""
        parts = range(SUM_PART + 1) if series.fact is Fact.DURATION else (0,)
        for part in parts:
            self._count_part(series, part, n)

    def _count_part(self, series: Series, part: int, n: float) -> None:
        pair = self._pairs.number(series.pair or NO_PAIR)
        values = {"fact": series.fact, "pair": pair, "label": series.label, "part": part, "n": n, "born": self.born}
        self._connection.execute(sql.COUNT, values)
        self.counts = None

    def remember(self, walk: WalkState | None) -> None:
        """Keep the cursor of a background walk, or drop it at its end."""
        self._set(Remembered.WALK, None if walk is None else json.dumps(walk))

    def note(self, name: Remembered, at: Instant | None) -> None:
        """Remember a time under a name; None forgets it."""
        self._set(name, None if at is None else str(at))

    def _set(self, name: Remembered, value: str | None) -> None:
        if value is None:
            self.states.pop(name, None)
            self._connection.execute(sql.DROP_STATE, {"name": name})
        else:
            self.states[name] = value
            self._connection.execute(sql.SET_STATE, {"name": name, "value": value})

    def forget(self, before: Instant) -> None:
        """Drop the rows of Tasks gone for long."""
        self._connection.execute(sql.FORGET, {"before": before})

    def close(self, closing: Closing) -> Snapshot:
        """End a complete poll: judge deadlines, show what was held long enough, read the picture."""
        self._rows.build_indexes()
        self._judge_deadlines(closing)
        if self._connection.execute(sql.SHOW, {"upto": self.born if closing.show is None else closing.show}).rowcount:
            self.counts = None
        self.closed = True
        self.counts = self.counts or read_counts(self._connection, self._pairs)
        return Snapshot(*self.counts, read_gauges(self._connection, self._pairs, closing))

    def _judge_deadlines(self, closing: Closing) -> None:
        """Book each missed deadline once; those overdue at the end of the baseline silently."""
        cutoff = {"cutoff": closing.deadline.cutoff(closing.now)}
        missed = self._connection.execute(sql.MISSED, cutoff).fetchall()
        if not missed:
            return
        self._connection.execute(sql.MARK_MISSED, cutoff)
        if not closing.baseline:
            for pair, n in missed:
                self._count(Series(Fact.DEADLINE_MISSED, self._pairs.pair(pair)), n)


def _keyed(number: Callable[[Pair], int], key: PairStatus, **values: object) -> dict[str, object]:
    return {"pair": number(key.pair), "status": key.status, **values}


def _values(row: Row, pair: int) -> tuple[object, ...]:
    id_, version, updated, highest, status, _, authored, seen, missed, kinds, gone, gone_at = row
    return (id_, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, row.open)
