"""One transaction: all that a page changes, or nothing. What is written, and how, is in the modules of the tables."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..task.deadline import Cutoffs
from ..task.lifecycle import Changes
from ..task.model import FIRST_SHOWN, OTHER_PAIR, Event, Instant, Pair, Series, Snapshot
from .comparison import ComparisonTables
from .counters import CounterTable
from .gauges import GaugeTables
from .pairs import CappedPairs, PairTable
from .renames import Renames, rename
from .state import PollEnd, StateKey, WalkState, write_state
from .tasks import OverduePart, TaskTable


@dataclass(frozen=True, slots=True)
class Tables:
    """What is written through. Each keeps in memory what it has read: after a roll-back all are made again."""

    pairs: PairTable
    tasks: TaskTable
    counters: CounterTable
    gauges: GaugeTables


@dataclass(frozen=True, slots=True)
class TransactionStart:
    """What a transaction begins with; `states`, `capped` and `comparison` are those of the last commit.

    `generation` is that of the snapshot in which a series created now appears first. `comparison` is None unless Tasks
    are to be noted as seen.
    """

    connection: sqlite3.Connection
    tables: Tables
    states: Mapping[str, str]
    capped: CappedPairs
    comparison: ComparisonTables | None
    generation: int


@dataclass(frozen=True, slots=True)
class Committed:
    """What the ledger keeps in memory of a transaction that was committed.

    `capped_met` are hashes of pairs past the cap; `capped_recounted`: no others are left.
    """

    states: Mapping[str, str]
    capped_met: frozenset[int]
    capped_recounted: bool
    poll_ended: bool


class Transaction:
    """What can be done between BEGIN and COMMIT; made by `Ledger.transaction`."""

    def __init__(self, start: TransactionStart) -> None:
        self._connection = start.connection
        self._tables = start.tables
        self._capped = start.capped
        self._comparison = start.comparison
        self._generation = start.generation
        self._states = dict(start.states)
        self._changed_states: set[str] = set()
        self._capped_met: set[int] = set()
        self._capped_recounted = False
        self._poll_ended = False
        self._begun = False

    def commit(self) -> Committed:
        """Make it last: by a sync of the disk, unless there is nothing but times to lose.

        With synchronous=NORMAL a power cut takes the last commits with it, and never a part of one: the log is read as
        far as its checksums hold, and the next FULL commit syncs all of it (sqlite.org/pragma.html#pragma_synchronous,
        sqlite.org/wal.html). A poll that found nothing new then never was, and the next one asks from the older
        watermark. Rows, counters, pairs and what is shown of them are always synced.
        """
        if self._changed_states:
            self._begin("NORMAL")
            for name in self._changed_states:
                write_state(self._connection, name, self._states.get(name))
        if self._begun:
            self._connection.execute("COMMIT")
        return Committed(self._states, frozenset(self._capped_met), self._capped_recounted, self._poll_ended)

    def _begin(self, synchronous: str = "FULL") -> None:
        """Begin with the first change: how it is to be synced cannot be chosen later."""
        if not self._begun:
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._connection.execute("BEGIN IMMEDIATE")
            self._begun = True

    def slots(self, pairs: Iterable[Pair]) -> Mapping[Pair, Pair]:
        """Find the pair in whose series each pair is counted; one that is admitted gets its slot now, for good.

        Slots are given in the order of the page, so that replicas agree; a pair past the cap is counted, and not kept.
        """
        slots = {pair: self._slot(pair) for pair in dict.fromkeys(pairs)}
        if self._capped_met:
            known = int(self._states.get(StateKey.PAIRS_CAPPED, 0))
            self._set_pairs_capped(max(known, self._capped.count_with(self._capped_met)))
        return slots

    def _slot(self, pair: Pair) -> Pair:
        if pair in self._tables.pairs:
            return pair
        if self._tables.pairs.admits(pair):
            self._add_pair(pair)
            return pair
        self._capped_met.add(hash(pair))
        return self._slot(OTHER_PAIR)

    def _add_pair(self, pair: Pair) -> None:
        self._begin()
        self._tables.pairs.add(pair)
        for event, label in FIRST_SHOWN:
            self._count(Series(event, pair, label), 0)

    def rename_payers(self, shown_as: Callable[[Pair], Pair]) -> Renames:
        """Let pairs go on under other labels; what is kept in memory of the tables is outdated afterwards."""
        pairs = self._tables.pairs.by_number()
        if all(shown_as(pair) == pair for pair in pairs.values()):
            return Renames()
        self._begin()
        return rename(self._connection, pairs, shown_as, self._generation)

    def recount_capped(self) -> None:
        """Forget the pairs past the cap that the comparison has not met, since it has walked everything."""
        self._capped_recounted = True
        self._set_pairs_capped(self._capped.count_in_comparison_with(self._capped_met))

    def _set_pairs_capped(self, number: int) -> None:
        if self._states.get(StateKey.PAIRS_CAPPED) != str(number):
            self._keep(StateKey.PAIRS_CAPPED, str(number))

    def apply(self, changes: Changes) -> None:
        """Write what a page changed. Pairs in it have slots."""
        if self._comparison is not None:
            self._comparison.add_seen(changes.seen_ids)  # stays true if this transaction fails
        if not (changes.rows or changes.counts):
            return
        self._begin()
        self._tables.gauges.add(changes)
        self._tables.tasks.write(changes.rows.values())
        for series, n in changes.counts.items():
            if n:
                self._count(series, n)
        for key, seconds in changes.durations:
            self._tables.counters.observe(key, seconds, self._generation)

    def _count(self, series: Series, n: int) -> None:
        self._tables.counters.add(series, n, self._generation)

    def save_organizations(self, names: Mapping[str, str | None]) -> None:
        """Keep names of Organizations by reference; None is one without a name, or that may not be read.

        `place` orders them by when they were read.
        """
        if not names:
            return
        self._begin()
        self._connection.executemany(
            """
            INSERT INTO organization (reference, name, place)
            VALUES (:reference, :name, (SELECT coalesce(max(place), 0) + 1 FROM organization))
            ON CONFLICT (reference) DO UPDATE SET name = excluded.name, place = excluded.place
            """,
            [{"reference": reference, "name": name} for reference, name in names.items()],
        )

    def save_walk(self, walk: WalkState | None) -> None:
        """Keep the cursor of a background walk; None deletes it."""
        self._keep(StateKey.WALK, None if walk is None else walk.to_json())

    def set_state(self, key: StateKey, value: int | None) -> None:
        """Keep an Instant, or a number, under a key; None deletes it."""
        self._keep(key, None if value is None else str(value))

    def _keep(self, name: StateKey, value: str | None) -> None:
        self._changed_states.add(name)
        if value is None:
            self._states.pop(name, None)
        else:
            self._states[name] = value

    def delete_removed(self, before: Instant) -> None:
        """Delete the rows of Tasks that were removed before an instant."""
        self._begin()
        self._tables.tasks.delete_removed(before)

    def end_poll(self, end: PollEnd) -> Snapshot:
        """End a complete poll: count missed deadlines, show what was held long enough, read the snapshot."""
        tables = self._tables
        if not tables.tasks.indexed:
            self._begin()
            tables.tasks.build_indexes()
        cutoffs = Cutoffs(end.deadlines, end.now)
        self._count_missed_deadlines(end, cutoffs)
        if tables.counters.hides(end.show_through):
            self._begin()
            tables.counters.show(end.show_through)
        self._poll_ended = True
        shown = tables.counters.shown()
        return Snapshot(counts=shown.counts, durations=shown.durations, gauges=tables.gauges.read(end, cutoffs))

    def _count_missed_deadlines(self, end: PollEnd, cutoffs: Cutoffs) -> None:
        """Count each missed deadline once, but not those that had passed at the end of the baseline."""
        for part in self._overdue_parts(end, cutoffs):
            missed = self._tables.tasks.count_overdue_unmarked(part)
            if not missed:
                continue
            self._begin()
            self._tables.tasks.mark_overdue(part)
            if not end.baseline:
                for pair, n in missed.items():
                    self._count(Series(Event.DEADLINE_MISSED, pair), n)

    def _overdue_parts(self, end: PollEnd, cutoffs: Cutoffs) -> Iterator[OverduePart]:
        """List which Tasks are overdue: those of payers with a deadline of their own, and all others."""
        special = list[int]()
        for source in end.deadlines.by_source:
            numbers = self._tables.pairs.of_source(source)
            special += numbers
            if numbers:
                yield OverduePart(cutoffs.of(source), numbers, inside=True)
        yield OverduePart(cutoffs.default, special, inside=False)
