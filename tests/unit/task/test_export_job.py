import json
from typing import Any

import pytest

from exporter.task.export_job import ENDED, TRANSIENT, ExportJob, ExportState, StatusReply, read_job
from exporter.task.export_manifest import MAX_TYPES, decode_manifest

CANARY = "PHI-CANARY-77"
AT = "2026-11-22T10:00:00.000+00:00"
AT_MS = 1_795_341_600_000
MANIFEST = {
    "transactionTime": "2026-11-22T10:00:00.000Z",
    "request": f"https://cdr.example/fhir/$export?patient={CANARY}",
    "requiresAccessToken": True,
    "output": [
        {"type": "Task", "url": f"https://cdr.example/fhir/Binary/{CANARY}"},
        {"type": "Task", "url": f"https://cdr.example/fhir/Binary/{CANARY}2"},
        {"type": "Organization", "url": f"https://cdr.example/fhir/Binary/{CANARY}3"},
    ],
    "error": [],
}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def outcome(code: str | None = None, diagnostics: str = CANARY) -> bytes:
    issue = {"severity": "error", "diagnostics": diagnostics} | ({"code": code} if code else {})
    return body({"resourceType": "OperationOutcome", "issue": [issue]})


def running(progress: str) -> StatusReply:
    return StatusReply(202, progress=progress, retry_after_seconds=120.0)


def completed(manifest: Any, **more: Any) -> StatusReply:
    return StatusReply(200, body(manifest), is_json=True, **more)


def job(reply: StatusReply) -> ExportJob:
    found = read_job(reply)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("progress", "state", "ratio"),
    [
        (f"Build in progress - Status set to QUEUED at {AT}", ExportState.QUEUED, None),
        (f"Build in progress - Status set to IN_PROGRESS at {AT}", ExportState.IN_PROGRESS, None),
        (f"Build in progress - Status set to ERRORED at {AT}", ExportState.IN_PROGRESS, None),
        (f"Build in progress - Status set to FINALIZE at {AT}", ExportState.FINALIZE, None),
        (f"Build in progress - Status set to CANCELLED at {AT}", ExportState.CANCELLED, None),
        (f"Build in progress - Status set to HIBERNATING at {AT}", ExportState.UNKNOWN, None),
        ("Status set to QUEUED", ExportState.QUEUED, None),
        ("", ExportState.IN_PROGRESS, None),
        ("Request is queued", ExportState.QUEUED, None),
        ("finalizing", ExportState.FINALIZE, None),
        ("45% complete", ExportState.IN_PROGRESS, 0.45),
        ("in progress (30%)", ExportState.IN_PROGRESS, 0.3),
        ("12.5 %", ExportState.IN_PROGRESS, 0.125),
        ("0%", ExportState.IN_PROGRESS, 0.0),
        ("100%", ExportState.IN_PROGRESS, 1.0),
        ("101%", ExportState.IN_PROGRESS, None),
        ("-5%", ExportState.IN_PROGRESS, None),
        ("Patient 100%, Claim 20%", ExportState.IN_PROGRESS, None),
        ("12 of 40 patients cancelled", ExportState.IN_PROGRESS, None),
        ("٤٥% complete", ExportState.IN_PROGRESS, None),
        ("step 3 of 7", ExportState.IN_PROGRESS, None),
    ],
)
def test_a_202_is_a_running_job_in_the_state_of_its_words(
    progress: str, state: ExportState, ratio: float | None
) -> None:
    found = job(running(progress))
    assert (found.state, found.progress_ratio) == (state, ratio)
    assert found.retry_after_seconds == 120.0
    assert found.files == {}


def test_the_time_in_hapis_words_is_when_the_job_was_started() -> None:
    assert job(running(f"Build in progress - Status set to IN_PROGRESS at {AT}")).started_at == AT_MS
    assert job(running("Build in progress - Status set to IN_PROGRESS at noon")).started_at is None
    assert job(completed(MANIFEST)).started_at == AT_MS


