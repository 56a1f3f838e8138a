"""Follows a subject to its end: asks, shows, waits.

Rule 1: a failed poll is reported and tried again; it is no failure of what is followed.
Rule 2: giving up, or Ctrl-C, leaves what is followed alone.

See docs/watch.md#when-it-asks.
"""

from collections.abc import Callable
from typing import Protocol

from ..clock import Clock
from ..errors import ServerError, ServerFault, Throttled, TimedOut, TlsFailed, Truncated, Unreachable
from .model import End, Observation, Problem
from .pace import Pace
from .subjects import Subject

PASSING = (ServerFault, Throttled, TimedOut, TlsFailed, Truncated, Unreachable)
"""Failures that may pass. Others, such as wrong credentials, end `watch` unless a poll has succeeded before."""


class Display(Protocol):
    """Where it is shown. `step` is how many seconds may pass between two calls of `tick`."""

    step: float

    def show(self, seen: Observation, wait: float | None, /) -> None:
        """Show an answer, and in how many seconds the next poll is."""

    def failed(self, problem: Problem, wait: float | None) -> None:
        """Show that a poll failed; `wait` is None if there will be no other."""

    def tick(self, left: float, /) -> None:
        """Show that so many seconds are left until the next poll."""

    def end(self, end: End) -> None:
        """Show how it ended."""


class Watcher:
    """Follows one subject. `timeout` is in seconds; `pause` sleeps for some."""

    def __init__(
        self, subject: Subject, display: Display, pace: Pace, clock: Clock, pause: Callable[[float], None]
    ) -> None:
        self._subject = subject
        self._display = display
        self._pace = pace
        self._clock = clock
        self._pause = pause
        self._last: Observation | None = None
        self._without_news = self._failures = 0

    def run(self, timeout: float | None = None) -> End:
        """Follow to the end, or for `timeout` seconds."""
        try:
            end = self._follow(None if timeout is None else self._clock.monotonic() + timeout)
        except KeyboardInterrupt:
            end = End.INTERRUPTED
        self._display.end(end)
        return end

    def _follow(self, until: float | None) -> End:
        while True:
            wait = self._poll()
            if wait is None:
                return End.REFUSED
            if self._last is not None and self._last.end is not None:
                return self._last.end
            if not self._wait(wait, until):
                return End.TIMED_OUT

    def _poll(self) -> float | None:
        """Ask, show, and return how long to wait; None if there is nothing to wait for."""
        try:
            seen = self._subject.look()
        except ServerError as error:
            return self._failed(error)
        self._failures = 0
        self._without_news = self._without_news + 1 if self._last is not None and self._last.news == seen.news else 0
        self._last = seen
        wait = self._pace.after_answer(seen.wait_seconds, self._without_news)
        self._display.show(seen, None if seen.end else wait)
        return wait

    def _failed(self, error: ServerError) -> float | None:
        self._failures += 1
        wait = None
        if self._last is not None or isinstance(error, PASSING):
            asked = error.wait if isinstance(error, Throttled) else None
            wait = self._pace.after_failure(asked, self._failures)
        self._display.failed(Problem(error.reason.value, str(error), self._subject.remedy(error)), wait)
        return wait

    def _wait(self, seconds: float, until: float | None) -> bool:
        """Wait; returns whether there is time for another poll."""
        poll_at = self._clock.monotonic() + seconds
        stop_at = poll_at if until is None else min(poll_at, until)
        while (left := stop_at - (now := self._clock.monotonic())) > 0:
            self._display.tick(poll_at - now)
            self._pause(min(left, self._display.step))
        return until is None or poll_at < until
