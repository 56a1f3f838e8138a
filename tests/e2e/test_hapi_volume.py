"""The exporter against a real HAPI FHIR server that holds more than a window, or ten: baseline, catch-up, comparison.

HAPI takes 330 to 390 Tasks a second, so by default 20,000 are written. HAPI_CATCH_UP=60000 makes them 60,000.
"""

import json
import os
import shutil
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path

import pytest

from exporter.demo.dates import format_stamp

from ..support.builders import Resource, meta, output
from .driver import PATIENCE, Driver, scraped
from .exchanges import HOUR, OWNERS, facts, now, stamp
from .hapi_server import HapiServer, hapi, put_entry, require_hapi
from .process import Process, exporter, total, until
from .truth import Facts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

CHANGES = int(os.environ.get("HAPI_CATCH_UP", "20000"))
STATUSES = ("requested", "in-progress", "completed", "failed", "cancelled", "completed", "completed")
FORGOTTEN = "bulk-forgotten"
REQUESTS = "fhir_task_exporter_requests_total"
GAUGES = r"fhir_tasks|fhir_task_(up|oldest|next)"
QUIET = ("--reconcile.open-interval", "1h", "--reconcile.full-interval", "1h")
"""Polls alone: what comparisons would correct must not be needed."""
LONG_TRANSACTIONS = ("--poll.overlap", "2m")
"""A transaction of 2,500 Tasks becomes visible long after its stamp: 30 s and more on a loaded machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[HapiServer]:
    """A laptop without Java may skip these tests; CI may not."""
    require_hapi()
    with hapi(cache=False, tags="NON_VERSIONED", max_page=200, options=["-Xmx2g"]) as running:
        yield running


@dataclass
class Bulk:
    """Many Tasks, written while an exporter was away that left `ledger`, and knew the `known`.

    `forgotten` was there before them all, without our tag.
    """

    driver: Driver
    ledger: Path
    known: Mapping[str, Facts]
    forgotten: Facts


@pytest.fixture(scope="module")
def bulk(server: HapiServer, tmp_path_factory: pytest.TempPathFactory) -> Bulk:
    folder = tmp_path_factory.mktemp("bulk")
    driver = Driver(server, "bulk")
    ours = driver.make(FORGOTTEN, "completed")
    forgotten = facts(ours, stamp(server.put(ours | {"meta": meta()})))
    driver.anchor()
    known = dict(driver.truth.tasks)
    with exporter(server.base, folder, *driver.options, *QUIET) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        process.stop()
    driver.load([life(driver, number) for number in range(CHANGES)], 250)
    driver.touched.clear()
    return Bulk(driver, folder / "ledger.db", known, forgotten)


def life(driver: Driver, number: int) -> Resource:
    """Make the Task of that number: one in seven is overdue or has ended late."""
    status = STATUSES[number % len(STATUSES)]
    hours = 60 if number % 7 == 3 and number % 2 else 1 + number % 17
    authored = format_stamp(now() - hours * HOUR)
    identifier, owner = f"{driver.name}-{number:06}", OWNERS[number % len(OWNERS)]
    return driver.make(identifier, status, owner, authoredOn=authored, output=output(number % 3))


def test_a_catch_up_counts_everything_once_while_scrapes_are_answered_at_once(bulk: Bulk, tmp_path: Path) -> None:
    driver = bulk.driver
    driver.truth = driver.truth.after_absence(bulk.known)
    shutil.copy(bulk.ledger, tmp_path)
    with exporter(driver.server.base, tmp_path, *driver.options, *QUIET) as process:
        for _ in range(3):  # these wait their second: whoever meets the first window of a poll waits for it
            process.scrape(timeout=2)
        for number in range(10):
            driver.create(driver.make(f"catch-up-{number}", "in-progress"))
            text = process.scrape(timeout=30)
        assert total(text, "fhir_task_exporter_scrapes_total", answer="late") >= 10, "answered while it went on"
        assert total(text, "fhir_task_created_total") == 0, "nothing shows before the last page"
        driver.agree(process)
        process.kill()
    with exporter(driver.server.base, tmp_path, *driver.options, *QUIET) as process:
        driver.agree(process)


def test_a_baseline_killed_twice_goes_on_where_it_was_and_loses_no_task_edited_meanwhile(
    bulk: Bulk, tmp_path: Path
) -> None:
    driver, edits = bulk.driver, count()
    options = (*driver.options, *QUIET)
    seen = [(0.0, 0.0)]
    for part in (0.3, 0.6, 1.0):
        with exporter(driver.server.base, tmp_path, *options) as process:
            with edited(driver, edits):
                seen.append(progressed(process, part))
            if part < 1:
                process.kill()
                continue
            driver.truth = driver.truth.afresh()
            text = driver.agree(process, only=GAUGES)
    assert all(after[0] >= before[1] - 0.02 for before, after in pairwise(seen)), seen
    assert total(text, "fhir_task_created_total") == 0
    assert total(text, "fhir_task_transitions_total") <= next(edits)


def progressed(process: Process, part: float) -> tuple[float, float]:
    """Wait until a baseline is so far; gives how far it was at first sight, and at last."""
    first = ratio = 0.0
    end = time.monotonic() + 20 * PATIENCE
    while ratio < part:
        assert time.monotonic() < end, f"the baseline stands at {ratio}"
        time.sleep(0.1)
        ratio = total(process.scrape(), "fhir_task_exporter_baseline_progress_ratio")
        first = first or ratio
    return first, ratio


@contextmanager
def edited(driver: Driver, edits: Iterator[int]) -> Iterator[None]:
    """Move Tasks one after the other, those on the last page of the first window first: there it hurts most."""
    done = threading.Event()

    def edit() -> None:
        while not done.wait(0.05):
            driver.move(f"{driver.name}-{(1_700 + 3 * next(edits)) % CHANGES:06}", status="on-hold")

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        driver.touched.clear()


def test_more_tasks_under_one_stamp_than_a_window_holds_are_all_found(server: HapiServer, tmp_path: Path) -> None:
    driver = watched(server, "equal")
    with exporter(server.base, tmp_path, *driver.options, *QUIET, *LONG_TRANSACTIONS) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        driver.truth.counting = True
        with scraped(process):
            driver.load([driver.make(f"equal-{number}", "requested") for number in range(2_500)], 2_500)
            text = driver.agree(process)
        assert total(text, "fhir_task_exporter_largest_lateness_seconds") > 0
    driver.truth = driver.truth.afresh()
    assert driver.differences(driver.command("once", "--ledger", ":memory:").stdout) == []


def watched(server: HapiServer, name: str) -> Driver:
    """Let there be few Tasks before the exporter looks."""
    driver = Driver(server, name)
    driver.anchor()
    driver.truth = driver.truth.afresh()
    return driver


def test_a_newer_version_with_an_older_stamp_is_counted(server: HapiServer, tmp_path: Path) -> None:
    """A stamp is when its transaction began: a long one that ends after a short one leaves the older stamp."""
    for attempt in range(1, 9):
        driver = watched(server, f"older-{attempt}")
        chosen = driver.create(driver.make(f"{driver.name}-chosen", "requested"))
        driver.truth = driver.truth.afresh()
        options = (*driver.options, *QUIET, *LONG_TRANSACTIONS)
        with exporter(server.base, tmp_path, *options, ledger=str(tmp_path / driver.name)) as process:
            until(process, "fhir_task_exporter_baseline_complete", 1)
            driver.truth.counting = True
            driver.agree(process)
            if overtaken(driver, process, chosen, 0.4 * attempt):
                driver.agree(process)
                return
    pytest.fail("the server never gave a newer version an older stamp")


def overtaken(driver: Driver, process: Process, chosen: str, after: float) -> bool:
    """Move a Task so many seconds after a long transaction began to; says whether the later version is older."""
    others = [driver.make(f"{chosen}-{number}", "requested") for number in range(2_500)]
    answers: list[Resource] = []
    entries = [*map(put_entry, others), patch_entry(chosen, "completed")]
    thread = threading.Thread(target=lambda: answers.append(driver.server.transaction(entries)))
    thread.start()
    time.sleep(after)
    driver.move(chosen, status="in-progress")
    while seen := driver.differences(process.scrape(timeout=30)):
        if not thread.is_alive():
            break
    thread.join()
    at = stamp(driver.server.get(f"Task/{chosen}").json())
    if seen or at >= driver.truth.tasks[chosen].updated:
        return False
    for other in others:
        driver.truth.appear(other["id"], facts(other, at))
    driver.truth.change(chosen, facts(driver.plain[chosen] | {"status": "completed"}, at))
    return True


def patch_entry(identifier: str, status: str) -> Resource:
    """Ask, within a transaction, for a PATCH: the server does those last."""
    patch = json.dumps([{"op": "replace", "path": "/status", "value": status}]).encode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": b64encode(patch).decode()}
    return {"resource": binary, "request": {"method": "PATCH", "url": f"Task/{identifier}"}}


def test_a_full_comparison_finds_by_counts_what_no_poll_can_see(bulk: Bulk, tmp_path: Path) -> None:
    driver = bulk.driver
    driver.truth = driver.truth.afresh()
    done = driver.command("once", "--ledger", str(tmp_path / "ledger.db"))
    assert done.returncode == 0, done.stderr
    assert driver.differences(done.stdout) == []
    driver.truth.counting = True
    often = ("--reconcile.open-interval", "1h", "--reconcile.full-interval", "2s")
    with exporter(driver.server.base, tmp_path, *driver.options, *often) as process:
        driver.agree(process)
        ended = ending_in(driver, "completed")[:3]
        for identifier in ended:
            driver.delete(identifier)
        untagged = ending_in(driver, "failed")[:2]
        for identifier in untagged:
            driver.untag(identifier)
        driver.server.meta_add(f"Task/{FORGOTTEN}", *driver.tag)
        driver.truth.join_late(FORGOTTEN, bulk.forgotten)
        driver.agree(process)
        for identifier in untagged:
            driver.bring_back(identifier)
        text = driver.agree(process)
    assert total(text, REQUESTS, operation="count") > 0
    assert total(text, REQUESTS, operation="page") < CHANGES / 200, "less than a walk of everything"


def ending_in(driver: Driver, status: str) -> list[str]:
    """Name Tasks of that status, in the order in which they were written."""
    return [each for each in driver.free(driver.truth.tasks) if driver.truth.tasks[each].status == status]
