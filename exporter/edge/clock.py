"""Our own clocks."""

import time

from ..task.model import Instant


class SystemClock:
    """The machine's: a `ports.Clock`."""

    def wall(self) -> Instant:
        """Now, which may jump."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
