"""Probes of export jobs for `/probe`: a few requests at a time, each answer kept for as long as its server asks.

Rule 1: whoever asks for a probe only looks up or starts one, and never waits. Each request runs in a daemon thread of
its own, with a client of its own: the worker, its connection and the ledger have no part in it.
Rule 2: for one job there is one request at a time, and none within the wait that its last answer asked for.
Rule 3: the table of jobs is bounded, and what is still within its wait is not pushed out: so clients that ask for
ever new ids cause few requests.

See docs/design.md#export-jobs, docs/decisions/0030-probes-have-threads-of-their-own.md.
"""

import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic

from .clock import Clock
from .errors import ErrorReason, ExporterError, Throttled
from .fhir.export_status import ExportStatus
from .fhir.export_target import status_address
from .logs import log_bug, log_event
from .metrics.probe import ProbeResult
from .metrics.telemetry import Telemetry
from .task.export_history import JobHistory
from .task.export_job import ExportJob

logger = logging.getLogger(__name__)

MAX_REQUESTS = 4
"""Requests at a time, over all jobs."""

MAX_JOBS = 100
"""Jobs whose answers are kept."""


class ProbesBusy(Exception):
    """There are too many probes at once, or too many jobs within the time that their server asked to wait."""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """`base` and `path` say which targets are allowed; an answer is kept for at least `min_interval_seconds`."""

    base: str
    path: str
    timeout_seconds: float
    min_interval_seconds: float


@dataclass(slots=True)
class Probe:
    """One request for the status of a job: `result` is there once `done` is."""

    done: "Future[bool]" = field(default_factory=Future)
    result: ProbeResult | None = None


@dataclass(slots=True)
class _Job:
    """What is kept of one job: its newest probe, and until when (monotonic) that answers for it."""

    probe: Probe
    history: JobHistory = field(default_factory=JobHistory)
    until_seconds: float = math.inf
    """Infinite while the probe runs."""


class Probes:
    """The probes of a process. `connect` makes a client of the FHIR server: each is used by one thread at a time."""

    def __init__(
        self, connect: Callable[[], ExportStatus], options: ProbeOptions, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._connect = connect
        self._options = options
        self._clock = clock
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._running = 0
        self._idle: list[ExportStatus] = []
        self._last_error: ErrorReason | None = None

    def start(self, target: str) -> Probe:
        """Return the probe that runs or still answers for `target`, else a new one.

        Raises TargetRefused, or ProbesBusy.
        """
        address = status_address(self._options.base, self._options.path, target)
        with self._lock:
            known, now = self._jobs.get(address), self._clock.monotonic()
            if known is not None and now < known.until_seconds:
                return known.probe
            self._check_room(known, now)
            job = self._jobs.pop(address, None) or _Job(Probe())
            job.probe, job.until_seconds = Probe(), math.inf
            self._jobs[address] = job  # at the end: the first is the one that was asked for longest ago
            self._running += 1
        self._start_thread(address, job)
        return job.probe

    def _check_room(self, known: _Job | None, now: float) -> None:
        """Refuse what is too much; forget the job asked for longest ago where the table is full."""
        if self._running >= MAX_REQUESTS:
            raise ProbesBusy
        if known is None and len(self._jobs) >= MAX_JOBS:
            oldest = next((address for address, job in self._jobs.items() if job.until_seconds <= now), None)
            if oldest is None:
                raise ProbesBusy
            del self._jobs[oldest]

    def _start_thread(self, address: str, job: _Job) -> None:
        try:
            threading.Thread(target=self._run, args=(address, job), name="probe", daemon=True).start()
        except RuntimeError as error:  # no more threads
            log_bug(logger, "starting a probe failed", error)
            self._end(job, ProbeResult(0.0), None)

    def _run(self, address: str, job: _Job) -> None:
        """Ask, and keep the answer. Whatever happens, the probe ends."""
        started, error = monotonic(), None
        found: ExportJob | None = None
        try:
            found = self._read(address)
        except ExporterError as failure:
            error = failure
        except Exception as bug:  # noqa: BLE001 - nobody above catches it; its text could contain anything
            log_bug(logger, "probing an export job failed", bug)
            error = ExporterError("internal error")
        seconds = monotonic() - started
        if found is None:
            self._end(job, ProbeResult(seconds, retry_after_seconds=_wait(error)), error)
            return
        now = self._clock.wall()
        job.history = job.history.after(found, now)
        job_seconds = job.history.seconds(found, now)
        self._end(job, ProbeResult(seconds, found, job_seconds, found.retry_after_seconds), None)

    def _read(self, address: str) -> ExportJob:
        with self._lock:
            client = self._idle.pop() if self._idle else None
        client = client or self._connect()
        try:
            return client.read(address, self._options.timeout_seconds)
        finally:
            with self._lock:
                self._idle.append(client)

    def _end(self, job: _Job, result: ProbeResult, error: ExporterError | None) -> None:
        if error is not None:
            self._telemetry.count_error(error.reason)
        self._log(result, error)
        wait, probe = max(result.retry_after_seconds or 0.0, self._options.min_interval_seconds), job.probe
        with self._lock:
            self._running -= 1
            probe.result = result
            job.until_seconds = self._clock.monotonic() + wait
        probe.done.set_result(True)  # not job.probe: with no wait that may be the next one by now

    def _log(self, result: ProbeResult, error: ExporterError | None) -> None:
        """Log a change for better or worse, once."""
        reason = None if error is None else error.reason
        with self._lock:
            changed, self._last_error = reason is not self._last_error, reason
        if changed and error is not None:
            details = {"reason": error.reason.value, "error": str(error), "remedy": error.remedy}
            log_event(logger, logging.WARNING, "the status of an export job cannot be read", **details)
        elif changed and result.job is not None:
            log_event(logger, logging.INFO, "the status of export jobs can be read again")


def _wait(error: ExporterError | None) -> float | None:
    return error.wait if isinstance(error, Throttled) else None
