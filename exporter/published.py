"""What the worker hands to other threads: a snapshot, and what a scrape is to do. Immutable values.

See docs/design.md#polled-on-scrape.
"""

import math
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from .metrics.vocabulary import Answer
from .task.model import Snapshot


@dataclass(frozen=True, slots=True)
class PublishedSnapshot:
    """A Snapshot as published, and our monotonic seconds at the start and at the end of its walk.

    How young it is counts from the start, since it may miss what came after; how stale it is, from the end.
    `generation` counts the complete polls of this process.
    """

    snapshot: Snapshot
    generation: int = 0
    started_seconds: float = -math.inf
    ended_seconds: float = -math.inf


class Scrape(NamedTuple):
    """What a scrape gets: an answer at once, or a poll to wait for (its result: whether it was complete)."""

    immediate: Answer | None = None
    poll: "Future[bool] | None" = None
