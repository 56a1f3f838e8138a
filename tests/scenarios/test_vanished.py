"""Tasks that are gone: deleted, untagged, purged, and those that come back.

See docs/decisions/0020-when-a-task-is-gone.md.
"""

from collections.abc import Callable

from exporter.demo.server import Request, Response
from exporter.metrics.vocabulary import Comparison, Outcome
from exporter.task.model import Anomaly, Event, Selection

from ..support import fake, quirk_tasks, quirks
from ..support.builders import CODE, TAG, completed, failed, meta, task
from ..support.exposition import comparisons, errors, tasks, totals
from ..support.rig import FULL_ONLY, Rig, filled, settled

# --- Q16: deleted and untagged


def test_q16_a_deleted_task_lowers_the_gauge_and_no_counter() -> None:
    rig = settled(task("a"), task("b"))
    rig.store.put(task("c", "in-progress"))
    rig.scrape()
    rig.store.delete("a")
    rig.store.delete("c")
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1}
    assert totals(rig, Event.VANISHED) == {"": 2}


def test_q16_an_untagged_task_is_gone_although_it_can_be_read() -> None:
    rig = settled(task("a"), task("b"))
    quirk_tasks.untag(rig.store, "a")
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q16_an_untagging_update_is_seen_where_the_server_cannot_search_by_tag() -> None:
    rig = settled(task("a"), quirks=[quirks.tag_retired])
    rig.store.put(task("a", meta=meta()))
    rig.scrape()
    assert tasks(rig) == {}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q16_a_purge_lowers_gauges_and_no_counter() -> None:
    rig = settled(comparisons=FULL_ONLY)
    for n in range(250):
        rig.store.put(completed(f"t{n}"))
    rig.store.put(task("open"))
    rig.scrape()
    before = rig.published_text().count("_total")
    quirk_tasks.purge(rig.store)
    rig.compare(full=True)
    after = rig.scrape()
    assert tasks(rig) == {"requested": 1}
    assert totals(rig, Event.TRANSITION) == {"completed": 250, "requested": 1}
    assert totals(rig, Event.VANISHED) == {"": 250}
    assert after.count("_total") == before


def test_untagged_and_deleted_tasks_leave_the_gauges_with_the_next_comparison_and_are_counted_as_vanished() -> None:
    rig = filled(6).start().settle()
    rig.store.delete("p2p-task-000000")
    rig.store.meta_delete("p2p-task-000001", TAG)
    rig.store.put(task("p2p-task-000002", meta=meta()))
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 3}
    assert totals(rig, Event.VANISHED) == {"": 3}


def test_a_task_that_left_the_operators_own_filter_leaves_the_gauges() -> None:
    rig = filled(3, selection=Selection(TAG, CODE, (("status:not", "on-hold"),))).start().settle()
    rig.store.put(task("p2p-task-000001", "on-hold"))
    rig.clock.advance(100)
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_what_the_server_says_was_deleted_is_gone_though_nothing_is_left() -> None:
    rig = filled(2).start().settle()
    for number in range(2):
        rig.store.delete(f"p2p-task-{number:06}")
    rig.clock.advance(100)
    rig.compare()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 2}
    assert tasks(rig) == {}


def test_one_task_that_cannot_be_read_keeps_no_other_from_vanishing() -> None:
    rig = filled(3).start().settle()
    for number in range(2):
        rig.store.delete(f"p2p-task-{number:06}")
    failing = quirks.always(Response(500, (), b""))
    rig.play(quirks.when(lambda request: request.path.endswith("/Task/p2p-task-000000"), failing))
    rig.clock.advance(100)
    rig.compare()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert tasks(rig) == {"requested": 2}


# --- A right that is lost


def empty_searches(rig: Rig) -> Callable[[Request], Response]:
    """A server where the right to read is lost: searches find nothing, reads answer 404."""
    return fake.honest(fake.store(rig.clock))


