"""The JSON of the Admin API, both generations: what is read of it, and what never is."""

import json
from typing import Any

import pytest

from exporter.batch_jobs.decode import decode_page, decode_spring
from exporter.batch_jobs.model import BatchJob
from exporter.demo.batch_jobs import spring
from exporter.errors import NotFhir, WrongResource
from exporter.metrics.vocabulary import BatchJobStatus

from ...support.admin import CANARY, FIRST, job
from ...support.canaries import hits

AT = 1_795_186_800_000
"""FIRST as an instant."""


def read(*jobs: object, name: str = "BULK_EXPORT") -> tuple[BatchJob, ...]:
    return decode_page(json.dumps({"jobs": {name: list(jobs)}}).encode(), 1000).jobs


def one(**elements: Any) -> BatchJob:
    (found,) = read(job(**elements))
    return found


def test_a_job_is_read_in_either_spelling() -> None:
    read_as = BatchJob("BULK_EXPORT", "job-1", BatchJobStatus.IN_PROGRESS, AT, AT, None, 2, 300, 0.5)
    further = {"errorCount": 2, "combinedRecordsProcessed": 300, "progress": 0.5}
    assert one(**further) == read_as
    assert one(**further, name=None, id=None, jobDefinitionId="BULK_EXPORT", instanceId="job-1") == read_as


@pytest.mark.parametrize("status", [each for each in BatchJobStatus if each is not BatchJobStatus.UNKNOWN])
def test_every_status_of_hapi_is_known(status: BatchJobStatus) -> None:
    assert one(status=status.name).status is status


@pytest.mark.parametrize("word", ["", "PAUSED", CANARY, None, 7, ["FAILED"], "x" * 100_000])
def test_any_other_status_is_unknown(word: object) -> None:
    assert one(status=word).status is BatchJobStatus.UNKNOWN


@pytest.mark.parametrize(
    ("status", "shown"),
    [("IN_PROGRESS", "cancelled"), ("QUEUED", "cancelled"), ("COMPLETED", "completed"), ("FAILED", "failed")],
)
def test_a_cancelled_job_is_cancelled_before_its_status_says_so(status: str, shown: str) -> None:
    assert one(status=status, cancelled=True).status == shown
    assert one(status=status, cancelled=False).status == status.lower()


@pytest.mark.parametrize("name", ["", "with space", "ümlaut", "a" * 81, "a\nb", CANARY * 1000, '"} 1\nevil{x="'])
def test_a_name_that_is_no_label_is_other(name: str) -> None:
    assert read(job(name=name), name=name)[0].name == "other"


def test_the_name_of_the_list_stands_in_for_a_missing_one() -> None:
    assert read(job(name=None), name="REINDEX")[0].name == "REINDEX"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "element", ["createTime", "startTime", "errorCount", "combinedRecordsProcessed", "progress", "id"]
)
@pytest.mark.parametrize("value", [None, -1, 10**400, {}, [[]], "2026-11-20", "text", True, 1e308])
def test_an_odd_element_costs_neither_the_job_nor_the_list(element: str, value: object) -> None:
    odd, good = read({**job(1), element: value}, job(2))
    assert (odd.name, odd.status, good.id) == ("BULK_EXPORT", BatchJobStatus.IN_PROGRESS, "job-2")


@pytest.mark.parametrize("raw", [None, 7, "job", [], [[1]]])
def test_what_is_no_job_counts_once_in_status_unknown(raw: object) -> None:
    first, second = read(raw), read(raw)
    assert first == second
    assert (first[0].name, first[0].status, first[0].errors) == ("BULK_EXPORT", BatchJobStatus.UNKNOWN, 0)


def test_at_most_so_many_jobs_are_made() -> None:
    page = decode_page(json.dumps({"jobs": {"A": [job(n) for n in range(50)], "B": [job(99)]}}).encode(), 10)
    assert (len(page.jobs), page.longest) == (10, 50)


@pytest.mark.parametrize("read_body", [decode_page, decode_spring])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"jobs":', b"\xff", b'{"x":' + b"[" * 100_000, b'{"jobs":{}} x'])
def test_what_is_no_json_is_refused_without_its_text(read_body: Any, body: bytes) -> None:
    with pytest.raises(NotFhir, match="is not JSON"):
        read_body(body, 10)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"jobs":[]}', b'{"jobs":{"A":{}}}', b'"CanaryMember48213"'])
