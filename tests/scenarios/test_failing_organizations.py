"""Organizations that cannot be read: a failure stops the page, and after an hour counts as refused."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter.demo.server import Response
from exporter.task.model import Event

from ..support import fake, quirks
from ..support.builders import completed, failed, organization, reference, task
from ..support.exposition import by_payer, errors, is_up, payers, tasks, totals
from ..support.organizations import Organizations, owned, status
from ..support.rig import FULL_ONLY, Rig, prepared, settled


@pytest.mark.parametrize("status", [403, 404, 410])
def test_q20_an_organization_that_cannot_be_read_is_asked_for_once(status: int) -> None:
    owner = reference("Organization/secret", display="By Display")
    missing = quirks.when(lambda request: "Organization" in request.path, quirks.always(Response(status, (), b"")))
    rig = settled(*(task(f"t{n}", owner=owner, requester=None) for n in range(3)), quirks=[missing])
    rig.store.put(completed("t0", owner=owner))
    rig.scrape()
    assert payers(rig) == {"By Display"}
    assert sum("Organization/secret" in url for url in rig.transport.urls) == 1


def test_q20_an_organization_that_fails_fails_the_page_and_no_event_lands_on_a_wrong_payer() -> None:
    switch = quirks.Switch()
    rig = settled()
    failing = quirks.when(lambda r: switch(r) and "third" in r.path, quirks.always(Response(503, (), b"")))
    rig.play(failing)
    rig.store.put(organization("third", "Third Payer"))
    rig.store.put(failed("a", owner={"reference": "Organization/third"}))
    rig.scrape()
    assert errors(rig) == {"server_error": 1}
    assert not is_up(rig)
    switch.on = False
    rig.scrape()
    assert payers(rig) == {"Third Payer"}
    assert totals(rig, Event.TRANSITION) == {"failed": 1}


def test_an_organization_that_cannot_be_read_stops_no_task() -> None:
    behind_login = quirks.when(lambda request: "/Organization/" in request.path, quirks.login_page)
    rig = settled(organization(), task("a"), quirks=[behind_login])
    assert tasks(rig) == {"requested": 1}


# --- Organizations that fail for an hour


def scrape_for(rig: Rig, seconds: float, interval: float = 60) -> None:
    """Scrape for so long, as Prometheus does."""
    for _ in range(round(seconds / interval)):
        rig.scrape(interval)
        rig.settle()


def broken(code: int = 500, **options: Any) -> tuple[Rig, Organizations]:
    """Prepare a settled exporter, and a new Task whose owner cannot be read."""
    rig = prepared(organization("one", "One"), owned("a"), comparisons=FULL_ONLY, **options)
    server = Organizations(rig)
    rig.start().run_due()
    server.rules["odd"] = status(code)
    rig.store.put(owned("b", "Organization/odd"))
    return rig, server


def test_an_organization_that_fails_for_an_hour_counts_as_refused(caplog: pytest.LogCaptureFixture) -> None:
    rig, server = broken()
    with caplog.at_level(logging.WARNING):
        scrape_for(rig, 3_500)
        assert not is_up(rig)
        assert by_payer(rig, "fhir_task_created_total") == {}
        scrape_for(rig, 300)
    assert is_up(rig)
    assert by_payer(rig) == {"One": 1, "unknown": 1}
    assert by_payer(rig, "fhir_task_created_total") == {"unknown": 1}
    warnings = [record for record in caplog.records if "counts as refused" in record.getMessage()]
    assert len(warnings) == 1
    assert "odd" not in caplog.text
    before = len(server.read)
    rig.store.put(owned("c", "Organization/odd"))
    assert by_payer(rig) == {"One": 1, "unknown": 2}
    assert len(server.read) == before


def test_neither_a_restart_nor_a_comparison_starts_another_hour(tmp_path: Path) -> None:
    rig, server = broken(path=str(tmp_path / "ledger.db"))
    scrape_for(rig, 3_900)
    assert is_up(rig)
    rig.compare_all()
    rig.restart().run_due()
    rig.store.put(owned("c", "Organization/odd"))
    assert by_payer(rig) == {"One": 1, "unknown": 2}
    server.rules.clear()
    rig.store.put(organization("odd", "Healed"))
    rig.compare_all()
    assert by_payer(rig) == {"One": 1, "Healed": 2}


def test_one_failure_at_the_end_of_a_long_outage_counts_no_organization_as_refused() -> None:
    rig, server = broken()
    scrape_for(rig, 540)
    rig.play(quirks.always(Response(500, (), b"")))
    scrape_for(rig, 2 * 3_600)
    rig.transport.answer = server
    for _ in range(3):
        rig.scrape(5)
        assert not is_up(rig)
    server.rules.clear()
    rig.store.put(organization("odd", "Odd"))
    assert by_payer(rig) == {"One": 1, "Odd": 1}
    assert by_payer(rig, "fhir_task_created_total") == {"Odd": 1}


def test_several_organizations_that_fail_have_their_hour_together() -> None:
    rig, server = broken()
    for n in range(4):
        server.rules[f"odd{n}"] = status(502)
        rig.store.put(owned(f"b{n}", f"Organization/odd{n}"))
    scrape_for(rig, 3_900)
    assert is_up(rig)
    assert by_payer(rig) == {"One": 1, "unknown": 5}


def test_few_tries_in_an_hour_count_no_organization_as_refused() -> None:
    rig, _ = broken()
    scrape_for(rig, 4_000, interval=800)
    assert not is_up(rig)


def test_an_organization_that_fails_stops_the_baseline_for_an_hour_at_most() -> None:
    rig = prepared(owned("a", "Organization/odd"), comparisons=FULL_ONLY)
    Organizations(rig).rules["odd"] = status(500)
    rig.start()
    for _ in range(75):
        rig.clock.advance(60)
        rig.run_due()
    assert is_up(rig)
    assert by_payer(rig) == {"unknown": 1}


def timed_out() -> Response:
    raise httpx.ReadTimeout("too late", request=httpx.Request("GET", fake.BASE))


def closed_early() -> Response:
    raise httpx.RemoteProtocolError("closed", request=httpx.Request("GET", fake.BASE))


@pytest.mark.parametrize("rule", [timed_out, closed_early, status(503, retry_after="100")])
def test_other_ways_in_which_one_organization_can_fail_count_too(rule: Callable[[], Response]) -> None:
    rig, server = broken()
    server.rules["odd"] = rule
    scrape_for(rig, 3_400)
    assert not is_up(rig)
    scrape_for(rig, 600)
    assert is_up(rig)


def test_expired_credentials_count_no_organization_as_refused() -> None:
    rig, server = broken(401)
    scrape_for(rig, 2 * 3_600)
    assert not is_up(rig)
    assert by_payer(rig, "fhir_task_created_total") == {}
    server.rules.clear()
    rig.store.put(organization("odd", "Odd"))
    assert by_payer(rig) == {"One": 1, "Odd": 1}
