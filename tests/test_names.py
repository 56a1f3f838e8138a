"""Names of payers and their slots over time: named late, renamed, refused, granted, and past the cap."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from exporter.demo.server import Response
from exporter.jobs import Timing

from . import fake, quirks
from .builders import Resource, by_display, completed, failed, organization, reference, task
from .quirks import played
from .readings import errors, own
from .rig import Rig, value

ONLY_FULL = Timing(open_interval=1e9)
"""No sweep of the open Tasks, so that nothing but the full comparison can move a gauge."""


def at_rest(rig: Rig) -> Rig:
    """Do all that is due, without time passing."""
    for _ in range(100_000):
        if rig.worker._rest() > 0:
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
    return filled(*(owned(f"t{n:04}") for n in range(700)), path=str(path / "ledger.db"), timing=ONLY_FULL)


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
    assert by_payer(rig) == {"unknown": 700}


def test_names_taken_back_in_the_middle_of_a_walk_of_everything_leave_no_trace(tmp_path: Path) -> None:
    rig = at_rest(long_baseline(tmp_path).start())
    rig.stop()
    rig.payers = {"Organization/one": "One"}
    rig.start()
    rig.transport.answer = played(rig.store, quirks.when(quirks.is_page, quirks.always(Response(500, (), b""))))
    at_rest(rig)
    assert set(by_payer(rig)) == {"unknown", "One"}
    rig.transport.answer = fake.honest(rig.store)
    restarted(rig, payers={})
    assert by_payer(rig) == {"unknown": 700}


def test_a_baseline_whose_names_stay_is_not_walked_twice(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.stop()
    rig.store.put(organization("one", "Read"))
    at_rest(rig.start())
    restarted(rig)
    assert len([request for request in rig.transport.requests if quirks.is_page(request)]) <= 8


# --- Pairs past the cap


def crowd(payers: int, **options: object) -> Rig:
    """One ended Task each of so many payers."""
    tasks = (completed(f"t{n:05}", owner=by_display(f"Payer {n:05}"), requester=None) for n in range(payers))
    return filled(*tasks, **options)


def test_a_raised_cap_moves_gauges_at_once_and_no_counter(tmp_path: Path) -> None:
    rig = at_rest(crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2, timing=ONLY_FULL).start())
    rig.store.put(failed("later", owner=by_display("Payer 00004"), requester=None))
    assert by_payer(rig) == {"Payer 00000": 1, "Payer 00001": 1, "other": 4}
    assert capped(rig) == 3
    restarted(rig, pairs_max=10)
    names = {f"Payer {n:05}": 1.0 for n in range(5)}
    assert by_payer(rig) == names | {"Payer 00004": 2}
    assert by_payer(rig, "fhir_task_failures_total") == {"other": 1}
    assert by_payer(rig, "fhir_task_created_total") == {"other": 1}
    assert capped(rig) == 0
    rig.store.put(failed("last", owner=by_display("Payer 00004"), requester=None))
    assert by_payer(rig, "fhir_task_created_total") == {"other": 1, "Payer 00004": 1}


@pytest.mark.parametrize("side", ["owner", "requester"])
def test_a_payer_named_after_it_came_past_the_cap_gets_its_slot_on_either_side(tmp_path: Path, side: str) -> None:
    def asked(identifier: str, party: Resource) -> Resource:
        parties = {"owner": by_display("Us"), "requester": by_display("Us"), side: party}
        return completed(identifier, owner=parties["owner"], requester=parties["requester"])

    label = "source_payer" if side == "owner" else "requesting_payer"
    rig = filled(asked("a", by_display("First")), asked("b", reference("Organization/late")))
    rig.path, rig.pairs_max, rig.timing = str(tmp_path / "ledger.db"), 1, ONLY_FULL
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
    rig = at_rest(crowd(5, path=str(tmp_path / "ledger.db"), pairs_max=2, timing=ONLY_FULL).start())
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
    rig = at_rest(crowd(4, path=str(tmp_path / "ledger.db"), pairs_max=3, timing=ONLY_FULL).start())
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
    from tests.test_names import at_rest, by_payer, crowd

    print(sorted(by_payer(at_rest(crowd(40, pairs_max=3).start()))))
"""


def test_replicas_give_their_slots_in_the_same_order() -> None:
    found = set()
    for seed in ("1", "2", "3"):
        command = [sys.executable, "-c", textwrap.dedent(REPLICA)]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert found == {"['Payer 00000', 'Payer 00001', 'Payer 00002', 'other']\n"}


OLD = Path(__file__).parent / "edge" / "ledger-schema-1.sql"
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
    rig = at_rest(old_exporter(tmp_path, pairs_max=1))
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
