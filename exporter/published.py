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
    """A Snapshot as published. `began` and `ended` are monotonic seconds of ours, at the two ends of its walk.

    How young it is counts from where it began, since it may miss what came after; how stale, from where it ended.
    `generation` counts the complete polls of this process.
    """

    snapshot: Snapshot
    generation: int = 0
    began: float = -math.inf
    ended: float = -math.inf


class Scrape(NamedTuple):
    """What a scrape gets: an answer at once, or a poll to wait for (its result: whether it was complete)."""

    immediate: Answer | None = None
    poll: "Future[bool] | None" = None
