"""One transaction: how changes are written. Reading a snapshot is in `snapshot`."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ..task.lifecycle import Changes, bucket_index
from ..task.model import FIRST_SHOWN, NO_PAIR, OTHER_PAIR, Event, Instant, Pair, PairStatus, Series, Snapshot, Status
from ..task.rows import Row
from . import statements as sql
from .pairs import Capped, PairBook
from .rows import TaskRows
from .schema import SUM_PART
from .snapshot import Memory, read_counts, read_gauges
from .state import PollEnd, StateKey, WalkState


class Parts(NamedTuple):
    """What a transaction writes through; read anew where one was lost, but for `capped`, which a lost one leaves."""

    pairs: PairBook
    capped: Capped
    rows: TaskRows


class Transaction:
    """What can be done between BEGIN and COMMIT; made by `Ledger.transaction`.

    `first_generation` is the number of the picture in which a series made now shows first.
    """

    def __init__(self, connection: sqlite3.Connection, parts: Parts, states: dict[str, str], memory: Memory) -> None:
        self._connection = connection
        self._pairs, self._capped, self._rows = parts
        self.met: set[int] = set()
        self.swept = False
        self.states = states
        self.memory = memory
        self.first_generation = 0
        self.sweeping = False
        self.closed = False
        self._noted: set[str] = set()
        self._begun = False

    def commit(self) -> None:
        """Make it last: by a sync of the disk, unless there is nothing but times to lose.

        With synchronous=NORMAL a power cut takes the last commits with it, and never a part of one: the log is read as
        far as its checksums hold, and the next FULL commit syncs all of it (sqlite.org/pragma.html#pragma_synchronous,
        sqlite.org/wal.html). A poll that found nothing new then never was, and the next one asks from the older
        watermark. Rows, counters, pairs and what is shown of them are always synced.
        """
        if self._noted:
            self._begin("NORMAL")
            for name in self._noted:
                self._write_state(name)
        if self._begun:
            self._connection.execute("COMMIT")

    def _begin(self, synchronous: str = "FULL") -> None:
        """Begin with the first change: how it is to be synced cannot be chosen later."""
        if not self._begun:
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._connection.execute("BEGIN IMMEDIATE")
            self._begun = True

    def _write_state(self, name: str) -> None:
        if name in self.states:
            self._connection.execute(sql.SET_STATE, {"name": name, "value": self.states[name]})
        else:
            self._connection.execute(sql.DROP_STATE, {"name": name})

    def slots(self, pairs: Iterable[Pair]) -> Mapping[Pair, Pair]:
        """Tell in whose series each pair shows; one that is admitted gets its slot now, for good, in the order given.

        The order is the page's, so that replicas agree; a pair past the cap is counted, and not kept.
        """
        slots = {pair: self._slot(pair) for pair in dict.fromkeys(pairs)}
        if self.met:
            known = int(self.states.get(StateKey.PAIRS_CAPPED, 0))
            self._note_capped(max(known, self._capped.number(self.met)))
        return slots

    def _slot(self, pair: Pair) -> Pair:
        if pair in self._pairs:
            return pair
        if self._pairs.admits(pair):
            return self._admit(pair)
        self.met.add(hash(pair))
        return self._slot(OTHER_PAIR)

    def _admit(self, pair: Pair) -> Pair:
        self._begin()
        self._connection.execute(sql.ADD_PAIR, self._pairs.add(pair))
        for event, label in FIRST_SHOWN:
            self._count(Series(event, pair, label), 0)
        return pair

    def save_organizations(self, answers: Mapping[str, str | None]) -> None:
        """Keep names of Organizations; `place` puts them in the order in which they were read."""
        if answers:
            self._begin()
            self._many(sql.LEARN, [{"reference": reference, "name": name} for reference, name in answers.items()])

    def recount_capped(self) -> None:
        """Everything was walked in this sweep: pairs that it did not meet past the cap are there no more."""
        self.swept = True
        self._note_capped(self._capped.number_of_sweep(self.met))

    def _note_capped(self, number: int) -> None:
        if self.states.get(StateKey.PAIRS_CAPPED) != str(number):
            self._set(StateKey.PAIRS_CAPPED, str(number))

    def apply(self, changes: Changes) -> None:
        """Write what a page changed. Pairs in it have slots."""
        number = self._pairs.number
        if self.sweeping:
            # A temporary table, outside the transaction: that a Task was seen stays true if this fails.
            self._connection.executemany(sql.SIGHTED, [(id_,) for id_ in changes.seen_ids])
        if not (changes.rows or changes.counts):
            return
        self._begin()
        self.memory.forget(changes)
        if changes.rows:
            self._rows.write([_values(row, number(row.pair)) for row in changes.rows.values()])
        self._many(sql.TALLY, [_keyed(number, key, n=n) for key, n in changes.tasks.items() if n])
        self._many(sql.ANOMALOUS, [{"kind": kind, "n": n} for kind, n in changes.anomalous.items() if n])
        self._many(sql.LATEST, [_keyed(number, key, at=at) for key, at in changes.last_transition.items()])
        for series, n in changes.counts.items():
            if n:
                self._count(series, n)
        for (pair, status), seconds in changes.durations:
            self._observe(pair, status, seconds)

    def _many(self, statement: str, rows: list[dict[str, object]]) -> None:
        if rows:
            self._connection.executemany(statement, rows)

    def _observe(self, pair: Pair, status: Status, seconds: float) -> None:
        series = Series(Event.DURATION, pair, status)
        self._count(series, 0)
        self._count_part(series, bucket_index(seconds), 1)
        self._count_part(series, SUM_PART, seconds)

    def _count(self, series: Series, n: int) -> None:
        """Add to a counter; a histogram's parts are all made at once, so that all are first_generation together."""
        parts = range(SUM_PART + 1) if series.event is Event.DURATION else (0,)
        for part in parts:
            self._count_part(series, part, n)

    def _count_part(self, series: Series, part: int, n: float) -> None:
        pair = self._pairs.number(series.pair or NO_PAIR)
        values = {
            "fact": series.event,
            "pair": pair,
            "label": series.label,
            "part": part,
            "n": n,
            "born": self.first_generation,
        }
        self._begin()
        self._connection.execute(sql.COUNT, values)
        self.memory.counts = None

    def save_walk(self, walk: WalkState | None) -> None:
        """Keep the cursor of a background walk, or drop it at its end."""
        self._set(StateKey.WALK, None if walk is None else json.dumps(walk))

    def set_instant(self, name: StateKey, at: Instant | None) -> None:
        """Remember a time under a name; None forgets it."""
        self._set(name, None if at is None else str(at))

    def _set(self, name: StateKey, value: str | None) -> None:
        self._noted.add(name)
        if value is None:
            self.states.pop(name, None)
        else:
            self.states[name] = value

    def delete_removed(self, before: Instant) -> None:
        """Drop the rows of Tasks gone for long."""
        self._begin()
        self._connection.execute(sql.FORGET, {"before": before})

    def end_poll(self, end: PollEnd) -> Snapshot:
        """End a complete poll: judge deadlines, show what was held long enough, read the picture."""
        if not self._rows.indexed:
            self._begin()
            self._rows.build_indexes()
        self._judge_deadlines(end)
        self._show(end.show_through)
        self.closed = True
        memory = self.memory
        memory.counts = memory.counts or read_counts(self._connection, self._pairs)
        return Snapshot(*memory.counts, read_gauges(self._connection, self._pairs, end, memory))

    def _show(self, upto: int) -> None:
        """Show what is counted in the series of pictures up to this one."""
        values = {"upto": upto}
        if self._connection.execute(sql.HIDDEN, values).fetchone() is not None:
            self._begin()
            self._connection.execute(sql.SHOW, values)
            self.memory.counts = None

    def _judge_deadlines(self, end: PollEnd) -> None:
        """Book each missed deadline once; those overdue at the end of the baseline silently."""
        cutoff = {"cutoff": end.deadline.cutoff(end.now)}
        missed = self._connection.execute(sql.MISSED, cutoff).fetchall()
        if not missed:
            return
        self._begin()
        self._connection.execute(sql.MARK_MISSED, cutoff)
        if not end.baseline:
            for pair, n in missed:
                self._count(Series(Event.DEADLINE_MISSED, self._pairs.pair(pair)), n)


def _keyed(number: Callable[[Pair], int], key: PairStatus, **values: object) -> dict[str, object]:
    return {"pair": number(key.pair), "status": key.status, **values}


def _values(row: Row, pair: int) -> tuple[object, ...]:
    id_, version, updated, highest, status, _, authored, seen, missed, kinds, gone, gone_at = row
    return (id_, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, row.open)
