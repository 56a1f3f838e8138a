"""When an exchange is late.

A due date is a function of `authoredOn` that never goes down as its argument goes up. So no due date is stored:
what is overdue at an instant is what was authored before one cutoff. The caller chooses whose clock that is.

See docs/design.md#deadlines.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from .model import Instant


class Deadline(Protocol):
    """A way to compute due dates. The two methods are inverse: `authored < cutoff(now)` is `due(authored) < now`."""

    def due(self, authored: Instant) -> Instant:
        """Return the last instant that is still in time."""

    def cutoff(self, now: Instant) -> Instant:
        """Return the earliest authored instant that is not past due: Tasks authored before it were due before `now`."""


@dataclass(frozen=True, slots=True)
class FixedTime:
    """A fixed length of time."""

    length_ms: int

    def due(self, authored: Instant) -> Instant:
        """Return the last instant that is still in time."""
        return authored + self.length_ms

    def cutoff(self, now: Instant) -> Instant:
        """Return the earliest authored instant that is not past due."""
        return now - self.length_ms


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadline of everyone, and those of some source payers, by their names."""

    default: Deadline
    by_source: Mapping[str, Deadline] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, source: str) -> Deadline:
        """Return the deadline of a source payer."""
        return self.by_source.get(source, self.default)


class Cutoffs:
    """The cutoffs of deadlines at one instant, each computed once."""

    def __init__(self, deadlines: Deadlines, now: Instant) -> None:
        self.default = deadlines.default.cutoff(now)
        self._by_source = {source: deadline.cutoff(now) for source, deadline in deadlines.by_source.items()}

    def of(self, source: str) -> Instant:
        """Return the cutoff of a source payer."""
        return self._by_source.get(source, self.default)
