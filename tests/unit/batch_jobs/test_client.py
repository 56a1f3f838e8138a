"""What the Admin API is asked, page by page, and what becomes of each hostile answer."""

import json
from collections.abc import Callable

import pytest

from exporter.batch_jobs.client import COUNT, MOST_JOBS, MOST_PAGES
from exporter.batch_jobs.remedies import remedy_for
from exporter.config import FhirSettings
from exporter.demo.batch_jobs import respond
from exporter.demo.server import Request, Response
from exporter.errors import (
    AuthFailed,
    ClientFault,
    ConfigurationError,
    Forbidden,
    NotFhir,
    Redirected,
    ServerError,
    ServerFault,
    Throttled,
    TimedOut,
    TooLarge,
    Unreachable,
    WrongResource,
)
from exporter.fhir.auth import Anonymous
from exporter.fhir.http import ADMIN, Http

from ...support.admin import BASE, CANARY, always, api, client, job
from ...support.canaries import hits
from ...support.hostile import Listener, drips, head, silent

NEW, OLD = "/batch2-job/modules/persistence", "/batch-job/persistence"


class Token(Anonymous):
    def headers(self) -> dict[str, str]:
        return {"Authorization": "Basic YWRtaW46cGFzc3dvcmQ="}


def test_unfinished_jobs_are_asked_for_first_and_each_list_to_its_end() -> None:
    jobs = [job(n) for n in range(3)] + [job(n, "COMPLETED") for n in range(10, 12)]
    batch_jobs, asked = client(api(*jobs).answer)
    assert [each.id for each in batch_jobs.read().jobs] == [each["id"] for each in jobs]
    assert [(request.path, dict(request.query)) for request in asked.requests] == [
        (NEW, {"start": start, "count": str(COUNT), "ended": ended})
        for ended, start in (("false", "0"), ("false", "3"), ("true", "0"), ("true", "2"))
    ]


def test_it_asks_for_json_with_its_own_credentials_and_never_for_fhir() -> None:
    batch_jobs, asked = client(api(job()).answer, Token())
    batch_jobs.read()
    headers = dict(asked.requests[0].headers)
    assert headers["accept"] == "application/json"
    assert headers["authorization"] == "Basic YWRtaW46cGFzc3dvcmQ="


@pytest.mark.parametrize("most", [1, 7, COUNT, 10**6])
def test_many_pages_are_read_whatever_a_server_gives_at_once(most: int) -> None:
    jobs = [job(n, "COMPLETED" if n % 3 else "QUEUED") for n in range(90)]
    batch_jobs, _ = client(lambda request: _clamped(api(*jobs).answer, request, most))
    found = batch_jobs.read()
    assert {each.id for each in found.jobs} == {each["id"] for each in jobs}
    assert len(found.jobs) == 90
    assert found.complete


def _clamped(answer: Callable[[Request], Response], request: Request, most: int) -> Response:
    query = dict(request.query)
    query["count"] = str(min(int(query["count"]), most))
    return answer(request._replace(query=tuple(query.items())))


def test_a_server_that_pages_each_name_by_itself_is_read_to_the_end() -> None:
    lists = {name: [job(f"{name}-{n}", name=name) for n in range(350)] for name in ("A", "B", "C")}  # type: ignore[arg-type]

    def answer(request: Request) -> Response:
        query = dict(request.query)
        start, count = int(query["start"]), int(query["count"])
        return respond({"jobs": {name: each[start : start + count] for name, each in lists.items()}})

    found = client(answer)[0].read()
    assert (len(found.jobs), found.complete) == (1050, True)


def test_a_server_that_obeys_no_parameter_is_read_once() -> None:
    body = json.dumps({"jobs": {"A": [job(n) for n in range(30)]}}).encode()
    batch_jobs, asked = client(always(200, body))
    assert len(batch_jobs.read().jobs) == 30
    assert asked.count == 3


def test_a_list_without_end_is_cut_and_said_to_be() -> None:
    numbers = iter(range(10**9))
    batch_jobs, asked = client(lambda _: respond({"jobs": {"A": [job(next(numbers))]}}))
    found = batch_jobs.read()
    assert not found.complete
    assert asked.count <= MOST_PAGES + 1


