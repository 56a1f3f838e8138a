"""A whole exporter probes export jobs on a server that plays docs/fhir-quirks.md#q38."""

import logging
import re

import pytest

from exporter.errors import TargetRefused
from exporter.metrics.negotiation import Format
from exporter.metrics.probe import render

from ..support import export_jobs
from ..support.export_jobs import SECRET
from ..support.fake import START
from ..support.rig import Rig

HANGS = 30.0


def probed(rig: Rig, job: str) -> dict[str, float]:
    probe = rig.probes.start(job)
    assert probe.done.result(HANGS)
    assert probe.result is not None
    text = "".join(render(probe.result, form).decode() for form in Format)
    assert SECRET not in text
    assert f'"{job}"' not in re.sub(r'state="[a-z_]*"', "", text)
    found = re.findall(r'^(\w+)(?:\{(?:state|type)="(\w+)"\})? (\S+)$', text, re.MULTILINE)
    return {f"{name}:{label}" if label else name: float(value) for name, label, value in found}


def state(found: dict[str, float]) -> str:
    (one,) = (name.partition(":")[2] for name, value in found.items() if "_state:" in name and value == 1)
    return one


@pytest.fixture
def rig() -> Rig:
    return Rig(answer=export_jobs.answer).start()


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("queued", "queued"),
        ("in-progress", "in_progress"),
        ("errored", "in_progress"),
        ("finalize", "finalize"),
        ("cancelled-old", "cancelled"),
        ("percentage", "in_progress"),
        ("partial", "in_progress"),
        ("completed", "completed"),
        ("with-errors", "completed"),
        ("outcome-v4", "completed"),
        ("expiring", "completed"),
        ("separate-status", "failed"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("purged", "gone"),
        ("never-there", "gone"),
    ],
)
def test_the_state_of_a_job_is_read(rig: Rig, job: str, expected: str) -> None:
    found = probed(rig, job)
    assert (found["probe_success"], state(found)) == (1, expected)


@pytest.mark.parametrize("job", ["too-many", "transient", "unauthorized", "proxy", "login-page"])
def test_a_failed_poll_is_not_a_failed_job(rig: Rig, job: str) -> None:
    found = probed(rig, job)
    assert (found["probe_success"], state(found)) == (0, "unknown")


def test_what_a_running_job_shows(rig: Rig) -> None:
    found = probed(rig, "queued")
    assert found["fhir_export_job_retry_after_seconds"] == 120
    assert found["fhir_export_job_duration_seconds"] == 100
    assert "fhir_export_job_progress_ratio" not in found
    found = probed(rig, "percentage")
    assert found["fhir_export_job_progress_ratio"] == 0.3
    assert found["fhir_export_job_retry_after_seconds"] == 300


def test_what_a_completed_job_shows(rig: Rig) -> None:
    found = probed(rig, "expiring")
    assert {name: value for name, value in found.items() if "_files:" in name} == {
        "fhir_export_job_files:Task": 2,
        "fhir_export_job_files:Organization": 1,
        "fhir_export_job_files:unknown": 1,
    }
    assert found["fhir_export_job_transaction_timestamp_seconds"] == START / 1000 - 100
    assert found["fhir_export_job_expires_timestamp_seconds"] == START / 1000 + 7200
    assert "fhir_export_job_duration_seconds" not in found, "nobody saw when it ended"
    assert probed(rig, "with-errors")["fhir_export_job_error_files:OperationOutcome"] == 1
    assert probed(rig, "outcome-v4")["fhir_export_job_error_files:unknown"] == 1


def test_probes_leave_tasks_polls_and_the_worker_alone(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    before = rig.worker.up, rig.worker.rest_seconds(), rig.worker.busy
    for job in export_jobs.ANSWERS:
        probed(rig, job)
    assert (rig.worker.up, rig.worker.rest_seconds(), rig.worker.busy) == before
    assert SECRET not in caplog.text
    assert "_jobId" not in caplog.text


def test_no_other_address_is_asked(rig: Rig) -> None:
    for target in ("http://fhir.example/fhir/Patient?_jobId=a", "http://evil.example/$export-poll-status?_jobId=a"):
        with pytest.raises(TargetRefused):
            rig.probes.start(target)
    assert rig.transport.count == 0
