"""When: the batch jobs are read once a minute, in a thread of their own.

Rule 1: this thread has its own connection and limits, and touches neither the FHIR server, nor the ledger, nor a poll.
Rule 2: whatever happens in it, it goes on; other threads get an immutable report and never wait for it.

See docs/design.md#batch-jobs, docs/decisions/0031.
"""

import logging
import math
import threading
from typing import NamedTuple

from ..clock import Clock
from ..errors import ExporterError, ServerError, Throttled
from ..logs import log_bug, log_event
from ..metrics.vocabulary import BatchJobFigures, BatchJobsReport
from .client import BatchJobs
from .model import figures
from .remedies import remedy_for

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
"""From the start of a read to that of the next: HAPI itself moves the status of a job once a minute."""

MAX_AGE_SECONDS = 300.0
"""How long figures remain after the last read that succeeded; then they disappear."""


class _Read(NamedTuple):
    """The last read that succeeded, and our monotonic seconds at its end."""

    figures: BatchJobFigures | None = None
    ended_seconds: float = -math.inf


class BatchJobsReader:
    """The thread that reads the batch jobs: it calls `run`; all else may be called by any thread."""

    def __init__(self, batch_jobs: BatchJobs, clock: Clock) -> None:
        self._batch_jobs = batch_jobs
        self._clock = clock
        self._stopped = threading.Event()
        self._last_good = _Read()
        self._up = False
        self._last_error: str | None = None

    def report(self) -> BatchJobsReport:
        """Return what is known now."""
        last = self._last_good
        young = self._clock.monotonic() - last.ended_seconds <= MAX_AGE_SECONDS
        return BatchJobsReport(self._up, last.figures if young else None)

    def stop(self) -> None:
        """Ask the thread to end after the read that it is in."""
        self._stopped.set()

    def run(self) -> None:
        """Read until stopped."""
        while not self._stopped.is_set():
            self._stopped.wait(self.step())

    def step(self) -> float:
        """Read once, and return the seconds until the next read."""
        started, pause = self._clock.monotonic(), INTERVAL_SECONDS
        try:
            found = figures(self._batch_jobs.read())
        except ServerError as error:
            self._failed(error)
            if isinstance(error, Throttled) and error.wait is not None:
                pause = max(pause, error.wait)
        except Exception as error:  # noqa: BLE001 - a bug here must not end what is only beside the Tasks
            self._up, self._last_error = False, type(error).__name__
            log_bug(logger, "reading the batch jobs failed", error)
        else:
            self._succeeded(found)
        return max(pause - (self._clock.monotonic() - started), 1.0)

    def _succeeded(self, found: BatchJobFigures) -> None:
        self._last_good = _Read(found, self._clock.monotonic())
        self._up = True
        if self._last_error is not None:
            log_event(logger, logging.INFO, "the batch jobs can be read again")
        self._last_error = None

    def _failed(self, error: ExporterError) -> None:
        """Log a change for the worse, once."""
        self._up = False
        if self._last_error != error.reason:
            details = {"reason": error.reason.value, "error": str(error), "remedy": remedy_for(error)}
            log_event(logger, logging.WARNING, "reading the batch jobs failed", **details)
        self._last_error = error.reason
