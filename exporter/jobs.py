"""What the worker has in hand: walks and comparisons under way."""

from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass

from .errors import ExporterError
from .metrics.vocabulary import Comparison, Outcome
from .steps import Progress, Step


@dataclass(slots=True)
class WalkJob:
    """A poll, catch-up or baseline under way. The result of `future` is whether it was complete."""

    steps: Generator[Progress, None, None]
    started_seconds: float
    future: "Future[bool] | None" = None
    pages: int = 0

    @property
    def name(self) -> str:
        """What it is, in messages."""
        return "poll"


@dataclass(slots=True)
class ComparisonJob:
    """A comparison under way.

    `polls_before` is how many walks were complete when it asked for a poll, while it waits for one more.
    """

    kind: Comparison
    steps: Generator[Step, None, None]
    pages: int = 0
    corrections: int = 0
    polls_before: int | None = None

    @property
    def name(self) -> str:
        """What it is, in messages."""
        return f"{self.kind} comparison"


Job = WalkJob | ComparisonJob


def outcome(job: Job, error: ExporterError | None) -> Outcome:
    """Name how a job ended."""
    if error is None:
        return Outcome.COMPLETE
    return Outcome.PARTIAL if job.pages else Outcome.FAILED
