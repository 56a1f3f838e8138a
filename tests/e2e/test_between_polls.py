"""What a Task goes through between two scrapes, on a real HAPI FHIR server: its instance history fills it in.

See docs/design.md#history.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..support.builders import note, output
from .driver import Driver
from .hapi_server import HapiServer, TagStorage, hapi, require_hapi
from .process import Process, exporter, total, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NOTE = "401 Unauthorized from the source payer"
STATUSES = ("requested", "failed", "in-progress", "completed")
REFUSED = "gives no instance history"


@pytest.fixture(scope="module", params=["NON_VERSIONED", "INLINE"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[HapiServer, TagStorage]]:
    require_hapi()
    with hapi(tags=request.param, max_page=3) as running:
        yield running, request.param


def hurry(driver: Driver, identifier: str) -> None:
    """Let a Task be requested, fail, be retried and complete, as fast as the server writes."""
    driver.server.put(driver.make(identifier, "requested"))
    driver.server.put(driver.make(identifier, "failed", note=note(NOTE)))
    driver.server.put(driver.make(identifier, "in-progress", note=note(NOTE)))
    driver.server.put(driver.make(identifier, "completed", note=note(NOTE), output=output(2)))


def transitions(text: str) -> dict[str, float]:
    return {status: total(text, "fhir_task_transitions_total", status=status) for status in STATUSES}


def requests(process: Process, operation: str) -> float:
    return total(process.scrape(), "fhir_task_exporter_requests_total", operation=operation)


def test_a_failure_that_was_retried_within_one_scrape_interval_counts(
    server: tuple[HapiServer, TagStorage], tmp_path: Path
) -> None:
    driver = Driver(server[0], "history", server[1])
    driver.server.put(driver.make("history-known", "requested"))
    with ExitStack() as stack:
        seeing, blind = (
            stack.enter_context(exporter(server[0].base, tmp_path, *driver.options, *more, ledger=str(tmp_path / name)))
            for name, more in (("seeing.db", ()), ("blind.db", ("--no-history",)))
        )
        for process in (seeing, blind):
            until(process, "fhir_task_exporter_baseline_complete", 1)
        hurry(driver, "history-new")

        text = until(seeing, "fhir_task_transitions_total", 1, status="completed")
        assert transitions(text) == dict.fromkeys(STATUSES, 1)
        assert total(text, "fhir_task_created_total") == 1
        assert total(text, "fhir_task_failures_total", reason="auth") == 1
        assert total(text, "fhir_task_failures_total") == 1
        assert total(text, "fhir_task_reopened_total") == 1
        assert total(text, "fhir_task_archived_documents_total") == 2
        assert total(text, "fhir_task_duration_seconds_count", status="failed") == 1
        assert total(text, "fhir_task_exporter_errors_total") == 0

        text = until(blind, "fhir_task_transitions_total", 1, status="completed")
        assert transitions(text) == dict.fromkeys(STATUSES, 0) | {"completed": 1}
        assert total(text, "fhir_task_failures_total") == 0
        assert requests(blind, "read") == 0

        driver.server.put(driver.make("history-known", "failed", note=note(NOTE)))
        driver.server.delete("Task/history-known")
        driver.server.put(driver.make("history-known", "in-progress"))
        text = until(seeing, "fhir_tasks", 1, status="in-progress")
        assert transitions(text) == {"requested": 1, "failed": 2, "in-progress": 2, "completed": 1}
        reads, pages = requests(seeing, "read"), requests(seeing, "page")
        assert reads == 2
        assert requests(seeing, "read") == reads
        assert requests(seeing, "page") == pages
        assert REFUSED not in seeing.log.read_text()


def test_a_history_that_was_read_less_than_a_minute_ago_is_read_whole(
    server: tuple[HapiServer, TagStorage], tmp_path: Path
) -> None:
    """Q39: HAPI lists only as many versions as there were at the read before, the newest first."""
    driver = Driver(server[0], "twice", server[1])
    with exporter(server[0].base, tmp_path, *driver.options) as process:
        until(process, "fhir_task_exporter_baseline_complete", 1)
        for count in (1, 2):
            hurry(driver, "twice-new")
            text = until(process, "fhir_task_transitions_total", count, status="completed")
            assert transitions(text) == dict.fromkeys(STATUSES, count)
            assert total(text, "fhir_task_failures_total", reason="auth") == count
