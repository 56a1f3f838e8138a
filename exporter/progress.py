"""How far a baseline or a long poll is: a progress bar on a terminal, else a log line now and then.

Rule: a process has one reporter, which is called after each page and decides itself when to report.

See docs/design.md#progress.
"""

import logging
import sys
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from click import progressbar

from .clock import Clock
from .logs import log_event
from .steps import Progress, WalkKind

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

logger = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 10.0

Reporter = Callable[[Progress], None]


class LogLines:
    """Reports progress in the log: every LOG_INTERVAL_SECONDS, and at the end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logged_at = clock.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Report a page, unless the last line is too recent."""
        now = self._clock.monotonic()
        if not progress.ended and now - self._logged_at < LOG_INTERVAL_SECONDS:
            return
        self._logged_at = now
        name = "baseline" if progress.kind is WalkKind.BASELINE else "poll"
        state = "complete" if progress.ended else "running"
        log_event(logger, logging.INFO, f"{name} {state}", tasks=progress.tasks, **_expected(progress))


def _expected(progress: Progress) -> dict[str, int]:
    """Return the server's own count while it says how much is left: at the end it would look like a loss."""
    return {"expected": progress.expected} if progress.expected and not progress.ended else {}


class TerminalBar:
    """Reports progress as a bar on a terminal. If the terminal goes away, only the drawing stops."""

    def __init__(self) -> None:
        self._bar: ProgressBar[int] | None = None
        self._drawn = 0
        self._lost = False

    def __call__(self, progress: Progress) -> None:
        """Draw, once it is known whether the server gives a count; without one, the bar shows no length."""
        if self._lost or (progress.expected is None and not progress.ended):
            return
        try:
            self._draw(progress)
        except (OSError, ValueError):  # ValueError: a closed stderr
            self._lost = True

    def _draw(self, progress: Progress) -> None:
        if self._bar is None:
            label = "Baseline" if progress.kind is WalkKind.BASELINE else "Poll"
            self._bar = progressbar(count(), label=label, file=sys.stderr, show_pos=True)  # of no known length
            self._drawn = 0
        self._bar.length = progress.tasks if progress.ended else progress.expected or None
        self._bar.finished = False  # a count that was reached may have been too small
        self._bar.update(progress.tasks - self._drawn)
        self._drawn = progress.tasks
        if progress.ended:
            self._bar.render_finish()
            self._bar = None
