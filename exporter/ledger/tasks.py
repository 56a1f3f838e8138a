"""The table of Tasks: found and written by its indexes, or, until there are any, as a list that only grows.

In a baseline of random ids an index of them costs more than all the rest: each Task dirties a page of its own, which is
logged, checksummed and copied. So rows are appended, and found through `task_hash`, a table that is not durable: it
holds (hash of the id, place of the row), is checked against the id itself, and is filled again at a start. The indexes
are built in the transaction that ends the first complete walk (docs/decisions/0014).
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import count
from typing import NamedTuple

from ..task.model import Instant, Pair, Status
from ..task.rows import Removal, Row
from .pairs import PairTable
from .schema import INDEXES

LIST_CACHES = "PRAGMA cache_size = -4000; PRAGMA temp.cache_size = -32000; PRAGMA temp.journal_mode = MEMORY"
INDEX_CACHES = "PRAGMA cache_size = -32000; PRAGMA temp.cache_size = -2000"
"""Where 32 MB of cache are useful: `task_hash` takes 23 bytes a Task, and spills to a file past that, without a sync.

What a transaction changes in `task_hash` is kept in memory for a roll-back; in a file that would be a write a Task.
"""

StoredRow = tuple[str, str, int, int, str, int, int | None, int, int, int, str | None, int]
"""The columns id to gone_at, in their order in the table."""

Values = tuple[object, ...]
"""A StoredRow, and whether the Task is open, for which there are partial indexes."""


class OverduePart(NamedTuple):
    """Tasks that are overdue if they began before a cutoff: those of some pairs, by number, or those of all others."""

    cutoff: Instant
    pairs: Sequence[int]
    inside: bool

    def parameters(self) -> dict[str, object]:
        """Return the parameters of a statement."""
        return {"cutoff": self.cutoff, "pairs": json.dumps(self.pairs), "inside": self.inside}


class TaskTable:
    """The rows of Tasks. Only a transaction writes; `task_hash` is rolled back with it."""

    def __init__(self, connection: sqlite3.Connection, pairs: PairTable) -> None:
        self._connection = connection
        self._pairs = pairs
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'task_id'")
        self.indexed = found.fetchone() is not None
        self._places: dict[str, int | None] = {}
        self._set_caches()

    def prepare(self, *, baseline_complete: bool) -> None:
        """Build what a new process needs to find rows: the indexes, or the hashes of a baseline that was broken off."""
        if self.indexed:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        if baseline_complete:
            self.build_indexes()
        else:
            self._add_hashes(self._connection.execute("SELECT id, place FROM task"))
        self._connection.execute("COMMIT")

    def build_indexes(self) -> None:
        """Replace the hashes by indexes, inside a transaction."""
        for statement in INDEXES:
            self._connection.execute(statement)
        self._connection.execute("DELETE FROM task_hash")
        self.indexed = True
        self._set_caches()

    def _set_caches(self) -> None:
        for setting in (INDEX_CACHES if self.indexed else LIST_CACHES).split(";"):
            self._connection.execute(setting)

    def find(self, ids: Sequence[str]) -> dict[str, Row]:
        """Read the rows of these Tasks, as far as there are any."""
        if self.indexed:
            found = self._find_by_index(ids)
        else:
            with_places = self._find_by_hash(ids)
            self._places = dict.fromkeys(ids) | {str(row[0]): row[-1] for row in with_places}
            found = [row[:-1] for row in with_places]
        return {row[0]: self._row(row) for row in found}

    def newest(self, limit: int) -> list[Row]:
        """Read the present exchanges that changed last; reads every row."""
        found = self._connection.execute(
            """
            SELECT id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at
            FROM task WHERE gone IS NULL AND pair <> 0 ORDER BY updated DESC LIMIT :limit
            """,
            {"limit": limit},
        )
        return [self._row(row) for row in found]

    def _find_by_index(self, ids: Sequence[str]) -> list[StoredRow]:
        return self._connection.execute(
            """
            SELECT id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at
            FROM task WHERE id IN (SELECT value FROM json_each(:ids))
            """,
            {"ids": json.dumps(ids)},
        ).fetchall()

    def _find_by_hash(self, ids: Sequence[str]) -> list[tuple[*StoredRow, int]]:
        """Read rows, each with its place behind it.

        CROSS keeps SQLite to this order of the tables: else all rows would be read to find a few.
        """
        return self._connection.execute(
            """
            SELECT id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, task.place
            FROM task_hash CROSS JOIN task
            WHERE task_hash.hash IN (SELECT value FROM json_each(:hashes))
                AND task.place = task_hash.place AND task.id IN (SELECT value FROM json_each(:ids))
            """,
            {"ids": json.dumps(ids), "hashes": json.dumps(list(map(hash, ids)))},
        ).fetchall()

    def _row(self, stored: StoredRow) -> Row:
        id_, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at = stored
        return Row(
            id=id_,
            version=version,
            updated=updated,
            max_version_counted=highest,
            status=Status(status),
            pair=self._pairs.pair(pair),
            authored=authored,
            first_seen=seen,
            deadline_missed=bool(missed),
            anomaly_bits=kinds,
            removal=Removal(gone) if gone else None,
            removed_at=gone_at,
        )

    def _values(self, row: Row) -> Values:
        return (
            row.id,
            row.version,
            row.updated,
            row.max_version_counted,
            row.status,
            self._pairs.number(row.pair),
            row.authored,
            row.first_seen,
            row.deadline_missed,
            row.anomaly_bits,
            row.removal,
            row.removed_at,
            row.open,
        )

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows, whether they are new or not; their pairs have slots."""
        values = {row.id: self._values(row) for row in rows}
        if self.indexed:
            self._upsert(values.values())
        else:
            self._append_or_update(values)

    def _upsert(self, rows: Iterable[Values]) -> None:
        self._connection.executemany(
            """
            INSERT INTO task
                (id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, open)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET
                version = excluded.version, updated = excluded.updated, highest = excluded.highest,
                status = excluded.status, pair = excluded.pair, authored = excluded.authored, seen = excluded.seen,
                missed = excluded.missed, kinds = excluded.kinds, gone = excluded.gone, gone_at = excluded.gone_at,
                open = excluded.open
            """,
            rows,
        )

    def _append_or_update(self, rows: dict[str, Values]) -> None:
        """Append the new rows behind the last one, and change the others where they are."""
        places = self._places_of(list(rows))
        last: int = self._connection.execute("SELECT coalesce(max(place), 0) FROM task").fetchone()[0]
        new = list(zip(count(last + 1), (id_ for id_ in rows if places[id_] is None), strict=False))
        self._append([(place, *rows[id_]) for place, id_ in new])
        self._add_hashes((id_, place) for place, id_ in new)
        self._update([(*values, place) for id_, values in rows.items() if (place := places[id_])])

    def _places_of(self, ids: list[str]) -> dict[str, int | None]:
        """Find where rows are, None for new ones; ids that `find` has just read are not read again."""
        if not all(id_ in self._places for id_ in ids):
            self.find(ids)
        places, self._places = self._places, {}
        return places

    def _append(self, rows: list[Values]) -> None:
        self._connection.executemany(
            """
            INSERT INTO task
                (place, id, version, updated, highest, status, pair, authored, seen, missed, kinds, gone, gone_at, open)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            rows,
        )

    def _update(self, rows: list[Values]) -> None:
        self._connection.executemany(
            """
            UPDATE task SET id = ?, version = ?, updated = ?, highest = ?, status = ?, pair = ?, authored = ?, seen = ?,
                missed = ?, kinds = ?, gone = ?, gone_at = ?, open = ?
            WHERE place = ?
            """,
            rows,
        )

    def _add_hashes(self, places: Iterable[tuple[str, int]]) -> None:
        hashes = ((hash(id_), place) for id_, place in places)
        self._connection.executemany("INSERT INTO task_hash (hash, place) VALUES (?, ?)", hashes)

    def count_overdue_unmarked(self, part: OverduePart) -> dict[Pair, int]:
        """Count the open Tasks past their deadline that are not marked as such.

        The plus keeps SQLite from reading every open Task in the order of `pair`: nearly always there is none to find.
        """
        found = self._connection.execute(
            """
            SELECT pair, count(*) FROM task WHERE open = 1 AND missed = 0 AND coalesce(authored, seen) < :cutoff
                AND (+pair IN (SELECT value FROM json_each(:pairs))) = :inside
            GROUP BY +pair
            """,
            part.parameters(),
        )
        return {self._pairs.pair(pair): n for pair, n in found}

    def mark_overdue(self, part: OverduePart) -> None:
        """Mark the open Tasks past their deadline."""
        self._connection.execute(
            """
            UPDATE task SET missed = 1 WHERE open = 1 AND missed = 0 AND coalesce(authored, seen) < :cutoff
                AND (+pair IN (SELECT value FROM json_each(:pairs))) = :inside
            """,
            part.parameters(),
        )

    def delete_removed(self, before: Instant) -> None:
        """Delete the rows of Tasks that were removed before an instant."""
        self._connection.execute("DELETE FROM task WHERE gone IS NOT NULL AND gone_at < :before", {"before": before})
