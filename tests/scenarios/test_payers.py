"""Names of payers and their slots over time: named late, renamed, refused, granted, and past the cap."""

import logging
import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from exporter import names
from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response

from ..support import fake, quirks
from ..support.builders import Resource, by_display, completed, failed, organization, reference, task
from ..support.quirks import played
from ..support.readings import errors, own, up
from ..support.rig import Rig, value

ONLY_FULL = ReconcileSettings(open_interval=1e9)
"""No sweep of the open Tasks, so that nothing but the full comparison can move a gauge."""


def at_rest(rig: Rig) -> Rig:
    """Do all that is due, without time passing."""
    for _ in range(100_000):
        if rig.worker.rest_seconds() > 0:
            return rig
        rig.worker.step()
    raise AssertionError("the worker does not come to rest")


def compared(rig: Rig) -> Rig:
    """Let an hour pass, and with it a full comparison."""
    rig.clock.advance(3_601)
    return at_rest(rig)


def restarted(rig: Rig, **options: object) -> Rig:
    """End the process and start another one, with other options, and let it do what is due at once."""
    rig.stop()
    for name, option in options.items():
        setattr(rig, name, option)
    return at_rest(rig.start())


def by_payer(rig: Rig, metric: str = "fhir_tasks", label: str = "source_payer") -> dict[str, float]:
    """Add a metric up by payer, as a scrape now shows it; what is 0 is left out."""
    found: dict[str, float] = {}
    for line in rig.scrape().splitlines():
        if line.startswith(metric + "{"):
            name = line.partition(f'{label}="')[2].partition('"')[0]
            found[name] = found.get(name, 0) + float(line.rsplit(" ", 1)[1])
    return {name: n for name, n in found.items() if n}


def capped(rig: Rig) -> float | None:
    return value(own(rig), "fhir_task_exporter_pairs_capped")


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Ask the file of an exporter that has ended."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def filled(*resources: Resource, **options: object) -> Rig:
    """Put a server with these resources before an exporter that is not started."""
    rig = Rig(**options)  # type: ignore[arg-type]
    for resource in resources:
        rig.store.put(resource)
        rig.clock.advance(0.01)
    rig.clock.advance(60)
    return rig


# --- Payers that the operator names


def owned(identifier: str, payer: str = "Organization/one") -> Resource:
    return completed(identifier, owner=reference(payer), requester=None)


def long_baseline(path: Path) -> Rig:
    tasks = (owned(f"t{n:04}") for n in range(700))
    return filled(organization("one", "Read"), *tasks, path=str(path / "ledger.db"), comparisons=ONLY_FULL)


