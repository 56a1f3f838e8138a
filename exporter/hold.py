"""When a series has been exposed for long enough to show what it counts.

`increase()` sees nothing in a series born at 1, nor what a restarted exporter adds before its first scrape. So a series
shows its old value until Prometheus has scraped it twice, and `--series.hold` has passed since the first time (measured
on Prometheus 3.16: born at 1, 0 of 40 first events seen; held for twice the interval, 40 of 40).

Rule: snapshots are numbered by generation; what was exposed with one was exposed with every later one too.

See docs/design.md#series-hold.
"""

from collections import deque
from threading import Lock

from .ledger.state import ALL_GENERATIONS, NO_GENERATION

HOLDS_WITHOUT_SCRAPE = 3
"""Holds without a scrape after which counts are shown anyway: the reader is not Prometheus."""


class SeriesHold:
    """Which generations have been scraped, and since when. All times are monotonic seconds; used by two threads."""

    def __init__(self, hold_seconds: float, now_seconds: float) -> None:
        self._hold_seconds = hold_seconds
        self._last_seconds = now_seconds
        self._first_scrapes: deque[tuple[float, int]] = deque()
        """When each generation was first scraped, oldest first; the first entry may stand for older ones."""
        self._last_two: tuple[int, ...] = ()
        """The generations of the last two scrapes."""
        self._lock = Lock()

    def exposed(self, generation: int, now_seconds: float) -> None:
        """Take note that Prometheus was given a snapshot."""
        with self._lock:
            self._last_seconds = now_seconds
            self._last_two = (*self._last_two[-1:], generation)
            if not self._first_scrapes or generation > self._first_scrapes[-1][1]:
                self._first_scrapes.append((now_seconds, generation))
            held_since = now_seconds - self._hold_seconds
            while len(self._first_scrapes) > 1 and self._first_scrapes[1][0] <= held_since:
                self._first_scrapes.popleft()

    def exposed_through(self, now_seconds: float) -> int:
        """Return the newest generation whose series may show what they count: ALL_GENERATIONS, NO_GENERATION or one."""
        with self._lock:
            unread = now_seconds - self._last_seconds >= HOLDS_WITHOUT_SCRAPE * self._hold_seconds
            if self._hold_seconds == 0 or unread:
                return ALL_GENERATIONS
            held_since = now_seconds - self._hold_seconds
            held = [generation for first, generation in self._first_scrapes if first <= held_since]
            if not held or len(self._last_two) < 2:  # noqa: PLR2004 - two scrapes, as Prometheus needs two samples
                return NO_GENERATION
            return min(held[-1], *self._last_two)
