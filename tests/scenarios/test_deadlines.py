"""Deadlines that pass and are missed, and Tasks that stall.

See docs/design.md#numbers.
"""

from pathlib import Path

from exporter.task.model import Event

from ..support import quirk_tasks
from ..support.builders import at, completed, task
from ..support.exposition import gauges, totals
from ..support.fake import START
from ..support.rig import Rig, settled


def test_deadlines_are_missed_once_and_those_of_the_baseline_never() -> None:
    rig = settled(task("overdue-already", authoredOn="2026-11-01T00:00:00Z"), task("overdue-later"))
    rig.scrape()
    assert list(gauges(rig).overdue.values()) == [1]
    rig.clock.advance(86_400)
    for _ in range(3):
        rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}
    rig.store.put(completed("overdue-later"))
    rig.store.put(completed("came-late", authoredOn="2026-11-01T00:00:00Z"))
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 2}


def overdue(rig: Rig) -> int:
    return sum(gauges(rig).overdue.values())


def test_deadlines_are_measured_by_the_servers_clock() -> None:
    rig = Rig()
    rig.store.clock = quirk_tasks.skewed(rig.clock, 23.5)
    rig.store.put(task("a"))
    rig.clock.advance(60)
    rig.start().settle()
    assert totals(rig, Event.DEADLINE_MISSED) == {}
    assert overdue(rig) == 1
    rig.store.put(task("b", authoredOn=at(0)))
    rig.scrape()
    assert overdue(rig) == 1
    rig.scrape(3600)
    assert overdue(rig) == 2
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}


def test_a_missed_deadline_is_missed_once_though_the_task_opens_and_ends_again(tmp_path: Path) -> None:
    rig = settled(task("a", authoredOn=at(-23.5)), path=str(tmp_path / "ledger.db"))
    for status in ("requested", "failed", "in-progress", "completed", "in-progress"):
        rig.store.put(task("a", status, authoredOn=at(-23.5)))
        rig.scrape(7200)
        rig.restart()
        rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}
    assert overdue(rig) == 1


def test_a_deadline_that_passed_while_we_were_down_is_counted(tmp_path: Path) -> None:
    rig = settled(task("a", authoredOn=at(-23.5)), path=str(tmp_path / "ledger.db"))
    rig.scrape()
    rig.stop()
    rig.clock.advance(86_400)
    rig.start().settle()
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}


def test_a_deadline_that_passes_while_the_baseline_walks_is_overdue_and_not_missed() -> None:
    rig = Rig()
    rig.store.put(task("first", authoredOn=at(-23.5)))
    for n in range(2_450):
        rig.clock.advance(0.001)
        rig.store.put(task(f"t{n}"))
    rig.start()
    rig.worker.step()
    rig.clock.advance(3_000)
    rig.run()
    rig.scrape()
    assert overdue(rig) == 1
    assert totals(rig, Event.DEADLINE_MISSED) == {}


def test_the_next_deadline_is_the_earliest_still_ahead() -> None:
    rig = settled(task("past", authoredOn=at(-30)), task("soon", authoredOn=at(-20)), task("later", authoredOn=at(-2)))
    assert list(gauges(rig).next_due.values()) == [START + 4 * 3_600_000]


def stalled(rig: Rig) -> int:
    return sum(gauges(rig).stalled.values())


def test_stalled_tasks_are_those_that_have_not_changed_for_long() -> None:
    rig = settled(task("a"), task("b", "in-progress"), completed("c"))
    rig.scrape(4 * 3600 - 80)
    assert stalled(rig) == 0
    rig.store.put(task("b", "on-hold"))
    rig.scrape(60)
    assert stalled(rig) == 1
