"""What clients do to the exporter: proper scrapes beside bad clients, and very many scrapes. With TLS and passwords."""

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from tests.e2e.clients import Door, Resources, plain_door, resources, secure_door, web_configuration
from tests.e2e.process import Process, exporter

from .measure import server

TASKS = 1_000
SCRAPERS = 50
MEASURED = int(os.environ.get("LOAD_SECONDS", "60"))
"""Seconds of each measurement under load."""
SCRAPES = int(os.environ.get("SOAK_SCRAPES", "100000"))
SECURE = os.environ.get("LOAD_TLS", "1") == "1"
"""0: plain HTTP without passwords."""
NEW_CONNECTION_EVERY = 50
"""Scrapes: one in so many is on a new connection, with a TLS handshake."""
BURST_SECONDS = 5.0
PAUSE_SECONDS = 0.25
Say = Callable[[str, str], None]


@contextmanager
def serving(*options: str) -> Iterator[tuple[Process, Door, Path | None]]:
    """Run an exporter on a simulated server, behind TLS and a password unless that is off."""
    with tempfile.TemporaryDirectory() as name, server("simulated", TASKS) as base:
        folder = Path(name)
        configured = web_configuration(folder) if SECURE else None
        secured = configured.options if configured else ()
        with exporter(base, folder, "--series.hold", "0s", *secured, *options) as process:
            door = secure_door(process, configured.ca_file) if configured else plain_door(process)
            first = door.scraper()
            while "\nfhir_task_exporter_baseline_complete 1" not in first.scrape():
                time.sleep(0.2)
            first.close()
            yield process, door, configured.ca_file if configured else None


@contextmanager
def attacked(door: Door, ca_file: Path | None, say: Say) -> Iterator[None]:
    """Let bad clients at it, from another process."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.attackers",
        door.host,
        str(door.port),
        *([str(ca_file)] if ca_file else []),
    ]
    popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert popen.stdin is not None
    assert popen.stdout is not None
    popen.stdin.write(door.headers.get("Authorization", "") + "\n")
    popen.stdin.flush()
    assert popen.stdout.readline().strip() == "attacking"
    try:
        yield
    finally:
        rest, _ = popen.communicate(timeout=120)
        say("bad clients meanwhile", ", ".join(rest.split("\n")).strip(", "))


def load(say: Say) -> None:
    """A proper scrape alone, beside 50 others, and beside bad clients and 50 others."""
    say("transport", "TLS 1.3, a password of bcrypt cost 10" if SECURE else "plain HTTP")
    with serving() as (process, door, ca_file):
        say("one exposition", f"{len(door.scraper().scrape().splitlines()):,} lines")
        measure("alone", door, say, others=False)
        measure(f"beside {SCRAPERS} others at once", door, say, others=True)
        before = resources(process.popen.pid)
        with attacked(door, ca_file, say):
            name = f"beside 500 half-open, a silent client, 20 readers of a byte a second and {SCRAPERS} others at once"
            measure(name, door, say, others=True)
            during = resources(process.popen.pid)
        say("the exporter before, during", f"{told(before)}; {told(during)}")


def measure(name: str, door: Door, say: Say, *, others: bool) -> None:
    """Scrape on a kept connection and on new ones, while others do so together now and then."""
    end = time.monotonic() + MEASURED
    with ThreadPoolExecutor(SCRAPERS + 2) as pool:
        proper = pool.submit(repeated, door, end, kept=True)
        fresh = pool.submit(repeated, door, end, kept=False)
        crowd = bursts(pool, door, end) if others else []
        for kind, times in (
            ("kept connection", proper.result()),
            ("new connection", fresh.result()),
            ("others", crowd),
        ):
            if times:
                say(f"{name}: {kind}", quantiles(times))


def repeated(door: Door, end: float, *, kept: bool) -> list[float]:
    """Scrape again and again; milliseconds of each."""
    scraper, times = door.scraper(), []
    while time.monotonic() < end:
        times.append(timed(scraper.scrape))
        if not kept:
            scraper.close()
        time.sleep(PAUSE_SECONDS)
    scraper.close()
    return times


def bursts(pool: ThreadPoolExecutor, door: Door, end: float) -> list[float]:
    """Let 50 clients scrape at the same moment, every five seconds."""
    scrapers = [door.scraper() for _ in range(SCRAPERS)]
    times: list[float] = []
    while time.monotonic() < end:
        times += pool.map(lambda each: timed(each.scrape), scrapers)
        time.sleep(BURST_SECONDS)
    for each in scrapers:
        each.close()
    return times


def timed(scrape: Callable[[], object]) -> float:
    """Return the milliseconds of a scrape; infinity for one that failed twice."""
    began = time.perf_counter()
    try:
        scrape()
    except (OSError, HTTPException):
        return math.inf
    return (time.perf_counter() - began) * 1000


def quantiles(times: list[float]) -> str:
    answered = [each for each in times if each < math.inf]
    cuts = statistics.quantiles(answered, n=100)
    count = f"of {len(times):,} scrapes, {len(times) - len(answered)} failed"
    return f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, longest {max(answered):.0f} ms, {count}"


def soak(say: Say) -> None:
    """Very many scrapes: memory, descriptors and threads on the way, and the slope of memory from a tenth on."""
    with serving("--poll.min-interval", "1s") as (process, door, _):
        scraper, marks = door.scraper(), []
        began = time.monotonic()
        for number in range(SCRAPES + 1):
            if number % max(SCRAPES // 20, 1) == 0:
                marks.append((time.monotonic() - began, number, resources(process.popen.pid)))
            if number in (SCRAPES // 100, *range(0, SCRAPES + 1, max(SCRAPES // 10, 1))):
                say(
                    f"after {number:,} scrapes",
                    f"{time.monotonic() - began:.0f} s; {told(resources(process.popen.pid))}",
                )
            if number % NEW_CONNECTION_EVERY == 0:
                scraper.close()
            scraper.scrape()
        scraper.close()
        settled = [mark for mark in marks if mark[1] >= SCRAPES // 10]
        memory = [each.rss_mb for _, _, each in settled]
        by_time = statistics.linear_regression([seconds / 3600 for seconds, _, _ in settled], memory).slope
        by_count = statistics.linear_regression([number / 100_000 for _, number, _ in settled], memory).slope
        say("slope of memory from a tenth on", f"{by_time:.2f} MiB an hour, {by_count:.2f} MiB each 100,000 scrapes")


def told(found: Resources) -> str:
    return f"{found.rss_mb:.1f} MiB, {found.descriptors} descriptors, {found.threads} threads"
