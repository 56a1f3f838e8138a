"""When to ask again. PURE: no I/O, no clock.

See docs/watch.md#when-it-asks.
"""

from dataclasses import dataclass

LONGEST_WAIT = 300.0
"""Seconds, whatever the server asks for: servers with a Retry-After of hours are known."""

SHORTEST_WAIT = 1.0
"""Seconds, even where the server says 0."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between polls: `first`, then twice as many after each poll without news, up to `longest`."""

    first: float
    longest: float

    def after_answer(self, asked: float | None, without_news: int) -> float:
        """Return how long to wait after an answer. `asked` is the server's Retry-After; it wins."""
        if asked is not None:
            return _clamped(asked, LONGEST_WAIT)
        return _clamped(_doubled(self.first, without_news, self.longest), self.longest)

    def after_failure(self, asked: float | None, failures: int) -> float:
        """Return how long to wait after so many failed polls in a row."""
        wait = _doubled(self.first, failures - 1, LONGEST_WAIT) if asked is None else asked
        return _clamped(wait, LONGEST_WAIT)


def every(seconds: float) -> Pace:
    """Make a pace that never changes."""
    return Pace(seconds, seconds)


def _doubled(seconds: float, times: int, longest: float) -> float:
    return min(seconds * float(2 ** min(times, 30)), max(seconds, longest))


def _clamped(seconds: float, longest: float) -> float:
    return max(SHORTEST_WAIT, min(seconds, longest))
