"""Starting things, and looking at how long they take and how large they are."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.process import Process, exporter, total

QUICK = ("--poll.min-interval", "0s", "--series.hold", "0s", "--poll.overlap", "5s")


@contextmanager
def server(kind: str, count: int, *more: float) -> Iterator[str]:
    """Run a server of `benchmarks.servers`; gives its FHIR base."""
    command = [sys.executable, "-m", "benchmarks.servers", kind, str(count), *map(str, more)]
    popen = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert popen.stdout is not None
    try:
        yield popen.stdout.readline().strip()
    finally:
        popen.kill()
        popen.wait()


@contextmanager
def running(base: str, *options: str) -> Iterator[Process]:
    """Run the exporter on `base` with a ledger of its own."""
    with tempfile.TemporaryDirectory() as folder, exporter(base, Path(folder), *QUICK, *options) as process:
        yield process


def wait_for_baseline(process: Process, pause: float = 0.05) -> float:
    """Wait for the baseline; gives the seconds it took by the log's own stamps."""
    began = time.monotonic()
    while total(process.scrape(1), "fhir_task_exporter_baseline_complete") != 1:
        time.sleep(pause)
    return time.monotonic() - began


def median_ms(action: Callable[[], object], runs: int) -> float:
    """Milliseconds of the median run."""
    return statistics.median(_ms(action) for _ in range(runs))


def paired_ms(one: Callable[[], object], other: Callable[[], object], runs: int) -> tuple[float, float]:
    """Milliseconds of two actions' median runs, done in turn: a machine whose speed drifts favours none."""
    times = [(_ms(one), _ms(other)) for _ in range(runs)]
    return statistics.median(each[0] for each in times), statistics.median(each[1] for each in times)


def _ms(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """Seconds of processor that a process has used, its own and the kernel's for it."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def bare_rss_mb() -> float:
    """Resident memory of an interpreter that has imported what the exporter imports, and does nothing."""
    popen = subprocess.Popen(
        [sys.executable, "-c", "import exporter.app.serve, exporter.cli; print(1, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ},
    )
    assert popen.stdout is not None
    popen.stdout.readline()
    try:
        return rss_mb(popen.pid)
    finally:
        popen.kill()
        popen.wait()
