"""Pairs of payers and their slots: the cap, and what happens past it."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exporter.task.model import OTHER_PAIR, Event, Pair
from exporter.task.payers import PairRule

from ..support import quirk_tasks, quirks
from ..support.builders import Resource, by_display, completed, failed, reference, task
from ..support.disk import fill_up, make_room
from ..support.exposition import by_payer, capped, errors, payers, tasks
from ..support.rig import FULL_ONLY, Rig, prepared, settled


def crowd(payers: int, **options: Any) -> Rig:
    """One ended Task each of so many payers."""
    tasks = (completed(f"t{n:05}", owner=by_display(f"Payer {n:05}"), requester=None) for n in range(payers))
    return prepared(*tasks, **options)


def test_a_raised_cap_moves_gauges_at_once_and_no_counter(tmp_path: Path) -> None:
    rig = crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2, comparisons=FULL_ONLY).start().run_due()
    rig.store.put(failed("later", owner=by_display("Payer 00004"), requester=None))
    assert by_payer(rig) == {"Payer 00000": 1, "Payer 00001": 1, "other": 4}
    assert capped(rig) == 3
    rig.restart(pairs_max=10).run_due()
    slots = {f"Payer {n:05}": 1.0 for n in range(5)}
    assert by_payer(rig) == slots | {"Payer 00004": 2}
    assert by_payer(rig, "fhir_task_failures_total") == {"other": 1}
    assert by_payer(rig, "fhir_task_created_total") == {"other": 1}
    assert capped(rig) == 0
    rig.store.put(failed("last", owner=by_display("Payer 00004"), requester=None))
    assert by_payer(rig, "fhir_task_created_total") == {"other": 1, "Payer 00004": 1}


def test_a_cap_raised_by_one_gives_one_slot(tmp_path: Path) -> None:
    rig = crowd(4, path=str(tmp_path / "ledger.db"), pairs_max=1, comparisons=FULL_ONLY).start().run_due()
    rig.restart(pairs_max=2).run_due()
    assert by_payer(rig) == {"Payer 00000": 1, "Payer 00001": 1, "other": 2}
    assert capped(rig) == 2


def test_a_named_payer_past_the_cap_has_one_slot_whatever_its_partner() -> None:
    late, rig = reference("Organization/late"), Rig(pairs_max=1, payers={"Organization/late": "Late"})
    for identifier, owner, requester in (("a", "X", "Y"), ("b", late, "Us"), ("c", late, "Them"), ("d", "Them", late)):
        parties = [by_display(each) if isinstance(each, str) else each for each in (owner, requester)]
        rig.store.put(completed(identifier, owner=parties[0], requester=parties[1]))
        rig.clock.advance(1)
    rig.start().run_due()
    assert by_payer(rig) == {"X": 1, "Late": 1, "other": 2}


@pytest.mark.parametrize("side", ["owner", "requester"])
def test_a_payer_named_after_it_came_past_the_cap_gets_its_slot_on_either_side(tmp_path: Path, side: str) -> None:
    def asked(identifier: str, party: Resource) -> Resource:
        parties = {"owner": by_display("Us"), "requester": by_display("Us"), side: party}
        return completed(identifier, owner=parties["owner"], requester=parties["requester"])

    label = "source_payer" if side == "owner" else "requesting_payer"
    rig = prepared(asked("a", by_display("First")), asked("b", reference("Organization/late")))
    rig.path, rig.pairs_max, rig.comparisons = str(tmp_path / "ledger.db"), 1, FULL_ONLY
    rig.start().run_due()
    assert by_payer(rig, label=label) == {"First": 1, "other": 1}
    rig.restart(payers={"Organization/late": "Late"}).run_due()
    assert by_payer(rig, label=label) == {"First": 1, "Late": 1}
    assert capped(rig) == 0


@pytest.mark.parametrize(
    ("pair", "admitted"),
    [
        (Pair("known", "x"), True),
        (Pair("x", "known"), True),
        (Pair("known", "named"), True),
        (Pair("taken", "x"), False),
        (Pair("x", "taken"), False),
        (Pair("x", "y"), False),
    ],
)
def test_a_configured_payer_past_the_cap_has_one_slot(pair: Pair, admitted: bool) -> None:
    rule = PairRule(1, frozenset({"known", "named", "taken"}))
    assert rule.admits(pair, 1, {"taken", "us"}) is admitted
    assert rule.admits(OTHER_PAIR, 1, {"taken", "us"})


def test_own_slots_stay_when_the_cap_is_lowered(tmp_path: Path) -> None:
    rig = crowd(4, path=str(tmp_path / "ledger.db"), pairs_max=3, comparisons=FULL_ONLY).start().run_due()
    rig.restart(pairs_max=1).run_due()
    rig.store.put(completed("new", owner=by_display("Newcomer"), requester=None))
    assert by_payer(rig) == {"Payer 00000": 1, "Payer 00001": 1, "Payer 00002": 1, "other": 2}
    assert capped(rig) == 2


def test_a_slot_is_permanent_and_survives_its_tasks_and_restarts(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    rig = settled(task("a", owner=by_display("Alpha")), path=path, pairs_max=1, comparisons=FULL_ONLY)
    rig.store.delete("a")
    rig.compare_all()
    rig.restart()
    rig.store.put(task("b", owner=by_display("Beta")))
    rig.store.put(task("c", owner=by_display("Alpha")))
    rig.scrape()
    created = {
        s.pair.source: n for s, n in rig.worker.published.snapshot.counts.items() if s.event is Event.CREATED and s.pair
    }
    assert created == {"Alpha": 1, "other": 1}


# --- Past the cap


def test_pairs_past_the_cap_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    rig = crowd(300, path=str(path), pairs_max=2).start().run_due()
    assert capped(rig) == 298
    rig.stop()
    assert rig.ledger_rows("SELECT source FROM pair ORDER BY id") == [("Payer 00000",), ("Payer 00001",), ("other",)]


def test_what_is_counted_of_pairs_past_the_cap_has_an_end() -> None:
    rig = crowd(10_100, pairs_max=2).start().run_due()
    assert capped(rig) == 10_000
    assert len(rig.ledger._capped._met) <= 10_000


def test_a_restart_does_not_resolve_the_alert_about_capped_pairs(tmp_path: Path) -> None:
    rig = crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2).start().run_due()
    rig.restart().run_due()
    assert capped(rig) == 3
    rig.store.put(completed("again", owner=by_display("Payer 00004"), requester=None))
    rig.scrape()
    assert capped(rig) == 3


def test_a_comparison_that_only_counts_forgets_no_capped_pair_and_a_walk_of_everything_those_that_are_gone(
    tmp_path: Path,
) -> None:
    rig = crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2, comparisons=FULL_ONLY).start().run_due()
    rig.compare_all()
    assert capped(rig) == 3
    rig.store.delete("t00004")
    rig.compare_all()
    assert capped(rig) == 3
    rig.play(quirks.refusing("_summary"))
    rig.compare_all()
    rig.scrape()
    assert capped(rig) == 2


def test_the_refused_page_of_a_full_disk_adds_no_capped_pair() -> None:
    rig = crowd(4, pairs_max=2).start().run_due()
    for n in range(3_000):
        rig.store.put(completed(f"burst-{n:032}", owner=by_display("Newcomer"), requester=None))
    fill_up(rig.ledger)
    rig.scrape()
    assert errors(rig) == {"ledger": 1}
    assert capped(rig) == 2
    make_room(rig.ledger)
    rig.scrape()
    assert capped(rig) == 3


def test_q21_ten_thousand_owners_make_a_bounded_text() -> None:
    payer = {"Organization/old-payer": "Named"}
    rig = settled(*quirk_tasks.many_owners(10_000), seconds_apart=0, pairs_max=20, payers=payer)
    rig.store.put(task("named"))
    text = rig.scrape()
    assert len(payers(rig)) == 22
    assert {"other", "Named"} < payers(rig)
    assert len(text.splitlines()) < 22 * 70
    assert tasks(rig) == {"requested": 10_001}
    assert capped(rig) == 9_980


REPLICA = """
    from tests.scenarios.test_pairs import crowd
    from tests.support.exposition import by_payer

    print(sorted(by_payer(crowd(40, pairs_max=3).start().run_due())))
