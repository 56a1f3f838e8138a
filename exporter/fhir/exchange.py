"""One question to a server and its answer, while it is read: what is known of it when it fails.

Rule 3 of `http` holds for its messages.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Literal

import httpx

from ..errors import NotFhir, ServerError, TimedOut, TlsExpected, Truncated
from ..task.model import Instant
from .body import read_body
from .faults import network_fault
from .http_status import asks_for_tls, error_for, http_date, is_cached, is_json, stays_open
from .links import BaseUrl

Method = Literal["GET", "DELETE", "POST"]


@dataclass(frozen=True, slots=True)
class Api:
    """What is asked: the option with its address, and what it answers with."""

    option: str
    accept: str
    content: str


FHIR = Api("--fhir.url", "application/fhir+json", "FHIR JSON")
ADMIN = Api("--batch-jobs.url", "application/json", "JSON")
"""Smile CDR's JSON Admin API."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read to its end. `date` is the header's; `cached` is X-Cache's word.

    `headers` are those of an answer of any status, in lower case, the first where one is repeated; else empty.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    date: Instant | None = None
    cached: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and which statuses are no errors: those in `accept`, without a body, or with `any_status` all.

    `headers` and `content` may hold secrets.
    """

    address: str
    operation: StrEnum
    accept: Collection[int] = ()
    method: Method = "GET"
    any_status: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)


class Exchange:
    """A question that was sent: how far its answer came decides which error a failure is."""

    def __init__(self, api: Api, base: BaseUrl, question: Question) -> None:
        self.host_and_port = base.address
        self.api = api
        self.plain = base.scheme == "http"
        self.question = question
        self.operation = question.operation
        self.status: int | None = None
        self.received = 0
        self.stays_open = False

    def read(self, response: httpx.Response) -> Reply:
        """Check status, type, coding and size, in this order, and read the body."""
        self.status, headers = response.status_code, response.headers
        with contextlib.closing(response):
            if self.question.any_status:
                body = self._body(response)
                return Reply(self.status, body, headers={name: headers.get_list(name)[0] for name in headers})
            if self.status in self.question.accept:
                return Reply(self.status)
            error = error_for(self.host_and_port, self.status, headers, self.operation)
            if error is not None:
                raise self._asked_in_plain_http(response) or error
            if not is_json(headers):
                said = f"{self.host_and_port} answered our {self.operation} request with something else than"
                raise NotFhir(f"{said} {self.api.content}.")
            body = self._body(response)
        return Reply(self.status, body, http_date(headers.get("date", "")), is_cached(headers))

    def _body(self, response: httpx.Response) -> bytes:
        headers = response.headers
        body = read_body(self._counted(response), headers.get_list("content-encoding", split_commas=True))
        self.stays_open = stays_open(response.http_version, headers.get_list("connection", split_commas=True))
        return body

    def translate(self, error: Exception) -> ServerError:
        """Choose the ServerError for an error of httpx, by whether the answer had begun."""
        if isinstance(error, httpx.TimeoutException):
            return TimedOut(f"{self.host_and_port} did not answer our {self.operation} request in time.")
        if self.status is not None:
            return Truncated(f"{self.host_and_port} closed the connection before its response was complete.")
        return network_fault(error, self.host_and_port, protocol=isinstance(error, httpx.ProtocolError))

    def _asked_in_plain_http(self, response: httpx.Response) -> TlsExpected | None:
        """Recognize a port for TLS, by the start of what it answers to plain HTTP."""
        if not self.plain or self.status != HTTPStatus.BAD_REQUEST or is_json(response.headers):
            return None
        with contextlib.suppress(httpx.HTTPError, OSError):
            if asks_for_tls(next(self._counted(response), b"")):
                return TlsExpected(f"{self.host_and_port} expects TLS, but {self.api.option} begins with http://.")
        return None

    def _counted(self, response: httpx.Response) -> Iterator[bytes]:
        for chunk in response.iter_raw():
            self.received += len(chunk)
            yield chunk


def safe_cause(error: Exception) -> Exception | None:
    """Keep a cause for tracebacks, except one whose text repeats what the server wrote."""
    return None if isinstance(error, httpx.ProtocolError) else error
