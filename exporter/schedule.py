"""When: how long a window may take, when the server may be asked again, and when the next comparison is due.

Times are our own monotonic seconds. See docs/design.md#backing-off.
"""

import math
import random
from dataclasses import dataclass

from .config import ReconcileSettings
from .context import WalkContext
from .errors import ExporterError, Throttled, TimedOut
from .jobs import Job
from .ledger.state import StateKey
from .metrics.vocabulary import Comparison, Outcome

LONGEST_PAUSE_SECONDS = 60.0
"""Between two tries of background work; the pauses before it are 1, 2, 4, 8 … s, each with jitter."""

LARGEST_TIMEOUT_FACTOR = 16
"""Times `--poll.timeout`: a quarter of an hour by default."""

FIRST_COMPARISON_SECONDS = 60.0
"""After a start no full comparison begins earlier: a crash loop must not load the server."""


@dataclass(slots=True)
class WindowTimeout:
    """How many times `--poll.timeout` a window may take: more where one ran out of it, until work is complete again.

    A walk goes on from its last committed page, but not inside the Tasks of one stamp: those need one whole window.
    See docs/decisions/0007-a-window-that-ran-out-of-time-gets-more.md.
    """

    factor: int = 1

    def after(self, job: Job, error: ExporterError | None) -> None:
        """Adapt to how a job ended."""
        if error is None:
            self.factor = 1
        elif isinstance(error, TimedOut) and job.pages:
            self.factor = min(LARGEST_TIMEOUT_FACTOR, 2 * self.factor)


@dataclass(slots=True)
class BackOff:
    """When the server may be asked again, by our monotonic clock."""

    until_seconds: float = -math.inf
    _failures: int = 0

    def after(self, error: ExporterError, now_seconds: float, *, background: bool) -> None:
        """Leave the server alone: as long as it asks for, or longer with each failure of background work."""
        if not background and not isinstance(error, Throttled):
            return
        self._failures += 1
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(self._failures - 1, 10))
        jittered = pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        asked = error.wait if isinstance(error, Throttled) else None
        self.until_seconds = now_seconds + max(jittered, asked or 0)

    def reset(self) -> None:
        """Begin again with short pauses: the server answers."""
        self._failures = 0


class ComparisonSchedule:
    """When each comparison is due."""

    def __init__(self, context: WalkContext, settings: ReconcileSettings) -> None:
        self._now_seconds = context.clock.monotonic
        self._settings = settings
        now_seconds = self._now_seconds()
        self._due_seconds = {
            Comparison.OPEN: now_seconds + settings.open_interval,
            Comparison.FULL: now_seconds + _until_full(context, settings.full_interval),
        }

    @property
    def next_kind(self) -> Comparison:
        """The comparison that is due first."""
        return min(self._due_seconds, key=lambda kind: self._due_seconds[kind])

    @property
    def next_seconds(self) -> float:
        """When that is."""
        return self._due_seconds[self.next_kind]

    def reconfigured(self, context: WalkContext) -> None:
        """Compare everything at once where Tasks may show under other names than those now in force, as at a start."""
        if context.names_changed:
            self._due_seconds[Comparison.FULL] = self._now_seconds()

    def ended(self, kind: Comparison, outcome: Outcome) -> None:
        """Choose when to compare again: a full comparison that was not complete is repeated within minutes."""
        settings = self._settings
        full = kind is Comparison.FULL and outcome is Outcome.COMPLETE
        interval = settings.full_interval if full else min(settings.open_interval, settings.full_interval)
        self._due_seconds[kind] = self._now_seconds() + interval


def _until_full(context: WalkContext, interval: float) -> float:
    """Seconds until the first full comparison: restarts do not put it off."""
    if context.names_changed or context.namer.has_unnamed:
        return 0  # a restart may follow a newly granted permission
    last = context.ledger.state(StateKey.COMPARED_WALL)
    if last is None:
        return interval
    left = interval - (context.clock.wall() - last) / 1000
    return min(max(left, FIRST_COMPARISON_SECONDS), interval)
