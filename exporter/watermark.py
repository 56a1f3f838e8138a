"""The FHIR server's clock, and the watermark that is read from it: where the next poll begins to search.

The stamps of Tasks never move the watermark, and the server's clock moves it on by no more than the time that passed
here, so that a clock which jumps ahead and back loses nothing.

See docs/design.md#watermark, docs/decisions/0019-a-server-clock-that-went-back.md.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .clock import Clock
from .ledger.ledger import Ledger
from .ledger.state import StateKey
from .ledger.transaction import Transaction
from .metrics.telemetry import Telemetry
from .task.model import Instant

CLOCK_NOISE_MS = 2_000
"""Milliseconds by which a server's clock seems to go back: `Date` has whole seconds, requests take time."""


class Reading(NamedTuple):
    """The server's clock at an answer, and our monotonic seconds at that moment."""

    server: Instant
    seconds: float

    def after(self, seconds: float) -> Instant:
        """Return the server's time at a later time of our monotonic clock."""
        return self.server + round((seconds - self.seconds) * 1000)


@dataclass(slots=True)
class ServerClock:
    """The server's clock as its answers showed it; ours, where they carry no time.

    `skew_ms` is the server's clock minus ours, when it was last read.
    """

    clock: Clock
    telemetry: Telemetry
    skew_ms: int = 0

    @property
    def now(self) -> Instant:
        """The server's time now: the best estimate where an answer carries none."""
        return self.clock.wall() + self.skew_ms

    def read(self, shown: Instant | None) -> Reading:
        """Read the clock that an answer shows."""
        wall = self.clock.wall()
        server = wall if shown is None else shown
        self.skew_ms = server - wall
        if shown is not None:
            self.telemetry.set_clock_skew(self.skew_ms / 1000)
        return Reading(server, self.clock.monotonic())


class Watermark:
    """Where the next poll begins, and when the walk that set it began, by our own clocks."""

    def __init__(self, ledger: Ledger, clock: Clock, overlap_ms: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._overlap_ms = overlap_ms
        self._set_seconds: float | None = None
        """Our monotonic time at the start of the walk that set it; None until this process has set one."""
        self._may_jump = False

    @property
    def instant(self) -> Instant | None:
        """The server's time from which the next poll searches; None until the baseline is complete."""
        return self._ledger.state(StateKey.WATERMARK)

    def let_jump(self) -> None:
        """Let the next poll follow the server's clock wherever it is: a full comparison has seen every Task."""
        self._may_jump = True

    def following(self, first: Instant, started_seconds: float) -> Instant:
        """Choose the next watermark: the server's clock at the first search of a walk, minus the overlap.

        But no further on than the time that passed here since the last one.
        """
        ideal, before = first - self._overlap_ms, self.instant
        if before is None or self._may_jump:
            return ideal
        return min(ideal, before + self.passed_ms(started_seconds))

    def save(self, tx: Transaction, first: Instant, started_seconds: float) -> None:
        """Write the next watermark, and when its walk began by our wall."""
        tx.set_state(StateKey.WATERMARK, self.following(first, started_seconds))
        tx.set_state(StateKey.MARKED_WALL, self._wall_at(started_seconds))

    def saved(self, started_seconds: float) -> None:
        """Take note that the transaction of `save` was committed."""
        self._set_seconds, self._may_jump = started_seconds, False

    def went_back(self, reading: Reading, cursor: Instant | None) -> bool:
        """Decide whether the server's clock went back: changes since then have stamps before our lower bound.

        Measured against the last complete walk and the time that passed here since. A baseline has none before it:
        there the clock must not be before the `cursor` of the walk.
        """
        before = self.instant
        if before is None:
            return cursor is not None and reading.server < cursor
        behind_ms = before + self._overlap_ms + self.passed_ms(reading.seconds) - reading.server
        return behind_ms > max(self._overlap_ms, CLOCK_NOISE_MS)

    def passed_ms(self, seconds: float) -> int:
        """Milliseconds from the start of the walk that set the watermark to `seconds`, a time of our monotonic clock.

        Breaks count: across restarts they are measured by the wall.
        """
        if self._set_seconds is not None:
            return round((seconds - self._set_seconds) * 1000)
        wall = self._wall_at(seconds)
        return max(0, wall - (self._ledger.state(StateKey.MARKED_WALL) or wall))

    def _wall_at(self, seconds: float) -> Instant:
        """Return our wall time at a monotonic time not long ago."""
        return self._clock.wall() - round((self._clock.monotonic() - seconds) * 1000)
