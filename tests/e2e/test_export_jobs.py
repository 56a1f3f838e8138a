"""A real Prometheus probes HAPI's real `$export` through a real exporter: running and ended.

HAPI moves batch jobs on once a minute, so this takes four to five minutes whatever the machine.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from exporter.config import FhirSettings
from exporter.fhir.export_status import Cancellation, ExportStatus
from exporter.fhir.http import Http
from exporter.task.export_job import ExportState

from ..support.builders import task
from .hapi_server import HapiServer, hapi, load_tasks, require_hapi
from .process import Process, exporter, total
from .prometheus import Prometheus, prometheus, require_prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SHIPPED = Path(__file__).parents[2] / "grafana" / "prometheus-export-jobs.yaml"
ENDS_WITHIN = 600.0
"""Seconds; HAPI takes four minutes when the machine is idle."""
PURGED = "00000000-0000-0000-0000-000000000000"
UNREADABLE_FILTER = "Task%3Fbogus%3D1"
"""HAPI takes it at the kick-off, and the job fails on it."""


@pytest.fixture(scope="module")
def server() -> Iterator[HapiServer]:
    require_hapi()
    require_prometheus()
    with hapi() as running:
        load_tasks(running.base, [task(f"exported-{number}") for number in range(25)])
        yield running


def started(server: HapiServer, query: str) -> str:
    """Start an export; gives its status URL."""
    answer = server.http.get(f"{server.base}/$export?{query}", headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    return answer.headers["Content-Location"]


def job_id(url: str) -> str:
    return url.partition("_jobId=")[2]


def write(targets: Path, *jobs: str) -> None:
    """Let Prometheus probe these: whoever starts an export writes such a file."""
    fresh = targets.with_suffix(".new")
    fresh.write_text(json.dumps([{"targets": jobs}]))
    fresh.replace(targets)


def shipped(process: Process, targets: Path) -> dict[str, Any]:
    """Take the scrape job that we ship, each second, with the addresses of this test."""
    (job,) = yaml.safe_load(SHIPPED.read_text("utf-8"))["scrape_configs"]
    (address,) = (each for each in job["relabel_configs"] if each["target_label"] == "__address__")
    address["replacement"] = process.url.removeprefix("http://")
    job["file_sd_configs"] = [{"files": [str(targets)], "refresh_interval": "1s"}]
    return {"scrape_configs": [job | {"scrape_interval": "1s", "scrape_timeout": "1s"}]}


def until_state(server: Prometheus, url: str, state: ExportState, seconds: float = 60) -> None:
    server.until(f'fhir_export_job_state{{instance="{job_id(url)}", state="{state}"}} == 1', 1, seconds)


def probe(process: Process, target: str) -> httpx.Response:
    return httpx.get(f"{process.url}/probe", params={"target": target}, timeout=60, trust_env=False)


def reads(process: Process) -> float:
    return total(process.scrape(), "fhir_task_exporter_requests_total", operation="read")


def test_export_jobs_are_seen_to_run_to_complete_to_fail_and_to_be_cancelled(
    server: HapiServer, tmp_path: Path
) -> None:
    good, bad = (
        started(server, "_type=Task,Organization"),
        started(server, f"_type=Task&_typeFilter={UNREADABLE_FILTER}"),
    )
    targets = tmp_path / "targets.json"
    write(targets)
    with exporter(server.base, tmp_path) as process, prometheus(shipped(process, targets), tmp_path) as watching:
        write(targets, good, bad)
        until_state(watching, good, ExportState.QUEUED)
        watching.until(f'count_over_time(probe_success{{instance="{job_id(good)}"}}[1h]) >= bool 5', 1)
        assert reads(process) == 2, "within its Retry-After each job is asked for once"

        dropped = started(server, "_type=Task")
        with closing(ExportStatus(Http(FhirSettings(url=server.base)), "$export-poll-status")) as asking:
            assert asking.cancel(asking.address(dropped), 30.0) is Cancellation.ACCEPTED
            assert asking.cancel(asking.address(dropped), 30.0) is Cancellation.REFUSED
        write(targets, good, bad, dropped, PURGED)
        until_state(watching, dropped, ExportState.CANCELLED)
        until_state(watching, f"_jobId={PURGED}", ExportState.GONE)

        until_state(watching, bad, ExportState.FAILED, ENDS_WITHIN)
        until_state(watching, good, ExportState.COMPLETED, ENDS_WITHIN)
        assert watching.values(f'fhir_export_job_files{{instance="{job_id(good)}"}}', "type") == {"Task": 1}
        assert watching.value(f'fhir_export_job_error_files{{instance="{job_id(good)}"}}') is None
        duration = watching.value(f'fhir_export_job_duration_seconds{{instance="{job_id(good)}"}}')
        assert duration is not None
        assert 0 < duration < ENDS_WITHIN + 120
        began = watching.value(f'fhir_export_job_transaction_timestamp_seconds{{instance="{job_id(good)}"}}')
        assert began is not None
        assert abs(time.time() - began) < ENDS_WITHIN + 120
        assert watching.query("probe_success == 0") == []
        assert "bogus" not in probe(process, bad).text + process.log.read_text()


def test_what_is_no_export_job_of_this_server_is_refused(server: HapiServer, tmp_path: Path) -> None:
    with exporter(server.base, tmp_path) as process:
        before = reads(process)
        for target in (f"{server.base}/Task?_jobId=a", "http://127.0.0.1:1/fhir/$export-poll-status?_jobId=a"):
            answer = probe(process, target)
            assert (answer.status_code, target in answer.text) == (400, False)
        assert reads(process) == before


def test_a_server_that_is_gone_is_a_failed_poll(server: HapiServer, tmp_path: Path) -> None:
    gone = server.base.replace("127.0.0.1", "127.0.0.2")
    with exporter("http://127.0.0.1:1/fhir", tmp_path) as process:
        text = probe(process, "4f3c").text
        assert "probe_success 0.0" in text
        assert 'fhir_export_job_state{state="unknown"} 1.0' in text
        assert probe(process, f"{gone}/$export-poll-status?_jobId=a").status_code == 400
