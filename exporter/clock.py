"""Our own clocks."""

import time

from .task.model import Instant

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A watermark must not lag by the hours that a machine was suspended."""


class SystemClock:
    """The machine's: a `ports.Clock`."""

    def wall(self) -> Instant:
        """Now, which may jump."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back. Linux counts the time that the machine slept, too (clock_gettime(2))."""
        return time.clock_gettime(_STEADY)
