"""Very many clients, good and bad, over TLS with passwords: proper scrapes are answered, and nothing piles up.

Counts and ratios only: how long it takes is measured by `python -m benchmarks load soak`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from ..support.builders import organization, task
from .clients import Door, Scraper, attack, resources, secure_door, web_configuration
from .process import Process, SimulatedServer, exporter

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SCRAPERS = 50
LEAST_ANSWERED = 0.98
MAX_CONNECTIONS = 256
"""As docs/design.md#slow-clients says."""
MOST_MB = 256
"""The memory limit of the Kubernetes objects and of the systemd unit."""
SCRAPES = 1_500
SETTLED = 500


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Process, Door]]:
    """Run an exporter with TLS and a password until the block ends; its first scrape is done."""
    server = SimulatedServer()
    server.put(organization("old-payer"), *(task(f"p2p-task-{number}") for number in range(3)))
    configured = web_configuration(folder)
    quick = ("--poll.min-interval", "1s", "--series.hold", "0s")
    with exporter(server.base, folder, *quick, *configured.options) as process:
        door = secure_door(process, configured.ca_file)
        first = door.scraper()
        end = time.monotonic() + 60
        while "fhir_tasks{" not in first.scrape():
            assert time.monotonic() < end
            time.sleep(0.1)
        first.close()
        yield process, door


def test_proper_scrapes_are_answered_beside_a_crowd_of_bad_clients(tmp_path: Path) -> None:
    answers: list[bool] = []
    with serving(tmp_path) as (process, door), attack(door) as crowds, ThreadPoolExecutor(SCRAPERS) as pool:
        scrapers = [door.scraper(timeout=60) for _ in range(SCRAPERS)]
        for _ in range(5):
            answers += pool.map(is_answered, scrapers)
        assert sum(answers) >= LEAST_ANSWERED * len(answers)
        held = resources(process.popen.pid)
        assert held.descriptors < MAX_CONNECTIONS + 50
        assert held.threads < 20
        assert held.rss_mb < MOST_MB
        for each in scrapers:
            each.close()
    assert crowds["half-open"].opened > MAX_CONNECTIONS, "there were more of them than the exporter has room for"
    assert crowds["readers"].opened >= 20


def is_answered(scraper: Scraper) -> bool:
    """Scrape; a connection may be shed before its request has come, by the newest of all that want one."""
    try:
        return "\nfhir_task_up 1" in scraper.scrape()
    except (OSError, HTTPException):
        return False


def test_nothing_piles_up_with_scrapes(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, door):
        scraper, held = door.scraper(), []
        for number in range(1, SCRAPES + 1):
            scraper.scrape()
            if number % 50 == 0:
                scraper.close()  # the next one begins with a handshake
            if number in (SETTLED, SCRAPES):
                scraper.close()
                time.sleep(8)  # connections that were closed are forgotten by then
                held.append(resources(process.popen.pid))
        early, late = held
        assert late.descriptors <= early.descriptors
        assert late.threads <= early.threads
        assert late.rss_mb < 1.1 * early.rss_mb
