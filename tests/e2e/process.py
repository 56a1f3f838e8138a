"""The exporter and its demo as a user runs them, as processes; and a simulated FHIR server for them to ask."""

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
from exporter.demo.batch_jobs import MODULE
from exporter.demo.server import Request, Response, answer
from exporter.demo.store import Store

from .program import started

START_WITHIN = 30.0
"""Seconds."""


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
    with started(command, log, r"msg=listening\b.*\baddress=(\S+)\s", within=START_WITHIN) as (popen, (address,)):
        yield Process(popen, f"http://{address}", log)


@contextmanager
def demo(folder: Path, speed: int) -> Iterator[tuple[str, str]]:
    """Run the demo; gives where its exporter answers (`host:port`), and the base of its FHIR server."""
    command = [sys.executable, "-m", "exporter", "demo", "--speed", str(speed), "--web.listen-address", "127.0.0.1:0"]
    patterns = (r" address=(\S+)\s", r" url=(\S+)\s")
    with started(command, folder / "demo.log", *patterns, within=START_WITHIN) as (_, (address, base)):
        yield address, base


def batch_jobs_of(demo_base: str) -> tuple[str, ...]:
    """Give the options with which an exporter reads the batch jobs of the demo, too."""
    return ("--batch-jobs.url", f"{demo_base.removesuffix('/fhir')}/admin", "--batch-jobs.module", MODULE)


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
    while (found := total(text := process.scrape(), metric, **labels)) != value:
        assert time.monotonic() < end, f"{metric} is {found}, not {value}"
        time.sleep(0.1)
    return text


def until_above(process: Process, metric: str, value: float, seconds: float = 60, **labels: str) -> str:
    """Scrape until a metric shows more than a value; gives that text."""
    end = time.monotonic() + seconds
    while (found := total(text := process.scrape(), metric, **labels)) <= value:
        assert time.monotonic() < end, f"{metric} is {found}, not above {value}\n{text}"
        time.sleep(0.1)
    return text
