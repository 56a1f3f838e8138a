"""The configuration is read again while the exporter runs: it goes on as after a restart, and no work is lost."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import LedgerFailed
from exporter.metrics.vocabulary import ScrapeAnswer

from ..support.builders import by_display, completed, failed, organization, reference, task
from ..support.exposition import by_payer, capped, own_value
from ..support.quirks import outcome_told
from ..support.rig import FULL_ONLY, Rig, prepared
from .test_oracle import MEMORY
from .test_renamed_payers import FAILURES, Increases, fail, started

RENAMED = "- {name: New Name, formerly: [Old Name]}"
HOURS = 3_600_000


def test_a_rename_continues_the_counters_and_takes_effect_with_the_next_poll(tmp_path: Path) -> None:
    rig = started(tmp_path, "Old Name", pairs_max=1)
    fail(rig, "a", "Old Name")
    assert by_payer(rig, FAILURES) == {"Old Name": 1}
    rig.reload(payer_yaml=RENAMED)
    assert "Old Name" in rig.published_text()
    fail(rig, "b", "Old Name")
    fail(rig, "c", "New Name")
    assert by_payer(rig, FAILURES) == {"New Name": 3}
    assert by_payer(rig.run_due()) == {"New Name": 4}
    assert (own_value(rig, "fhir_task_exporter_pairs"), capped(rig)) == (1, 0)


def test_prometheus_sees_each_event_once_across_a_rename(tmp_path: Path) -> None:
    rig = started(tmp_path, "Old Name", hold=60.0)
    seen = Increases(rig)
    seen.scrape(10)
    fail(rig, "shown", "Old Name")
    seen.scrape(10)
    assert seen.sum == 1
    fail(rig, "first-as-new", "Old Name")
    rig.reload(payer_yaml=RENAMED)
    seen.scrape(10)
    fail(rig, "afterwards", "Old Name")
    seen.scrape(10)
    assert seen.sum == 3


def test_a_new_name_or_pattern_walks_everything_again_at_once(tmp_path: Path) -> None:
    orgs = [organization(f"plan-{number}", None) for number in range(3)]
    tasks = [completed(f"t{n}", owner=reference(f"Organization/plan-{n}"), requester=None) for n in (0, 1)]
    rig = prepared(*orgs, *tasks, path=str(tmp_path / "ledger.db"), comparisons=FULL_ONLY).start().run_due()
    assert by_payer(rig) == {"unknown": 2}
    rig.reload(payer_yaml="- {name: Plan, reference_patterns: ['Organization/plan-[0-9]+']}").run_due()
    assert by_payer(rig) == {"Plan": 2}
    rig.reload(payer_yaml="").run_due()
    assert by_payer(rig) == {"unknown": 2}


def test_reasons_count_what_fails_from_now_on(tmp_path: Path) -> None:
    rig = started(tmp_path, "Payer")
    fail(rig, "a", "Payer")
    before = rig.scrape()
    rig.reload(reasons="[{reason: special, pattern: '.'}]")
    fail(rig, "b", "Payer")
    after = rig.scrape()
    assert 'reason="special"' not in before
    assert _value(after, FAILURES, 'reason="special"') == 1
    assert _value(after, FAILURES) == _value(before, FAILURES) + 1


def test_deadlines_move_the_gauges_with_the_next_poll_and_what_was_missed_stays_counted(tmp_path: Path) -> None:
    rig = started(tmp_path, "Payer")
    rig.store.put(task("open", owner=by_display("Payer"), requester=None))
    rig.scrape()
    rig.clock.advance(2 * 3600)
    rig.scrape()
    missed, overdue = "fhir_task_deadlines_missed_total", "fhir_tasks_overdue"
    shown = [(_value(rig.scrape(), overdue), _value(rig.published_text(), missed))]
    for length in ("1h", "24h", "1h"):
        rig.reload(deadline=length)
        shown.append((_value(rig.scrape(), overdue), _value(rig.published_text(), missed)))
    assert shown == [(0, 0), (1, 1), (0, 1), (1, 1)]


def test_more_pairs_get_series_at_once(tmp_path: Path) -> None:
    rig = started(tmp_path, "A", "B", "C", pairs_max=1)
    assert capped(rig) == 2
    rig.reload(pairs_max=5).run_due()
    assert (by_payer(rig)["C"], capped(rig)) == (1, 0)


def test_a_scrape_that_waits_for_a_catch_up_gets_it_though_the_names_changed_meanwhile(tmp_path: Path) -> None:
    rig = started(tmp_path, "Old Name", fhir={"page_size": 100})
    rig.burst(5_000, seconds_apart=0.001)
    rig.clock.advance(15)
    scrape = rig.worker.scrape()
    rig.worker.step()
    assert rig.worker.busy
    rig.reload(payer_yaml=RENAMED)
    assert scrape.poll is not None
    assert not scrape.poll.done()
    rig.settle()
    assert scrape.poll.result(timeout=0) is True
    assert sum(by_payer(rig).values()) == 5_001


def test_a_baseline_goes_on_where_it_was(tmp_path: Path) -> None:
    rig = prepared(
        *(completed(f"t{n:03}", owner=by_display("Old Name"), requester=None) for n in range(40)),
        path=str(tmp_path / "ledger.db"),
        fhir={"page_size": 2},
    ).start()
    for _ in range(8):
        rig.worker.step()
    before = rig.ledger.tracked
    rig.reload(payer_yaml=RENAMED)
    assert rig.ledger.tracked == before > 4
    assert by_payer(rig.run_due()) == {"New Name": 40}


def test_it_takes_effect_while_the_server_is_down(tmp_path: Path) -> None:
    rig = started(tmp_path, "Old Name")
    fail(rig, "a", "Old Name")
    rig.scrape()
    rig.play(outcome_told(503, ""))
    rig.scrape()
    rig.reload(payer_yaml=RENAMED)
    rig.scrape()
    assert rig.last_answer is ScrapeAnswer.STALE
    rig.play()
    rig.clock.advance(600)
    rig.run_due()
    assert by_payer(rig, FAILURES) == {"New Name": 1}


def test_a_comparison_under_way_begins_again_under_the_new_names(tmp_path: Path) -> None:
    rig = started(tmp_path, *(f"Plan {number}" for number in range(10)), fhir={"page_size": 2})
    rig.reload(payer_yaml="- {name: Plan 1, parent: Insurer}")
    rig.worker.step()
    rig.worker.step()
    assert rig.worker.busy
    rig.reload(payer_yaml="- {name: Plan 2, parent: Insurer}").run_due()
    assert {name: n for name, n in by_payer(rig).items() if n} == (
        {"Insurer": 1} | {f"Plan {number}": 1 for number in range(10) if number != 2}
    )


def test_a_disk_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = started(tmp_path, "Old Name")
    fail(rig, "a", "Old Name")
    before = rig.scrape()
    with monkeypatch.context() as broken:
        broken.setattr(type(rig.ledger), "use_names", _full_disk)
        with pytest.raises(LedgerFailed):
            rig.reload(payer_yaml=RENAMED, deadline="1h")
    assert _tasks(rig.scrape()) == _tasks(before)
    rig.reload().run_due()
    assert by_payer(rig, FAILURES) == {"New Name": 1}


def _full_disk(*_: object) -> None:
    raise LedgerFailed("the ledger cannot be written (SQLITE_FULL)")


def _value(text: str, metric: str, label: str = "") -> float:
    lines = (line for line in text.splitlines() if line.startswith(metric + "{") and label in line)
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _tasks(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("fhir_tasks{")]


# Against a restart


PAYERS = ("A", "B", "C")
TABLES = st.sampled_from(
    (
        "",
        "- {name: New, formerly: [A]}",
        "- {name: New, formerly: [A, B]}",
        "- {name: B, formerly: [A]}",
        "- {name: A, parent: Group}\n- {name: C, parent: Group}",
        "- {name: Own, references: [Organization/1]}",
        "- {name: Own, reference_patterns: ['Organization/.*']}\n- {name: C, formerly: [B]}",
    )
)
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "payer_yaml": TABLES,
        "pairs_max": st.integers(1, 5),
        "deadline": st.sampled_from(("1h", "24h", "1bd")),
        "payer_deadlines": st.dictionaries(st.sampled_from(("A", "New")), st.just("2h")),
        "reasons": st.sampled_from(("", "[{reason: special, pattern: '.'}]")),
    },
)
OWNERS = st.sampled_from((*map(by_display, PAYERS), reference("Organization/1"), reference("Organization/2")))
WRITES = st.lists(st.tuples(st.integers(0, 5), OWNERS, st.sampled_from((task, completed, failed))), max_size=6)


def _write(rig: Rig, writes: list[tuple[int, dict[str, object], Any]]) -> None:
    for number, owner, kind in writes:
        rig.store.put(kind(f"t{number}", owner=owner, requester=None))
        rig.clock.advance(1)


def _told(rig: Rig) -> tuple[str, object]:
    return rig.run_due().scrape(), own_value(rig, "fhir_task_exporter_pairs")


def _counters(text: str) -> dict[str, float]:
    samples = (line.rpartition(" ") for line in text.splitlines() if "_total{" in line)
    return {series: float(value) for series, _, value in samples}


@settings(deadline=None, max_examples=60)
@given(first=WRITES, steps=st.integers(0, 8), rounds=st.lists(st.tuples(EDITS, WRITES), min_size=1, max_size=3))
def test_metrics_are_those_of_a_restart(first: Any, steps: int, rounds: Any) -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        rigs = [
            Rig(path=f"{folder}/{name}.db", fhir={"page_size": 2}, comparisons=FULL_ONLY)
            for name in ("reloaded", "restarted")
        ]
        for rig in rigs:
            rig.store.put(organization("1", "One"))
            _write(rig, first)
            rig.clock.advance(3 * 3600)
            rig.start()
            for _ in range(steps):
                if rig.worker.rest_seconds() <= 0:
                    rig.worker.step()
        before: dict[str, float] = {}
        for edit, writes in rounds:
            for rig in rigs:
                _write(rig, writes)
            reloaded, restarted = _told(rigs[0].reload(**edit)), _told(rigs[1].restart(**edit))
            assert reloaded == restarted
            assert (capped(rigs[0]) or 0) >= (
                capped(rigs[1]) or 0
            )  # a restart forgets those that it does not see again: 0012
            now = _counters(reloaded[0])
            assert all(now[series] >= value for series, value in before.items() if series in now)
            before = now
        for rig in rigs:
            rig.stop()