def test_words_are_cut_and_hold_no_control_characters() -> None:
    assert job(running("almost\x1b[31m there\r\n" + "x" * 500)).words.startswith("almost[31m therexxx")
    assert len(job(running("x" * 500)).words) == 100


def test_a_202_with_a_manifest_is_running_and_has_files_already() -> None:
    partial = StatusReply(202, body(MANIFEST | {"link": [{"relation": "next", "url": CANARY}]}), progress="30%")
    found = job(partial)
    assert (found.state, found.progress_ratio) == (ExportState.IN_PROGRESS, 0.3)
    assert found.files == {"Task": 2, "Organization": 1}
    assert found.manifest.more
    assert not found.ended


@pytest.mark.parametrize("junk", [b"", b"<html>", outcome("informational"), b"[]", b"\xff"])
def test_a_202_with_another_body_is_running(junk: bytes) -> None:
    assert job(StatusReply(202, junk)).state is ExportState.IN_PROGRESS


def test_a_200_with_a_manifest_is_completed_and_counted_by_type() -> None:
    found = job(completed(MANIFEST, expires=AT_MS + 1, date=AT_MS))
    assert found.state is ExportState.COMPLETED
    assert found.files == {"Task": 2, "Organization": 1}
    assert found.error_files == {}
    assert found.manifest.transaction_time == AT_MS
    assert (found.expires, found.answered_at) == (AT_MS + 1, AT_MS)
    assert CANARY not in repr(found)


@pytest.mark.parametrize(("expires", "date"), [(0, None), (AT_MS, AT_MS), (AT_MS - 1, AT_MS), (None, AT_MS)])
def test_an_expires_that_only_forbids_caching_is_none_of_the_files(expires: int | None, date: int | None) -> None:
    assert job(completed(MANIFEST, expires=expires, date=date)).expires is None


@pytest.mark.parametrize(
    "reply",
    [
        StatusReply(200, b"<html>log in</html>", is_json=False),
        StatusReply(200, b"<html>log in</html>", is_json=True),
        StatusReply(200, body(MANIFEST), is_json=False),
        completed({}),
        completed([]),
        completed({"output": "many"}),
        completed({"resourceType": "Bundle", "type": "searchset", "output": []}),
        StatusReply(200, outcome("processing"), is_json=True),
        StatusReply(200, b"[" * 100_000, is_json=True),
    ],
)
def test_a_200_without_a_manifest_says_nothing_about_the_job(reply: StatusReply) -> None:
    assert read_job(reply) is None


@pytest.mark.parametrize(
    ("status", "reply_body", "state"),
    [
        (
            404,
            outcome("not-found", "Job instance <x> was cancelled.  No status to report."),
            ExportState.CANCELLED,
        ),
        (404, outcome("not-found", "The job was canceled"), ExportState.CANCELLED),
        (404, outcome("processing", "HAPI-2040: Unknown instance ID: x."), ExportState.GONE),
        (404, b"", ExportState.GONE),
        (404, b"<html>was cancelled</html>", ExportState.GONE),
        (410, b"", ExportState.GONE),
        (500, outcome(None), ExportState.FAILED),
        (500, outcome("processing"), ExportState.FAILED),
        (500, b"Patient/7 was not readable", ExportState.FAILED),
        (500, b"", ExportState.FAILED),
        (400, outcome("invalid"), ExportState.FAILED),
        (422, outcome("processing"), ExportState.FAILED),
        (503, outcome("processing"), ExportState.FAILED),
        (204, b"", ExportState.UNKNOWN),
    ],
)
def test_other_statuses_say_how_the_job_ended(status: int, reply_body: bytes, state: ExportState) -> None:
    found = job(StatusReply(status, reply_body))
    assert found.state is state
    assert found.words == ""


@pytest.mark.parametrize("code", sorted(TRANSIENT))
@pytest.mark.parametrize("status", [500, 503, 400, 404])
def test_a_transient_outcome_is_a_failed_poll(code: str, status: int) -> None:
    assert read_job(StatusReply(status, outcome(code))) is None


@pytest.mark.parametrize("status", [301, 302, 401, 403, 405, 408, 425, 429])
def test_a_status_about_the_request_is_a_failed_poll_whatever_its_body(status: int) -> None:
    assert read_job(StatusReply(status, outcome("processing"))) is None


