"""What `/probe` answers, over real sockets."""

import gzip
from urllib.parse import quote

import pytest

from exporter.errors import TargetRefused
from exporter.metrics.negotiation import Format
from exporter.metrics.probe import ProbeResult
from exporter.probe import Probe, ProbesBusy
from exporter.task.export_job import ExportJob, ExportState

from .fake_backend import FakeBackend, ask, serving

TARGET = "https://cdr.example/fhir/$export-poll-status?_jobId=4f3c"
CANARY = "canary-in-the-target"


def ended(state: ExportState) -> Probe:
    probe = Probe(result=ProbeResult(0.1, ExportJob(state)))
    probe.done.set_result(True)
    return probe


@pytest.mark.parametrize("state", [ExportState.COMPLETED, ExportState.FAILED, ExportState.GONE])
def test_a_probe_is_answered_with_200_whatever_the_state(state: ExportState) -> None:
    backend = FakeBackend(probed=ended(state))
    with serving(backend) as address:
        response, body = ask(address, f"/probe?target={quote(TARGET)}")
    assert (response.status, response.headers["Content-Type"]) == (200, Format.TEXT.value)
    assert f'fhir_export_job_state{{state="{state}"}} 1.0\n' in body.decode()
    assert b"probe_success 1.0\n" in body
    assert backend.targets == [TARGET]
    assert (backend.scrapes, backend.counted) == (0, []), "a probe is no scrape of the Tasks"


def test_a_probe_that_is_not_done_in_time_has_not_succeeded() -> None:
    with serving(FakeBackend()) as address:
        response, body = ask(address, "/probe?target=4f3c", X_Prometheus_Scrape_Timeout_Seconds="0.2")
    assert response.status == 200
    assert b"probe_success 0.0\n" in body
    assert b'fhir_export_job_state{state="unknown"} 1.0\n' in body
    assert b'fhir_export_job_state{state="failed"} 0.0\n' in body


def test_a_probe_can_be_openmetrics_and_compressed() -> None:
    with serving(FakeBackend(probed=ended(ExportState.QUEUED))) as address:
        response, body = ask(
            address, "/probe?target=4f3c", Accept="application/openmetrics-text", Accept_Encoding="gzip"
        )
    assert response.headers["Content-Type"] == Format.OPENMETRICS.value
    assert gzip.decompress(body).endswith(b"# EOF\n")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?target",
        "?Target=a",
        f"?module={CANARY}",
        f"?target={CANARY}&target=b",
        f"?target=a&module={CANARY}",
        f"?target=a&{CANARY}",
        "?target=a&",
    ],
)
def test_a_request_without_exactly_one_target_is_refused(query: str) -> None:
    backend = FakeBackend(probed=ended(ExportState.QUEUED))
    with serving(backend) as address:
        response, body = ask(address, f"/probe{query}")
    assert response.status == 400
    assert b"/probe?target=" in body
    assert CANARY.encode() not in body
    assert backend.targets == []


def test_a_target_that_is_not_allowed_is_refused_with_a_sentence() -> None:
    with serving(FakeBackend(probed=TargetRefused("The target is not ours."))) as address:
        response, body = ask(address, f"/probe?target={CANARY}")
    assert (response.status, response.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert body.startswith(b"The target is not ours. Give the status URL")
    assert CANARY.encode() not in body


def test_too_many_probes_are_refused_with_a_sentence() -> None:
    with serving(FakeBackend(probed=ProbesBusy())) as address:
        response, body = ask(address, "/probe?target=a")
    assert (response.status, body) == (503, b"Too many export jobs are probed at once. Probe fewer, or less often.\n")


def test_only_get_and_head_are_allowed() -> None:
    backend = FakeBackend()
    with serving(backend) as address:
        assert ask(address, "/probe?target=a", method="POST")[0].status == 405
    assert backend.targets == []
