"""`serve` and `once` as real processes: how they start, answer, refuse and end."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.demo.server import Request, Response
from exporter.errors import ConnectRefused, LedgerError, LedgerInUse

from ..support.builders import failed, organization, task
from ..support.hostile import Listener, drips, head, silent
from .process import Process, SimulatedServer, exporter, total, until, until_above
from .program import environment, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STOP_WITHIN = 5.0
"""Seconds from SIGTERM to the end: see docs/design.md#stopping."""
QUICK = ("--poll.min-interval", "0s", "--series.hold", "0s")


class SlowServer(SimulatedServer):
    """A simulated server that, once asked to, keeps every request until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self._open = threading.Event()
        self._open.set()

    def hold(self) -> None:
        self.asked.clear()
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def _answer(self, request: Request) -> Response:
        self.asked.set()
        self._open.wait(60)
        return super()._answer(request)


@contextmanager
def slow_server() -> Iterator[SlowServer]:
    server = SlowServer()
    try:
        yield server
    finally:
        server.let_go()


def run(*arguments: str, folder: Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself, in a folder of its own."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "exporter", *arguments],
        cwd=folder,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


def serve(base: str, ledger: Path | str, *options: str, address: str = "127.0.0.1:0") -> list[str]:
    return ["serve", "--fhir.url", base, "--ledger", str(ledger), "--web.listen-address", address, *options]


def stop(process: Process) -> tuple[int, float]:
    """Send SIGTERM; give the exit code and the seconds it took."""
    began = time.monotonic()
    process.popen.terminate()
    code = process.popen.wait(timeout=60)
    return code, time.monotonic() - began


def assert_stops(process: Process) -> None:
    code, seconds = stop(process)
    assert (code, seconds < STOP_WITHIN) == (0, True), f"exit {code} after {seconds:.1f} s: {process.log.read_text()}"
    assert "Traceback" not in process.log.read_text()


@contextmanager
def half_open(process: Process, count: int) -> Iterator[list[socket.socket]]:
    """Begin so many requests and end none."""
    host, port = process.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: exporter\r\nX-Slow: ")
            clients.append(client)
        yield clients


# The end


def test_sigterm_ends_it_at_rest(tmp_path: Path) -> None:
    with exporter(SimulatedServer().base, tmp_path) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        assert_stops(process)


@pytest.mark.parametrize("play", [silent, drips(head("Content-Length: 1000000"), b" ")], ids=["silent", "dripping"])
def test_sigterm_ends_it_during_a_baseline_that_gets_no_answer(
    tmp_path: Path, play: Callable[[socket.socket], None]
) -> None:
    with Listener(play) as server, exporter(server.base, tmp_path, "--fhir.timeout", "60s") as process:
        wait_for(lambda: server.connections > 0)
        assert_stops(process)


def test_sigterm_ends_it_in_the_middle_of_a_slow_poll_that_a_scrape_waits_for(tmp_path: Path) -> None:
    with (
        slow_server() as server,
        exporter(server.base, tmp_path, *QUICK, "--fhir.timeout", "60s") as process,
        ThreadPoolExecutor() as pool,
    ):
        until(process, "fhir_task_exporter_baseline_complete", 1)
        server.hold()
        scrape = pool.submit(httpx.get, f"{process.url}/metrics", timeout=60, trust_env=False)
        assert server.asked.wait(60)
        assert_stops(process)
        scrape.exception(60)


def test_sigterm_ends_it_while_a_hundred_connections_hang(tmp_path: Path) -> None:
    with exporter(SimulatedServer().base, tmp_path) as process, half_open(process, 100):
        until(process, "fhir_task_exporter_baseline_complete", 1)
        assert_stops(process)


# What it refuses


def test_a_bad_configuration_is_reported_whole_and_before_anything_is_made(tmp_path: Path) -> None:
    faulty = ("--poll.timeout", "soon", "--fhir.page-size", "none", "--web.listen-address", "everywhere")
    ended = run("serve", "--fhir.url", "ftp://cdr.example.org", *faulty, folder=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    for option in ("--poll.timeout", "--fhir.page-size", "--web.listen-address", "--fhir.url"):
        assert option in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "once"])
def test_a_second_process_on_the_same_ledger_is_refused(tmp_path: Path, command: str) -> None:
    server = SimulatedServer()
    with exporter(server.base, tmp_path) as process:
        ended = run(command, "--fhir.url", server.base, "--ledger", str(tmp_path / "ledger.db"), folder=tmp_path)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "in use by another process" in ended.stderr
        assert LedgerInUse.remedy in ended.stderr
        until(process, "fhir_task_up", 1)


def test_a_port_in_use_is_reported_with_its_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run(*serve(SimulatedServer().base, ":memory:", address=address), folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert address in ended.stderr
    assert "--web.listen-address" in ended.stderr


def test_a_ledger_that_cannot_be_made_is_reported_with_its_path_and_the_user(tmp_path: Path) -> None:
    ended = run(*serve(SimulatedServer().base, "/dev/null/ledger.db"), folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "/dev/null/ledger.db" in ended.stderr
    assert f"user {os.geteuid()}" in ended.stderr


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_a_ledger_in_a_folder_that_may_not_be_written_is_reported_with_its_path_and_the_user(
    tmp_path: Path, existing: bool
) -> None:
    base, folder = SimulatedServer().base, tmp_path / "kept"
    ledger = folder / "ledger.db"
    folder.mkdir()
    if existing:
        assert run("once", "--fhir.url", base, "--ledger", str(ledger), folder=tmp_path).returncode == 0
    folder.chmod(0o500)
    ended = run(*serve(base, ledger), folder=tmp_path, prefix=without_privileges())
    folder.chmod(0o700)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert str(ledger) in ended.stderr
    assert f"user {os.geteuid()}" in ended.stderr
    assert LedgerError.remedy in ended.stderr


def without_privileges() -> tuple[str, ...]:
    """Give what makes permissions bind root too: it becomes a user without capabilities (capabilities(7))."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv (util-linux) to take that away")
    return ("setpriv", "--bounding-set=-all")


