"""The batch jobs of the demo follow from the time alone."""

import json
from collections import Counter

import pytest

from exporter.batch_jobs.decode import decode_page
from exporter.batch_jobs.model import JobList, figures
from exporter.demo.app import Demo
from exporter.demo.batch_jobs import KEPT, MODULE, jobs_at
from exporter.demo.server import Request

from ...support.fake import START, HandClock


@pytest.mark.parametrize("speed", [0.1, 60.0, 100_000.0])
def test_there_are_as_many_jobs_at_any_speed(speed: float) -> None:
    assert len(jobs_at(START + 3_600_000, START, speed)) == KEPT + 1


def test_a_job_goes_on_and_ends_as_time_passes() -> None:
    seen = [
        next((job["status"] for job in jobs_at(START + 1000 * second, START, 60) if job["id"] == "job-100000"), None)
        for second in range(1000)
    ]
    words = list(dict.fromkeys(seen))
    assert words == ["QUEUED", "IN_PROGRESS", "COMPLETED", None]


def test_some_jobs_run_some_failed_and_most_completed() -> None:
    body = json.dumps({"jobs": {"x": jobs_at(START, START, 60)}}).encode()
    found = figures(JobList(decode_page(body, 100).jobs))
    by_status = Counter[str]()
    for (_, status), count in found.jobs.items():
        by_status[status] += count
    assert by_status["completed"] > by_status["failed"] >= 1
    assert found.oldest_unfinished


def test_the_demo_answers_its_admin_api_beside_its_fhir_server() -> None:
    demo = Demo(HandClock(), "http://demo.example/fhir")
    answer = demo.answer(Request("GET", f"/admin/batch2-job/modules/{MODULE}", (("count", "5"),)))
    assert answer.status == 200
    assert len(decode_page(answer.body, 100).jobs) == 5
    assert demo.answer(Request("GET", "/admin/other")).status == 404
    assert demo.answer(Request("GET", "/fhir/Task")).status == 200
