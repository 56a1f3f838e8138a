"""The exporter as a user runs it, a process spoken to over HTTP; and a simulated FHIR server for it to ask."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from exporter.clock import SystemClock
from exporter.demo.app import asgi, serve_on_loopback
from exporter.demo.server import Request, Response, answer
from exporter.demo.store import Store


class SimulatedServer:
    """A store behind a real port; `lock` keeps the test's writes and the server's answers apart."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests = 0
        self.store: Store
        self.base = serve_on_loopback(self._make) + "/fhir"

    def _make(self, address: str) -> object:
        self.store = Store(SystemClock().wall, f"{address}/fhir")
        return asgi(self._answer)

    def _answer(self, request: Request) -> Response:
        with self.lock:
            self.requests += 1
            return answer(self.store, request)

    def put(self, *resources: dict[str, object]) -> None:
        """Write as one transaction does: all or nothing is seen."""
        with self.lock:
            for resource in resources:
                self.store.put(resource)


class Process:
    """A running `fhir-task-exporter serve`."""

    def __init__(self, popen: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.popen = popen
        self.url = url
        self.log = log

    def scrape(self, timeout: float = 10) -> str:
        """Ask as Prometheus does."""
        head = {"X-Prometheus-Scrape-Timeout-Seconds": str(timeout)}
        # Not to verify saves the reading of all certificates, which takes longer than a scrape.
        answer = httpx.get(f"{self.url}/metrics", headers=head, timeout=60, verify=False, trust_env=False)
        assert answer.status_code == 200, answer.status_code
        return answer.text

    def kill(self) -> None:
        """End it as a power cut would."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> int:
        """Ask it to end; gives its exit code."""
        self.popen.terminate()
        return self.popen.wait(timeout=10)


@contextmanager
def exporter(base: str, folder: Path, *options: str, ledger: str | None = None, port: int = 0) -> Iterator[Process]:
    """Run `serve` against `base` on a free port, and end it whatever happens."""
    log = folder / f"exporter-{time.monotonic_ns()}.log"
    command = [
        *(sys.executable, "-m", "exporter", "serve", "--fhir.url", base),
        *("--ledger", ledger or str(folder / "ledger.db"), "--web.listen-address", f"127.0.0.1:{port}"),
        *options,
    ]
    with log.open("wb") as stream:
        popen = subprocess.Popen(command, stderr=stream, stdout=stream, env=environment())
        try:
            yield Process(popen, _address(popen, log), log)
        finally:
            popen.kill()
            popen.wait()


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FHIR_TASK_EXPORTER_")}


def _address(popen: subprocess.Popen[bytes], log: Path) -> str:
    """Read from its log where it listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end and popen.poll() is None:
        for line in log.read_text().splitlines():
            if "msg=listening" in line:
                return "http://" + line.partition("address=")[2].split()[0]
        time.sleep(0.02)
    raise AssertionError(f"the exporter did not start: {log.read_text()}")


def total(text: str, metric: str, **labels: str) -> float:
    """Sum the samples of a metric that carry these labels."""
    found = 0.0
    for line in text.splitlines():
        name, _, rest = line.partition("{")
        if (name == metric or line.startswith(metric + " ")) and all(f'{k}="{v}"' in rest for k, v in labels.items()):
            found += float(line.rsplit(" ", 1)[1])
    return found


def until(process: Process, metric: str, value: float, seconds: float = 60, **labels: str) -> str:
    """Scrape until a metric shows a value; gives that text."""
    end = time.monotonic() + seconds
    while True:
        text = process.scrape()
        if total(text, metric, **labels) == value:
            return text
        assert time.monotonic() < end, f"{metric} is {total(text, metric, **labels)}, not {value}"
        time.sleep(0.1)
