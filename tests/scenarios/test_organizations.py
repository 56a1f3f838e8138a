"""Organizations as the server shows them over time: refused, granted, renamed, and failing.

See docs/design.md#organizations.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import names
from exporter.demo.server import Response
from exporter.metrics.vocabulary import Comparison, Outcome

from ..support.builders import organization, reference, task
from ..support.disk import fill_up, make_room
from ..support.exposition import by_payer, comparisons, errors, is_up
from ..support.organizations import Organizations, owned, status
from ..support.rig import FULL_ONLY, prepared


def test_a_right_granted_later_names_ended_tasks_with_the_next_full_comparison() -> None:
    rig = prepared(organization("one", "One"), owned("a"), comparisons=FULL_ONLY)
    server = Organizations(rig)
    server.rules["one"] = status(403)
    rig.start().run_due()
    assert by_payer(rig) == {"unknown": 1}
    server.rules.clear()
    rig.compare_all()
    assert by_payer(rig) == {"One": 1}


def test_a_right_granted_before_a_restart_names_ended_tasks_at_once(tmp_path: Path) -> None:
    rig = prepared(organization("one", "One"), owned("a"), comparisons=FULL_ONLY, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    server.rules["one"] = status(403)
    rig.start().run_due()
    server.rules.clear()
    rig.restart().run_due()
    assert by_payer(rig) == {"One": 1}


def test_a_right_taken_away_shows_with_the_next_full_comparison() -> None:
    rig = prepared(organization("one", "One"), owned("a"), comparisons=FULL_ONLY)
    server = Organizations(rig)
    rig.start().run_due()
    server.rules["one"] = status(403)
    rig.compare_all()
    assert by_payer(rig) == {"unknown": 1}


def test_a_name_changed_on_the_server_moves_gauges_of_ended_tasks_and_no_counter() -> None:
    rig = prepared(organization("one", "Before"), owned("a"), comparisons=FULL_ONLY)
    rig.start().run_due()
    rig.store.put(owned("b"))
    rig.scrape()
    rig.store.put(organization("one", "After"))
    rig.compare_all()
    rig.store.put(owned("c"))
    assert by_payer(rig) == {"After": 3}
    assert by_payer(rig, "fhir_task_created_total") == {"Before": 1, "After": 1}


def test_an_organization_is_read_once_whatever_the_number_of_starts(tmp_path: Path) -> None:
    rig = prepared(organization("one", "One"), owned("a"), comparisons=FULL_ONLY, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    rig.start().run_due()
    for n in range(3):
        rig.restart().run_due()
        rig.store.put(owned(f"b{n}"))
        assert by_payer(rig) == {"One": n + 2}
    assert server.read == ["one"]


def test_an_answer_is_in_the_ledger_with_the_page_that_needed_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    rig = prepared(organization("one", "One"), owned("a"), owned("b", "Organization/gone"), path=str(path))
    rig.start().worker.step()
    rig.stop()
    assert rig.ledger_rows("SELECT reference, name FROM organization ORDER BY reference") == [
        ("Organization/gone", None),
        ("Organization/one", "One"),
    ]


def test_an_answer_for_a_page_that_was_lost_is_kept_with_the_next_one() -> None:
    rig = prepared(organization("one", "One"), owned("a"), organization("two", "Two"))
    server = Organizations(rig)
    rig.start().run_due()
    for n in range(1_000):
        rig.store.put(owned(f"burst-{n:032}", "Organization/two"))
    fill_up(rig.ledger)
    rig.scrape()
    assert errors(rig) == {"ledger": 1}
    assert rig.ledger.organizations() == {"Organization/one": "One"}
    make_room(rig.ledger)
    rig.scrape()
    assert rig.ledger.organizations() == {"Organization/one": "One", "Organization/two": "Two"}
    assert server.read == ["one", "two"]


def test_the_ledger_holds_so_many_answers_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "REMEMBERED", 4)
    rig = prepared(*(organization(f"o{n}", f"Payer {n}") for n in range(12)), comparisons=FULL_ONLY)
    for n in range(12):
        rig.store.put(owned(f"t{n}", f"Organization/o{n}"))
    rig.clock.advance(60)
    rig.start().run_due()
    assert len(rig.ledger.organizations()) == 4
    rig.compare_all()
    assert by_payer(rig) == {f"Payer {n}": 1 for n in range(12)}


# --- Reading them again


@pytest.mark.parametrize("failing", [status(500), status(503), status(503, retry_after="100")])
def test_a_read_that_fails_in_a_comparison_changes_no_name(failing: Callable[[], Response]) -> None:
    rig = prepared(*(organization(f"o{n}", f"Payer {n}") for n in range(3)), comparisons=FULL_ONLY)
    for n in range(3):
        rig.store.put(owned(f"t{n}", f"Organization/o{n}"))
    rig.clock.advance(60)
    server = Organizations(rig)
    rig.start().run_due()
    rig.store.put(organization("o2", "Renamed"))
    server.rules["o1"] = failing
    rig.compare_all()
    rig.clock.advance(120)
    rig.run_due()
    assert by_payer(rig) == {"Payer 0": 1, "Payer 1": 1, "Renamed": 1}


def test_a_login_page_in_a_comparison_changes_no_name() -> None:
    rig = prepared(organization("one", "One"), owned("a"), comparisons=FULL_ONLY)
    server = Organizations(rig)
    rig.start().run_due()
    server.rules["one"] = lambda: Response(200, (("content-type", "text/html"),), b"<html>Log in</html>")
    rig.compare_all()
    assert by_payer(rig) == {"One": 1}


def test_a_server_that_asks_to_wait_in_the_middle_of_a_refresh_is_not_asked() -> None:
    rig = prepared(*(organization(f"o{n}", f"Payer {n}") for n in range(3)), comparisons=FULL_ONLY)
    for n in range(3):
        rig.store.put(owned(f"t{n}", f"Organization/o{n}"))
    rig.clock.advance(60)
    server = Organizations(rig)
    rig.start().run_due()
    server.rules["o0"] = status(429, retry_after="100")
    rig.compare_all()
    asked = rig.transport.count
    rig.scrape(50)
    assert rig.transport.count == asked
    assert not is_up(rig)
    rig.clock.advance(60)
    rig.run_due()
    assert server.read[-2:] == ["o1", "o2"]
    assert comparisons(rig, Comparison.FULL, Outcome.COMPLETE) == 1


def test_a_dead_server_is_not_asked_for_every_organization() -> None:
    rig = prepared(*(owned(f"t{n}", f"Organization/o{n}") for n in range(50)), comparisons=FULL_ONLY)
    server = Organizations(rig)
    rig.start().run_due()
    before = len(server.read)
    for n in range(50):
        server.rules[f"o{n}"] = status(500)
    rig.compare_all()
    assert len(server.read) - before <= 10


def test_a_comparison_reads_a_thousand_organizations_at_most_and_the_oldest_first(tmp_path: Path) -> None:
    tasks = (owned(f"t{n:04}", f"Organization/o{n:04}") for n in range(1_300))
    rig = prepared(*tasks, comparisons=FULL_ONLY, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    rig.start().run_due()
    server.read.clear()
    rig.compare_all()
    assert server.read == [f"o{n:04}" for n in range(1_000)]
    server.read.clear()
    rig.compare_all()
    assert server.read == [f"o{n % 1_300:04}" for n in range(1_000, 2_000)]
    server.read.clear()
    rig.restart().run_due()
    assert server.read == [f"o{n % 1_300:04}" for n in range(2_000, 3_000)]


def test_a_poll_wanted_while_names_are_read_again_waits_for_one_of_them() -> None:
    rig = prepared(*(owned(f"t{n}", f"Organization/o{n}") for n in range(30)), comparisons=FULL_ONLY)
    server = Organizations(rig)
    rig.start().run_due()
    server.read.clear()
    rig.clock.advance(3_601)
    rig.worker.step()
    assert len(server.read) == 1
    wanted = rig.worker.scrape()
    before = len(server.read)
    while wanted.poll is not None and not wanted.poll.done():
        rig.worker.step()
    assert len(server.read) <= before + 1


def test_a_poll_between_two_reads_leaves_no_old_name_behind() -> None:
    rig = prepared(organization("one", "Before"), owned("a"), comparisons=FULL_ONLY)
    rig.start().run_due()
    rig.store.put(organization("one", "After"))
    rig.clock.advance(3_601)
    rig.worker.step()
    rig.store.put(owned("b"))
    wanted = rig.worker.scrape()
    while wanted.poll is not None and not wanted.poll.done():
        rig.worker.step()
    rig.run_due()
    assert by_payer(rig) == {"After": 2}


def test_an_exporter_killed_after_it_saw_a_new_name_walks_everything_when_it_starts(tmp_path: Path) -> None:
    rig = prepared(organization("one", "Before"), owned("a"), comparisons=FULL_ONLY, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    rig.start().run_due()
    rig.store.put(organization("one", "After"))
    before = len(server.read)
    rig.clock.advance(3_601)
    rig.worker.step()
    assert len(server.read) == before + 1
    rig.worker.step()
    rig.restart().run_due()
    assert by_payer(rig) == {"After": 1}


@pytest.mark.parametrize(
    "url", ["HTTP://FHIR.example/fhir", "http://fhir.example:80/fhir", "http://fhir.example/fhir/"]
)
def test_an_absolute_reference_to_the_server_is_read_however_its_base_url_is_written(url: str) -> None:
    absolute = task("a", owner=reference("http://fhir.example/fhir/Organization/old-payer"))
    rig = prepared(organization(), absolute, fhir={"url": url}).start().settle()
    assert by_payer(rig) == {"Old Payer": 1}