def test_a_server_that_shows_nothing_at_all_makes_nothing_vanish() -> None:
    rig = filled(3)
    rig.store.put(completed("done"))
    rig.start().settle()
    rig.transport.answer = empty_searches(rig)
    rig.clock.advance(600)
    rig.compare_all()
    rig.play()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert tasks(rig) == {"requested": 3, "completed": 1}
    assert errors(rig)["wrong_resource"] >= 1
    assert comparisons(rig, Comparison.OPEN, Outcome.PARTIAL) == 1


def test_a_lost_right_costs_few_reads() -> None:
    rig = filled(2_000).start().settle()
    rig.transport.answer = empty_searches(rig)
    rig.clock.advance(600)
    before = rig.transport.count
    rig.compare()
    assert rig.transport.count - before < 80


# --- Tasks that come back


def test_an_untagged_task_that_returns_goes_on_and_a_deleted_one_is_new() -> None:
    rig = filled(3).start().settle()
    rig.store.delete("p2p-task-000000")
    rig.store.meta_delete("p2p-task-000001", TAG)
    rig.compare()
    rig.store.put(task("p2p-task-000000"))
    rig.store.meta_add("p2p-task-000001", TAG)
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 3}
    assert totals(rig, Event.CREATED) == {"": 1}


def test_a_task_that_failed_while_untagged_counts_when_it_is_tagged_again() -> None:
    rig = filled(2).start().settle()
    rig.store.meta_delete("p2p-task-000000", TAG)
    rig.store.put(failed("p2p-task-000000", meta=meta()))
    rig.scrape(100)
    rig.compare_all()
    rig.store.meta_add("p2p-task-000000", TAG)
    rig.clock.advance(100)
    rig.compare_all()
    rig.scrape()
    assert tasks(rig) == {"requested": 1, "failed": 1}
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert totals(rig, Event.CREATED) == {}


def test_a_task_tagged_and_untagged_between_two_polls_counts_nothing() -> None:
    rig = settled(task("a"))
    rig.store.put(task("b"))
    quirk_tasks.untag(rig.store, "b")
    rig.scrape()
    rig.compare_all()
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    assert totals(rig, Event.VANISHED) == {}


# --- Old Tasks that are tagged later


def test_a_task_tagged_afterwards_with_an_old_stamp_joins_the_baseline() -> None:
    rig = filled(3, comparisons=FULL_ONLY)
    rig.store.put(completed("old-one", meta=meta()))
    rig.clock.advance(3600)
    rig.start().settle()
    rig.store.meta_add("old-one", TAG)
    rig.compare(full=True)
    rig.scrape()
    assert tasks(rig) == {"requested": 3, "completed": 1}
    assert totals(rig, Event.CREATED) == {}
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 1}


def test_an_old_task_tagged_later_joins_the_baseline_whichever_comparison_finds_it() -> None:
    rig = Rig()
    rig.store.put(task("old-open", meta=meta()))
    rig.store.put(completed("old-ended", meta=meta()))
    rig.store.put(task("ours"))
    rig.clock.advance(3_600)
    rig.start().settle()
    rig.store.meta_add("old-open", TAG)
    rig.store.meta_add("old-ended", TAG)
    rig.compare_all()
    rig.scrape()
    assert tasks(rig) == {"requested": 2, "completed": 1}
    assert totals(rig, Event.CREATED) == {}
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 2}


def test_late_finds_join_the_baseline_once_and_are_counted_from_then_on() -> None:
    rig = settled(task("a"), completed("hidden", meta=meta()), comparisons=FULL_ONLY)
    rig.clock.advance(3600)
    rig.store.meta_add("hidden", TAG)
    for _ in range(2):
        rig.compare_all()
    rig.scrape()
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 1}
    assert totals(rig, Event.CREATED) == {}
    rig.store.put(task("hidden", "in-progress"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1}
    assert totals(rig, Event.REOPENED) == {"": 1}