# Servers that do not answer


def test_a_dead_server_is_a_number_and_no_error(tmp_path: Path) -> None:
    with exporter(f"http://127.0.0.1:{free_port()}/fhir", tmp_path, *QUICK) as process:
        text = until_above(process, "fhir_task_exporter_errors_total", 0, reason="unreachable")
        assert total(text, "fhir_task_up") == 0
        assert "\nfhir_tasks{" not in text


def test_a_server_that_dies_and_comes_back_is_seen_both_times(tmp_path: Path) -> None:
    with slow_server() as server, exporter(server.base, tmp_path, *QUICK, "--fhir.timeout", "1s") as process:
        until(process, "fhir_task_up", 1)
        server.hold()
        text = until_above(process, "fhir_task_exporter_errors_total", 0, reason="timeout")
        assert total(text, "fhir_task_up") == 0
        server.put(organization("old-payer"), failed())
        server.let_go()
        text = until(process, "fhir_task_up", 1)
        assert total(text, "fhir_task_failures_total") == 1


def test_a_server_that_never_answered_times_out(tmp_path: Path) -> None:
    with Listener(silent) as server, exporter(server.base, tmp_path, *QUICK, "--fhir.timeout", "1s") as process:
        text = until_above(process, "fhir_task_exporter_errors_total", 0, reason="timeout")
        assert total(text, "fhir_task_up") == 0


# Scrapes


def test_a_scrape_with_little_time_is_answered_late_but_while_the_server_still_thinks(tmp_path: Path) -> None:
    with slow_server() as server, exporter(server.base, tmp_path, *QUICK, "--fhir.timeout", "60s") as process:
        server.put(organization("old-payer"), organization("new-payer"), task())
        before = until(process, "fhir_task_up", 1)
        server.hold()
        text = process.scrape(timeout=1)
        assert server.asked.is_set(), "it asked the server, which has not answered yet"
        assert total(text, "fhir_tasks") == total(before, "fhir_tasks") == 1
        server.let_go()
        assert total(process.scrape(), "fhir_task_exporter_scrapes_total", answer="late") >= 1


def test_scrapes_are_answered_beside_five_hundred_half_open_connections(tmp_path: Path) -> None:
    with exporter(SimulatedServer().base, tmp_path, *QUICK) as process:
        until(process, "fhir_task_up", 1)
        with half_open(process, 500):
            for _ in range(10):
                assert total(process.scrape(), "fhir_task_up") == 1


def test_a_change_is_in_the_answer_to_the_next_scrape(tmp_path: Path) -> None:
    server = SimulatedServer()
    server.put(organization("old-payer"), organization("new-payer"))
    with exporter(server.base, tmp_path, *QUICK) as process:
        until(process, "fhir_task_up", 1)
        for number in range(1, 21):
            server.put(failed(f"p2p-task-{number}"))
            assert total(process.scrape(timeout=60), "fhir_task_failures_total") == number


