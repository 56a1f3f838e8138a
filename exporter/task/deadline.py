"""When an exchange is late.

A due date is a function of `authoredOn` that never goes down as its argument goes up. So no due date is stored:
what is overdue at an instant is what was authored before one cutoff. The caller chooses whose clock that is.

See docs/design.md#deadlines.
"""

from dataclasses import dataclass

from .model import Instant


@dataclass(frozen=True, slots=True)
class Deadline:
    """A fixed length of time. Business days would be another class with the same two methods."""

    length_ms: int

    def due(self, authored: Instant) -> Instant:
        """Return the last instant that is still in time."""
        return authored + self.length_ms

    def cutoff(self, now: Instant) -> Instant:
        """Return the earliest authored instant that is not past due: Tasks authored before it were due before `now`."""
        return now - self.length_ms
