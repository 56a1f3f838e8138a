"""Reads what happened to a Task between two polls: the versions of its instance history that no search has shown.

Rule 1: a history is a help. A server that gives none, or fails, costs these versions and never a page, unless the
server asks to wait: then the page waits too.
Rule 2: reads are few: `READS` for one poll or comparison, in `SECONDS`. What comes after is counted as it was seen.

See docs/design.md#history, docs/decisions/0032-unseen-versions-come-from-the-instance-history.md.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from .clock import Clock
from .errors import ServerError, Throttled
from .fhir.client import FhirServer, FhirWindow
from .logs import log_event
from .metrics.telemetry import Telemetry
from .task.history import Gap, find_gaps, with_unseen
from .task.lifecycle import Observation
from .task.model import Instant, Task
from .task.rows import Row

logger = logging.getLogger(__name__)

READS = 50
"""Requests for histories in one poll, or in one comparison."""

PAGES = 5
"""Pages of one history. The first is asked to be large enough; a server may give smaller ones."""

SECONDS = 5.0
"""What they may take together: a scrape waits for them, and a window has `--poll.timeout` for everything."""

FAILURES = 3
"""Reads that fail in a row, in as many polls, after which no more are tried until the next full comparison."""

ABOUT_ONE_TASK = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""Where histories could be read before: the Task is gone by now."""

LOST = "what a Task passes through between two polls is not counted until the next full comparison asks again"
MORE_OFTEN = "Scrape more often, if this is not the catch-up after an outage."
REMEDY = "Allow the interaction history-instance for Task, or set --no-history."


@dataclass(slots=True)
class HistorySupport:
    """What the server's answers show about histories. `said`: that it gives none is in the log."""

    works: bool = False
    given_up: bool = False
    said: bool = False
    incomplete: bool = False
    failures: int = 0

    def read(self) -> None:
        """Take note of a history that could be read."""
        self.works, self.failures = True, 0
        if self.said:
            self.said = False
            log_event(logger, logging.INFO, "the FHIR server gives instance histories again")

    def give_up(self, why: str) -> None:
        """Ask for none until the next full comparison, and say so once."""
        self.given_up = True
        if not self.said:
            self.said = True
            details = {"why": why, "effect": LOST, "remedy": REMEDY}
            log_event(logger, logging.WARNING, "the FHIR server gives no instance history of Tasks", **details)

    def failed(self, why: str) -> None:
        """Count a failure; too many in a row end it."""
        self.failures += 1
        if self.failures >= FAILURES:
            self.give_up(why)

    def left_out(self, tasks: int) -> None:
        """Say, once until the next full comparison, that some status changes were not seen by any read."""
        if not self.incomplete:
            self.incomplete = True
            log_event(
                logger,
                logging.WARNING,
                "Tasks changed more often than could be read",
                tasks=tasks,
                effect="some of their status changes are not counted",
                remedy=MORE_OFTEN,
            )

    def ask_again(self) -> None:
        """Try again: a right may have been granted."""
        self.given_up, self.incomplete, self.failures = False, False, 0


class HistoryReader:
    """Reads histories for one poll or comparison; `renewed` gives the reader of the next one."""

    def __init__(
        self,
        server: FhirServer,
        clock: Clock,
        telemetry: Telemetry,
        *,
        wanted: bool,
        support: HistorySupport | None = None,
    ) -> None:
        self.support = support or HistorySupport()
        self._server = server
        self._clock = clock
        self._telemetry = telemetry
        self._wanted = wanted
        self._reads_left = READS
        self._seconds_left = SECONDS

    def renewed(self) -> "HistoryReader":
        """Return a reader that may read as much again."""
        return HistoryReader(self._server, self._clock, self._telemetry, wanted=self._wanted, support=self.support)

    def with_unseen(
        self, known: Mapping[str, Row], tasks: Sequence[Task], observation: Observation, baseline_from: Instant
    ) -> Sequence[Task]:
        """Put the versions that no search has shown before those of the page. Raises Throttled."""
        if not self._may_read:
            return tasks
        gaps = find_gaps(known, tasks, observation, baseline_from)
        return with_unseen(tasks, self._read_all(gaps)) if gaps else tasks

    @property
    def _may_read(self) -> bool:
        return self._wanted and not self.support.given_up and self._reads_left > 0 and self._seconds_left > 0

    def _read_all(self, gaps: Mapping[str, Gap]) -> dict[str, tuple[Task, ...]]:
        """Read in a window of its own: a request that times out ends its window, and the page needs its own."""
        found: dict[str, tuple[Task, ...]] = {}
        with self._server.window(most_seconds=self._seconds_left) as window:
            for identifier, gap in gaps.items():
                if self._may_read:
                    started_seconds = self._clock.monotonic()
                    found[identifier] = self._read(window, identifier, gap)
                    self._seconds_left -= self._clock.monotonic() - started_seconds
        if len(found) < len(gaps) and not self.support.given_up:
            self.support.left_out(len(gaps) - len(found))
        return found

    def _read(self, window: FhirWindow, identifier: str, gap: Gap) -> tuple[Task, ...]:
        try:
            history = window.history(identifier, gap, min(PAGES, self._reads_left), self._reads_left)
        except Throttled:
            self.support.give_up("it asks to wait")
            raise
        except ServerError as error:
            self._failed(error)
            return ()
        self._reads_left -= history.requests
        if history.status == HTTPStatus.OK:
            self.support.read()
        elif history.status not in ABOUT_ONE_TASK:
            self.support.give_up(f"status {history.status}")
        elif not self.support.works:  # the Task may be gone by now, or the server has no histories
            self.support.failed(f"status {history.status}")
        if not history.whole:
            self.support.left_out(1)
        return history.versions

    def _failed(self, error: ServerError) -> None:
        """Count a failure, and read no more for this poll."""
        self._telemetry.count_error(error.reason)
        self._reads_left = 0
        self.support.failed(error.reason.value)
