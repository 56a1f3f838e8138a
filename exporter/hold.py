"""When a series has been seen for long enough to show what it counts.

`increase()` sees nothing in a series born at 1, nor what a restarted exporter adds before its first scrape. So a series
shows its old value until Prometheus has taken it twice, and `hold` has passed since the first time (measured on
Prometheus 3.16: born at 1, 0 of 40 first events seen; held for twice the interval, 40 of 40).

Rule: pictures are numbered as they are published; what was exposed with one was exposed with every later one too.

See docs/design.md#series-hold.
"""

from collections import deque
from threading import Lock

from .ledger.state import ALL_GENERATIONS, NO_GENERATION

PATIENCE = 3
"""Holds without a scrape after which counts are shown all the same: whoever reads us is no Prometheus."""


class SeriesHold:
    """Which pictures have been scraped, and since when. All times are monotonic seconds; used by two threads."""

    def __init__(self, hold: float, now: float) -> None:
        self._hold = hold
        self._last = now
        self._firsts: deque[tuple[float, int]] = deque()
        """When each picture was first scraped, oldest first; the first entry may stand for older ones."""
        self._latest: tuple[int, ...] = ()
        """The numbers of the last two scrapes."""
        self._lock = Lock()

    def scraped(self, number: int, now: float) -> None:
        """Note that Prometheus was given a picture."""
        with self._lock:
            self._last = now
            self._latest = (*self._latest[-1:], number)
            if not self._firsts or number > self._firsts[-1][1]:
                self._firsts.append((now, number))
            while len(self._firsts) > 1 and self._firsts[1][0] <= now - self._hold:
                self._firsts.popleft()

    def shown(self, now: float) -> int:
        """Return the newest generation whose series may show what they count; ALL_GENERATIONS or NO_GENERATION."""
        with self._lock:
            if self._hold == 0 or now - self._last >= PATIENCE * self._hold:
                return ALL_GENERATIONS
            held = [number for first, number in self._firsts if first <= now - self._hold]
            if not held or len(self._latest) < 2:  # noqa: PLR2004 - two scrapes, as Prometheus needs two samples
                return NO_GENERATION
            return min(held[-1], *self._latest)
