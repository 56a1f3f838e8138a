"""`serve` and `check` as real processes beside an Admin API on a real socket: honest, hostile, seen by Prometheus.

No Smile CDR is available, and HAPI's own REST has no Admin API: a fake plays both of its generations.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from exporter.demo.app import asgi, serve_on_loopback
from exporter.demo.batch_jobs import MODULE
from exporter.demo.dates import format_stamp
from exporter.demo.server import Request, Response

from ..support.admin import CANARY, always, api, job
from ..support.builders import organization, task
from ..support.canaries import hits
from ..support.hostile import Listener, drips, head, silent
from ..support.promtool import complaints
from .process import Process, SimulatedServer, exporter, total, until
from .program import environment
from .prometheus import Targets, prometheus, require_prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUICK = ("--poll.min-interval", "0s", "--series.hold", "0s")
PASSWORD = "hunter2canary"
UP = "smilecdr_batch_jobs_up"


class AdminServer:
    """An Admin API on a real port; `answer` may be replaced. It keeps what it was asked."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.url = serve_on_loopback(lambda _: asgi(self._answer))

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answer(request)


def jobs() -> list[dict[str, object]]:
    """Make an export of two days ago that still runs, one that failed a minute ago, and a reindex that completed."""
    now = round(time.time() * 1000)
    old, recent = format_stamp(now - 2 * 86_400_000), format_stamp(now - 60_000)
    return [
        dict(job(1, createTime=old, startTime=old)),
        dict(job(2, "FAILED", createTime=old, startTime=old, endTime=recent, errorCount=3)),
        dict(job(3, "COMPLETED", "REINDEX", createTime=old, startTime=old, endTime=recent)),
    ]


@pytest.fixture
def fhir() -> SimulatedServer:
    server = SimulatedServer()
    server.put(organization(), organization("new-payer", "New Payer"), task("t-1"))
    return server


def options(url: str, folder: Path) -> tuple[str, ...]:
    (folder / "password").write_text(PASSWORD + "\n")
    return (
        *QUICK,
        *("--batch-jobs.url", url, "--batch-jobs.module", MODULE),
        *("--batch-jobs.username", "watcher", "--batch-jobs.password-file", str(folder / "password")),
        *("--log.level", "debug"),
    )


def text_format(process: Process) -> bytes:
    return httpx.get(f"{process.url}/metrics", timeout=60, trust_env=False).content


@pytest.mark.parametrize("earlier", [False, True], ids=["batch2-job", "batch-job"])
def test_both_generations_are_shown_beside_the_tasks(fhir: SimulatedServer, tmp_path: Path, earlier: bool) -> None:
    admin = AdminServer(api(*jobs(), earlier=earlier).answer)
    with exporter(fhir.base, tmp_path, *options(admin.url, tmp_path)) as process:
        text = until(process, UP, 1)
        text = until(process, "fhir_tasks", 1, status="requested")
        assert total(text, "smilecdr_batch_jobs", job="BULK_EXPORT", status="in_progress") == 1
        assert total(text, "smilecdr_batch_jobs", job="BULK_EXPORT", status="failed") == 1
        assert total(text, "smilecdr_batch_jobs", job="REINDEX", status="completed") == 1
        assert complaints(text_format(process)) == ""
        assert process.stop() == 0
    log = process.log.read_text()
    assert hits(text + log, CANARY, PASSWORD, "job-1") == []
    wanted = "Basic " + base64.b64encode(f"watcher:{PASSWORD}".encode()).decode()
    assert {dict(request.headers).get("authorization") for request in admin.requests} == {wanted}
    assert {request.method for request in admin.requests} == {"GET"}


def test_it_asks_once_a_minute_however_often_it_is_scraped(fhir: SimulatedServer, tmp_path: Path) -> None:
    admin = AdminServer(api(*jobs()).answer)
    with exporter(fhir.base, tmp_path, *options(admin.url, tmp_path)) as process:
        until(process, UP, 1)
        asked = len(admin.requests)
        for _ in range(20):
            process.scrape()
        assert len(admin.requests) == asked


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (always(401), "VIEW_BATCH_JOBS"),
        (always(403, CANARY.encode()), "VIEW_BATCH_JOBS"),
        (always(404), "--batch-jobs.module"),
        (always(420, CANARY.encode()), "--batch-jobs.url"),
        (always(200, b"<html>login</html>", {"content-type": "text/html"}), "login page"),
        (always(200, json.dumps({"patient": CANARY}).encode()), "JSON Admin API"),
    ],
    ids=["401", "403", "404", "420", "html", "other JSON"],
)
def test_a_bad_answer_costs_the_batch_jobs_alone(
    fhir: SimulatedServer, tmp_path: Path, answer: Callable[[Request], Response], said: str
) -> None:
    admin = AdminServer(answer)
    with exporter(fhir.base, tmp_path, *options(admin.url, tmp_path)) as process:
        text = until(process, "fhir_tasks", 1, status="requested")
        while "reading the batch jobs failed" not in process.log.read_text():
            time.sleep(0.1)
        text = process.scrape()
        assert total(text, UP) == 0
        assert total(text, "fhir_task_up") == 1
        assert total(text, "fhir_task_exporter_errors_total") == 0
        assert "smilecdr_batch_jobs{" not in text
    log = process.log.read_text()
    assert said in log
    assert hits(text + log, CANARY, PASSWORD) == []