def test_a_hundred_thousand_jobs_are_cut_with_the_unfinished_ones_kept() -> None:
    ended = [{"id": n, "name": "A", "status": "COMPLETED"} for n in range(100_000)]
    running = {"id": "r", "name": "A", "status": "IN_PROGRESS"}

    def answer(request: Request) -> Response:
        return respond({"jobs": {"A": ended if dict(request.query)["ended"] == "true" else [running]}})

    found = client(answer)[0].read()
    assert len(found.jobs) == MOST_JOBS
    assert found.jobs[0].id == "r"
    assert not found.complete


def test_the_earlier_api_is_asked_where_the_later_one_is_unknown() -> None:
    batch_jobs, asked = client(api(job(1), job(2, "FAILED"), earlier=True).answer)
    assert [each.status.value for each in batch_jobs.read().jobs] == ["in_progress", "failed"]
    assert [request.path for request in asked.requests] == [NEW, OLD]


def test_one_job_is_found_by_its_id_without_reading_on() -> None:
    batch_jobs, asked = client(api(*(job(n) for n in range(500))).answer)
    found = batch_jobs.job("job-7")
    assert found is not None
    assert (found.id, asked.count) == ("job-7", 1)
    assert batch_jobs.job("job-500") is None


@pytest.mark.parametrize(
    ("answer", "error", "remedy"),
    [
        (always(401), AuthFailed, "--batch-jobs.password-file"),
        (always(403), Forbidden, "VIEW_BATCH_JOBS"),
        (always(404), ClientFault, "--batch-jobs.module"),
        (always(420), ClientFault, "--batch-jobs.url"),
        (always(500, CANARY.encode()), ServerFault, "log of the Admin API"),
        (always(429, headers={"retry-after": "90"}), Throttled, "waits as asked"),
        (always(302, headers={"location": "http://evil.example/"}), Redirected, "--batch-jobs.url"),
        (always(200, b"<html>login</html>", {"content-type": "text/html"}), NotFhir, "login page"),
        (always(200, CANARY.encode()), NotFhir, "login page"),
        (always(200, b'{"resourceType":"Bundle"}'), WrongResource, "--batch-jobs.url"),
        (always(200, b"x" * (17 * 1024 * 1024)), TooLarge, "purge"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_each_bad_answer_is_an_error_of_its_class_with_a_remedy_about_the_right_option(
    answer: Callable[[Request], Response], error: type[ServerError], remedy: str
) -> None:
    batch_jobs, asked = client(answer, Token())
    with pytest.raises(error) as raised:
        batch_jobs.read()
    assert type(raised.value) is error
    said = f"{raised.value} {remedy_for(raised.value)}"
    assert remedy in said
    assert "--fhir." not in said
    assert hits(said, CANARY) == []
    assert all(url.startswith(BASE) for url in asked.urls)


@pytest.mark.parametrize(
    "play", [silent, drips(head("Content-Length: 99"), b" "), drips(b"", b"HTTP/1.1 103 E\r\n\r\n")]
)
def test_a_slow_answer_ends_at_the_timeout(play: Callable[..., None]) -> None:
    with Listener(play) as server:
        http = Http(FhirSettings(url=server.base, timeout=0.3), api=ADMIN)
        batch_jobs, _ = client(always(200))
        batch_jobs.http = http
        with pytest.raises(TimedOut):
            batch_jobs.read()


def test_a_port_where_nothing_listens_is_said_of_the_right_option() -> None:
    with Listener(silent) as server:
        base = server.base
    batch_jobs, _ = client(always(200))
    batch_jobs.http = Http(FhirSettings(url=base, timeout=1), api=ADMIN)
    with pytest.raises(Unreachable) as raised:
        batch_jobs.read()
    assert "--batch-jobs.url" in remedy_for(raised.value)
    assert "FHIR" not in remedy_for(raised.value)


def test_a_bad_address_is_reported_under_its_own_option() -> None:
    with pytest.raises(ConfigurationError, match=r"--batch-jobs\.url: must be"):
        Http(FhirSettings(url="http://admin.example/a?b"), api=ADMIN)
