"""What walks and comparisons are asked, and what they answer after each request. Values only."""

from dataclasses import dataclass, field
from enum import StrEnum

from .errors import Throttled
from .task.model import Snapshot
from .task.search import Search


class WalkKind(StrEnum):
    """What a walk is for. A poll of more than one window is a catch-up. The values are in ledgers."""

    BASELINE = "baseline"
    POLL = "poll"
    COMPARISON = "sweep"


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """A question, and how far it was answered before.

    `resumed` marks a walk that was interrupted; `joining` marks a walk of a comparison (`Observation.joining`).
    """

    kind: WalkKind
    search: Search = field(default_factory=Search)
    resumed: bool = False
    walked: int = 0
    expected: int | None = None
    joining: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """What one page of a walk did.

    `tasks` is how many Tasks the ledger holds while a baseline runs, else how many were new or changed; `expected` is
    what it will be by the server's own count: 0 where there is none that can be right, None before it was asked. The
    last page of a poll or baseline brings the `snapshot`; `started_seconds` is our monotonic time when the walk began.
    """

    kind: WalkKind
    window_number: int
    ended: bool = False
    tasks: int = 0
    expected: int | None = None
    corrections: int = 0
    snapshot: Snapshot | None = None
    started_seconds: float = 0.0

    @property
    def fraction(self) -> float | None:
        """How much of the walk is done, 0 to 1; None where the server gave no count."""
        if not self.expected:
            return None
        return 1.0 if self.ended else min(1.0, self.tasks / self.expected)


@dataclass(frozen=True, slots=True)
class Compared:
    """What one request of a comparison did: how many Tasks it corrected, and whether the server asks to wait."""

    corrections: int = 0
    throttled: Throttled | None = None


class PollFirst:
    """A comparison needs a complete poll before it goes on."""


Step = Progress | Compared | PollFirst
"""What a comparison yields after each request, so that a poll can come between."""
