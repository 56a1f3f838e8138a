"""One answer about a bulk export job as a value: the state of the job, and what was exported. Pure.

The HTTP status is judged before the body and its type: HAPI's 404s carry no Content-Type. A failed *poll* (too early,
not authorized, a transient problem of the server) is no failed *job*: it has no ExportJob.

Sources: HL7 Bulk Data 3.0.0 export.html, 4.0.0-ballot; HAPI 8.8.0, measured.

See docs/fhir-quirks.md#q38.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from msgspec.json import Decoder

from . import fhir_json
from .dates import parse_instant
from .export_manifest import Counts, Manifest, decode_manifest
from .fhir_json import decode_or_none
from .model import Instant


class ExportState(StrEnum):
    """The state of an export job; a label."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    FINALIZE = "finalize"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"
    """The server does not know the job: it was purged, or never there."""
    UNKNOWN = "unknown"
    """The server answered with a word or a status that says nothing about the job, or the poll failed."""


ENDED = frozenset({ExportState.COMPLETED, ExportState.FAILED, ExportState.CANCELLED, ExportState.GONE})
"""States that do not change any more."""


@dataclass(frozen=True, slots=True)
class StatusReply:
    """An answer to a request for the status of a job. `progress` is X-Progress, `export_status` X-Export-Status.

    `is_json` says that the Content-Type is one of FHIR's JSON; `date` is the server's own time of the answer.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    is_json: bool = False
    progress: str = ""
    export_status: str = ""
    retry_after_seconds: float | None = None
    expires: Instant | None = None
    date: Instant | None = None

    @property
    def effective_status(self) -> int:
        """The status of the job where a 200 carries it in a header (`Prefer: separate-export-status`)."""
        carried = self.status == HTTPStatus.OK and _STATUS.fullmatch(self.export_status.strip())
        return int(self.export_status) if carried else self.status

    @property
    def files_expire(self) -> Instant | None:
        """Until when files are kept; None for an Expires that only forbids caching: 0, or not after the answer."""
        return self.expires if self.expires is not None and self.expires > (self.date or 0) else None


@dataclass(frozen=True, slots=True)
class ExportJob:
    """An export job as its server describes it now. Instants are the server's.

    `words` are the server's own about a running job, cut and cleaned, for a person at a terminal only: never a label.
    `since` is the time in them; for HAPI when the job was started. The rest is as in `Manifest`, also that of a
    partial manifest of a running job.
    """

    state: ExportState
    progress_ratio: float | None = None
    words: str = ""
    since: Instant | None = None
    retry_after_seconds: float | None = None
    expires: Instant | None = None
    answered_at: Instant | None = None
    manifest: Manifest = field(default_factory=Manifest)

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ENDED

    @property
    def started_at(self) -> Instant | None:
        """When the job began, as far as the server says so."""
        return self.manifest.transaction_time or self.since

    @property
    def files(self) -> Counts:
        """Counts of files by resource type."""
        return self.manifest.files

    @property
    def error_files(self) -> Counts:
        """Counts of files with errors by resource type."""
        return self.manifest.error_files


TRANSIENT = frozenset({"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"})
"""Codes of issues that say: ask again. (FHIR R4, IssueType, transient and what is below it)"""

POLL_FAILED = frozenset(
    {
        *(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED),
        *(HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.REQUEST_TIMEOUT),
        *(HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS),
    }
)
"""Statuses that are about the request, whatever the body says."""

HAPI_STATES: Mapping[str, ExportState] = {
    "QUEUED": ExportState.QUEUED,
    "IN_PROGRESS": ExportState.IN_PROGRESS,
    "ERRORED": ExportState.IN_PROGRESS,
    "FINALIZE": ExportState.FINALIZE,
    "COMPLETED": ExportState.FINALIZE,
    "CANCELLED": ExportState.CANCELLED,
    "FAILED": ExportState.FAILED,
}
"""By HAPI's word in X-Progress of a 202. ERRORED recovers; CANCELLED was answered with 202 for ever before 8.6.0."""

