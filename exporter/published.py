"""What the worker hands to other threads: the newest snapshot, how the server was found, what a scrape is to do.

See docs/design.md#polled-on-scrape.
"""

import math
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Lock
from typing import NamedTuple

from .clock import Clock
from .errors import ExporterError, ServerError
from .metrics.vocabulary import ScrapeAnswer
from .task.model import Instant, Snapshot


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

    immediate: ScrapeAnswer | None = None
    poll: "Future[bool] | None" = None


class LastError(NamedTuple):
    """What went wrong last, by our wall clock; `by_server` tells it from an error of the ledger, or a bug of ours."""

    sentence: str
    remedy: str
    at: Instant
    by_server: bool


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How the FHIR server was found, for people to read; None before the first answer or failure.

    `since` is our wall time when `up` last changed.
    """

    up: bool | None = None
    since: Instant | None = None
    error: LastError | None = None

    def found(self, up: bool, at: Instant) -> "ServerStatus":
        """Return the status after an answer or a failure."""
        return self if up is self.up else replace(self, up=up, since=at)

    def failed(self, error: ExporterError, at: Instant) -> "ServerStatus":
        """Return the status with an error, whose texts are fixed and hold nothing secret."""
        last = LastError(str(error), error.remedy, at, isinstance(error, ServerError))
        return replace(self, error=last)


NOT_ASKED = ServerStatus()


class Publication:
    """The newest snapshot. The worker replaces it, any thread reads it; nobody waits longer than an assignment."""

    def __init__(self, first: Snapshot, clock: Clock, max_staleness_seconds: float) -> None:
        self._newest = PublishedSnapshot(first)
        self._clock = clock
        self._max_staleness_seconds = max_staleness_seconds
        self._lock = Lock()

    @property
    def started_seconds(self) -> float:
        """When the walk of the newest snapshot started."""
        return self._newest.started_seconds

    @property
    def newest(self) -> PublishedSnapshot:
        """The newest snapshot; its gauges are gone when it is too old."""
        newest = self._newest
        stale = self._clock.monotonic() - newest.ended_seconds > self._max_staleness_seconds
        if stale and newest.snapshot.gauges is not None:
            aged = replace(newest, snapshot=replace(newest.snapshot, gauges=None))
            with self._lock:
                if self._newest is newest:
                    self._newest = aged
            return aged
        return newest

    def publish(self, snapshot: Snapshot, generation: int, started_seconds: float) -> None:
        """Replace the snapshot; an equal one stays the same object, so that its text need not be rendered again."""
        with self._lock:
            kept = self._newest.snapshot if snapshot == self._newest.snapshot else snapshot
            self._newest = PublishedSnapshot(kept, generation, started_seconds, self._clock.monotonic())