def test_payers_named_while_the_baseline_runs_have_their_names_after_it(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.worker.step()
    restarted(rig, payers={"Organization/one": "One"})
    assert by_payer(rig) == {"One": 700}


def test_payers_named_and_unnamed_again_while_the_baseline_runs_leave_no_trace(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.stop()
    rig.payers = {"Organization/one": "One"}
    rig.start().worker.step()
    restarted(rig, payers={})
    assert by_payer(rig) == {"Read": 700}


def test_names_taken_back_in_the_middle_of_a_walk_of_everything_leave_no_trace(tmp_path: Path) -> None:
    rig = at_rest(long_baseline(tmp_path).start())
    rig.stop()
    rig.payers = {"Organization/one": "One"}
    rig.start()
    rig.transport.answer = played(rig.store, quirks.when(quirks.is_page, quirks.always(Response(500, (), b""))))
    at_rest(rig)
    assert set(by_payer(rig)) == {"Read", "One"}
    rig.transport.answer = fake.honest(rig.store)
    restarted(rig, payers={})
    assert by_payer(rig) == {"Read": 700}


def test_a_baseline_whose_names_stay_is_not_walked_twice(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.stop()
    at_rest(rig.start())
    restarted(rig)
    assert len([request for request in rig.transport.requests if quirks.is_page(request)]) <= 8


# --- Pairs past the cap


def crowd(payers: int, **options: object) -> Rig:
    """One ended Task each of so many payers."""
    tasks = (completed(f"t{n:05}", owner=by_display(f"Payer {n:05}"), requester=None) for n in range(payers))
    return filled(*tasks, **options)


def test_a_raised_cap_moves_gauges_at_once_and_no_counter(tmp_path: Path) -> None:
    rig = at_rest(crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2, comparisons=ONLY_FULL).start())
    rig.store.put(failed("later", owner=by_display("Payer 00004"), requester=None))
    assert by_payer(rig) == {"Payer 00000": 1, "Payer 00001": 1, "other": 4}
    assert capped(rig) == 3
    restarted(rig, pairs_max=10)
    slots = {f"Payer {n:05}": 1.0 for n in range(5)}
    assert by_payer(rig) == slots | {"Payer 00004": 2}
    assert by_payer(rig, "fhir_task_failures_total") == {"other": 1}
    assert by_payer(rig, "fhir_task_created_total") == {"other": 1}
    assert capped(rig) == 0
    rig.store.put(failed("last", owner=by_display("Payer 00004"), requester=None))
    assert by_payer(rig, "fhir_task_created_total") == {"other": 1, "Payer 00004": 1}


def test_a_cap_raised_by_one_gives_one_slot(tmp_path: Path) -> None:
    rig = at_rest(crowd(4, path=str(tmp_path / "ledger.db"), pairs_max=1, comparisons=ONLY_FULL).start())
    restarted(rig, pairs_max=2)
    assert by_payer(rig) == {"Payer 00000": 1, "Payer 00001": 1, "other": 2}
    assert capped(rig) == 2


def test_a_named_payer_past_the_cap_has_one_slot_whomever_it_meets() -> None:
    late, rig = reference("Organization/late"), Rig(pairs_max=1, payers={"Organization/late": "Late"})
    for identifier, owner, requester in (("a", "X", "Y"), ("b", late, "Us"), ("c", late, "Them"), ("d", "Them", late)):
        parties = [by_display(each) if isinstance(each, str) else each for each in (owner, requester)]
        rig.store.put(completed(identifier, owner=parties[0], requester=parties[1]))
        rig.clock.advance(1)
    at_rest(rig.start())
    assert by_payer(rig) == {"X": 1, "Late": 1, "other": 2}


@pytest.mark.parametrize("side", ["owner", "requester"])
def test_a_payer_named_after_it_came_past_the_cap_gets_its_slot_on_either_side(tmp_path: Path, side: str) -> None:
    def asked(identifier: str, party: Resource) -> Resource:
        parties = {"owner": by_display("Us"), "requester": by_display("Us"), side: party}
        return completed(identifier, owner=parties["owner"], requester=parties["requester"])

    label = "source_payer" if side == "owner" else "requesting_payer"
    rig = filled(asked("a", by_display("First")), asked("b", reference("Organization/late")))
    rig.path, rig.pairs_max, rig.comparisons = str(tmp_path / "ledger.db"), 1, ONLY_FULL
    at_rest(rig.start())
    assert by_payer(rig, label=label) == {"First": 1, "other": 1}
    restarted(rig, payers={"Organization/late": "Late"})
    assert by_payer(rig, label=label) == {"First": 1, "Late": 1}
    assert capped(rig) == 0


def test_pairs_past_the_cap_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    rig = at_rest(crowd(300, path=str(path), pairs_max=2).start())
    assert capped(rig) == 298
    rig.stop()
    assert rows(path, "SELECT source FROM pair ORDER BY id") == [("Payer 00000",), ("Payer 00001",), ("other",)]


def test_what_is_counted_of_pairs_past_the_cap_has_an_end() -> None:
    rig = at_rest(crowd(10_100, pairs_max=2).start())
    assert capped(rig) == 10_000
    assert rig.ledger is not None
    assert len(rig.ledger._capped._met) <= 10_000


def test_a_restart_does_not_resolve_the_alert_about_capped_pairs(tmp_path: Path) -> None:
    rig = at_rest(crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2).start())
    restarted(rig)
    assert capped(rig) == 3
    rig.store.put(completed("again", owner=by_display("Payer 00004"), requester=None))
    rig.scrape()
    assert capped(rig) == 3


def test_a_comparison_that_only_counts_forgets_no_capped_pair_and_a_walk_of_everything_those_that_are_gone(
    tmp_path: Path,
) -> None:
    rig = at_rest(crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2, comparisons=ONLY_FULL).start())
    compared(rig)
    assert capped(rig) == 3
    rig.store.delete("t00004")
    compared(rig)
    assert capped(rig) == 3
    rig.transport.answer = played(rig.store, quirks.refusing("_summary"))
    compared(rig)
    rig.scrape()
    assert capped(rig) == 2


