"""The exporter's own time: never used to judge Tasks where the server sends its own.

Only sockets read the time themselves: time limits of requests and connections are not part of what tests move.
"""

import time
from typing import Protocol

from .task.model import Instant

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A watermark must not lag by the hours that a machine was suspended."""


class Clock(Protocol):
    """Two clocks. Tests move theirs by hand."""

    def wall(self) -> Instant:
        """Now, in milliseconds since 1970 UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back, with those that the machine slept where the system counts them."""


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> Instant:
        """Now, which may jump."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back. Linux counts the time that the machine slept, too (clock_gettime(2))."""
        return time.clock_gettime(_STEADY)