@pytest.mark.parametrize(
    "play",
    [silent, drips(head("Content-Length: 99"), b" "), drips(b"", b"HTTP/1.1 103 E\r\n\r\n")],
    ids=["silent", "dripping body", "endless 103"],
)
def test_an_admin_api_that_hangs_delays_no_poll_and_no_stop(
    fhir: SimulatedServer, tmp_path: Path, play: Callable[..., None]
) -> None:
    """While the Admin API hangs, polls are fresh and see each change; SIGTERM ends the process all the same."""
    with (
        Listener(play) as admin,
        exporter(
            fhir.base, tmp_path, *options(admin.base, tmp_path), "--fhir.timeout", "60s", "--poll.timeout", "60s"
        ) as process,
    ):
        until(process, "fhir_tasks", 1, status="requested")
        while not admin.connections:
            time.sleep(0.05)
        for number in range(2, 12):
            fhir.put(task(f"t-{number}"))
            text = process.scrape()
            assert total(text, "fhir_tasks", status="requested") == number
        assert total(text, UP) == 0
        assert process.stop() == 0


def test_a_hundred_thousand_jobs_cost_the_polls_nothing(fhir: SimulatedServer, tmp_path: Path) -> None:
    body = json.dumps(
        {
            "jobs": {
                f"JOB_{n % 200}": [{"id": n + 200 * k, "status": "COMPLETED"} for k in range(500)] for n in range(200)
            }
        }
    ).encode()
    admin = AdminServer(always(200, body))
    with exporter(fhir.base, tmp_path, *options(admin.url, tmp_path)) as process:
        text = until(process, UP, 1)
        assert total(text, "smilecdr_batch_jobs_truncated") == 1
        assert 0 < total(text, "smilecdr_batch_jobs") <= 10_000
        assert text.count("smilecdr_batch_jobs_errors{") <= 51
        assert total(until(process, "fhir_tasks", 1, status="requested"), "fhir_task_up") == 1


def test_without_the_option_there_is_no_thread_and_no_metric(fhir: SimulatedServer, tmp_path: Path) -> None:
    with exporter(fhir.base, tmp_path, *QUICK) as process:
        text = until(process, "fhir_tasks", 1, status="requested")
        names = {path.read_text().strip() for path in Path(f"/proc/{process.popen.pid}/task").glob("*/comm")}
    assert "smilecdr" not in text
    assert not any("batch" in name for name in names)


def check(base: str, *further: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "exporter", "check", "--fhir.url", base, "--ledger", ":memory:", *further]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=folder, env=environment(), timeout=100
    )


def test_check_lists_the_jobs_or_names_the_permission(fhir: SimulatedServer, tmp_path: Path) -> None:
    admin = AdminServer(api(*jobs()).answer)
    given = [word for word in options(admin.url, tmp_path) if word not in QUICK]
    good = check(fhir.base, *given, folder=tmp_path)
    assert f"OK    batch jobs: module {MODULE} lists 3" in good.stdout
    assert "INFO  batch jobs: BULK_EXPORT: 1 in_progress, 1 failed" in good.stdout
    admin.answer = always(403)
    bad = check(fhir.base, *given, folder=tmp_path)
    assert bad.returncode == 1
    assert "FAIL  batch jobs:" in bad.stdout
    assert "VIEW_BATCH_JOBS" in bad.stdout
    assert hits(good.stdout + good.stderr + bad.stdout + bad.stderr, CANARY, PASSWORD) == []


def test_prometheus_renames_the_label_job_and_the_shipped_rules_fire_on_it(
    fhir: SimulatedServer, tmp_path: Path
) -> None:
    require_prometheus()
    rules = Path(__file__).parents[2] / "grafana" / "rules" / "alerts.yaml"
    quick = tmp_path / "alerts.yaml"  # as shipped, but nobody waits five minutes here
    quick.write_text(rules.read_text().replace("interval: 1m", "interval: 1s").replace("for: 5m", "for: 2s"))
    quick.write_text(quick.read_text().replace("for: 2m", "for: 2s"))
    admin = AdminServer(api(*jobs()).answer)
    targets = Targets(tmp_path / "targets.json")
    scrape = {"job_name": "fhir-task-exporter", "scrape_interval": "1s", "scrape_timeout": "1s"}
    configuration = {"scrape_configs": [scrape | targets.discovery], "rule_files": [str(quick)]}
    with (
        exporter(fhir.base, tmp_path, *options(admin.url, tmp_path)) as process,
        prometheus(configuration, tmp_path) as server,
    ):
        targets.set(one=process.url)
        server.until('smilecdr_batch_jobs{exported_job="BULK_EXPORT", job="fhir-task-exporter", status="failed"}', 1)
        server.until('count(ALERTS{alertname="P2PBatchJobOverdue", alertstate="firing", severity="critical"})', 1)
        server.until('count(ALERTS{alertname="P2PBatchJobFailed", alertstate="firing", exported_job="BULK_EXPORT"})', 1)
        assert server.value('count(ALERTS{alertname="P2PBatchJobOverdue", exported_job="REINDEX"})') is None
        assert server.refusals() == {}
