"""How the rows of Tasks are found and written: by the indexes, or, until there are any, as a list that only grows.

In a baseline of random ids an index of them costs more than all the rest: each Task dirties a page of its own, which is
logged, checksummed and copied. So rows are appended, and found through `met`, a table of hashes that is not durable:
it holds (hash of the id, place of the row), is checked against the id itself, and is made anew at a start. The indexes
are built in the transaction that closes the first complete walk (docs/decisions/0014).
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import count

from . import schema
from . import statements as sql

LIST = "PRAGMA cache_size = -4000; PRAGMA temp.cache_size = -32000; PRAGMA temp.journal_mode = MEMORY"
TABLE = "PRAGMA cache_size = -32000; PRAGMA temp.cache_size = -2000"
"""Where 32 MB of cache are of use: `met` takes 23 bytes a Task, and goes to a file past that, without any sync.

What a transaction changes in `met` is noted in memory for a roll-back; in a file that would be a write for each Task.
"""

Values = tuple[object, ...]
"""A row as the table has it, its id first."""


class TaskRows:
    """The table of Tasks. Only a transaction writes; `met` is rolled back with it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.indexed = connection.execute(sql.INDEXED).fetchone() is not None
        self._places: dict[object, int | None] = {}
        self._set_caches()

    def prepare(self, *, complete: bool) -> None:
        """Make ready what this process needs, at its start: `complete` says that there was a complete walk."""
        if self.indexed:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        if complete:
            self.build_indexes()
        else:
            self._meet(self._connection.execute(sql.EVERY_ID))
        self._connection.execute("COMMIT")

    def find(self, ids: Sequence[str]) -> list[tuple]:  # type: ignore[type-arg]
        """Read the rows of these Tasks, as far as there are any."""
        if self.indexed:
            return self._connection.execute(sql.KNOWN, {"ids": json.dumps(ids)}).fetchall()
        found = self._find_met(ids)
        self._places = dict.fromkeys(ids) | {row[0]: row[-1] for row in found}
        return [row[:-1] for row in found]

    def write(self, rows: list[Values]) -> None:
        """Write rows, whether they are new or not."""
        if self.indexed:
            self._connection.executemany(sql.WRITE, rows)
        else:
            self._append(rows)

    def build_indexes(self) -> None:
        """Go over to the indexes, inside a transaction: what was a list becomes a table to search in."""
        if not self.indexed:
            for statement in schema.INDEXES:
                self._connection.execute(statement)
            self._connection.execute(sql.CLEAR_MET)
            self.indexed = True
            self._set_caches()

    def _set_caches(self) -> None:
        for setting in (TABLE if self.indexed else LIST).split(";"):
            self._connection.execute(setting)

    def _find_met(self, ids: Sequence[str]) -> list[tuple]:  # type: ignore[type-arg]
        """Read rows, each with its place behind it."""
        values = {"ids": json.dumps(ids), "hashes": json.dumps(list(map(hash, ids)))}
        return self._connection.execute(sql.KNOWN_MET, values).fetchall()

    def _append(self, rows: list[Values]) -> None:
        """Add the new rows behind the last one, and change the others where they are."""
        places = self._places_of([str(row[0]) for row in rows])
        last: int = self._connection.execute(sql.LAST_PLACE).fetchone()[0]
        fresh = list(zip(count(last + 1), (row for row in rows if places[row[0]] is None), strict=False))
        self._connection.executemany(sql.APPEND, [(place, *row) for place, row in fresh])
        self._meet((row[0], place) for place, row in fresh)
        self._connection.executemany(sql.CHANGE, [(*row, place) for row in rows if (place := places[row[0]])])

    def _places_of(self, ids: list[str]) -> dict[object, int | None]:
        """Tell where rows are, None for new ones; those just looked for are not looked for again."""
        if not all(id_ in self._places for id_ in ids):
            self.find(ids)
        places, self._places = self._places, {}
        return places

    def _meet(self, places: Iterable[tuple[object, int]]) -> None:
        self._connection.executemany(sql.MEET, ((hash(id_), place) for id_, place in places))
