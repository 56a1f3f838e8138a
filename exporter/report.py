"""Long work shows itself: a progress bar for a person at a terminal, a line now and then in a log.

Rule: one reporter a process; it is told of each page and decides itself when to speak.
"""

import logging
from collections.abc import Callable

from .log import event
from .poll import Kind, Turn
from .ports import Clock

log = logging.getLogger(__name__)

PERIOD = 10.0
"""Seconds between two lines of progress."""


class Lines:
    """Progress as log lines."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spoken = clock.monotonic()

    def __call__(self, turn: Turn) -> None:
        """Speak at the end, and each PERIOD before it."""
        now = self._clock.monotonic()
        if not turn.ended and now - self._spoken < PERIOD:
            return
        self._spoken = now
        name = "baseline" if turn.kind is Kind.BASELINE else "catch-up"
        state = "complete" if turn.ended else "goes on"
        event(log, logging.INFO, f"{name} {state}", tasks=turn.walked, expected=turn.expected or None)


Reporter = Callable[[Turn], None]
