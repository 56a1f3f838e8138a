"""What a comparison asks the ledger: which Tasks it has not seen on the server, and how many there are in a slice.

Tasks seen and Tasks missing are in temporary tables, which end with the process.
"""

import sqlite3
from collections.abc import Iterable

from ..task.model import Instant
from ..task.search import Slice


class ComparisonTables:
    """Tasks seen since a comparison began, and the list of those that were not."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def clear_seen(self) -> None:
        """Begin a comparison."""
        self._connection.execute("DELETE FROM seen_task")

    def add_seen(self, ids: Iterable[str]) -> None:
        """Note that Tasks were seen."""
        self._connection.executemany(
            "INSERT INTO seen_task (id) VALUES (?) ON CONFLICT DO NOTHING", ((id_,) for id_ in ids)
        )

    def any_seen(self) -> bool:
        """Whether any Task was seen."""
        return self._connection.execute("SELECT 1 FROM seen_task LIMIT 1").fetchone() is not None

    def list_missing_open(self) -> None:
        """List the open Tasks that were not seen, for `missing_after`."""
        self._connection.execute("DELETE FROM missing_task")
        self._connection.execute(
            """
            INSERT INTO missing_task (id)
            SELECT id FROM task WHERE open = 1 AND id NOT IN (SELECT id FROM seen_task)
            """
        )

    def list_missing_in(self, part: Slice) -> None:
        """List the Tasks of a slice that were not seen, for `missing_after`."""
        self._connection.execute("DELETE FROM missing_task")
        self._connection.execute(
            """
            INSERT INTO missing_task (id)
            SELECT id FROM task WHERE gone IS NULL AND status = :status
                AND updated >= :start AND updated < :end AND id NOT IN (SELECT id FROM seen_task)
            """,
            part._asdict(),
        )

    def missing_after(self, place: int, limit: int) -> list[tuple[int, str]]:
        """Read the next entries of the list, each with its place; 0 is before the first."""
        return self._connection.execute(
            "SELECT place, id FROM missing_task WHERE place > :after ORDER BY place LIMIT :limit",
            {"after": place, "limit": limit},
        ).fetchall()

    def count_in(self, part: Slice) -> int:
        """Count the rows of a slice."""
        found = self._connection.execute(
            """
            SELECT count(*) FROM task
            WHERE gone IS NULL AND status = :status AND updated >= :start AND updated < :end
            """,
            part._asdict(),
        )
        return int(found.fetchone()[0])

    def stamp_at(self, part: Slice, place: int) -> Instant | None:
        """Read the stamp at a place of a slice, in the order of stamps; None past its end."""
        found: tuple[Instant] | None = self._connection.execute(
            """
            SELECT updated FROM task
            WHERE gone IS NULL AND status = :status AND updated >= :start AND updated < :end
            ORDER BY updated LIMIT 1 OFFSET :place
            """,
            {**part._asdict(), "place": place},
        ).fetchone()
        return None if found is None else found[0]
