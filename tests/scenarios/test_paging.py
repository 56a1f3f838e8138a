"""Walking: windows, equal stamps, edits meanwhile, restarts. The server is simulated, everything else is real."""

from pathlib import Path

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response
from exporter.metrics.vocabulary import Answer
from exporter.task.model import Anomaly, Event
from exporter.task.search import Bound
from exporter.walk import next_bound

from ..support import fake
from ..support.builders import TAG, completed, failed, meta, task
from ..support.readings import tasks, totals
from ..support.rig import Rig


def filled(count: int, same_stamp: bool = False, **options: object) -> Rig:
    rig = Rig(**options)  # type: ignore[arg-type]
    for number in range(count):
        rig.store.put(task(f"p2p-task-{number:06}"))
        rig.clock.advance(0 if same_stamp else 0.001)
    rig.clock.advance(60)
    return rig


@pytest.mark.parametrize("same_stamp", [False, True])
def test_a_baseline_longer_than_a_window_finds_every_task(same_stamp: bool) -> None:
    rig = filled(5_300, same_stamp).start()
    rig.settle()
    assert tasks(rig) == {"requested": 5_300}


def test_no_window_follows_the_link_that_starts_at_two_thousand() -> None:
    rig = filled(5_300).start()
    rig.settle()
    offsets = [
        int(value) for request in rig.transport.requests for name, value in request.query if name == "_getpagesoffset"
    ]
    assert max(offsets) == 1_800


def test_tasks_edited_while_a_window_is_walked_hide_none_of_the_others() -> None:
    rig = filled(4_000)
    edits = iter(range(0, 4_000, 7))

    def editing(request: Request) -> Response:
        rig.clock.advance(0.01)
        rig.store.put(task(f"p2p-task-{next(edits):06}", "in-progress"))
        return fake.honest(rig.store)(request)

    rig.transport.answer = editing
    rig.start().settle()
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape()
    assert sum(tasks(rig).values()) == 4_000
    assert tasks(rig)["in-progress"] == next(edits) // 7


def test_a_baseline_counts_nothing_and_what_comes_later_is_counted_once() -> None:
    rig = filled(3).start()
    rig.settle()
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    rig.store.put(failed("p2p-task-000000"))
    rig.store.put(completed("new-one"))
    for _ in range(3):
        rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "completed": 1}
    assert tasks(rig) == {"requested": 2, "failed": 1, "completed": 1}


def test_a_scrape_at_rest_is_one_request() -> None:
    rig = filled(2_500).start()
    rig.settle()
    rig.scrape(60)
    before = rig.transport.count
    rig.scrape(60)
    assert rig.transport.count == before + 1


def test_a_poll_of_many_windows_becomes_a_catch_up_that_answers_scrapes_at_once() -> None:
    rig = filled(10).start()
    rig.settle()
    for number in range(4_500):
        rig.store.put(task(f"burst-{number:05}"))
    rig.clock.advance(15)
    waiting = rig.worker.scrape()
    for _ in range(3):
        rig.worker.step()
    assert waiting.poll is not None
    assert not waiting.poll.done()
    assert rig.worker.scrape().immediate is Answer.LATE
    rig.settle()
    assert waiting.poll.result(timeout=0)
    assert totals(rig, Event.CREATED) == {"": 4_500}


@pytest.mark.parametrize("pages", [1, 4, 12, 17])
def test_a_baseline_goes_on_after_a_restart_where_it_was(tmp_path: Path, pages: int) -> None:
    rig = filled(4_200, path=str(tmp_path / "ledger.db")).start()
    for _ in range(pages):
        rig.worker.step()
    before = rig.transport.count
    rig.stop()
    rig.start().settle()
    assert tasks(rig) == {"requested": 4_200}
    assert totals(rig, Event.CREATED) == {}
    assert before + rig.transport.count < 60