def test_json_of_another_shape_is_refused_without_its_text(body: bytes) -> None:
    for read_body in (decode_page, decode_spring):
        with pytest.raises(WrongResource) as raised:
            read_body(body, 10)
        assert raised.value.__cause__ is None
        assert hits(str(raised.value), CANARY) == []


def test_nothing_of_a_member_is_read() -> None:
    """Not even by repr: only what is in the allow-list becomes a value."""
    for found in (read(job(1)), decode_spring(json.dumps(_spring_with_canaries()).encode(), 10)):
        assert found
        assert hits(repr([{name: getattr(each, name) for name in BatchJob.__slots__} for each in found]), CANARY) == []


def _spring_with_canaries() -> object:
    execution = {
        "id": 9,
        "status": "FAILED",
        "exitStatus": {"exitCode": "FAILED", "exitDescription": f"Patient/{CANARY}"},
        "jobParameters": {"patient": CANARY},
        "allFailureExceptions": [CANARY],
        "executionContext": {"member": CANARY},
    }
    return {"jobInstances": [{"id": 1, "jobName": "bulkExportJob", "jobExecutions": [execution]}]}


# Until 2023.


def spring_one(execution: dict[str, Any]) -> BatchJob:
    body = {"jobInstances": [{"id": 5, "jobName": "bulkExportJob", "jobExecutions": [execution]}]}
    (found,) = decode_spring(json.dumps(body).encode(), 10)
    return found


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("STARTING", "queued"),
        ("STARTED", "in_progress"),
        ("STOPPING", "in_progress"),
        ("STOPPED", "cancelled"),
        ("ABANDONED", "cancelled"),
        ("COMPLETED", "completed"),
        ("FAILED", "failed"),
        ("UNKNOWN", "unknown"),
        ("NEW_WORD", "unknown"),
    ],
)
def test_every_status_of_spring_batch_has_one_of_ours(status: str, shown: str) -> None:
    assert spring_one({"id": 1, "status": status}).status == shown


@pytest.mark.parametrize("exit_status", ["FAILED", {"exitCode": "FAILED"}, {"exitCode": "FAILED", "running": False}])
def test_the_exit_status_stands_in_for_a_missing_status(exit_status: object) -> None:
    assert spring_one({"id": 1, "exitStatus": exit_status}).status is BatchJobStatus.FAILED


def test_the_last_execution_is_the_state_of_a_job() -> None:
    executions = [
        {"id": 2, "status": "STARTED", "createTime": FIRST},
        {"id": 1, "status": "FAILED", "createTime": "2026-11-19T10:00:00Z", "endTime": "2026-11-19T11:00:00Z"},
    ]
    body = {"jobInstances": [{"id": 5, "jobName": "bulkExportJob", "jobExecutions": executions}]}
    assert decode_spring(json.dumps(body).encode(), 10) == (
        BatchJob("bulkExportJob", "5", BatchJobStatus.IN_PROGRESS, AT),
    )


def test_executions_may_stand_beside_their_instances() -> None:
    body = {
        "jobInstances": [{"instanceId": 5, "jobName": "bulkExportJob"}, {"id": 6, "jobName": "reindexJob"}],
        "jobExecutions": [
            {"id": 50, "jobInstanceId": 5, "status": "COMPLETED", "startTime": FIRST, "endTime": FIRST},
            {"id": 70, "jobInstance": {"id": 7, "jobName": "expungeJob"}, "status": "STARTED"},
        ],
    }
    found = {each.name: each for each in decode_spring(json.dumps(body).encode(), 10)}
    assert {name: each.status.value for name, each in found.items()} == {
        "bulkExportJob": "completed",
        "reindexJob": "unknown",
        "expungeJob": "in_progress",
    }
    assert found["bulkExportJob"].id == "5"


def test_both_generations_tell_the_same_of_the_same_jobs() -> None:
    jobs = [job(1, "QUEUED"), job(2), job(3, "CANCELLED"), job(4, "COMPLETED", endTime=FIRST), job(5, "FAILED")]
    assert decode_spring(json.dumps(spring(jobs)).encode(), 10) == read(*jobs)