"""


def test_replicas_give_their_slots_in_the_same_order() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        command = [sys.executable, "-c", textwrap.dedent(REPLICA)]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert found == {"['Payer 00000', 'Payer 00001', 'Payer 00002', 'other']\n"}


# --- A ledger of schema 1


OLD = Path(__file__).parents[1] / "unit" / "ledger" / "ledger-schema-1.sql"
"""A ledger that schema 1 wrote with `--pairs.max=1`: Payer 1 has a slot, Payers 0, 2 and 3 have none."""


def old_exporter(folder: Path, **options: Any) -> Rig:
    """Put the Tasks on a server that the old ledger has seen, and start this program on that ledger."""
    tasks = [task(f"t{n}", owner=by_display(f"Payer {n}")) for n in range(4)]
    rig = Rig(path=str(folder / "ledger.db"), **options)
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
    rig.run_due()
    assert by_payer(rig) == {"Payer 1": 1, "other": 4}
    assert by_payer(rig, "fhir_task_failures_total") == {"other": 1}
    assert capped(rig) == 3
    rig.stop()
    assert rig.ledger_rows("SELECT id, source FROM pair") == [(1, "Payer 1"), (2, "other")]
    for table in ("task", "tally", "latest", "counter"):
        assert rig.ledger_rows(f"SELECT * FROM {table} WHERE pair NOT IN (SELECT id FROM pair) AND pair <> 0") == []


def test_an_old_ledger_takes_a_raised_cap(tmp_path: Path) -> None:
    rig = old_exporter(tmp_path, pairs_max=10).run_due()
    assert by_payer(rig) == {"Payer 0": 1, "Payer 1": 1, "Payer 2": 1, "Payer 3": 2}
    assert by_payer(rig, "fhir_task_failures_total") == {"other": 1}
    assert capped(rig) == 0
