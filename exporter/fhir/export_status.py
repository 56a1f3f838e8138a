"""The status of an export job, asked for and cancelled: the client side of HL7 Bulk Data's status request.

What an answer means is judged in `task/export_job`; here its headers are read, and what is only a failed poll becomes
the error of its kind.

See docs/design.md#export-jobs.
"""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

from ..errors import ExportForbidden, NotFhir, ServerError, ServerFault, Throttled
from ..metrics.vocabulary import Operation
from ..task.export_job import ExportJob, StatusReply, read_job
from .export_target import status_address
from .http import Http, Reply
from .http_status import error_for, http_date, is_json, retry_after


class Cancellation(StrEnum):
    """What the server answered to the request to cancel a job."""

    ACCEPTED = "accepted"
    """The job will be cancelled. HAPI shows it within a minute."""
    REFUSED = "refused"
    """The job has ended already, or the server does not know it."""


class ExportStatus:
    """Asks for the status of export jobs of one server. `path` is `--probe.path`.

    One thread at a time, as its Http wants it.
    """

    def __init__(self, http: Http, path: str) -> None:
        self._http = http
        self._path = path

    def address(self, target: str) -> str:
        """Return the address of a status URL, or of a job id; raises TargetRefused."""
        return status_address(self._http.base, self._path, target)

    def read(self, address: str, seconds: float) -> ExportJob:
        """Ask for the status within `seconds`; raises a ServerError where only this poll failed."""
        with self._http.session(seconds) as session:
            reply = status_reply(session.ask(address, Operation.READ))
        job = read_job(reply)
        if job is None:
            raise self._error(reply)
        return job

    def cancel(self, address: str, seconds: float) -> Cancellation:
        """Ask the server to cancel a job; raises a ServerError where it does neither that nor refuse."""
        with self._http.session(seconds) as session:
            reply = status_reply(session.ask(address, Operation.READ, "DELETE"))
        if reply.status < HTTPStatus.MULTIPLE_CHOICES:
            return Cancellation.ACCEPTED
        if reply.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT}:
            return Cancellation.REFUSED
        raise self._error(reply)

    def close(self) -> None:
        """End the connection that is kept, if one is."""
        self._http.close()

    def _error(self, reply: StatusReply) -> ServerError:
        """Choose the error of an answer that is not about the job."""
        status, wait = reply.effective_status, reply.retry_after_seconds
        said = f"{self._http.host_and_port} answered {status} to our request for the status of an export job."
        if status == HTTPStatus.FORBIDDEN:
            return ExportForbidden(said)
        if status == HTTPStatus.OK:
            return NotFhir(f"{self._http.host_and_port} answered our request for an export job without a manifest.")
        asks_to_wait = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if asks_to_wait and wait is not None:
            return Throttled(said, wait)
        return error_for(self._http.host_and_port, status, {}, Operation.READ) or ServerFault(said)


def status_reply(reply: Reply) -> StatusReply:
    """Read the headers that say something about a job."""
    headers: Mapping[str, str] = reply.headers
    return StatusReply(
        status=reply.status,
        body=reply.body,
        is_json=is_json(headers),
        progress=headers.get("x-progress", ""),
        export_status=headers.get("x-export-status", ""),
        retry_after_seconds=retry_after(headers),
        expires=http_date(headers.get("expires", "")),
        date=http_date(headers.get("date", "")),
    )