@pytest.mark.parametrize("pages", [1, 11, 15])
def test_a_catch_up_broken_off_counts_nothing_twice(tmp_path: Path, pages: int) -> None:
    rig = filled(5, path=str(tmp_path / "ledger.db")).start()
    rig.settle()
    rig.stop()
    for number in range(4_500):
        rig.store.put(task(f"burst-{number:05}"))
        rig.clock.advance(0.01)
    rig.start()
    rig.worker.scrape()
    for _ in range(pages):
        rig.worker.step()
    rig.stop()
    rig.start().settle()
    rig.scrape()
    rig.settle()
    assert totals(rig, Event.CREATED) == {"": 4_500}
    assert totals(rig, Event.TRANSITION) == {"requested": 4_500}


def test_a_server_without_its_own_clock_is_walked_by_ours() -> None:
    rig = filled(3)

    def clockless(request: Request) -> Response:
        status, headers, body = fake.honest(rig.store)(request)
        start = body.find(b'"meta":{"lastUpdated"')
        if start > 0 and start < 60:
            body = body[:start] + body[body.find(b"},", start) + 2 :]
        return Response(status, tuple((name, value) for name, value in headers if name.lower() != "date"), body)

    rig.transport.answer = clockless
    rig.start().settle()
    rig.store.put(failed("p2p-task-000001"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1}


def test_a_server_clock_that_jumps_a_day_ahead_and_back_loses_nothing() -> None:
    rig = filled(3).start()
    rig.settle()
    truth = rig.clock.at
    for offset in (86_400_000, 0):
        rig.clock.set(truth + offset)
        rig.store.put(task(f"at-{offset}"))
        rig.scrape()
        rig.scrape()
    rig.store.put(task("after"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 3}


def test_a_failed_poll_keeps_the_picture_and_says_so() -> None:
    rig = filled(3).start()
    rig.settle()
    rig.scrape()
    rig.transport.answer = lambda request: Response(500, (), b"")
    text = rig.scrape()
    assert rig.last is Answer.STALE
    assert 'status="requested"} 3.0' in text
    assert not rig.worker.up
    for _ in range(20):
        text = rig.scrape(16)
    assert "fhir_tasks{" not in text
    assert "fhir_task_created_total{" in text
    rig.transport.answer = fake.honest(rig.store)
    assert 'status="requested"} 3.0' in rig.scrape()
    assert rig.worker.up


def test_retry_after_keeps_us_quiet() -> None:
    rig = filled(1).start()
    rig.settle()
    rig.transport.answer = lambda request: Response(503, (("retry-after", "100"),), b"")
    rig.scrape()
    asked = rig.transport.count
    for _ in range(6):
        rig.scrape(15)
    assert rig.transport.count == asked
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape(15)
    assert rig.worker.up


def test_a_young_picture_is_served_again_without_asking() -> None:
    rig = filled(1).start()
    rig.settle()
    rig.scrape()
    asked = rig.transport.count
    rig.scrape(1)
    assert rig.last is Answer.REUSED
    assert rig.transport.count == asked


def test_a_page_that_fails_in_the_middle_of_a_poll_is_partial_and_counts_once() -> None:
    rig = filled(1).start()
    rig.settle()
    for number in range(500):
        rig.store.put(task(f"burst-{number:05}"))
    calls = iter(range(100))

    def breaking(request: Request) -> Response:
        return Response(500, (), b"") if next(calls) == 2 else fake.honest(rig.store)(request)

    rig.transport.answer = breaking
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 500}


def test_untagged_and_deleted_tasks_leave_the_gauges_with_the_next_sweep_and_are_counted_as_vanished() -> None:
    rig = filled(6).start()
    rig.settle()
    rig.store.delete("p2p-task-000000")
    rig.store.meta_delete("p2p-task-000001", TAG)
    rig.store.put(task("p2p-task-000002", meta=meta()))
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 3}
    assert totals(rig, Event.VANISHED) == {"": 3}


def test_an_untagged_task_that_returns_goes_on_and_a_deleted_one_is_new() -> None:
    rig = filled(3).start()
    rig.settle()
    rig.store.delete("p2p-task-000000")
    rig.store.meta_delete("p2p-task-000001", TAG)
    rig.sweep()
    rig.store.put(task("p2p-task-000000"))
    rig.store.meta_add("p2p-task-000001", TAG)
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 3}
    assert totals(rig, Event.CREATED) == {"": 1}