def test_memory_does_not_grow_with_scrapes(tmp_path: Path) -> None:
    server = SimulatedServer()
    server.put(organization("old-payer"), organization("new-payer"), *(task(f"p2p-task-{n}") for n in range(20)))
    with exporter(server.base, tmp_path, *QUICK, "--poll.overlap", "0s") as process:
        until(process, "fhir_tasks", 20)
        for _ in range(50):
            process.scrape()
        early = total(process.scrape(), "process_resident_memory_bytes")
        for number in range(300):
            server.put(failed(f"p2p-task-{number % 20}", f"attempt {number}"))
            text = process.scrape()
        assert total(text, "process_resident_memory_bytes") < 1.25 * early


# Pages for people and probes


def test_each_address_answers_what_it_is_for(tmp_path: Path) -> None:
    with exporter(SimulatedServer().base, tmp_path) as process, httpx.Client(base_url=process.url) as client:
        until(process, "fhir_task_up", 1)
        kinds = {path: client.get(path) for path in ("/", "/metrics", "/-/healthy", "/-/ready")}
        assert {path: (answer.status_code, media_type(answer)) for path, answer in kinds.items()} == {
            "/": (200, "text/html"),
            "/metrics": (200, "text/plain"),
            "/-/healthy": (200, "text/plain"),
            "/-/ready": (200, "text/plain"),
        }
        assert "fhir-task-exporter" in kinds["/"].text
        assert {client.get(path).status_code for path in ("/metric", "/-/", "/metrics/", "/favicon.ico")} == {404}
        assert client.post("/metrics").status_code == 405


def test_it_is_ready_though_the_server_is_dead(tmp_path: Path) -> None:
    with exporter(f"http://127.0.0.1:{free_port()}/fhir", tmp_path) as process:
        answers = [
            httpx.get(process.url + path, trust_env=False).status_code for path in ("/-/ready", "/-/healthy", "/")
        ]
        assert answers == [200, 200, 200]


def media_type(answer: httpx.Response) -> str:
    return answer.headers["content-type"].partition(";")[0]


# once


def test_once_on_an_empty_server_prints_zeros(tmp_path: Path) -> None:
    ended = run("once", "--fhir.url", SimulatedServer().base, folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    samples = [sample for family in text_string_to_metric_families(ended.stdout) for sample in family.samples]
    values = {
        sample.value for sample in samples if sample.name in {"fhir_tasks_anomalous", "fhir_task_anomalies_total"}
    }
    assert values == {0}
    assert total(ended.stdout, "fhir_task_up") == 1
    assert total(ended.stdout, "fhir_task_exporter_tracked_tasks") == 0
    assert list(tmp_path.glob("*.db*")) == [], "once writes no file unless it is told to"


def test_once_counts_what_is_there_and_then_what_came(tmp_path: Path) -> None:
    server = SimulatedServer()
    server.put(organization("old-payer"), organization("new-payer"), task(), failed("p2p-task-2"))
    command = ("once", "--fhir.url", server.base, "--ledger", str(tmp_path / "ledger.db"))
    first = run(*command, folder=tmp_path).stdout
    assert (total(first, "fhir_tasks"), total(first, "fhir_task_failures_total")) == (2, 0), "a baseline counts nothing"
    server.put(failed())
    second = run(*command, folder=tmp_path).stdout
    assert (total(second, "fhir_tasks"), total(second, "fhir_task_failures_total")) == (2, 1)


def test_once_says_by_its_exit_code_that_the_server_was_not_reached(tmp_path: Path) -> None:
    ended = run("once", "--fhir.url", f"http://127.0.0.1:{free_port()}/fhir", folder=tmp_path)
    assert ended.returncode == 1
    assert total(ended.stdout, "fhir_task_exporter_errors_total", reason="unreachable") == 1
    assert "reason=unreachable" in ended.stderr
    assert ConnectRefused.remedy in ended.stderr


# Waiting


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_terminal_that_is_closed_during_the_baseline_ends_nothing(tmp_path: Path) -> None:
    server = SimulatedServer()
    server.put(*(task(f"p2p-task-{number:06}") for number in range(20_000)))
    port = free_port()
    master, terminal = os.openpty()
    command = [
        *(sys.executable, "-m", "exporter", "serve", "--fhir.url", server.base, "--ledger", str(tmp_path / "l.db")),
        *("--web.listen-address", f"127.0.0.1:{port}"),
    ]
    popen = subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL, env=environment())
    try:
        os.close(terminal)
        seen = b""
        while b"Baseline" not in seen:
            seen += os.read(master, 4096)
        os.close(master)
        process = Process(popen, f"http://127.0.0.1:{port}", tmp_path / "none.log")
        until(process, "fhir_task_exporter_baseline_complete", 1)
        assert total(process.scrape(), "fhir_tasks", status="requested") == 20_000
    finally:
        popen.kill()
        popen.wait()
