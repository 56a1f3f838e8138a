"""Long work shows itself: a progress bar for a person at a terminal, a line now and then in a log.

Rule: one reporter a process; it is told of each page and decides itself when to speak.

See docs/design.md#progress.
"""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from click import progressbar

from .clock import Clock
from .context import Progress, WalkKind
from .logs import event

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

logger = logging.getLogger(__name__)

PERIOD = 10.0
"""Seconds between two lines of progress."""


Reporter = Callable[[Progress], None]


class Lines:
    """Progress as log lines."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spoken = clock.monotonic()

    def __call__(self, turn: Progress) -> None:
        """Speak at the end, and each PERIOD before it."""
        now = self._clock.monotonic()
        if not turn.ended and now - self._spoken < PERIOD:
            return
        self._spoken = now
        name = "baseline" if turn.kind is WalkKind.BASELINE else "catch-up"
        state = "complete" if turn.ended else "goes on"
        event(logger, logging.INFO, f"{name} {state}", tasks=turn.walked, expected=turn.expected or None)


class Bar:
    """Progress as a bar on a terminal. A terminal that goes away ends the drawing, never the work."""

    def __init__(self) -> None:
        self._bar: ProgressBar[int] | None = None
        self._walked = 0
        self._lost = False

    def __call__(self, turn: Progress) -> None:
        """Draw, once the server was asked for its count; a walk of unknown length has a bar that only moves."""
        if self._lost or (turn.expected is None and not turn.ended):
            return
        try:
            self._draw(turn)
        except (OSError, ValueError):  # ValueError: Python's own word for a closed stderr
            self._lost = True

    def _draw(self, turn: Progress) -> None:
        if self._bar is None:
            label = "Baseline" if turn.kind is WalkKind.BASELINE else "Catch-up"
            length = turn.expected or (turn.walked if turn.ended else None)
            self._bar = progressbar(length=length, label=label, file=sys.stderr, show_pos=True)
            self._walked = 0
        self._bar.update(turn.walked - self._walked)
        self._walked = turn.walked
        if turn.ended:
            self._bar.render_finish()
            self._bar = None
