import json
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from exporter.config import FhirSettings
from exporter.errors import (
    AuthFailed,
    ExportForbidden,
    NotFhir,
    Redirected,
    ServerError,
    ServerFault,
    TargetRefused,
    Throttled,
    TooLarge,
    Unreachable,
)
from exporter.fhir.body import CAP
from exporter.fhir.export_status import Cancellation, ExportStatus
from exporter.fhir.http import Http
from exporter.task.export_job import ExportState

BASE = "https://cdr.example/fhir"
ADDRESS = f"{BASE}/$export-poll-status?_jobId=4f3c"
CANARY = "PHI-CANARY-77"
JSON = ("Content-Type", "application/json")
MANIFEST = {"transactionTime": "2026-11-22T10:00:00Z", "output": [{"type": "Task", "url": "https://x/1"}]}
Headers = Iterable[tuple[str, str]]


class Token:
    """Credentials that can be renewed once."""

    def __init__(self) -> None:
        self.number = 0

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {CANARY}-{self.number}"}

    def renew(self, refused: object) -> bool:
        self.number += 1
        return self.number == 1


class Server:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: tuple[int, Headers, bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return httpx.Response(status, headers=list(headers), stream=httpx.ByteStream(body))


def exports(server: Any, auth: Token | None = None) -> ExportStatus:
    http = Http(FhirSettings(url=BASE), auth, transport=httpx.MockTransport(server))
    return ExportStatus(http, "$export-poll-status")


def outcome(code: str, diagnostics: str = CANARY) -> bytes:
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


def read(*answer: Any) -> Any:
    return exports(Server(answer)).read(ADDRESS, 5.0)


def failed_poll(*answer: Any) -> ServerError:
    with pytest.raises(ServerError) as failed:
        read(*answer)
    assert CANARY not in str(failed.value)
    assert "_jobId" not in str(failed.value)
    return failed.value


def test_the_headers_of_a_running_job_are_read() -> None:
    progress = "Build in progress - Status set to QUEUED at 2026-11-22T10:00:00.000+00:00"
    job = read(202, [("X-Progress", progress), ("Retry-After", "120")], b"")
    assert (job.state, job.retry_after_seconds, job.words) == (ExportState.QUEUED, 120.0, progress)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("18000", 300.0),
        ("Sun, 22 Nov 2026 10:01:30 GMT", 90.0),
        ("Mon, 22 Nov 2027 10:01:30 GMT", 300.0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_five_minutes_at_most(header: str, seconds: float | None) -> None:
    date = ("Date", "Sun, 22 Nov 2026 10:00:00 GMT")
    assert read(202, [date, ("Retry-After", header)], b"").retry_after_seconds == seconds


def test_a_doubled_date_is_read_once() -> None:
    twice = [("Date", "Sun, 22 Nov 2026 10:00:00 GMT")] * 2
    assert read(202, twice, b"").answered_at == 1_795_341_600_000


def test_a_manifest_and_until_when_its_files_are_kept() -> None:
    headers = [
        *(JSON, ("Date", "Sun, 22 Nov 2026 10:00:00 GMT")),
        ("Expires", "Sun, 22 Nov 2026 12:00:00 GMT"),
    ]
    job = read(200, headers, json.dumps(MANIFEST).encode())
    assert (job.state, job.files, job.expires) == (ExportState.COMPLETED, {"Task": 1}, 1_795_348_800_000)


def test_a_404_without_a_content_type_is_read() -> None:
    assert read(404, [], outcome("not-found", "x was cancelled.  No status")).state is ExportState.CANCELLED
    assert read(404, [], outcome("processing")).state is ExportState.GONE


def test_a_failed_job_keeps_its_message_to_itself() -> None:
    job = read(500, [JSON], CANARY.encode())
    assert job.state is ExportState.FAILED
    assert CANARY not in repr(job)


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (401, [], b"", AuthFailed),
        (403, [], b"", ExportForbidden),
        (429, [("Retry-After", "7")], outcome("throttled"), Throttled),
        (429, [], b"", Throttled),
        (503, [("Retry-After", "7")], b"", Throttled),
        (500, [], outcome("transient"), ServerFault),
        (500, [("Retry-After", "7")], outcome("lock-error"), Throttled),
        (502, [], b"<html>", ServerFault),
        (302, [("Location", "https://evil.example/")], b"", Redirected),
        (200, [("Content-Type", "text/html")], b"<html>log in</html>", NotFhir),
        (200, [JSON], b"{", NotFhir),
        (200, [JSON, ("X-Export-Status", "503")], outcome("transient"), ServerFault),
    ],
)
def test_a_failed_poll_is_an_error_of_its_kind(
    status: int, headers: Headers, body: bytes, error: type[ServerError]
) -> None:
    assert type(failed_poll(status, headers, body)) is error


def test_a_throttled_poll_says_how_long_to_wait() -> None:
    error = failed_poll(429, [("Retry-After", "7")], b"")
    assert isinstance(error, Throttled)
    assert error.wait == 7.0


def test_a_body_over_the_limit_is_refused_whatever_the_status() -> None:
    assert isinstance(failed_poll(500, [], b"x" * (CAP + 1)), TooLarge)


def test_no_connection_is_a_failed_poll() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(CANARY)

    with pytest.raises(Unreachable):
        exports(refuse).read(ADDRESS, 5.0)


def test_credentials_are_sent_and_renewed_once() -> None:
    server = Server((401, [], b""), (202, [], b""))
    assert exports(server, Token()).read(ADDRESS, 5.0).state is ExportState.IN_PROGRESS
    assert [request.headers["authorization"][-1] for request in server.asked] == ["0", "1"]
    assert {str(request.url) for request in server.asked} == {ADDRESS}

    refusing = Server((401, [], b""))
    with pytest.raises(AuthFailed):
        exports(refusing, Token()).read(ADDRESS, 5.0)
    assert len(refusing.asked) == 2


def test_another_address_gets_no_request() -> None:
    server = Server((202, [], b""))
    asking = exports(server, Token())
    with pytest.raises(TargetRefused):
        asking.address("https://evil.example/fhir/$export-poll-status?_jobId=a")
    with pytest.raises(ServerError):
        asking.read("https://evil.example/fhir/$export-poll-status?_jobId=a", 5.0)
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "answer"),
    [(202, Cancellation.ACCEPTED), (204, Cancellation.ACCEPTED), (404, Cancellation.REFUSED)],
)
def test_a_job_is_cancelled_by_delete(status: int, answer: Cancellation) -> None:
    server = Server((status, [], b""))
    assert exports(server).cancel(ADDRESS, 5.0) is answer
    assert [request.method for request in server.asked] == ["DELETE"]


@pytest.mark.parametrize(("status", "error"), [(500, ServerFault), (401, AuthFailed), (429, Throttled)])
def test_a_cancellation_that_fails_is_an_error(status: int, error: type[ServerError]) -> None:
    with pytest.raises(error):
        exports(Server((status, [], CANARY.encode()))).cancel(ADDRESS, 5.0)