def test_a_full_comparison_finds_deleted_terminal_tasks_by_counts() -> None:
    rig = Rig(comparisons=ReconcileSettings(open_interval=1e9))
    for number in range(3_000):
        rig.store.put(completed(f"p2p-task-{number:06}"))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    for number in (7, 1_500, 1_501):
        rig.store.delete(f"p2p-task-{number:06}")
    before = rig.transport.count
    rig.sweep(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": 2_997}
    assert totals(rig, Event.VANISHED) == {"": 3}
    assert rig.transport.count - before < 50


def test_a_task_tagged_afterwards_with_an_old_stamp_joins_the_baseline() -> None:
    rig = filled(3, comparisons=ReconcileSettings(open_interval=1e9))
    rig.store.put(completed("old-one", meta=meta()))
    rig.clock.advance(3600)
    rig.start().settle()
    rig.store.meta_add("old-one", TAG)
    rig.sweep(full=True)
    rig.scrape()
    assert tasks(rig) == {"requested": 3, "completed": 1}
    assert totals(rig, Event.CREATED) == {}
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 1}


def test_an_expunged_task_made_anew_is_a_new_task() -> None:
    rig = filled(2).start()
    rig.settle()
    rig.store.expunge("p2p-task-000000")
    rig.store.put(task("p2p-task-000000", "in-progress"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert tasks(rig) == {"requested": 1, "in-progress": 1}


def test_a_server_restored_from_an_old_backup_counts_nothing_twice() -> None:
    rig = filled(2).start()
    rig.settle()
    rig.store.put(failed("p2p-task-000000"))
    rig.scrape()
    rig.store.put(task("p2p-task-000000"), version="1", stamp=rig.clock.at - 80_000)
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert totals(rig, Event.ANOMALY) == {Anomaly.WENT_BACK: 1}
    rig.store.put(failed("p2p-task-000000"), version="2", stamp=rig.clock.at)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert tasks(rig) == {"requested": 1, "failed": 1}


def test_deadlines_are_missed_once_and_those_of_the_baseline_never() -> None:
    rig = Rig()
    rig.store.put(task("overdue-already", authoredOn="2026-11-01T00:00:00Z"))
    rig.store.put(task("overdue-later"))
    rig.clock.advance(60)
    rig.start().settle()
    rig.scrape()
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    assert list(gauges.overdue.values()) == [1]
    rig.clock.advance(86_400)
    for _ in range(3):
        rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}
    rig.store.put(completed("overdue-later"))
    rig.store.put(completed("came-late", authoredOn="2026-11-01T00:00:00Z"))
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 2}


@pytest.mark.parametrize(
    ("cursor", "low", "largest", "following"),
    [
        (None, 5, 6, Bound("ge", 5)),
        (None, None, 9, Bound("ge", 9)),
        (None, None, None, None),
        (Bound("ge", 3), 5, 6, Bound("ge", 5)),
        (Bound("ge", 5), 5, 5, Bound("eq", 5)),
        (Bound("ge", 5), 5, 6, Bound("ge", 6)),
        (Bound("ge", 5), None, 9, Bound("ge", 9)),
        (Bound("ge", 5), None, 5, Bound("eq", 5)),
        (Bound("ge", 5), None, None, Bound("ge", 5)),
        (Bound("eq", 5), 5, 5, Bound("gt", 5)),
        (Bound("gt", 5), 7, 7, Bound("ge", 7)),
        (Bound("gt", 5), None, 9, Bound("ge", 9)),
        (Bound("gt", 5), 3, 4, Bound("gt", 5)),
    ],
)
def test_the_next_window_begins_at_the_smallest_stamp_or_behind_an_instant_it_cannot_pass(
    cursor: Bound | None, low: int | None, largest: int | None, following: Bound | None
) -> None:
    assert next_bound(cursor, low, largest) == following
