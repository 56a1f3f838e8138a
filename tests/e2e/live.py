"""The demo and a Prometheus that scrapes, as processes on free ports of loopback, for as long as a test wants them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

Result = list[dict[str, Any]]

MISSING = "Prometheus is not installed: `apt-get install prometheus` brings it"


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that writes to `log`, and end it whatever happens."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_TASK_EXPORTER_")}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def demo(folder: Path, speed: int) -> Iterator[tuple[str, str]]:
    """Run the demo; gives where its exporter answers (`host:port`), and the base of its FHIR server."""
    log = folder / "demo.log"
    command = [sys.executable, "-m", "exporter", "demo", "--speed", str(speed), "--web.listen-address", "127.0.0.1:0"]
    with running(command, log) as process:
        yield _said(process, log, "address="), _said(process, log, "url=")


@contextmanager
def prometheus(folder: Path, jobs: Sequence[dict[str, Any]]) -> Iterator["Prometheus"]:
    """Run Debian's Prometheus with these scrape configurations.

    Without the program the test is skipped on a laptop, and fails where CI says that it is CI.
    """
    program = shutil.which("prometheus")
    if program is None and os.environ.get("CI") != "true":
        pytest.skip(MISSING)
    assert program, MISSING
    config, address = folder / "prometheus.yml", f"127.0.0.1:{_free_port()}"
    every = {"scrape_interval": "2s", "scrape_timeout": "2s"}
    config.write_text(yaml.safe_dump({"global": every, "scrape_configs": list(jobs)}), encoding="utf-8")
    command = [
        *(program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
        f"--web.listen-address={address}",
    ]
    with running(command, folder / "prometheus.log"), httpx.Client(base_url=f"http://{address}") as client:
        yield Prometheus(client)


class Prometheus:
    """Answers queries as of now."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ask(self, expr: str) -> Result:
        """Give the series of an instant query; none while Prometheus is not ready."""
        try:
            answer = self._client.post("/api/v1/query", data={"query": expr})
        except httpx.TransportError:
            return []
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return []
        assert answer.status_code == httpx.codes.OK, f"{expr}: {answer.text}"
        result: Result = answer.json()["data"]["result"]
        return result

    def values(self, label: str, selector: str) -> list[str]:
        """Give what Grafana's label_values() gives."""
        answer = self._client.get(f"/api/v1/label/{label}/values", params={"match[]": selector})
        found: list[str] = answer.json()["data"]
        return found

    def silent(self, exprs: dict[str, str], seconds: float) -> dict[str, str]:
        """Ask until every query has given a series once; tell those that gave none in that time."""
        left, end = dict(exprs), time.monotonic() + seconds
        while left and time.monotonic() < end:
            left = {where: expr for where, expr in left.items() if not self.ask(expr)}
            time.sleep(1)
        return left


def _said(process: subprocess.Popen[bytes], log: Path, key: str) -> str:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if f" {key}" in line:
                return line.partition(f" {key}")[2].split()[0]
        time.sleep(0.05)
    raise AssertionError(f"it did not start: {log.read_text(encoding='utf-8')}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