def test_own_slots_stay_when_the_cap_is_lowered(tmp_path: Path) -> None:
    rig = at_rest(crowd(4, path=str(tmp_path / "ledger.db"), pairs_max=3, comparisons=ONLY_FULL).start())
    restarted(rig, pairs_max=1)
    rig.store.put(completed("new", owner=by_display("Newcomer"), requester=None))
    assert by_payer(rig) == {"Payer 00000": 1, "Payer 00001": 1, "Payer 00002": 1, "other": 2}
    assert capped(rig) == 2


def test_the_refused_page_of_a_full_disk_adds_no_capped_pair() -> None:
    rig = at_rest(crowd(4, pairs_max=2).start())
    assert rig.ledger is not None
    for n in range(3_000):
        rig.store.put(completed(f"burst-{n:032}", owner=by_display("Newcomer"), requester=None))
    rig.ledger._read(f"PRAGMA max_page_count = {rig.ledger._read('PRAGMA page_count')[0][0]}")
    rig.scrape()
    assert errors(rig) == {"ledger": 1}
    assert capped(rig) == 2
    rig.ledger._read("PRAGMA max_page_count = 1000000")
    rig.scrape()
    assert capped(rig) == 3


REPLICA = """
    from tests.scenarios.test_payers import at_rest, by_payer, crowd

    print(sorted(by_payer(at_rest(crowd(40, pairs_max=3).start()))))
"""


def test_replicas_give_their_slots_in_the_same_order() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        command = [sys.executable, "-c", textwrap.dedent(REPLICA)]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert found == {"['Payer 00000', 'Payer 00001', 'Payer 00002', 'other']\n"}


OLD = Path(__file__).parents[1] / "unit" / "ledger" / "ledger-schema-1.sql"
"""A ledger that schema 1 wrote with `--pairs.max=1`: Payer 1 has a slot, Payers 0, 2 and 3 have none."""


def old_exporter(folder: Path, **options: object) -> Rig:
    """Put the Tasks on a server that the old ledger has seen, and start this programme on that ledger."""
    tasks = [task(f"t{n}", owner=by_display(f"Payer {n}")) for n in range(4)]
    rig = Rig(path=str(folder / "ledger.db"), **options)  # type: ignore[arg-type]
    for each in [*tasks, completed("ended", owner=by_display("Payer 3"))]:
        rig.store.put(each)
        rig.clock.advance(1)
    rig.clock.advance(60)
    rig.store.put(failed("t2", owner=by_display("Payer 2")))
    rig.clock.advance(60)
    with closing(sqlite3.connect(rig.path)) as connection:
        connection.executescript(OLD.read_text())
    return rig.start()


def test_an_old_ledger_lets_go_of_its_capped_pairs_and_loses_no_number(tmp_path: Path) -> None:
    rig = old_exporter(tmp_path, pairs_max=1)
    assert capped(rig) == 3
    at_rest(rig)
    assert by_payer(rig) == {"Payer 1": 1, "other": 4}
    assert by_payer(rig, "fhir_task_failures_total") == {"other": 1}
    assert capped(rig) == 3
    rig.stop()
    path = tmp_path / "ledger.db"
    assert rows(path, "SELECT id, source FROM pair") == [(1, "Payer 1"), (2, "other")]
    for table in ("task", "tally", "latest", "counter"):
        assert rows(path, f"SELECT * FROM {table} WHERE pair NOT IN (SELECT id FROM pair) AND pair <> 0") == []


def test_an_old_ledger_takes_a_raised_cap(tmp_path: Path) -> None:
    rig = at_rest(old_exporter(tmp_path, pairs_max=10))
    assert by_payer(rig) == {"Payer 0": 1, "Payer 1": 1, "Payer 2": 1, "Payer 3": 2}
    assert by_payer(rig, "fhir_task_failures_total") == {"other": 1}
    assert capped(rig) == 0


# --- Names that the server tells late


class Organizations:
    """A server that answers reads of some Organizations otherwise: `rules` by id, None for what it really holds."""

    def __init__(self, rig: Rig) -> None:
        self.rules: dict[str, Callable[[], Response]] = {}
        self.read: list[str] = []
        self._rig = rig
        rig.transport.answer = self

    def __call__(self, request: Request) -> Response:
        if "/Organization/" not in request.path:
            return fake.honest(self._rig.store)(request)
        name = request.path.rpartition("/")[2]
        self.read.append(name)
        rule = self.rules.get(name)
        return rule() if rule is not None else fake.honest(self._rig.store)(request)


def status(code: int, **headers: str) -> Callable[[], Response]:
    given = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return lambda: Response(code, given, b"")


