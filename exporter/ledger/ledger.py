"""The ledger at work: what is known, one transaction a page, and the figures that become a picture.

Rule 1: all that a page changes is in one transaction: rows, gauges, counters and the cursor.
Rule 2: what is cached in memory is only what a rolled-back transaction cannot have spoilt, or is read anew after one.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ..errors import LedgerFailed
from ..metrics.vocabulary import LedgerFigures
from ..task.model import Anomaly, Instant, Snapshot, Status
from ..task.payers import PairRule
from ..task.rows import Gone, Row
from ..task.search import Bound, Slice
from . import statements as sql
from .pairs import Capped, PairBook
from .rows import TaskRows
from .snapshot import Memory, Standing, read_counts, read_standing
from .state import StateKey, WalkState
from .transaction import Parts, Transaction


class Ledger:
    """An open ledger. Used by one thread at a time.

    `number` is that of the last picture published from it in this process; 0 is the one of the start.
    """

    def __init__(self, connection: sqlite3.Connection, rule: PairRule) -> None:
        self._connection = connection
        self._rule = rule
        self._capped = Capped()
        connection.execute(sql.REBORN)
        self._reload()
        self._rows.prepare(complete=self.baseline_complete)
        self._spoilt = False
        self.number = 0
        self.sweeping = False

    def _reload(self) -> None:
        """Read what is kept in memory."""
        self.pairs = PairBook.read(self._connection, self._rule)
        self._rows = TaskRows(self._connection)
        self._states: dict[str, str] = dict(self._connection.execute(sql.STATES).fetchall())
        self._memory = Memory()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Do all or nothing. Raises LedgerFailed when the disk does; then nothing has changed."""
        try:
            self._mend()
            parts = Parts(self.pairs, self._capped, self._rows)
            tx = Transaction(self._connection, parts, dict(self._states), self._memory)
            tx.born, tx.sweeping = self.number + 1, self.sweeping
            yield tx
            tx.commit()
        except BaseException as error:
            self._spoilt = True
            with suppress(sqlite3.Error):  # a disk that fails may fail here too: then the next look mends
                self._mend()
            if isinstance(error, sqlite3.Error):
                raise LedgerFailed(f"the ledger cannot be written ({_name(error)})") from error
            raise
        self._states = tx.states
        self._capped.add(tx.met, swept=tx.swept)
        self.number += tx.closed

    def _mend(self) -> None:
        """Undo a transaction that was not committed, and what it has left in memory."""
        if self._spoilt:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._reload()
            self._spoilt = False

    def known(self, ids: Sequence[str]) -> dict[str, Row]:
        """Find what is remembered of these Tasks, by id."""
        with self._reading():
            rows = self._rows.find(list(ids)) if ids else []
        return {row[0]: self._row(row) for row in rows}

    def _row(self, row: tuple[str, str, int, int, str, int, int | None, int, int, int, str | None, int]) -> Row:
        id_, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at = row
        return Row(
            *(id_, version, updated, highest, Status(status), self.pairs.pair(pair), authored, seen),
            *(bool(missed), kinds, Gone(gone) if gone else None, gone_at),
        )

    def _read(self, statement: str, values: dict[str, object] | None = None) -> list[tuple]:  # type: ignore[type-arg]
        with self._reading():
            return self._connection.execute(statement, values or {}).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            self._mend()
            yield
        except sqlite3.Error as error:
            raise LedgerFailed(f"the ledger cannot be read ({_name(error)})") from error

    @property
    def walk(self) -> WalkState | None:
        """Where a baseline or catch-up that did not end goes on."""
        text = self._states.get(StateKey.WALK)
        if text is None:
            return None
        kind, searched, cursor, walked, expected = json.loads(text)
        return WalkState(kind, searched, Bound(*cursor) if cursor else None, walked, expected)

    def instant(self, name: StateKey) -> Instant | None:
        """Read a remembered time."""
        value = self._states.get(name)
        return None if value is None else int(value)

    @property
    def baseline_complete(self) -> bool:
        """Whether the first complete walk has ended."""
        return self.instant(StateKey.WATERMARK) is not None

    @property
    def state(self) -> LedgerFigures:
        """Figures for our own metrics."""
        tasks, _, anomalous = self._standing()
        tracked = sum(tasks.values()) + sum(anomalous.get(kind, 0) for kind in (Anomaly.FOREIGN, Anomaly.UNPARSABLE))
        pages, size = self._read("PRAGMA page_count")[0][0], self._read("PRAGMA page_size")[0][0]
        return LedgerFigures(
            *(tracked, self.pairs.shown, self.instant(StateKey.PAIRS_CAPPED) or 0, pages * size),
            *(self.instant(StateKey.WATERMARK), self.instant(StateKey.LAST_COMPLETE), self.baseline_complete),
        )

    def organizations(self) -> dict[str, str | None]:
        """Read the names of Organizations, oldest read first."""
        return dict(self._read(sql.ORGANIZATIONS))

    def _standing(self) -> Standing:
        with self._reading():
            self._memory.standing = self._memory.standing or read_standing(self._connection, self.pairs)
        return self._memory.standing

    def counters(self) -> Snapshot:
        """Read what is known without asking the server: the counters last shown, once there was a baseline."""
        with self._reading():
            self._memory.counts = self._memory.counts or read_counts(self._connection, self.pairs)
        return Snapshot(*self._memory.counts) if self.baseline_complete else Snapshot()

    def begin_sweep(self) -> None:
        """Note from now on which Tasks are seen."""
        self._read(sql.CLEAR_SIGHTED)
        self._capped.begin_sweep()
        self.sweeping = True

    def end_sweep(self) -> None:
        """Stop noting. What was noted is cleared when the next sweep begins, so that this cannot fail."""
        self.sweeping = False

    def saw_any(self) -> bool:
        """Whether any Task was noted since the sweep began."""
        return bool(self._read(sql.ANY_SIGHTED))

    def miss(self, part: Slice | None, limit: int) -> Iterator[list[str]]:
        """Tell which Tasks have not been seen since the sweep began, in lists of at most `limit` ids.

        With a slice, all of it; without, the open ones. Between two lists the ledger may be written.
        """
        self._read(sql.CLEAR_MISSING)
        self._read(*((sql.MISS_OPEN,) if part is None else (sql.MISS_BETWEEN, part._asdict())))
        place = 0
        while batch := self._read(sql.MISSING, {"after": place, "limit": limit}):
            place = batch[-1][0]
            yield [id_ for _, id_ in batch]

    def count_between(self, part: Slice) -> int:
        """Count the rows of a slice."""
        return int(self._read(sql.COUNT_BETWEEN, part._asdict())[0][0])

    def stamp_at(self, part: Slice, place: int) -> Instant | None:
        """Find the stamp at a place of a slice; None past its end."""
        found = self._read(sql.STAMP_AT, {**part._asdict(), "place": place})
        return found[0][0] if found else None

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._connection.close()


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
