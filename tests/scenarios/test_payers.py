"""Names of payers: named by the operator, read from the Task, and renamed.

See docs/design.md#organizations.
"""

from pathlib import Path

import pytest

from exporter.demo.server import Response
from exporter.task.model import Event, Pair, PairStatus, Series, Status

from ..support import fake, quirk_tasks, quirks
from ..support.builders import at, by_display, completed, failed, organization, reference, task
from ..support.exposition import by_payer, gauges, payers
from ..support.organizations import owned
from ..support.rig import FULL_ONLY, Rig, prepared, settled

# --- Payers that the operator names


def long_baseline(path: Path) -> Rig:
    tasks = (owned(f"t{n:04}") for n in range(700))
    return prepared(organization("one", "Read"), *tasks, path=str(path / "ledger.db"), comparisons=FULL_ONLY)


def test_payers_named_while_the_baseline_runs_have_their_names_after_it(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.worker.step()
    rig.restart(payers={"Organization/one": "One"}).run_due()
    assert by_payer(rig) == {"One": 700}


def test_payers_named_and_unnamed_again_while_the_baseline_runs_leave_no_trace(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.restart(payers={"Organization/one": "One"}).worker.step()
    rig.restart(payers={}).run_due()
    assert by_payer(rig) == {"Read": 700}


def test_names_taken_back_in_the_middle_of_a_walk_of_everything_leave_no_trace(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start().run_due()
    rig.restart(payers={"Organization/one": "One"})
    rig.play(quirks.when(quirks.is_page, quirks.always(Response(500, (), b""))))
    rig.run_due()
    assert set(by_payer(rig)) == {"Read", "One"}
    rig.play()
    rig.restart(payers={}).run_due()
    assert by_payer(rig) == {"Read": 700}


def test_a_baseline_whose_names_stay_is_not_walked_twice(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.restart().run_due()
    rig.restart().run_due()
    assert len([request for request in rig.transport.requests if quirks.is_page(request)]) <= 8


# --- Payers that are renamed


def test_a_renamed_payer_is_a_new_pair_whose_counters_begin_at_0(tmp_path: Path) -> None:
    one = reference("Organization/one")
    rig = settled(task("a", owner=one), path=str(tmp_path / "ledger.db"), payers={"Organization/one": "One"})
    rig.store.put(failed("a", owner=one))
    rig.store.put(task("b", owner=one))
    rig.scrape()
    rig.restart(payers={"Organization/one": "Uno"})
    rig.compare()
    rig.scrape()
    snapshot = rig.worker.published.snapshot
    old, new = Pair("One", "unknown"), Pair("Uno", "unknown")
    assert snapshot.counts[Series(Event.TRANSITION, old, "failed")] == 1
    assert snapshot.counts[Series(Event.TRANSITION, new, "failed")] == 0
    assert snapshot.gauges is not None
    assert snapshot.gauges.tasks[PairStatus(old, Status.FAILED)] == 0
    assert snapshot.gauges.tasks[PairStatus(new, Status.FAILED)] == 1
    assert snapshot.gauges.tasks[PairStatus(new, Status.REQUESTED)] == 1


def test_gauges_of_ended_tasks_move_to_the_new_name_too(tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"), payers={"Organization/one": "One"})
    rig.store.put(completed("a", owner=reference("Organization/one")))
    rig.clock.advance(86_400)
    rig.start().settle()
    rig.restart(payers={"Organization/one": "Uno"})
    rig.compare_all()
    rig.scrape()
    found = {key: n for key, n in gauges(rig).tasks.items() if n}
    assert found == {PairStatus(Pair("Uno", "unknown"), Status.COMPLETED): 1}


def test_a_name_changed_while_we_are_down_shows_with_the_next_full_comparison(tmp_path: Path) -> None:
    rig = settled(organization("old-payer", "Before"), task("a"), path=str(tmp_path / "ledger.db"))
    rig.store.put(organization("old-payer", "After"))
    rig.restart()
    rig.compare(full=True)
    rig.scrape()
    assert {key.pair.source for key, n in gauges(rig).tasks.items() if n} == {"After"}


# --- Q20: how a Task names its owner


OWNERS = {
    "absent": "unknown",
    "empty": "unknown",
    "relative": "Old Payer",
    "versioned": "Old Payer",
    "on our base": "Old Payer",
    "elsewhere": "unknown",
    "dangling": "unknown",
    "logical": "unknown",
    "identifier": "9941339108",
    "identifier and display": "9941339108",
    "display": "Old Payer",
    "contained": "Contained Payer",
    "contained, not sent": "unknown",
    "practitioner": "Practitioner",
    "typed practitioner": "Practitioner",
}


@pytest.mark.parametrize("kind", quirk_tasks.OWNERS)
def test_q20_an_owner_is_named_as_the_contract_says_and_never_asked_for_elsewhere(kind: str) -> None:
    resources = organization("old-payer", "Old Payer"), task("a", **quirk_tasks.OWNERS[kind])
    rig = settled(*resources, quirks=[quirks.elements_ignored] if kind == "contained" else [])
    assert payers(rig) == {OWNERS[kind]}
    assert all(url.startswith(fake.BASE) for url in rig.transport.urls)


def test_odd_names_of_payers_stay_one_line_each() -> None:
    rig = settled(task("a", owner=by_display('Pa"y\\er\n\u202eevil\x00 # HELP x')))
    rig.store.put(completed("b", owner=by_display("   "), authoredOn=at(-1)))
    text = rig.scrape()
    assert payers(rig) == {'Pa"y\\er evil # HELP x', "unknown"}
    assert all(line.startswith(("#", "fhir_task")) for line in text.splitlines())
