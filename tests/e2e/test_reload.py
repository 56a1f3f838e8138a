"""A running `serve` reads its file again: by a real signal, and by a real request."""

import signal
import time
from pathlib import Path

import httpx
import pytest

from ..support.builders import by_display, failed
from .process import Process, SimulatedServer, exporter, total, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FAILURES = "fhir_task_failures_total"
SUCCESSFUL = "fhir_task_exporter_config_last_reload_successful"
QUICK = ("--poll.min-interval", "0s", "--series.hold", "0s")


def wait_for_log(process: Process, text: str, times: int = 1, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while process.log.read_text().count(text) < times:
        assert time.monotonic() < end, process.log.read_text()
        time.sleep(0.05)


def post(process: Process, method: str = "POST") -> httpx.Response:
    return httpx.request(method, f"{process.url}/-/reload", timeout=60, verify=False, trust_env=False)


def test_a_signal_renames_a_payer_and_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    server, path = SimulatedServer(), tmp_path / "exporter.yaml"
    path.write_text("deadline: 24h\n")
    with exporter(server.base, tmp_path, "--config.file", str(path), *QUICK) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        server.put(failed("a", owner=by_display("Old Name")))
        until(process, FAILURES, 1, source_payer="Old Name")
        path.write_text("payers:\n  - {name: New Name, formerly: [Old Name]}\n")
        process.popen.send_signal(signal.SIGHUP)
        wait_for_log(process, 'msg="configuration reloaded"')
        server.put(failed("b", owner=by_display("Old Name")))
        text = until(process, FAILURES, 2, source_payer="New Name")
        assert total(text, FAILURES, source_payer="Old Name") == 0
        path.write_text("payers: nonsense\nunknown: 1\n")
        for _ in range(5):
            process.popen.send_signal(signal.SIGHUP)
        wait_for_log(process, 'msg="configuration not reloaded; it is as before"', times=2)
        text = until(process, SUCCESSFUL, 0)
        assert total(text, FAILURES, source_payer="New Name") == 2
        path.write_text("deadline: 1h\n")
        process.popen.send_signal(signal.SIGHUP)
        until(process, SUCCESSFUL, 1)
        assert process.stop() == 0
        assert "Traceback" not in process.log.read_text()


def test_a_request_is_answered_with_what_came_of_it(tmp_path: Path) -> None:
    server, path = SimulatedServer(), tmp_path / "exporter.yaml"
    path.write_text("deadline: 24h\n")
    with exporter(server.base, tmp_path, "--config.file", str(path), "--web.enable-lifecycle", *QUICK) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        path.write_text("deadline: 1h\nfhir: {page-size: 7}\n")
        answers = [post(process), post(process, "PUT"), post(process, "GET")]
        path.unlink()
        answers.append(post(process))
    assert [each.status_code for each in answers] == [200, 200, 405, 500]
    assert answers[0].text == "Reloaded: --deadline.\nChanged, but needs a restart: --fhir.page-size.\n"
    assert answers[1].text == "Changed, but needs a restart: --fhir.page-size.\n"
    assert answers[3].text.startswith("--config.file: ")


def test_a_signal_during_the_start_and_one_without_a_file_end_nothing(tmp_path: Path) -> None:
    with exporter(SimulatedServer().base, tmp_path) as process:
        assert post(process).status_code == 403
        process.popen.send_signal(signal.SIGHUP)
        wait_for_log(process, 'msg="nothing to reload: started without a configuration file"')
        until(process, "fhir_task_exporter_baseline_complete", 1)
        assert process.stop() == 0


def test_a_storm_of_signals_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yaml"
    path.write_text("deadline: 24h\n")
    with exporter(SimulatedServer().base, tmp_path, "--config.file", str(path), *QUICK) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            process.popen.send_signal(signal.SIGHUP)
        path.write_text("deadline: 1h\n")
        process.popen.send_signal(signal.SIGHUP)
        wait_for_log(process, "changed=--deadline")
        assert process.stop() == 0
        assert "bug" not in process.log.read_text()
