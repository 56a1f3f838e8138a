"""What the worker has in hand, and what it hands out. Values only; when they are made is the worker's business.

See docs/design.md#backing-off.
"""

import math
import random
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from .desk import Progress
from .errors import ExporterError, Throttled
from .metrics.vocabulary import Outcome, Sweep

LONGEST_PAUSE = 60.0
"""Seconds between two tries of background work; the pauses before it are 1, 2, 4, 8 … s, each with jitter."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How often, in seconds; `lookback` in milliseconds, since stamps are."""

    min_interval: float = 5.0
    max_staleness: float = 300.0
    open_interval: float = 300.0
    full_interval: float = 3600.0
    lookback: int = 900_000


@dataclass(slots=True)
class Job:
    """A walk or sweep under way."""

    turns: Iterator[Progress]
    began: float
    future: "Future[bool] | None" = None
    sweep: Sweep | None = None
    pages: int = 0
    corrections: int = 0
    awaited: int | None = None
    """How many walks were complete when this sweep asked for a poll, while it waits for one more."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"{self.sweep} sweep" if self.sweep else "poll"

    def outcome(self, error: ExporterError | None) -> Outcome:
        """Say how it ended."""
        if error is None:
            return Outcome.COMPLETE
        return Outcome.PARTIAL if self.pages else Outcome.FAILED


@dataclass(slots=True)
class Pause:
    """When the server may be asked again, by our monotonic clock."""

    until: float = -math.inf
    _failures: int = 0

    def after(self, error: ExporterError, now: float, *, background: bool) -> None:
        """Leave the server alone: as long as it asks for, or longer with each failure of background work."""
        if not background and not isinstance(error, Throttled):
            return
        self._failures += 1
        pause = min(LONGEST_PAUSE, 2.0 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        asked = error.wait if isinstance(error, Throttled) else None
        self.until = now + max(pause, asked or 0)

    def over(self) -> None:
        """Begin anew with short pauses: the server answers."""
        self._failures = 0
