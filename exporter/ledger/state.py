"""What the ledger keeps beside Tasks and counters, and how a complete poll ends. Values only."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ..task.deadline import Deadline
from ..task.model import Instant
from ..task.search import Bound

ALL_GENERATIONS = 2**63 - 1
"""Shows every series: SQLite's largest integer, past every generation."""

NO_GENERATION = -1
"""Shows none: a series that was there at the start has generation 0."""


class StateKey(StrEnum):
    """The names in the table `state`; Instants but for the last four. They are in ledgers: never rename one."""

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


class WalkState(NamedTuple):
    """Where a baseline or catch-up is: `searched` is the server's clock at the first search of its last window."""

    kind: str
    searched: Instant
    cursor: Bound | None
    walked: int
    expected: int | None


@dataclass(frozen=True, slots=True)
class PollEnd:
    """How a complete poll ends.

    `now` is the server's clock; `baseline` marks the first complete walk. `show_through` is the newest generation whose
    series have been held long enough, or ALL_GENERATIONS or NO_GENERATION.
    """

    now: Instant
    deadline: Deadline
    stalled_before: Instant
    baseline: bool
    show_through: int
