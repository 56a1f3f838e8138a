"""What `check` says of the Admin API."""

import dataclasses

import pytest

from exporter.check import run as check
from exporter.config import Settings
from exporter.demo.server import Response
from exporter.fhir.client import FhirServer, SearchOptions
from exporter.fhir.http import Http
from exporter.task.reasons import classifier

from ...support import admin, fake
from ...support.builders import organization, task
from ...support.canaries import hits
from ...support.fake import Answer
from .case import FHIR, SETTINGS, Case, below


def examined(capsys: pytest.CaptureFixture[str], answer: Answer, settings: Settings = SETTINGS) -> tuple[int, str]:
    clock = fake.HandClock()
    store = fake.store(clock)
    for resource in (organization(), organization("new-payer", "New Payer"), task("t-1")):
        store.put(resource)
    http = Http(FHIR, transport=fake.transport(store))
    server = FhirServer(http, FHIR, SearchOptions(classifier(settings.reasons), 60))
    return check.examine(settings, server, clock, admin.client(answer)[0]), capsys.readouterr().out


def test_the_jobs_of_the_module_are_listed_by_name_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [admin.job(1), admin.job(2, "FAILED"), admin.job(3, "FAILED"), admin.job(4, "COMPLETED", "REINDEX")]
    code, said = examined(capsys, admin.api(*jobs).answer)
    assert code == 0
    assert "OK    batch jobs: module persistence lists 4\n" in said
    assert "INFO  batch jobs: BULK_EXPORT: 1 in_progress, 2 failed\n" in said
    assert "INFO  batch jobs: REINDEX: 1 completed\n" in said
    assert hits(said, admin.CANARY, "job-1") == []


def test_a_module_without_jobs_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = examined(capsys, admin.api().answer)
    assert code == 0
    assert "INFO  batch jobs: module persistence can be read and lists none\n" in said


def test_the_earlier_api_is_read_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        "OK    batch jobs: module persistence lists 1\n"
        in examined(capsys, admin.api(admin.job(), earlier=True).answer)[1]
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_permission_is_named(capsys: pytest.CaptureFixture[str], status: int) -> None:
    code, said = examined(capsys, admin.always(status))
    assert code == 1
    remedy = below(said, "FAIL  batch jobs: admin.example:9000 answered")
    assert "VIEW_BATCH_JOBS" in remedy
    assert "ACCESS_ADMIN_JSON" in remedy


def test_a_login_page_or_an_unknown_module_is_a_failure_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    html = admin.always(200, b"<html>", {"content-type": "text/html"})
    assert "Web Portal" in below(examined(capsys, html)[1], "FAIL  batch jobs:")
    assert "--batch-jobs.module" in below(examined(capsys, admin.always(404))[1], "FAIL  batch jobs:")


def test_an_unknown_status_and_a_cut_list_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = iter(range(10**9))

    def endless(_: object) -> Response:
        return admin.respond({"jobs": {"A": [admin.job(next(numbers), "PAUSED", "A")]}})

    code, said = examined(capsys, endless)
    assert code == 0
    assert "WARN  batch jobs: A: some have a status" in said
    assert "WARN  batch jobs: there are more than" in said


def test_a_fhir_server_that_is_down_hides_no_batch_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    down = Http(dataclasses.replace(FHIR, url="http://127.0.0.1:9/fhir"))
    server = FhirServer(down, FHIR, SearchOptions(classifier(()), 60))
    batch_jobs, _ = admin.client(admin.api(admin.job()).answer)
    code, said = check.examine(SETTINGS, server, fake.HandClock(), batch_jobs), capsys.readouterr().out
    assert code == 1
    assert "FAIL  connect:" in said
    assert "OK    batch jobs: module persistence lists 1\n" in said


def test_without_the_option_nothing_is_said_of_it(case: Case) -> None:
    assert "batch jobs" not in case.run()[1]