def test_a_right_granted_later_names_ended_tasks_with_the_next_full_comparison() -> None:
    rig = filled(organization("one", "One"), owned("a"), comparisons=ONLY_FULL)
    server = Organizations(rig)
    server.rules["one"] = status(403)
    at_rest(rig.start())
    assert by_payer(rig) == {"unknown": 1}
    server.rules.clear()
    compared(rig)
    assert by_payer(rig) == {"One": 1}


def test_a_right_granted_before_a_restart_names_ended_tasks_at_once(tmp_path: Path) -> None:
    rig = filled(organization("one", "One"), owned("a"), comparisons=ONLY_FULL, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    server.rules["one"] = status(403)
    at_rest(rig.start())
    server.rules.clear()
    restarted(rig)
    assert by_payer(rig) == {"One": 1}


def test_a_name_changed_on_the_server_moves_gauges_of_ended_tasks_and_no_counter() -> None:
    rig = filled(organization("one", "Before"), owned("a"), comparisons=ONLY_FULL)
    at_rest(rig.start())
    rig.store.put(owned("b"))
    rig.scrape()
    rig.store.put(organization("one", "After"))
    compared(rig)
    rig.store.put(owned("c"))
    assert by_payer(rig) == {"After": 3}
    assert by_payer(rig, "fhir_task_created_total") == {"Before": 1, "After": 1}


def test_an_organization_is_read_once_whatever_the_number_of_starts(tmp_path: Path) -> None:
    rig = filled(organization("one", "One"), owned("a"), comparisons=ONLY_FULL, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    at_rest(rig.start())
    for n in range(3):
        restarted(rig)
        rig.store.put(owned(f"b{n}"))
        assert by_payer(rig) == {"One": n + 2}
    assert server.read == ["one"]


def test_an_answer_is_in_the_ledger_with_the_page_that_needed_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    rig = filled(organization("one", "One"), owned("a"), owned("b", "Organization/gone"), path=str(path))
    rig.start().worker.step()
    rig.stop()
    assert rows(path, "SELECT reference, name FROM organization ORDER BY reference") == [
        ("Organization/gone", None),
        ("Organization/one", "One"),
    ]


@pytest.mark.parametrize("failing", [status(500), status(503), status(503, retry_after="100")])
def test_a_read_that_fails_in_a_comparison_changes_no_name(failing: Callable[[], Response]) -> None:
    rig = filled(*(organization(f"o{n}", f"Payer {n}") for n in range(3)), comparisons=ONLY_FULL)
    for n in range(3):
        rig.store.put(owned(f"t{n}", f"Organization/o{n}"))
    rig.clock.advance(60)
    server = Organizations(rig)
    at_rest(rig.start())
    rig.store.put(organization("o2", "Renamed"))
    server.rules["o1"] = failing
    compared(rig)
    rig.clock.advance(120)
    at_rest(rig)
    assert by_payer(rig) == {"Payer 0": 1, "Payer 1": 1, "Renamed": 1}


def test_a_login_page_in_a_comparison_changes_no_name() -> None:
    rig = filled(organization("one", "One"), owned("a"), comparisons=ONLY_FULL)
    server = Organizations(rig)
    at_rest(rig.start())
    server.rules["one"] = lambda: Response(200, (("content-type", "text/html"),), b"<html>Log in</html>")
    compared(rig)
    assert by_payer(rig) == {"One": 1}


def test_a_right_taken_away_shows_with_the_next_full_comparison() -> None:
    rig = filled(organization("one", "One"), owned("a"), comparisons=ONLY_FULL)
    server = Organizations(rig)
    at_rest(rig.start())
    server.rules["one"] = status(403)
    compared(rig)
    assert by_payer(rig) == {"unknown": 1}


def test_an_answer_for_a_page_that_was_lost_is_kept_with_the_next_one() -> None:
    rig = filled(organization("one", "One"), owned("a"), organization("two", "Two"))
    server = Organizations(rig)
    at_rest(rig.start())
    assert rig.ledger is not None
    for n in range(1_000):
        rig.store.put(owned(f"burst-{n:032}", "Organization/two"))
    rig.ledger._read(f"PRAGMA max_page_count = {rig.ledger._read('PRAGMA page_count')[0][0]}")
    rig.scrape()
    assert errors(rig) == {"ledger": 1}
    assert rig.ledger.organizations() == {"Organization/one": "One"}
    rig.ledger._read("PRAGMA max_page_count = 1000000")
    rig.scrape()
    assert rig.ledger.organizations() == {"Organization/one": "One", "Organization/two": "Two"}
    assert server.read == ["one", "two"]


def test_the_ledger_holds_so_many_answers_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "REMEMBERED", 4)
    rig = filled(*(organization(f"o{n}", f"Payer {n}") for n in range(12)), comparisons=ONLY_FULL)
    for n in range(12):
        rig.store.put(owned(f"t{n}", f"Organization/o{n}"))
    rig.clock.advance(60)
    at_rest(rig.start())
    assert rig.ledger is not None
    assert len(rig.ledger.organizations()) == 4
    compared(rig)
    assert by_payer(rig) == {f"Payer {n}": 1 for n in range(12)}


def test_a_server_that_asks_for_silence_in_the_middle_of_a_refresh_gets_it() -> None:
    rig = filled(*(organization(f"o{n}", f"Payer {n}") for n in range(3)), comparisons=ONLY_FULL)
    for n in range(3):
        rig.store.put(owned(f"t{n}", f"Organization/o{n}"))
    rig.clock.advance(60)
    server = Organizations(rig)
    at_rest(rig.start())
    server.rules["o0"] = status(429, retry_after="100")
    compared(rig)
    asked = rig.transport.count
    rig.scrape(50)
    assert rig.transport.count == asked
    assert not up(rig)
    rig.clock.advance(60)
    at_rest(rig)
    assert server.read[-2:] == ["o1", "o2"]
    assert value(own(rig), 'fhir_task_exporter_reconciles_total{outcome="complete",sweep="full"}') == 1


def test_a_dead_server_is_not_asked_for_every_organization() -> None:
    rig = filled(*(owned(f"t{n}", f"Organization/o{n}") for n in range(50)), comparisons=ONLY_FULL)
    server = Organizations(rig)
    at_rest(rig.start())
    before = len(server.read)
    for n in range(50):
        server.rules[f"o{n}"] = status(500)
    compared(rig)
    assert len(server.read) - before <= 10


def test_a_comparison_reads_a_thousand_organizations_at_most_and_the_oldest_first(tmp_path: Path) -> None:
    tasks = (owned(f"t{n:04}", f"Organization/o{n:04}") for n in range(1_300))
    rig = filled(*tasks, comparisons=ONLY_FULL, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    at_rest(rig.start())
    server.read.clear()
    compared(rig)
    assert server.read == [f"o{n:04}" for n in range(1_000)]
    server.read.clear()
    compared(rig)
    assert server.read == [f"o{n % 1_300:04}" for n in range(1_000, 2_000)]
    server.read.clear()
    restarted(rig)
    assert server.read == [f"o{n % 1_300:04}" for n in range(2_000, 3_000)]


def test_a_poll_wanted_while_names_are_read_again_waits_for_one_of_them() -> None:
    rig = filled(*(owned(f"t{n}", f"Organization/o{n}") for n in range(30)), comparisons=ONLY_FULL)
    server = Organizations(rig)
    at_rest(rig.start())
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
    rig = filled(organization("one", "Before"), owned("a"), comparisons=ONLY_FULL)
    at_rest(rig.start())
    rig.store.put(organization("one", "After"))
    rig.clock.advance(3_601)
    rig.worker.step()
    rig.store.put(owned("b"))
    wanted = rig.worker.scrape()
    while wanted.poll is not None and not wanted.poll.done():
        rig.worker.step()
    at_rest(rig)
    assert by_payer(rig) == {"After": 2}


def test_an_exporter_killed_after_it_saw_a_new_name_walks_everything_when_it_starts(tmp_path: Path) -> None:
    rig = filled(organization("one", "Before"), owned("a"), comparisons=ONLY_FULL, path=str(tmp_path / "ledger.db"))
    server = Organizations(rig)
    at_rest(rig.start())
    rig.store.put(organization("one", "After"))
    before = len(server.read)
    rig.clock.advance(3_601)
    rig.worker.step()
    assert len(server.read) == before + 1
    rig.worker.step()
    restarted(rig)
    assert by_payer(rig) == {"After": 1}


# --- Organizations that always fail


def standing_still(rig: Rig, seconds: float, interval: float = 60) -> None:
    """Let time pass and scrapes come."""
    for _ in range(round(seconds / interval)):
        rig.scrape(interval)
        rig.settle()


def broken(code: int = 500, **options: object) -> tuple[Rig, Organizations]:
    """A settled exporter, and a new Task whose owner cannot be read."""
    rig = filled(organization("one", "One"), owned("a"), comparisons=ONLY_FULL, **options)
    server = Organizations(rig)
    at_rest(rig.start())
    server.rules["odd"] = status(code)
    rig.store.put(owned("b", "Organization/odd"))
    return rig, server


def test_an_organization_that_fails_for_an_hour_counts_as_refused(caplog: pytest.LogCaptureFixture) -> None:
    rig, server = broken()
    with caplog.at_level(logging.WARNING):
        standing_still(rig, 3_500)
        assert not up(rig)
        assert by_payer(rig, "fhir_task_created_total") == {}
        standing_still(rig, 300)
    assert up(rig)
    assert by_payer(rig) == {"One": 1, "unknown": 1}
    assert by_payer(rig, "fhir_task_created_total") == {"unknown": 1}
    told = [record for record in caplog.records if "counts as refused" in record.getMessage()]
    assert len(told) == 1
    assert "odd" not in caplog.text
    before = len(server.read)
    rig.store.put(owned("c", "Organization/odd"))
    assert by_payer(rig) == {"One": 1, "unknown": 2}
    assert len(server.read) == before


def test_neither_a_restart_nor_a_comparison_starts_another_hour(tmp_path: Path) -> None:
    rig, server = broken(path=str(tmp_path / "ledger.db"))
    standing_still(rig, 3_900)
    assert up(rig)
    compared(rig)
    restarted(rig)
    rig.store.put(owned("c", "Organization/odd"))
    assert by_payer(rig) == {"One": 1, "unknown": 2}
    server.rules.clear()
    rig.store.put(organization("odd", "Healed"))
    compared(rig)
    assert by_payer(rig) == {"One": 1, "Healed": 2}


def test_one_failure_at_the_end_of_a_long_outage_refuses_nobody() -> None:
    rig, server = broken()
    standing_still(rig, 540)
    outage = Response(500, (), b"")
    rig.transport.answer = lambda request: outage
    standing_still(rig, 2 * 3_600)
    rig.transport.answer = server
    for _ in range(3):
        rig.scrape(5)
        assert not up(rig)
    server.rules.clear()
    rig.store.put(organization("odd", "Odd"))
    assert by_payer(rig) == {"One": 1, "Odd": 1}
    assert by_payer(rig, "fhir_task_created_total") == {"Odd": 1}


def test_several_organizations_that_fail_have_their_hour_together() -> None:
    rig, server = broken()
    for n in range(4):
        server.rules[f"odd{n}"] = status(502)
        rig.store.put(owned(f"b{n}", f"Organization/odd{n}"))
    standing_still(rig, 3_900)
    assert up(rig)
    assert by_payer(rig) == {"One": 1, "unknown": 5}


def test_few_tries_in_an_hour_refuse_nobody() -> None:
    rig, _ = broken()
    standing_still(rig, 4_000, interval=800)
    assert not up(rig)


def test_an_organization_that_fails_stops_the_baseline_for_an_hour_at_most() -> None:
    rig = filled(owned("a", "Organization/odd"), comparisons=ONLY_FULL)
    Organizations(rig).rules["odd"] = status(500)
    rig.start()
    for _ in range(75):
        rig.clock.advance(60)
        at_rest(rig)
    assert up(rig)
    assert by_payer(rig) == {"unknown": 1}


def timed_out() -> Response:
    raise httpx.ReadTimeout("too late", request=httpx.Request("GET", fake.BASE))


def broken_off() -> Response:
    raise httpx.RemoteProtocolError("closed", request=httpx.Request("GET", fake.BASE))


@pytest.mark.parametrize("rule", [timed_out, broken_off, status(503, retry_after="100")])
def test_other_ways_in_which_one_organization_can_fail_count_too(rule: Callable[[], Response]) -> None:
    rig, server = broken()
    server.rules["odd"] = rule
    standing_still(rig, 3_400)
    assert not up(rig)
    standing_still(rig, 600)
    assert up(rig)


def test_credentials_that_ended_refuse_nobody() -> None:
    rig, server = broken(401)
    standing_still(rig, 2 * 3_600)
    assert not up(rig)
    assert by_payer(rig, "fhir_task_created_total") == {}
    server.rules.clear()
    rig.store.put(organization("odd", "Odd"))
    assert by_payer(rig) == {"One": 1, "Odd": 1}
