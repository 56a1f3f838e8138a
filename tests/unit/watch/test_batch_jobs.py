"""`watch job/<id>`: a batch job of the Admin API."""

from typing import Any

import pytest

from exporter.batch_jobs.remedies import PERMISSIONS
from exporter.config import BatchJobsSettings, FhirSettings, Settings
from exporter.demo.batch_jobs import MODULE, AdminApi, Job
from exporter.demo.server import Request, Response
from exporter.errors import ConfigurationError
from tests.support import admin, fake
from tests.support.canaries import hits
from tests.support.fake import HandClock
from tests.support.watching import Watching, in_turn

EARLIER = "2026-11-20T11:00:00.000Z"
"""An hour before START."""
LATER = "2026-11-20T12:01:00.000Z"
SETTINGS = Settings(fhir=FhirSettings(url=fake.BASE), batch_jobs=BatchJobsSettings(url=admin.BASE, module=MODULE))
TARGET = "job/job-1"


def job(status: str, **elements: Any) -> Job:
    return admin.job(1, status, createTime=EARLIER, startTime=EARLIER, **elements)


def watching(capsys: Any, *versions: Job | None) -> Watching:
    """A job whose next version is there at each poll."""
    left = list(versions)
    api = AdminApi(lambda: [each for each in (admin.job(2), left[0]) if each])
    watch = Watching(api.answer, HandClock(), capsys)
    watch.meanwhile = lambda _: left.__delitem__(0)
    return watch


@pytest.mark.parametrize(("last", "code"), [("completed", 0), ("failed", 1), ("cancelled", 1)])
def test_a_batch_job_is_followed_to_its_end(capsys: Any, last: str, code: int) -> None:
    end = job(last.upper(), endTime=LATER, errorCount=2)
    watch = watching(capsys, job("QUEUED"), job("IN_PROGRESS", progress=0.25), job("ERRORED"), end)
    assert watch(TARGET, SETTINGS) == code
    lines, errors = watch.printed()
    assert [line.partition("Z ")[2] for line in lines] == [
        "queued, elapsed 1h, BULK_EXPORT",
        "in_progress, 25%, elapsed 1h, BULK_EXPORT",
        "errored, elapsed 1h, BULK_EXPORT",
        f"{last}, after 1h1m, BULK_EXPORT, errors 2",
    ]
    assert watch.pauses == [10, 10, 10]
    assert hits("\n".join(lines + errors), admin.CANARY, "job-1") == []


def test_a_status_that_is_not_known_has_ended_when_there_is_an_end(capsys: Any) -> None:
    watch = watching(capsys, job("FLYING"), job("FLYING", endTime=LATER))
    assert watch(TARGET, SETTINGS) == 1
    assert watch.printed()[0][-1].endswith("unknown, after 1h1m, BULK_EXPORT")


def test_a_job_that_is_not_listed_is_gone(capsys: Any) -> None:
    watch = watching(capsys, job("QUEUED"), None)
    assert watch(TARGET, SETTINGS) == 1
    assert watch.printed()[0][-1].startswith("The Admin API lists no such job")


def test_json_has_what_is_counted_and_no_member(capsys: Any) -> None:
    watch = watching(capsys, job("COMPLETED", endTime=LATER, combinedRecordsProcessed=7))
    assert watch(TARGET, SETTINGS, output="json") == 0
    status, _ = watch.objects()
    assert status == {
        "time": "2026-11-20T12:00:00.000Z",
        "event": "status",
        "kind": "batch_job",
        "state": "completed",
        "elapsed_seconds": 3660.0,
        "name": "BULK_EXPORT",
        "errors": 0,
        "records": 7,
    }


def test_a_failed_poll_has_the_remedy_of_the_admin_api(capsys: Any) -> None:
    watch = Watching(in_turn(Response(403, (), b"")), HandClock(), capsys)
    assert watch(TARGET, SETTINGS) == 1
    assert watch.printed()[1][1] == PERMISSIONS


def test_the_fhir_server_is_not_asked(capsys: Any) -> None:
    watch = watching(capsys, job("COMPLETED", endTime=LATER))
    watch(TARGET, SETTINGS)
    assert {url.startswith(admin.BASE) for url in watch.transport.urls} == {True}
    assert set(watch.methods) == {"GET"}


def test_without_the_admin_api_there_is_none(capsys: Any) -> None:
    def answer(_: Request) -> Response:
        raise AssertionError("asked")

    with pytest.raises(ConfigurationError, match="needs --batch-jobs"):
        Watching(answer, HandClock(), capsys)(TARGET)


def test_a_batch_job_is_not_cancelled(capsys: Any) -> None:
    with pytest.raises(ConfigurationError, match="a batch job is never changed"):
        watching(capsys, job("QUEUED"))(TARGET, SETTINGS, cancel=True)
