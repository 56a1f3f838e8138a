"""What one answer says about the thing that is followed, whatever kind of thing it is. PURE: no I/O, no clock.

Rule: `words` and `notes` are the server's own texts: they are shown to a person at a terminal, and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


class End(StrEnum):
    """How watching ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    """It failed, was cancelled or rejected, or is gone."""
    REFUSED = "refused"
    """The first poll failed in a way that does not pass: nothing is known about what was to be followed."""
    TIMED_OUT = "timed_out"
    """We gave up; what was followed goes on."""
    INTERRUPTED = "interrupted"
    """The person stopped us; what was followed goes on."""


LEFT_ALONE = frozenset({End.TIMED_OUT, End.INTERRUPTED})
EXIT_CODES: Mapping[End, int] = {
    End.COMPLETED: 0,
    End.FAILED: 1,
    End.REFUSED: 1,
    End.TIMED_OUT: 1,
    End.INTERRUPTED: 130,
}
"""130 is 128 and the number of SIGINT, as shells have it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A failed poll: the reason is that of the error's class, the others are sentences."""

    reason: str
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One answer.

    `state` and `details` are our own words for it, `words` the server's. `elapsed` and `left` are seconds by the clock
    of the server; `left` is to the deadline of what is not ended, less than 0 when it is over. `report` are the lines
    for the end. `data` are the keys of the kind in `--output json`.
    """

    state: str
    end: End | None = None
    details: tuple[str, ...] = ()
    elapsed: float | None = None
    left: float | None = None
    ratio: float | None = None
    wait_seconds: float | None = None
    words: str = field(default="", repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    report: tuple[str, ...] = ()
    data: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def news(self) -> object:
        """What must differ to be worth a new line."""
        overdue = self.left is not None and self.left < 0
        return self.state, self.end, self.details, self.ratio, self.notes, overdue
