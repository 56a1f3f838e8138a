"""What can be followed, one class for each kind: it asks the server, and answers with an Observation.

Nothing here changes anything on the server, and nothing is written to a ledger.

See docs/watch.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from ..batch_jobs.client import BatchJobs
from ..batch_jobs.remedies import remedy_for
from ..clock import Clock
from ..errors import ConfigurationError, Forbidden, ServerError, TargetRefused
from ..fhir.client import FhirServer, FhirWindow
from ..fhir.export_status import ExportStatus
from ..names import Namer
from ..task.deadline import Deadlines
from ..task.export_history import JobHistory
from ..task.model import NO_PAIR, Pair, Task
from ..task.watched import decode_task
from .batch import observe_batch
from .export import observe_export
from .model import Observation
from .targets import Kind, Target
from .task import absent, observe_task

EXPORT_RIGHT = (
    "Grant these credentials the right to ask for the status of exports; some servers give it only to the client that "
    "started the export."
)


class Subject(Protocol):
    """Something that is followed. `name` is the target that follows it again."""

    name: str

    def look(self) -> Observation:
        """Ask once; raises a ServerError where the poll failed."""

    def remedy(self, error: ServerError) -> str:
        """Return what the operator should do about a failed poll."""


class ExportSubject:
    """An export job of our own server."""

    def __init__(self, exports: ExportStatus, target: str, seconds: float, clock: Clock) -> None:
        """Check the target; raises TargetRefused. `seconds` is what a poll may take."""
        self.name = exports.address(target)
        self._exports = exports
        self._seconds = seconds
        self._clock = clock
        self._history = JobHistory()

    def look(self) -> Observation:
        """Ask for the status."""
        job, now = self._exports.read(self.name, self._seconds), self._clock.wall()
        self._history = self._history.after(job, now)
        return observe_export(job, self._history.seconds(job, now))

    def remedy(self, error: ServerError) -> str:
        """Return the error's own, but for a missing right, which is not one to read Tasks."""
        return EXPORT_RIGHT if isinstance(error, Forbidden) else error.remedy


@dataclass(frozen=True, slots=True)
class PayerRules:
    """How the payers of a Task are named, and what their deadlines are."""

    namer: Namer
    deadlines: Deadlines


class TaskSubject:
    """A Task, with its payers' names once they could be read."""

    def __init__(self, server: FhirServer, id_: str, rules: PayerRules, clock: Clock) -> None:
        self.name = f"Task/{id_}"
        self._id = id_
        self._server = server
        self._rules = rules
        self._clock = clock

    def look(self) -> Observation:
        """Read the Task."""
        with self._server.window() as window:
            reply = window.task(self._id)
            if reply.status != HTTPStatus.OK:
                return absent(deleted=reply.status == HTTPStatus.GONE)
            at = reply.date or self._clock.wall()
            found = decode_task(reply.body, self._server.options.classify, at)
            pair = self._pair(found.task, window)
        return observe_task(found, pair, self._rules.deadlines.of(pair.source), at)

    def remedy(self, error: ServerError) -> str:
        """Return the error's own."""
        return error.remedy

    def _pair(self, task: Task, window: FhirWindow) -> Pair:
        """Name the payers; an Organization that cannot be read now costs the name, not the poll."""
        try:
            return self._rules.namer.pairs([task], window)[0]
        except ServerError:
            return NO_PAIR


class BatchSubject:
    """A batch job of the Admin API."""

    def __init__(self, batch_jobs: BatchJobs, id_: str, clock: Clock) -> None:
        self.name = f"job/{id_}"
        self._batch_jobs = batch_jobs
        self._id = id_
        self._clock = clock

    def look(self) -> Observation:
        """Look for the job in the list."""
        return observe_batch(self._batch_jobs.job(self._id), self._clock.wall())

    def remedy(self, error: ServerError) -> str:
        """Return what to do about the Admin API."""
        return remedy_for(error)


@dataclass(frozen=True, slots=True)
class Sources:
    """The clients that subjects are asked through. `batch_jobs` is None where the Admin API is not configured."""

    server: FhirServer
    exports: ExportStatus
    batch_jobs: BatchJobs | None
    payers: PayerRules
    clock: Clock


def _export(sources: Sources, target: str) -> Subject:
    return ExportSubject(sources.exports, target, sources.server.settings.timeout, sources.clock)


def _task(sources: Sources, target: str) -> Subject:
    return TaskSubject(sources.server, target, sources.payers, sources.clock)


def _batch_job(sources: Sources, target: str) -> Subject:
    if sources.batch_jobs is None:
        raise ConfigurationError(("TARGET: a batch job needs --batch-jobs.url and --batch-jobs.module",))
    return BatchSubject(sources.batch_jobs, target, sources.clock)


MAKERS: Mapping[Kind, Callable[[Sources, str], Subject]] = {
    Kind.EXPORT: _export,
    Kind.TASK: _task,
    Kind.BATCH_JOB: _batch_job,
}


def make_subject(sources: Sources, target: Target) -> Subject:
    """Make the subject of a target; raises ConfigurationError for an address that must not be asked."""
    try:
        return MAKERS[target.kind](sources, target.id)
    except TargetRefused as error:
        raise ConfigurationError((f"TARGET: {error} {error.remedy}",)) from None
