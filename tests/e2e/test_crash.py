"""A few of the kills and faults of `make crash`, and a ledger to which something happens while it is used."""

import random
import secrets
import time
from pathlib import Path

import pytest

from tests.crash.faults import INJECTED, Faults
from tests.crash.kills import Kills
from tests.support.builders import task

from .process import Process, SimulatedServer, exporter, total, until
from .program import require

pytestmark = pytest.mark.e2e

OPTIONS = ("--series.hold", "0s", "--poll.min-interval", "0s")
WITHIN_SECONDS = 60
"""By which what happens to a ledger is said."""


@pytest.fixture
def dice() -> random.Random:
    """Draw other moments in each run; the seed is shown where a test fails."""
    seed = secrets.randbelow(10**9)
    print(f"seed {seed}: `make crash ARGS='--seed {seed}'` with the same numbers repeats it")  # noqa: T201
    return random.Random(seed)


@pytest.mark.timeout(300)
def test_no_kill_loses_or_repeats_an_event_whatever_is_under_way(tmp_path: Path, dice: random.Random) -> None:
    require("strace", "strace")
    kills = Kills(tmp_path / "kills", dice)
    kills.run(20)
    assert kills.done >= 20
    assert len(kills.killed) > 4


@pytest.mark.timeout(300)
def test_no_fault_of_the_disk_loses_or_repeats_an_event(tmp_path: Path, dice: random.Random) -> None:
    require("strace", "strace")
    faults = Faults(tmp_path / "faults", dice)
    faults.run(12)
    assert sum(faults.rounds.values()) == 12
    assert faults.seen["an error was counted"] > len(INJECTED) // 3


def until_said(process: Process, words: str) -> float:
    """Wait until the log says it, though nobody scrapes; gives the errors that are counted then."""
    end = time.monotonic() + WITHIN_SECONDS
    while words not in process.log.read_text():
        assert time.monotonic() < end, process.log.read_text()
        time.sleep(0.2)
    return total(process.scrape(), "fhir_task_exporter_errors_total", reason="ledger")


def test_a_ledger_that_is_removed_is_said_and_counting_goes_on(tmp_path: Path) -> None:
    server = SimulatedServer()
    with exporter(server.base, tmp_path, *OPTIONS) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        (tmp_path / "ledger.db").unlink()
        assert until_said(process, "was removed or moved away while it is in use") >= 1
        server.put(task("a"))
        until(process, "fhir_task_created_total", 1)
        assert process.stop() == 0


def test_a_ledger_that_loses_its_wal_or_its_place_is_whole_after_sigterm(tmp_path: Path) -> None:
    server, ledger, elsewhere = SimulatedServer(), tmp_path / "ledger.db", tmp_path / "elsewhere.db"
    with exporter(server.base, tmp_path, *OPTIONS) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        server.put(task("a"))
        until(process, "fhir_task_created_total", 1)
        (tmp_path / "ledger.db-wal").unlink()
        ledger.rename(elsewhere)
        server.put(task("b"))
        until(process, "fhir_task_created_total", 2)
        assert process.stop() == 0
    elsewhere.rename(ledger)
    with exporter(server.base, tmp_path, *OPTIONS) as process:
        assert total(process.scrape(timeout=0.02), "fhir_task_created_total") == 2