@pytest.mark.parametrize("status", [400, 418, 502, 503, 504, 520])
def test_an_error_without_an_outcome_may_come_from_a_proxy(status: int) -> None:
    assert read_job(StatusReply(status, b"<html>Bad Gateway</html>")) is None


def test_a_503_that_says_when_to_ask_again_is_a_failed_poll() -> None:
    assert read_job(StatusReply(503, outcome("processing"), retry_after_seconds=5.0)) is None


@pytest.mark.parametrize(
    ("carried", "reply_body", "state"),
    [
        ("202", b"", ExportState.IN_PROGRESS),
        (" 200 ", body(MANIFEST), ExportState.COMPLETED),
        ("500", outcome("processing"), ExportState.FAILED),
        ("404", outcome("not-found"), ExportState.GONE),
        ("soon", body(MANIFEST), ExportState.COMPLETED),
    ],
)
def test_a_200_may_carry_the_status_of_the_job_in_a_header(carried: str, reply_body: bytes, state: ExportState) -> None:
    assert job(StatusReply(200, reply_body, is_json=True, export_status=carried)).state is state


def test_the_header_counts_in_a_200_only() -> None:
    assert job(StatusReply(202, export_status="500")).state is ExportState.IN_PROGRESS
    assert read_job(StatusReply(200, outcome("transient"), is_json=True, export_status="500")) is None


def test_what_was_exported_with_errors_is_completed_with_error_files() -> None:
    found = job(completed(MANIFEST | {"error": [{"type": "OperationOutcome", "url": CANARY}, {"url": CANARY}]}))
    assert found.state is ExportState.COMPLETED
    assert found.error_files == {"OperationOutcome": 1, "unknown": 1}


def test_outcomes_of_version_4_count_unless_they_say_that_none_is_an_error() -> None:
    files = [
        {"type": "OperationOutcome", "countSeverity": {"information": 3, "error": 0}},
        {"type": "OperationOutcome", "countSeverity": {"information": 3, "error": 1}},
        {"type": "OperationOutcome", "countSeverity": {"fatal": 1}},
        {"type": "OperationOutcome", "countSeverity": "many"},
        {"type": "OperationOutcome"},
    ]
    assert job(completed(MANIFEST | {"outcome": files})).error_files == {"OperationOutcome": 4}


def test_files_without_a_usable_type_are_unknown() -> None:
    odd = [{}, {"type": None}, {"type": 7}, {"type": "x" * 60}, {"type": f"Patient/{CANARY}"}, {"type": ""}, 7, None]
    found = job(completed({"output": odd}))
    assert found.files == {"unknown": len(odd)}


def test_there_are_so_many_types_and_no_more() -> None:
    names = [f"Type{chr(65 + i // 26)}{chr(97 + i % 26)}" for i in range(MAX_TYPES + 20)]
    files = job(completed({"output": [{"type": name} for name in names]})).files
    assert len(files) == MAX_TYPES + 1
    assert files["unknown"] == 20


def test_resources_are_summed_where_the_server_counts_them() -> None:
    files = [{"type": "Task", "count": 5}, {"type": "Task", "count": 2}, {"type": "Task"}, {"type": "X", "count": -1}]
    manifest = decode_manifest(body({"output": files, "deleted": [{"type": "Bundle"}]}))
    assert manifest is not None
    assert manifest.resources == {"Task": 7}
    assert manifest.deleted_files == 1


def test_a_count_that_no_float_can_hold_is_none() -> None:
    files = [{"type": "Task", "count": 10**400}, {"type": "Patient", "count": 10**15}]
    manifest = decode_manifest(body({"output": files}))
    assert manifest is not None
    assert manifest.resources == {"Patient": 10**15}


def test_nothing_in_a_reply_shows_its_body() -> None:
    assert CANARY not in repr(StatusReply(500, CANARY.encode()))


def test_what_has_ended_does_not_change() -> None:
    assert {"completed", "failed", "cancelled", "gone"} == ENDED
