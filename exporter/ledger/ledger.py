"""The open ledger: what is known, one transaction a page, and the figures that become a snapshot.

Rule 1: all that a page changes is in one transaction: rows, gauges, counters and the cursor.
Rule 2: what is kept in memory is what was committed; after a roll-back it is read again.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from ..errors import LedgerFailed
from ..metrics.vocabulary import LedgerFigures
from ..task.model import Anomaly, Instant, Pair, Snapshot
from ..task.payers import PairRule
from ..task.rows import Row
from ..task.search import Slice
from .comparison import ComparisonTables
from .counters import CounterTable, reset_generations
from .gauges import GaugeTables
from .pairs import CappedPairs, PairTable
from .renames import Renames
from .state import StateKey, WalkState, read_states
from .tasks import TaskTable
from .transaction import Committed, Tables, Transaction, TransactionStart


class Ledger:
    """An open ledger. Used by one thread at a time.

    `generation` numbers the snapshots of this process: it is that of the last one, 0 for what the start shows.
    """

    def __init__(self, connection: sqlite3.Connection, rule: PairRule) -> None:
        self._connection = connection
        self._rule = rule
        self._capped = CappedPairs()
        self._comparison = ComparisonTables(connection)
        self._comparing = False
        self.generation = 0
        reset_generations(connection)
        self._load()
        self._tables.tasks.prepare(baseline_complete=self.baseline_complete)

    def _load(self) -> None:
        """Read what is kept in memory."""
        connection, pairs = self._connection, PairTable(self._connection, self._rule)
        self._tables = Tables(
            pairs=pairs,
            tasks=TaskTable(connection, pairs),
            counters=CounterTable(connection, pairs),
            gauges=GaugeTables(connection, pairs),
        )
        self._states: dict[str, str] = read_states(connection)
        self._in_doubt = False

    def _recover(self) -> None:
        """Undo a transaction that was not committed, and what it has left in memory."""
        if self._in_doubt:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._load()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Do all or nothing. Raises LedgerFailed if the disk fails; then nothing has changed."""
        try:
            self._recover()
            tx = Transaction(self._transaction_start())
            yield tx
            committed = tx.commit()
        except BaseException as error:
            self._in_doubt = True
            with suppress(sqlite3.Error):  # a disk that fails may fail here too: then the next access recovers
                self._recover()
            if isinstance(error, sqlite3.Error):
                raise LedgerFailed(f"the ledger cannot be written ({_error_name(error)})") from error
            raise
        self._keep(committed)

    def use_names(self, rule: PairRule, shown_as: Callable[[Pair], Pair]) -> Renames:
        """Follow other names from now on, and let the pairs of renamed payers go on under their labels.

        Which pairs were met past the cap is forgotten: it was under the former names.
        """
        with self.transaction() as tx:
            renames = tx.rename_payers(shown_as)
        self._rule = rule
        self._capped = CappedPairs()
        self._load()
        return renames

    def _transaction_start(self) -> TransactionStart:
        return TransactionStart(
            connection=self._connection,
            tables=self._tables,
            states=self._states,
            capped=self._capped,
            comparison=self._comparison if self._comparing else None,
            generation=self.generation + 1,
        )

    def _keep(self, committed: Committed) -> None:
        """Keep in memory what a transaction has committed."""
        self._states = dict(committed.states)
        self._capped.add(committed.capped_met)
        if committed.capped_recounted:
            self._capped.forget_before_comparison()
        if committed.poll_ended:
            self.generation += 1

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise LedgerFailed for what SQLite raises inside."""
        try:
            self._recover()
            yield
        except sqlite3.Error as error:
            raise LedgerFailed(f"the ledger cannot be read ({_error_name(error)})") from error

    def _read(self, statement: str) -> list[tuple[Any, ...]]:
        with self._reading():
            return self._connection.execute(statement).fetchall()

    # What is known.

    def known(self, ids: Sequence[str]) -> dict[str, Row]:
        """Find the rows of these Tasks, by id."""
        if not ids:
            return {}
        with self._reading():
            return self._tables.tasks.find(list(ids))

    @property
    def walk_state(self) -> WalkState | None:
        """Where a baseline or catch-up that did not end goes on."""
        text = self._states.get(StateKey.WALK)
        return None if text is None else WalkState.from_json(text)

    def state(self, key: StateKey) -> int | None:
        """Return what is kept under a key: an Instant, or a number (StateKey)."""
        value = self._states.get(key)
        return None if value is None else int(value)

    @property
    def baseline_complete(self) -> bool:
        """Whether the first complete walk has ended."""
        return self.state(StateKey.WATERMARK) is not None

    def organizations(self) -> dict[str, str | None]:
        """Read the names of Organizations by reference, those read longest ago first."""
        return dict(self._read("SELECT reference, name FROM organization ORDER BY place"))

    @property
    def tracked(self) -> int:
        """How many Tasks it holds, those that cannot be used included: what the server counts."""
        with self._reading():
            stored = self._tables.gauges.stored()
        unusable = sum(stored.anomalous.get(kind, 0) for kind in (Anomaly.FOREIGN, Anomaly.UNPARSABLE))
        return sum(stored.tasks.values()) + unusable

    @property
    def figures(self) -> LedgerFigures:
        """The ledger's figures for the metrics about the exporter."""
        pages, page_size = self._read("PRAGMA page_count")[0][0], self._read("PRAGMA page_size")[0][0]
        return LedgerFigures(
            tracked=self.tracked,
            pairs=self._tables.pairs.with_series,
            pairs_capped=self.state(StateKey.PAIRS_CAPPED) or 0,
            bytes=pages * page_size,
            watermark=self.state(StateKey.WATERMARK),
            last_complete=self.state(StateKey.LAST_COMPLETE),
            baseline_complete=self.baseline_complete,
        )

    def counters(self) -> Snapshot:
        """Read what was shown last, without gauges; nothing before the end of the baseline."""
        with self._reading():
            shown = self._tables.counters.shown()
        return Snapshot(counts=shown.counts, durations=shown.durations) if self.baseline_complete else Snapshot()

    # What a comparison asks.

    def begin_comparison(self) -> None:
        """From now on note which Tasks are seen."""
        with self._reading():
            self._comparison.clear_seen()
        self._capped.begin_comparison()
        self._comparing = True

    def end_comparison(self) -> None:
        """Stop noting. What was noted is cleared when the next comparison begins, so that this cannot fail."""
        self._comparing = False

    def saw_any(self) -> bool:
        """Whether any Task was seen since the comparison began."""
        with self._reading():
            return self._comparison.any_seen()

    def missing_open(self, limit: int) -> Iterator[list[str]]:
        """List the open Tasks not seen since the comparison began, in lists of at most `limit` ids.

        Between two lists the ledger may be written.
        """
        return self._missing(self._comparison.list_missing_open, limit)

    def missing_in(self, part: Slice, limit: int) -> Iterator[list[str]]:
        """List the Tasks of a slice not seen since the comparison began, as `missing_open` does."""
        return self._missing(partial(self._comparison.list_missing_in, part), limit)

    def _missing(self, make_list: Callable[[], None], limit: int) -> Iterator[list[str]]:
        with self._reading():
            make_list()
        place = 0
        while batch := self._missing_after(place, limit):
            place = batch[-1][0]
            yield [id_ for _, id_ in batch]

    def _missing_after(self, place: int, limit: int) -> list[tuple[int, str]]:
        with self._reading():
            return self._comparison.missing_after(place, limit)

    def count_between(self, part: Slice) -> int:
        """Count the rows of a slice."""
        with self._reading():
            return self._comparison.count_in(part)

    def stamp_at(self, part: Slice, place: int) -> Instant | None:
        """Find the stamp at a place of a slice, in the order of stamps; None past its end."""
        with self._reading():
            return self._comparison.stamp_at(part, place)

    def read_all(self) -> None:
        """Read once all that later reads take for granted, so that a damaged word is found at the start."""
        _ = self.walk_state, self.figures, self.organizations(), self.counters()
        for key in set(StateKey) - _TEXTS:
            self.state(key)

    def close(self) -> None:
        """Close the file; what was committed stays, in the file alone, also where that was moved away meanwhile.

        SQLite leaves a `-wal` behind where the file is no longer at its path: the next ledger there must not find it.
        """
        with suppress(sqlite3.Error):
            self._recover()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


_TEXTS = {StateKey.WALK, StateKey.SOURCE, StateKey.SOURCE_PARTS}
"""What `state` cannot read as a number."""


def _error_name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
