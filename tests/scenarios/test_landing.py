"""The landing page of a whole exporter: what a person sees when the commonest things go wrong."""

import re
from html import unescape
from pathlib import Path
from threading import Thread

import pytest

from exporter.demo.server import Response
from exporter.errors import LedgerFailed, LedgerLost, ServerFault, Unreachable
from exporter.web.backend import Backend, PageOptions
from exporter.web.landing import render

from ..support import quirks
from ..support.builders import completed, task
from ..support.exposition import tasks
from ..support.rig import Rig, filled, prepared, settled


def page(rig: Rig) -> str:
    """Read the page as a person does."""
    assert rig.exporter is not None
    guard = rig.exporter.guard
    guard.look()
    options = PageOptions(rig.exporter.context.server.http.host_and_port, ledger_trouble=lambda: guard.trouble)
    backend = Backend(rig.worker, rig.probes, rig.telemetry, Thread(), options)
    text = re.sub(r"(?s)<style>.*</style>|<[^>]*>", " ", render(backend.landing(), rig.clock.wall()).decode())
    return " ".join(unescape(text).split())


def test_a_server_that_never_answered_is_down_with_the_error_and_what_to_do() -> None:
    rig = filled(3, quirks=[quirks.down]).start()
    assert "not asked yet" in page(rig)
    rig.worker.step()
    rig.clock.advance(90)
    text = page(rig)
    assert "FHIR server fhir.example:80 down since" in text
    assert "(1 minute ago)" in text
    assert Unreachable.remedy in text
    assert "Last complete poll none yet" in text
    assert "Initial scan (baseline): no Task read yet." in text


def test_a_ledger_that_was_removed_is_shown_with_what_to_do_while_polls_go_on(tmp_path: Path) -> None:
    rig = settled(task("a"), path=str(tmp_path / "ledger.db"))
    assert "ledger" not in page(rig).partition("Tasks by status")[0]
    (tmp_path / "ledger.db").unlink()
    rig.store.put(task("b"))
    rig.scrape()
    text = page(rig)
    assert f"the ledger {tmp_path / 'ledger.db'} was removed or moved away" in text
    assert LedgerLost.remedy in text
    assert "up since" in text
    assert tasks(rig) == {"requested": 2}


def test_a_server_that_fails_for_long_is_down_since_its_first_failure() -> None:
    rig = settled(task("a"))
    rig.play(quirks.down)
    rig.scrape(15)
    rig.play(quirks.always(Response(500, (), b"")))
    rig.scrape(3600)
    text = page(rig)
    assert "(1 hour ago)" in text
    assert ServerFault.remedy in text
    assert Unreachable.remedy not in text
    rig.play()
    rig.scrape(120)
    text = page(rig)
    assert "up since" in text
    assert "Last error (2 minutes ago)" in text
    assert ServerFault.remedy not in text


def test_a_server_that_dies_in_mid_baseline_leaves_its_progress(tmp_path: Path) -> None:
    rig = filled(1_000, path=str(tmp_path / "ledger.db")).start()
    rig.worker.step()
    rig.worker.step()
    assert "Initial scan (baseline): 400 of 1,000 Tasks read (40%)." in page(rig)
    rig.play(quirks.down)
    rig.worker.step()
    for text in (page(rig), page(rig.restart())):
        assert "Initial scan (baseline): 400 of 1,000 Tasks read (40%)." in text
    rig.worker.step()
    text = page(rig)
    assert "400 of 1,000 Tasks read (40%)" in text
    assert "It continues when polls succeed again." in text
    assert "down since" in text
    assert Unreachable.remedy in text
    rig.play()
    rig.run()
    text = page(rig)
    assert "Initial scan" not in text
    assert "up since" in text
    assert "requested 1,000" in text


def test_a_server_that_dies_in_a_poll_of_many_pages_leaves_its_progress() -> None:
    rig = filled(5).start().settle()
    rig.burst(2_500, seconds_apart=0.1)
    rig.worker.scrape()
    rig.worker.step()
    rig.play(quirks.down)
    rig.worker.step()
    rig.worker.step()
    assert re.search(r"Poll: [12],\d00 of 2,50\d Tasks read", page(rig))
    rig.play()
    rig.run()
    assert "Tasks read" not in page(rig)


@pytest.mark.parametrize("seconds", [15, 400])
def test_figures_of_a_snapshot_that_is_too_old_are_unknown(seconds: float) -> None:
    two_days_ago = "2026-11-18T12:00:00Z"
    rig = settled(task("late", authoredOn=two_days_ago), task("b", "failed"), completed("c"))
    rig.play(quirks.down)
    rig.scrape(seconds)
    shown = "Overdue 1 Stalled 0 Failed 1" if seconds < 300 else "Overdue unknown Stalled unknown Failed unknown"
    assert shown in page(rig)


def test_a_ledger_that_fails_is_not_the_servers_fault(tmp_path: Path) -> None:
    rig = prepared(task("a"), path=str(tmp_path / "ledger.db")).start().settle()
    rig.store.put(task("b"))
    rig.context.ledger._connection.execute("PRAGMA query_only = 1")
    rig.scrape()
    text = page(rig)
    assert "polls fail since" in text
    assert LedgerFailed.remedy in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://cdr.example/secret-path/fhir", "cdr.example:443"),
        ("http://CDR.example:8000/fhir", "cdr.example:8000"),
        ("http://[::1]:8000/fhir", "[::1]:8000"),
    ],
)
def test_of_the_url_only_host_and_port_are_shown(url: str, shown: str) -> None:
    rig = Rig(fhir={"url": url}).start()
    text = page(rig)
    assert f"FHIR server {shown} not asked yet" in text
    assert "secret" not in text


def test_links_lead_to_the_documents_of_this_version() -> None:
    rig = Rig().start()
    assert rig.exporter is not None
    landing = Backend(rig.worker, rig.probes, rig.telemetry, Thread(), PageOptions("x:1")).landing()
    for title, address in landing.documents:
        assert re.fullmatch(r"https://github\.com/[\w-]+/[\w-]+/blob/(main|v[\d.]+)/docs/[\w/-]+\.md", address), title
        assert (Path(__file__).parents[2] / "docs" / address.partition("/docs/")[2]).is_file()