_STATUS = re.compile(r"[1-5][0-9]{2}")
_HAPI_PROGRESS = re.compile(r"Status set to ([A-Za-z_]{1,30})(?: at (\S{1,40}))?")
_QUEUED = re.compile(r"(?i)\b(?:queued|pending)\b")
_FINALIZE = re.compile(r"(?i)\bfinali[sz](?:e|ing)\b")
_PERCENTAGE = re.compile(r"(?<![\w.,-])([0-9]{1,3}(?:\.[0-9]{1,9})?)\s?%")
_CANCELLED = re.compile(rb"(?i)\bwas cancell?ed\b")
_OUTCOME = Decoder(fhir_json.StatusOutcome)
_LONGEST_PROGRESS = 100
"""Characters; the specification's own limit."""


def read_job(reply: StatusReply) -> ExportJob | None:
    """Judge an answer; None if only the poll failed, or if the answer is none of a bulk export."""
    status = reply.effective_status
    if status == HTTPStatus.ACCEPTED:
        return _running(reply)
    if status == HTTPStatus.OK:
        return _completed(reply)
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return _job(reply, ExportState.UNKNOWN)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and reply.retry_after_seconds is not None:
        return None
    state = _ended_badly(status, _outcome(reply.body))
    return None if state is None else _job(reply, state)


def _running(reply: StatusReply) -> ExportJob:
    words = "".join(each for each in reply.progress[:_LONGEST_PROGRESS] if each.isprintable()).strip()
    found = _HAPI_PROGRESS.search(words)
    return ExportJob(
        state=HAPI_STATES.get(found[1].upper(), ExportState.UNKNOWN) if found else _state_in(words),
        progress_ratio=_ratio(words),
        words=words,
        since=parse_instant(found[2]) if found else None,
        retry_after_seconds=reply.retry_after_seconds,
        expires=reply.files_expire,
        answered_at=reply.date,
        manifest=decode_manifest(reply.body) or Manifest(),
    )


def _completed(reply: StatusReply) -> ExportJob | None:
    manifest = decode_manifest(reply.body) if reply.is_json else None
    if manifest is None:
        return None
    return ExportJob(ExportState.COMPLETED, expires=reply.files_expire, answered_at=reply.date, manifest=manifest)


def _job(reply: StatusReply, state: ExportState) -> ExportJob:
    return ExportJob(state, retry_after_seconds=reply.retry_after_seconds, answered_at=reply.date)


def _ended_badly(status: int, outcome: fhir_json.StatusOutcome | None) -> ExportState | None:
    """Judge what is neither success nor progress; None if it is about the poll.

    Without an OperationOutcome only a plain 500 is about the job: a proxy answers the others too.
    """
    issues = (outcome.issue if outcome else None) or []
    if status < HTTPStatus.BAD_REQUEST or status in POLL_FAILED or any(issue.code in TRANSIENT for issue in issues):
        return None
    if status == HTTPStatus.NOT_FOUND and any(_CANCELLED.search(issue.diagnostics) for issue in issues):
        return ExportState.CANCELLED
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return ExportState.GONE
    about_job = outcome is not None or status == HTTPStatus.INTERNAL_SERVER_ERROR
    return ExportState.FAILED if about_job else None


def _outcome(body: bytes) -> fhir_json.StatusOutcome | None:
    outcome = decode_or_none(body, _OUTCOME)
    return outcome if outcome is not None and outcome.resource_type == "OperationOutcome" else None


def _state_in(words: str) -> ExportState:
    """Find a state in a text of any server: running, unless it says more."""
    if _QUEUED.search(words):
        return ExportState.QUEUED
    return ExportState.FINALIZE if _FINALIZE.search(words) else ExportState.IN_PROGRESS


def _ratio(words: str) -> float | None:
    """Read the percentage; None where there is none, more than one, or one over 100."""
    found = _PERCENTAGE.findall(words)
    ratio = float(found[0]) / 100 if len(found) == 1 else None
    return ratio if ratio is not None and ratio <= 1 else None
