"""`watch` as a process: Ctrl-C, exit codes, the command that resumes, and no secret anywhere."""

import http.server
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.support.canaries import hits
from tests.support.export_jobs import ANSWERS

PASSWORD = "hunter2-canary"
STATUS = "$export-poll-status?_jobId=4f3c"


class Server:
    """A server on a real port, with the answer for the job of tests/support/export_jobs."""

    def __init__(self, job: str) -> None:
        self.asked: list[tuple[str, str]] = []
        asked, (status, headers, body) = self.asked, ANSWERS[job]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.command, self.headers.get("Authorization", "")))
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_DELETE(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_address[1]}/fhir"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "password.txt").write_text(PASSWORD)
    return tmp_path


@contextmanager
def serving(job: str) -> Iterator[Server]:
    server = Server(job)
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


def started(folder: Path, base: str, *more: str, stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    options = ("--fhir.url", base, "--fhir.username", "me", "--fhir.password-file", "password.txt")
    command = [sys.executable, "-m", "exporter", "watch", f"{base}/{STATUS}", *options, *more]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, cwd=folder, env=environment)


def run(folder: Path, base: str, *more: str) -> tuple[int, str, str]:
    process = started(folder, base, *more)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(), err.decode()


def resume(base: str, *more: str) -> str:
    options = (f"--fhir.url={base}", "--fhir.username=me", "--fhir.password-file=password.txt")
    return " ".join(("  fhir-task-exporter watch", f"'{base}/{STATUS}'", *more, *options))


def test_ctrl_c_exits_130_and_sends_no_request_to_cancel(folder: Path) -> None:
    with serving("in-progress") as server, started(folder, server.base, "--timeout", "1h") as process:
        assert process.stdout is not None
        assert b"in_progress" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.decode().splitlines()[-1] == resume(server.base, "--timeout=1h")
        assert [method for method, _ in server.asked] == ["GET"]
        assert server.asked[0][1].startswith("Basic ")
        assert hits((out + err).decode(), PASSWORD) == []
    assert sorted(path.name for path in folder.iterdir()) == ["password.txt"]


def test_ctrl_c_on_a_terminal_ends_below_the_live_line(folder: Path) -> None:
    ours, theirs = pty.openpty()
    with serving("in-progress") as server, started(folder, server.base, stdout=theirs) as process:
        shown = b""
        while b"next poll in 1m" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert resume(server.base) in err.decode()
        assert b"Build in progress" in shown
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("job", "more", "code"),
    [
        ("completed", (), 0),
        ("failed", (), 1),
        ("cancelled", ("--output=json",), 1),
        ("in-progress", ("--timeout=100ms",), 1),
        ("queued", ("--cancel",), 0),
        ("unauthorized", (), 1),
        ("completed", ("--output=xml",), 2),
        ("completed", ("--timeout=soon", "--interval=0s"), 2),
        ("completed", ("--fhir.timeout=-1",), 2),
        ("completed", ("extra",), 2),
        ("completed", ("--show-notes",), 2),
    ],
)
def test_the_exit_code_tells_how_it_ended(folder: Path, job: str, more: Sequence[str], code: int) -> None:
    with serving(job) as server:
        found, out, err = run(folder, server.base, *more)
        assert found == code, err
        assert hits(out + err, PASSWORD, "PHI-CANARY-JOB") == []
        assert "Traceback" not in err
        assert ("DELETE" in {method for method, _ in server.asked}) == ("--cancel" in more)


def test_all_problems_of_the_options_are_listed_at_once(folder: Path) -> None:
    with serving("completed") as server:
        _, _, err = run(folder, server.base, "--timeout=soon", "--output=xml", "--fhir.timeout=0s")
    assert err.splitlines()[:4] == [
        "Invalid configuration:",
        "  --timeout: must be a duration such as 500ms, 30s, 5m, 1h30m or 1d",
        "  --output: must be one of text, json",
        "  --fhir.timeout: must be longer than 0s",
    ]


def test_the_request_log_has_no_address_and_no_words_of_the_server(folder: Path) -> None:
    with serving("in-progress") as server:
        _, _, err = run(folder, server.base, "--timeout=100ms", "--log.level=debug")
    logged = [line for line in err.splitlines() if line.startswith("ts=")]
    assert logged
    assert hits("\n".join(logged), "4f3c", "Build in progress", PASSWORD) == []
