"""When an exchange is late.

A deadline is a function of `authoredOn` that never goes down as its argument goes up. So no due date is stored:
what is overdue at an instant is what was authored before one cutoff. Whose clock that is, is the caller's choice.

See docs/design.md#deadlines.
"""

from dataclasses import dataclass

from .model import Instant


@dataclass(frozen=True, slots=True)
class Deadline:
    """A plain length of time, in milliseconds. Business days would be another value with the same two methods."""

    length: int

    def due(self, authored: Instant) -> Instant:
        """Give the last instant that is still in time."""
        return authored + self.length

    def cutoff(self, now: Instant) -> Instant:
        """Give the earliest authored instant that is not past due: what was authored before it was due before `now`."""
        return now - self.length
