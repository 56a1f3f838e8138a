"""Deadlines that pass and are missed, and Tasks that stall.

See docs/design.md#numbers.
"""

from datetime import UTC, datetime
from pathlib import Path

from exporter.task.dates import format_instant
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


SLOW, QUICK = {"reference": "Organization/slow"}, {"reference": "Organization/quick"}


def by_source(rig: Rig) -> dict[str, int]:
    return {pair.source: n for pair, n in gauges(rig).overdue.items()}


def test_a_payer_can_have_a_deadline_of_its_own() -> None:
    rig = settled(
        *(task(name, owner=owner, authoredOn=at(-1)) for name, owner in (("a", SLOW), ("b", QUICK), ("c", None))),
        payers={"Organization/slow": "Slow", "Organization/quick": "Quick"},
        payer_deadlines={"Slow": "3d", "Quick": "2h"},
    )
    assert by_source(rig) == {"Slow": 0, "Quick": 0, "unknown": 0}
    rig.scrape(2 * 3600)
    assert by_source(rig) == {"Slow": 0, "Quick": 1, "unknown": 0}
    rig.scrape(24 * 3600)
    assert by_source(rig) == {"Slow": 0, "Quick": 1, "unknown": 1}
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 2}
    rig.store.put(completed("a", owner=SLOW, authoredOn=at(-100)))  # ended after three days
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 3}


def test_a_business_day_begins_and_ends_with_the_week() -> None:
    rig = settled(deadline="1bd")  # the simulated clock starts on a day of the week: go on to a Friday
    friday = 4 - datetime.fromtimestamp(rig.clock.wall() / 1000, UTC).weekday()
    rig.scrape(friday % 7 * 86_400)
    rig.store.put(task("a", authoredOn=format_instant(rig.clock.wall())))
    rig.scrape(71 * 3600)
    assert overdue(rig) == 0
    rig.scrape(2 * 3600)
    assert overdue(rig) == 1


def test_missed_deadlines_stay_missed_and_no_others_are_when_the_deadline_changes(tmp_path: Path) -> None:
    tasks = task("a", authoredOn=at(-23)), task("b", authoredOn=at(-1))
    rig = settled(*tasks, path=str(tmp_path / "ledger.db"))
    rig.scrape(2 * 3600)
    assert (totals(rig, Event.DEADLINE_MISSED), overdue(rig)) == ({"": 1}, 1)
    rig.deadline = "10d"
    rig.restart()
    rig.scrape()
    assert (totals(rig, Event.DEADLINE_MISSED), overdue(rig)) == ({"": 1}, 0)
    rig.deadline = "24h"
    rig.restart()
    rig.scrape()
    assert (totals(rig, Event.DEADLINE_MISSED), overdue(rig)) == ({"": 1}, 1)
    rig.store.put(completed("a", authoredOn=at(-23)))
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}


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
