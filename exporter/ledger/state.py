"""The table `state`: times, the cursor of a walk, the source; and how a complete poll ends."""

import json
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ..task.deadline import Deadlines
from ..task.model import Instant
from ..task.search import Bound

ALL_GENERATIONS = 2**63 - 1
"""Shows every series: SQLite's largest integer, larger than any generation."""

NO_GENERATION = -1
"""Shows none: series that were there at the start have generation 0."""


class StateKey(StrEnum):
    """The names in the table `state`; Instants, except the last five. They are in ledgers: never rename one."""

    WATERMARK = "watermark"
    """From where the next poll asks; present once the baseline is complete."""
    MARKED_WALL = "marked_wall"
    """Our wall time when the walk that set the watermark began, or was resumed."""
    LAST_COMPLETE = "last_complete"
    """Our wall time at the end of the last complete poll."""
    BASELINE_BEGAN = "baseline_began"
    """The server's time at the first search of the baseline."""
    COMPARED_WALL = "compared_wall"
    """Our wall time at the end of the last full comparison, or of the baseline."""
    NAMES = "names"
    """The fingerprint of names and cap under which everything was last walked; absent where it was under several."""
    PAIRS_CAPPED = "pairs_capped"
    """How many pairs were met past the cap since everything was last walked."""
    WALK = "walk"
    """The WalkState of a background walk."""
    SOURCE = "source"
    """The digest of the server and selection that the ledger belongs to."""
    SOURCE_PARTS = "source_parts"
    """What messages may say of them (`source.SourceParts`); absent where only earlier versions have opened it."""


def read_states(connection: sqlite3.Connection) -> dict[str, str]:
    """Read the whole table."""
    return dict(connection.execute("SELECT name, value FROM state").fetchall())


def write_state(connection: sqlite3.Connection, name: str, value: str | None) -> None:
    """Insert, update or (None) delete one row."""
    if value is None:
        connection.execute("DELETE FROM state WHERE name = :name", {"name": name})
        return
    connection.execute(
        """
        INSERT INTO state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value
        """,
        {"name": name, "value": value},
    )


class WalkState(NamedTuple):
    """Where a baseline or catch-up is: `searched` is the server's clock at the first search of its last window."""

    kind: str
    searched: Instant
    cursor: Bound | None
    walked: int
    expected: int | None

    @classmethod
    def from_json(cls, text: str) -> "WalkState":
        """Read what `to_json` wrote."""
        kind, searched, cursor, walked, expected = json.loads(text)
        return cls(kind, searched, Bound(*cursor) if cursor else None, walked, expected)

    def to_json(self) -> str:
        """Write the fields as an array, in their order: ledgers hold them so."""
        return json.dumps(self)


@dataclass(frozen=True, slots=True)
class PollEnd:
    """How a complete poll ends.

    `now` is the server's clock; `baseline` marks the first complete walk. `show_through` is the newest generation whose
    series have been held long enough, or ALL_GENERATIONS or NO_GENERATION.
    """

    now: Instant
    deadlines: Deadlines
    stalled_before: Instant
    baseline: bool
    show_through: int
