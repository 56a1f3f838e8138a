"""Numbers that must stay right when counts fail, walks break off, clocks jump and replicas lag.

The server is simulated, everything else is real; what is asserted is what `/metrics` and the server's log would show.
"""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response
from exporter.jobs import ComparisonJob
from exporter.ledger.state import StateKey
from exporter.metrics.vocabulary import Answer, Sweep
from exporter.task.dates import format_instant
from exporter.task.model import Anomaly, Event, Selection

from ..support import fake
from ..support.builders import CODE, TAG, at, completed, concept, failed, meta, organization, reference, task
from ..support.quirk_tasks import Backup, skewed
from ..support.quirks import always, throttled, when
from ..support.readings import errors, own, sweep_all, tasks, totals, up, work
from ..support.rig import Rig, value

WEEK = 7 * 86_400
QUIET = ReconcileSettings(open_interval=1e9)
"""No sweep of the open Tasks: only the full comparison is looked at."""


def filled(count: int, **options: object) -> Rig:
    rig = Rig(**options)  # type: ignore[arg-type]
    for number in range(count):
        rig.store.put(task(f"p2p-task-{number:06}"))
        rig.clock.advance(0.001)
    rig.clock.advance(60)
    return rig


def counting(request: Request) -> bool:
    return ("_summary", "count") in request.query


def answering(rig: Rig, wanted: Callable[[Request], bool], response: Response) -> None:
    """From now on the server answers some requests with `response`."""
    rig.transport.answer = when(wanted, always(response))(fake.honest(rig.store))


def reconciled(rig: Rig, sweep: Sweep, outcome: str) -> float | None:
    return value(own(rig), f'fhir_task_exporter_reconciles_total{{outcome="{outcome}",sweep="{sweep}"}}')


# --- counts only help: a walk needs none


COUNTS_FAIL = [
    Response(500, (), b""),
    Response(504, (), b""),
    Response(403, (), b""),
    Response(429, (("retry-after", "30"),), b""),
    Response(200, (("content-type", "text/html"),), b"<html>"),
]


@pytest.mark.parametrize("response", COUNTS_FAIL, ids=lambda response: str(response.status))
def test_a_baseline_needs_no_count(response: Response) -> None:
    rig = filled(2_500)
    answering(rig, counting, response)
    rig.start()
    work(rig, 200)
    assert tasks(rig) == {"requested": 2_500}
    assert up(rig)
    assert rig.transport.count < 30


@pytest.mark.parametrize("response", COUNTS_FAIL, ids=lambda response: str(response.status))
def test_a_catch_up_needs_no_count(response: Response) -> None:
    rig = filled(5).start()
    rig.settle()
    for number in range(4_500):
        rig.store.put(task(f"burst-{number:05}"))
        rig.clock.advance(0.1)
    answering(rig, counting, response)
    rig.worker.scrape()
    work(rig, 200)
    assert totals(rig, Event.CREATED) == {"": 4_500}


@pytest.mark.parametrize("response", COUNTS_FAIL, ids=lambda response: str(response.status))
def test_a_full_comparison_whose_counts_fail_walks(response: Response) -> None:
    rig = Rig(comparisons=QUIET)
    for number in range(600):
        rig.store.put(completed(f"p2p-task-{number:06}"))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.delete("p2p-task-000007")
    answering(rig, counting, response)
    rig.clock.advance(rig.comparisons.full_interval + 1)
    rig.worker.step()
    work(rig)
    rig.scrape(61)
    assert tasks(rig) == {"completed": 599}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert reconciled(rig, Sweep.FULL, "complete") == 1


def test_a_throttled_count_lets_the_comparison_wait_as_it_was_asked_to() -> None:
    rig = filled(500, comparisons=QUIET).start()
    rig.settle()
    answering(rig, counting, Response(429, (("retry-after", "200"),), b""))
    rig.clock.advance(rig.comparisons.full_interval + 1)
    rig.transport.requests.clear()
    for _ in range(50):
        rig.worker.step()
        if rig.worker.rest_seconds() > 0:
            break
    assert sum(map(counting, rig.transport.requests)) == 1
    assert counting(rig.transport.requests[-1])
    assert not up(rig)
    assert rig.worker.rest_seconds() > 190
    assert rig.worker.scrape().immediate is Answer.STALE


# --- the watermark of a walk that was broken off


def broken_off(rig: Rig, pages: int) -> None:
    for _ in range(pages):
        rig.worker.step()
    rig.stop()


@pytest.mark.parametrize("kind", ["baseline", "catch-up"])
def test_a_walk_resumed_a_week_later_leaves_no_lag(tmp_path: Path, kind: str) -> None:
    rig = filled(3_000 if kind == "baseline" else 5, path=str(tmp_path / "ledger.db")).start()
    if kind == "catch-up":
        rig.settle()
        for number in range(3_000):
            rig.store.put(task(f"burst-{number:05}"))
            rig.clock.advance(0.1)
        rig.worker.scrape()
    broken_off(rig, 4)
    for number in range(2_500):
        rig.store.put(task(f"meanwhile-{number:05}"))
        rig.clock.advance(WEEK / 2_500)
    rig.start()
    work(rig)
    rig.scrape(30)
    asked = rig.transport.count
    for _ in range(5):
        rig.scrape(15)
        assert rig.last is Answer.FRESH
    assert rig.transport.count == asked + 5
    assert tasks(rig) == {"requested": 5_500 if kind == "baseline" else 5_505}
    assert totals(rig, Event.CREATED) == ({} if kind == "baseline" else {"": 5_500})
    sweep_all(rig)
    assert reconciled(rig, Sweep.OPEN, "complete") == 1


def test_after_a_long_sleep_of_the_machine_the_watermark_is_up_to_date() -> None:
    rig = filled(5).start()
    rig.settle()
    rig.clock.advance(WEEK)  # our steady clock counts the sleep (CLOCK_BOOTTIME)
    for number in range(2_500):
        rig.store.put(task(f"meanwhile-{number:05}"))
        rig.clock.advance(0.1)
    rig.scrape()
    work(rig)
    rig.scrape(60)
    asked = rig.transport.count
    rig.scrape(15)
    assert rig.transport.count == asked + 1
    assert totals(rig, Event.CREATED) == {"": 2_500}


def test_a_sweep_waits_for_the_catch_up_that_its_poll_becomes() -> None:
    rig = filled(5).start()
    rig.settle()
    for number in range(4_500):
        rig.store.put(task(f"burst-{number:05}"))
        rig.clock.advance(0.1)
    rig.store.delete("p2p-task-000000")
    rig.sweep()
    assert reconciled(rig, Sweep.OPEN, "complete") == 1
    rig.scrape(15)
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.CREATED) == {"": 4_500}


# --- windows and bulk edits


@pytest.mark.parametrize("edited", [200, 1_000, 1_800, 2_000])
def test_a_bulk_edit_begun_before_the_search_hides_no_task(edited: int) -> None:
    rig = filled(6_000)

    def edit() -> None:
        stamp = rig.clock.at - 5_000
        for number in range(2_000 - edited, 2_000):
            rig.store.put(task(f"p2p-task-{number:06}", "in-progress"), stamp=stamp)

    pages = iter(range(10_000))
    last_untouched = max(1, (2_000 - edited) // 200)

    def meanwhile(request: Request) -> Response:
        if next(pages) == last_untouched:
            edit()
        return fake.honest(rig.store)(request)

    rig.transport.answer = meanwhile
    rig.start().settle()
    rig.scrape()
    assert sum(tasks(rig).values()) == 6_000
    assert totals(rig, Event.CREATED) == {}
    assert rig.transport.count < 120


def test_a_burst_younger_than_the_overlap_is_walked_without_repeating_it_all() -> None:
    rig = filled(5).start()
    rig.settle()
    for number in range(6_000):
        rig.store.put(task(f"burst-{number:05}"))
        rig.clock.advance(0.004)
    before = rig.transport.count
    rig.worker.scrape()
    work(rig)
    rig.scrape()
    work(rig)
    assert totals(rig, Event.CREATED) == {"": 6_000}
    assert rig.transport.count - before < 120


# --- lagging replicas, and what is gone


class Lagging:
    """A replica that stays as the server was when it was made, and answers some of the requests."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.replica = fake.store(rig.clock)
        Backup(rig.store).restore(self.replica)
        self.asked: Callable[[Request], bool] = lambda request: False

    def __call__(self, request: Request) -> Response:
        source = self.replica if self.asked(request) else self.rig.store
        return fake.honest(source)(request)


def is_open_search(request: Request) -> bool:
    return any(name in {"status:not", "_id"} for name, _ in request.query)


def test_a_lagging_replica_makes_no_task_vanish() -> None:
    rig = filled(3).start()
    rig.settle()
    lagging = Lagging(rig)
    rig.transport.answer = lagging
    rig.store.put(task("young"))
    rig.scrape(5)
    assert totals(rig, Event.CREATED) == {"": 1}
    lagging.asked = is_open_search
    rig.sweep()
    lagging.asked = lambda request: False
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert totals(rig, Event.CREATED) == {"": 1}
    assert tasks(rig) == {"requested": 4}


def test_a_task_first_seen_within_the_minute_is_not_judged_though_every_look_misses_it() -> None:
    rig = filled(3, comparisons=ReconcileSettings(open_interval=20)).start()
    rig.settle()
    lagging = Lagging(rig)
    rig.transport.answer = lagging
    rig.store.put(task("young"))
    rig.scrape(5)
    lagging.asked = lambda request: is_open_search(request) or request.path.endswith("/Task/young")
    rig.clock.advance(21)
    rig.worker.step()
    rig.settle()
    lagging.asked = lambda request: False
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert totals(rig, Event.CREATED) == {"": 1}


@pytest.mark.parametrize("change", ["first seen", "edited"])
def test_what_every_look_misses_is_not_judged_within_a_minute_of_a_change(change: str) -> None:
    """A search, an index and a replica can all lag: in the first minute even a 404 proves nothing."""
    rig = filled(3, comparisons=ReconcileSettings(open_interval=20)).start()
    rig.settle()
    if change == "edited":
        rig.clock.advance(300)
        rig.store.put(task("p2p-task-000000", "in-progress"))
    else:
        rig.store.put(task("p2p-task-000009"), stamp=rig.clock.at - 25_000_000)
        rig.store.meta_add("p2p-task-000001", TAG)
    rig.sweep()
    name = "p2p-task-000000" if change == "edited" else "p2p-task-000009"
    backup = Backup(rig.store)
    rig.store.expunge(name)
    rig.clock.advance(21)
    rig.worker.step()
    rig.settle()
    assert totals(rig, Event.VANISHED) == {}
    backup.restore(rig.store)
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    rig.store.expunge(name)
    rig.clock.advance(120)
    rig.worker.step()
    rig.settle()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_a_walk_broken_off_inside_a_burst_reads_again_what_may_have_come_late(tmp_path: Path) -> None:
    rig = filled(5, path=str(tmp_path / "ledger.db")).start()
    rig.settle()
    for number in range(3_000):
        rig.store.put(task(f"burst-{number:05}"))
        rig.clock.advance(0.008)
    rig.worker.scrape()
    broken_off(rig, 6)
    rig.store.put(task("late"), stamp=rig.clock.at - 20_000)  # its transaction had begun before the last search
    rig.clock.advance(3_600)
    rig.start()
    work(rig)
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 3_001}


def test_a_task_that_left_the_operators_own_filter_leaves_the_gauges() -> None:
    rig = filled(3, selection=Selection(TAG, CODE, (("status:not", "on-hold"),))).start()
    rig.settle()
    rig.store.put(task("p2p-task-000001", "on-hold"))
    rig.clock.advance(100)
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_a_task_that_changed_while_others_were_looked_up_is_not_dropped() -> None:
    rig = filled(6).start()
    rig.settle()
    lagging = Lagging(rig)
    for name in ("p2p-task-000001", "p2p-task-000002"):
        lagging.replica.expunge(name)
    rig.transport.answer = lagging
    rig.clock.advance(2_000)
    work(rig)
    rig.scrape()
    lagging.asked = lambda request: is_open_search(request) or request.path.endswith("/p2p-task-000002")
    rig.clock.advance(rig.comparisons.open_interval + 1)
    while not any(request.path.endswith("/p2p-task-000001") for request in rig.transport.requests):
        assert rig.worker.rest_seconds() <= 0
        rig.worker.step()
    rig.store.put(task("p2p-task-000002", "in-progress"))
    rig.scrape()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert tasks(rig) == {"requested": 5, "in-progress": 1}


def empty_searches(rig: Rig) -> Callable[[Request], Response]:
    """A server where the right to read is lost: searches find nothing, reads answer 404."""
    nothing = fake.store(rig.clock)
    return fake.honest(nothing)


def test_a_server_that_shows_nothing_at_all_makes_nothing_vanish() -> None:
    rig = filled(3)
    rig.store.put(completed("done"))
    rig.start().settle()
    rig.transport.answer = empty_searches(rig)
    rig.clock.advance(600)
    sweep_all(rig)
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert tasks(rig) == {"requested": 3, "completed": 1}
    assert errors(rig)["wrong_resource"] >= 1
    assert reconciled(rig, Sweep.OPEN, "partial") == 1


def test_what_the_server_says_was_deleted_is_gone_though_nothing_is_left() -> None:
    rig = filled(2).start()
    rig.settle()
    for number in range(2):
        rig.store.delete(f"p2p-task-{number:06}")
    rig.clock.advance(100)
    rig.sweep()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 2}
    assert tasks(rig) == {}


def test_one_task_that_cannot_be_read_keeps_no_other_from_being_judged() -> None:
    rig = filled(3).start()
    rig.settle()
    for number in range(2):
        rig.store.delete(f"p2p-task-{number:06}")
    answering(rig, lambda request: request.path.endswith("/Task/p2p-task-000000"), Response(500, (), b""))
    rig.clock.advance(100)
    rig.sweep()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert tasks(rig) == {"requested": 2}


# --- clocks


@pytest.mark.parametrize("ahead", [45, 3_600, 86_400])
def test_a_server_clock_that_was_ahead_and_is_put_right_loses_nothing(ahead: float) -> None:
    rig = Rig()
    rig.store.clock = skewed(rig.clock, ahead / 3_600)
    for number in range(40):
        rig.store.put(task(f"p2p-task-{number:06}"))
    rig.clock.advance(60)
    rig.start().settle()
    rig.scrape()
    rig.store.clock = rig.clock
    for number in range(40):
        rig.clock.advance(5)
        rig.store.put(failed(f"p2p-task-{number:06}"), version="2")
        if number % 20 == 19:
            rig.scrape(5)
    rig.scrape(15)
    assert totals(rig, Event.TRANSITION) == {"failed": 40}
    assert tasks(rig) == {"failed": 40}


def test_a_clock_put_right_while_we_were_down_loses_nothing(tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"))
    rig.store.clock = skewed(rig.clock, 1)
    rig.store.put(task("one"))
    rig.clock.advance(60)
    rig.start().settle()
    rig.scrape()
    rig.stop()
    rig.store.clock = rig.clock
    rig.store.put(failed("one"), version="2")
    rig.clock.advance(600)
    rig.start()
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1}


def test_a_baseline_whose_server_clock_was_put_right_begins_again(tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"))
    rig.store.clock = skewed(rig.clock, 1)
    for number in range(3_000):
        rig.store.put(task(f"p2p-task-{number:06}"))
        rig.clock.advance(0.01)
    rig.clock.advance(60)
    rig.start()
    broken_off(rig, 11)
    rig.store.clock = rig.clock
    rig.store.put(failed("p2p-task-000001"), version="2")
    rig.clock.advance(600)
    rig.start()
    work(rig)
    assert tasks(rig) == {"requested": 2_999, "failed": 1}


def test_a_steady_clock_costs_no_second_search() -> None:
    rig = filled(3).start()
    rig.settle()
    asked = rig.transport.count
    for _ in range(20):
        rig.scrape(15)
    assert rig.transport.count == asked + 20


@pytest.mark.parametrize("hours", [1 / 60, 5, -5])
def test_a_comparison_by_counts_halves_by_the_servers_clock(hours: float) -> None:
    rig = Rig(comparisons=QUIET)
    rig.store.clock = skewed(rig.clock, hours)
    for number in range(300):
        rig.store.put(completed(f"known-{number:05}"))  # all in one instant, which cannot be cut in half
    rig.start().settle()
    for number in range(2_600):
        rig.store.put(completed(f"late-{number:05}", meta=meta()), stamp=rig.store.clock() + 15 * number)
    rig.clock.advance(1)
    for number in range(2_600):
        rig.store.meta_add(f"late-{number:05}", TAG)
    before = rig.transport.count
    rig.sweep(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": 2_900}
    assert rig.transport.count - before < 70


def test_an_edit_late_in_a_long_window_is_not_in_the_future() -> None:
    rig = filled(1_000)

    def slow(request: Request) -> Response:
        rig.clock.advance(20)
        rig.store.put(task("p2p-task-000999", authoredOn=at(-1), note=[{"text": str(rig.clock.at)}]))
        return fake.honest(rig.store)(request)

    rig.transport.answer = slow
    rig.start().settle()
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    assert Anomaly.FUTURE_STAMP not in gauges.anomalous


# --- opposite differences, and selections that a server cannot count


@pytest.mark.parametrize(("count", "deleted"), [(3, 1), (150, 148), (3_000, 2_998), (3_000, 900)])
def test_opposite_differences_do_not_cancel(count: int, deleted: int) -> None:
    rig = Rig(comparisons=QUIET)
    rig.store.put(completed("tagged-later", meta=meta()))
    for number in range(count):
        rig.store.put(completed(f"p2p-task-{number:06}"))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.delete(f"p2p-task-{deleted:06}")
    rig.store.meta_add("tagged-later", TAG)
    for _ in range(12):
        rig.sweep(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": count}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 1}


def test_without_a_tag_counts_are_asked_for_by_code() -> None:
    rig = Rig(comparisons=QUIET, selection=Selection(None, CODE))
    for number in range(3_000):
        rig.store.put(completed(f"ours-{number:05}"))
        rig.store.put(completed(f"other-{number:05}", code=concept(TAG)))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.delete("ours-00007")
    before = rig.transport.count
    rig.sweep(full=True)
    assert rig.transport.count - before < 80
    rig.scrape()
    assert tasks(rig) == {"completed": 2_999}
    before = rig.transport.count
    rig.sweep(full=True)
    assert rig.transport.count - before < 40


@pytest.mark.parametrize("kept", ["ge", "lt"])
def test_a_server_that_obeys_one_bound_of_two_is_walked(kept: str) -> None:
    rig = Rig(comparisons=QUIET)
    for number in range(600):
        rig.store.put(completed(f"p2p-task-{number:05}"))
        rig.clock.advance(0.5)
    rig.clock.advance(60)

    def obeying(request: Request) -> Response:
        bounds = [each for name, each in request.query if name == "_lastUpdated"]
        dropped = [each for each in bounds if not each.startswith(kept)] if len(bounds) > 1 else []
        query = tuple(pair for pair in request.query if pair[1] not in dropped)
        return fake.honest(rig.store)(request._replace(query=query))

    rig.transport.answer = obeying
    rig.start().settle()
    rig.store.delete("p2p-task-00007")
    before = sum(map(counting, rig.transport.requests))
    rig.sweep(full=True)
    assert sum(map(counting, rig.transport.requests)) - before == 1
    rig.scrape()
    assert tasks(rig) == {"completed": 599}


@pytest.mark.parametrize("parameter", ["_tag", "code"])
def test_a_server_that_ignores_the_criterion_is_walked(parameter: str) -> None:
    selection = Selection(TAG, CODE) if parameter == "_tag" else Selection(None, CODE)
    rig = Rig(comparisons=QUIET, selection=selection)
    for number in range(600):
        rig.store.put(completed(f"ours-{number:05}"))
        rig.store.put(completed(f"other-{number:05}", meta=meta(), code=concept(TAG)))
        rig.clock.advance(0.5)
    rig.clock.advance(60)

    def ignoring(request: Request) -> Response:
        kept = tuple(pair for pair in request.query if pair[0] != parameter)
        return fake.honest(rig.store)(request._replace(query=kept))

    rig.transport.answer = ignoring
    rig.start().settle()
    before = sum(map(counting, rig.transport.requests))
    rig.sweep(full=True)
    assert sum(map(counting, rig.transport.requests)) - before <= 2
    assert tasks(rig) == {"completed": 600}
    assert totals(rig, Event.VANISHED) == {}


# --- manners


@pytest.mark.parametrize("header", ["0", "Thu, 01 Jan 1970 00:00:00 GMT", None])
def test_a_server_that_asks_for_no_wait_is_not_pressed(header: str | None) -> None:
    rig = filled(3).start()
    rig.transport.answer = throttled(header)(fake.honest(rig.store))
    began = rig.clock.monotonic()
    work(rig, 2_000)
    while rig.clock.monotonic() - began < 3_600:
        rig.clock.advance(max(rig.worker.rest_seconds(), 0.001))
        rig.worker.step()
    assert rig.transport.count < 4 * (rig.clock.monotonic() - began) / 60 + 20


# --- smaller ones


def test_a_task_completed_under_another_code_counts_when_it_is_ours_again() -> None:
    rig = filled(2).start()
    rig.settle()
    rig.store.put(completed("p2p-task-000000", code=concept(TAG)))
    rig.scrape()
    rig.store.put(completed("p2p-task-000000"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    rig.store.put(completed("p2p-task-000000", code=concept(TAG)))
    rig.scrape()
    rig.store.put(completed("p2p-task-000000"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert totals(rig, Event.CREATED) == {}


@pytest.mark.parametrize("total", ["5.0", '"5"', "null", "-1", '{"value": 5}', "1e400", "true"])
def test_a_total_on_a_page_is_ignored_whatever_it_is(total: str) -> None:
    rig = filled(3)

    def odd(request: Request) -> Response:
        response = fake.honest(rig.store)(request)
        start = response.body.find(b'"total":')
        if start < 0 or counting(request):
            return response
        end = response.body.index(b",", start)
        return response._replace(body=response.body[:start] + b'"total":' + total.encode() + response.body[end:])

    rig.transport.answer = odd
    rig.start().settle()
    assert tasks(rig) == {"requested": 3}


def test_an_unreadable_task_with_a_changing_score_is_one_anomaly() -> None:
    rig = filled(2).start()
    rig.settle()
    scores = iter(range(1_000))

    def scored(request: Request) -> Response:
        response = fake.honest(rig.store)(request)
        if counting(request) or not request.path.endswith("/Task"):
            return response
        bundle = json.loads(response.body)
        entry = {"resource": {"resourceType": "Task", "id": ["odd"], "status": 7}}
        entry |= {"search": {"mode": "match", "score": next(scores)}}
        bundle["entry"] = [*bundle.get("entry", []), entry]
        return response._replace(body=json.dumps(bundle).encode())

    rig.transport.answer = scored
    for _ in range(4):
        rig.scrape()
    assert totals(rig, Event.ANOMALY) == {Anomaly.UNPARSABLE: 1}


# --- promises that no test kept


def test_up_is_1_while_a_baseline_and_a_catch_up_make_progress() -> None:
    rig = filled(4_500).start()
    rig.worker.step()
    assert up(rig)
    rig.settle()
    answering(rig, lambda request: True, Response(500, (), b""))
    rig.scrape()
    assert not up(rig)
    rig.transport.answer = fake.honest(rig.store)
    for number in range(4_500):
        rig.store.put(task(f"burst-{number:05}"))
        rig.clock.advance(0.1)
    rig.worker.scrape()
    rig.worker.step()
    assert rig.worker.busy
    assert up(rig)
    rig.settle()
    assert up(rig)


def test_up_is_0_when_a_page_of_the_baseline_fails_and_1_again_with_the_next() -> None:
    rig = filled(4_500).start()
    rig.worker.step()
    answering(rig, lambda request: True, Response(500, (), b""))
    rig.worker.step()
    assert not up(rig)
    rig.transport.answer = fake.honest(rig.store)
    rig.clock.advance(61)
    rig.worker.step()
    assert up(rig)


def test_a_full_comparison_lets_the_watermark_jump_to_a_clock_that_was_slow() -> None:
    rig = filled(2, comparisons=QUIET)
    rig.store.clock = skewed(rig.clock, -1)
    rig.start().settle()
    rig.store.clock = rig.clock
    rig.scrape()
    lag = rig.clock.at / 1000 - (value(own(rig), "fhir_task_exporter_watermark_timestamp_seconds") or 0)
    assert lag > 3_600
    rig.sweep(full=True)
    rig.scrape()
    lag = rig.clock.at / 1000 - (value(own(rig), "fhir_task_exporter_watermark_timestamp_seconds") or 0)
    assert lag < 60


def test_a_sweep_that_runs_out_of_time_gets_more() -> None:
    rig = filled(3).start()
    rig.settle()
    asked: list[int] = []
    whole_window = rig.context.server.window

    def limited(patience: int = 1) -> object:
        asked.append(patience)
        return whole_window(patience)

    rig.context.server.window = limited  # type: ignore[method-assign,assignment]

    def late(request: Request) -> Response:
        if is_open_search(request) or any("ge" in v for n, v in request.query if n == "_lastUpdated"):
            raise httpx.ReadTimeout("late")
        return fake.honest(rig.store)(request)

    for _ in range(2):
        rig.transport.answer = fake.honest(rig.store)
        pages = iter(range(100))

        def second_page_late(request: Request) -> Response:
            return late(request) if next(pages) == 1 else fake.honest(rig.store)(request)  # noqa: B023

        rig.transport.answer = second_page_late
        rig.sweep()
    rig.transport.answer = fake.honest(rig.store)
    asked.clear()
    rig.sweep()
    assert 4 in asked
    asked.clear()
    rig.sweep()
    assert set(asked) == {1}


# --- what a hostile tester found


def failing_each(rig: Rig, number: int, response: Response) -> None:
    """Every so many requests one fails."""
    asked = iter(range(1, 1_000_000))
    honest = fake.honest(rig.store)
    rig.transport.answer = lambda request: response if next(asked) % number == 0 else honest(request)


LOSSY = [Response(503, (), b""), Response(429, (("retry-after", "1"),), b"")]


@pytest.mark.parametrize("response", LOSSY, ids=lambda response: str(response.status))
def test_a_walk_of_everything_survives_a_server_that_fails_now_and_then(tmp_path: Path, response: Response) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"), comparisons=QUIET)
    for number in range(12_000):
        rig.store.put(completed(f"p2p-task-{number:05}", owner=reference("Organization/one")))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    rig.stop()
    rig.payers = {"Organization/one": "One"}
    rig.start()
    failing_each(rig, 50, response)
    for _ in range(3):
        rig.sweep(full=True)
        work(rig)
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape()
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    assert {key.pair.source for key, n in gauges.tasks.items() if n} == {"One"}


@pytest.mark.parametrize("response", LOSSY, ids=lambda response: str(response.status))
def test_a_purge_is_found_on_a_server_that_fails_now_and_then(response: Response) -> None:
    rig = Rig(comparisons=QUIET)
    for number in range(3_000):
        rig.store.put(completed(f"p2p-task-{number:05}"))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    for number in range(400):
        rig.store.delete(f"p2p-task-{7 * number:05}")
    failing_each(rig, 40, response)
    for _ in range(4):
        rig.sweep(full=True)
        work(rig)
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape(61)
    assert tasks(rig) == {"completed": 2_600}
    assert totals(rig, Event.VANISHED) == {"": 400}


def test_a_full_comparison_that_did_not_end_is_tried_again_within_minutes() -> None:
    rig = filled(3).start()
    rig.settle()
    answering(rig, lambda request: request.path.endswith("/Task"), Response(500, (), b""))
    rig.clock.advance(rig.comparisons.full_interval + 1)
    while rig.worker.rest_seconds() <= 0:
        rig.worker.step()
    assert reconciled(rig, Sweep.FULL, "partial") == 1
    rig.transport.answer = fake.honest(rig.store)
    rig.clock.advance(2 * rig.comparisons.open_interval)
    for _ in range(200):
        if rig.worker.rest_seconds() > 0:
            break
        rig.worker.step()
    assert reconciled(rig, Sweep.FULL, "complete") == 1


def test_a_lost_right_costs_few_reads() -> None:
    rig = filled(2_000).start()
    rig.settle()
    rig.transport.answer = empty_searches(rig)
    rig.clock.advance(600)
    before = rig.transport.count
    rig.sweep()
    assert rig.transport.count - before < 80


def test_restarts_do_not_put_the_full_comparison_off(tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"))
    for number in range(3):
        rig.store.put(completed(f"p2p-task-{number:05}"))
    for identifier in ("old-payer", "new-payer"):
        rig.store.put(organization(identifier))
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.delete("p2p-task-00000")
    for _ in range(4):
        for _ in range(10):
            rig.scrape(300)
            work(rig)
            while rig.worker.rest_seconds() <= 0:
                rig.worker.step()
        rig.stop()
        rig.start()
    rig.scrape()
    assert tasks(rig) == {"completed": 2}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_a_task_that_failed_while_untagged_counts_when_it_is_tagged_again() -> None:
    rig = filled(2).start()
    rig.settle()
    rig.store.meta_delete("p2p-task-000000", TAG)
    rig.store.put(failed("p2p-task-000000", meta=meta()))
    rig.scrape(100)
    sweep_all(rig)
    rig.store.meta_add("p2p-task-000000", TAG)
    rig.clock.advance(100)
    sweep_all(rig)
    rig.scrape()
    assert tasks(rig) == {"requested": 1, "failed": 1}
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert totals(rig, Event.CREATED) == {}


def test_an_old_task_tagged_later_joins_the_baseline_whichever_comparison_finds_it() -> None:
    rig = Rig()
    rig.store.put(task("old-open", meta=meta()))
    rig.store.put(completed("old-ended", meta=meta()))
    rig.store.put(task("ours"))
    rig.clock.advance(3_600)
    rig.start().settle()
    rig.store.meta_add("old-open", TAG)
    rig.store.meta_add("old-ended", TAG)
    sweep_all(rig)
    rig.scrape()
    assert tasks(rig) == {"requested": 2, "completed": 1}
    assert totals(rig, Event.CREATED) == {}
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 2}


def test_a_throttled_count_of_the_baseline_is_a_wait_too() -> None:
    rig = filled(2_500)
    answering(rig, counting, Response(429, (("retry-after", "120"),), b""))
    rig.start()
    while rig.worker.rest_seconds() <= 0:
        rig.worker.step()
    assert sum(map(counting, rig.transport.requests)) == 1
    assert counting(rig.transport.requests[-1])
    assert rig.worker.rest_seconds() > 110
    assert not up(rig)
    work(rig, 100)
    assert tasks(rig) == {"requested": 2_500}
    assert sum(map(counting, rig.transport.requests)) == 1


def test_a_scrape_that_waits_while_a_comparison_polls_gets_that_poll() -> None:
    rig = filled(5).start()
    rig.settle()
    for number in range(4_500):
        rig.store.put(task(f"burst-{number:05}"))
        rig.clock.advance(0.1)
    rig.clock.advance(rig.comparisons.open_interval + 1)
    since = f"ge{format_instant(rig.ledger.instant(StateKey.WATERMARK) or 0)}"
    scrapes = []
    poll_for_sweep = rig.worker._poll_for

    def scraped_just_before(job: ComparisonJob) -> None:
        scrapes.append(rig.worker.scrape())
        poll_for_sweep(job)

    rig.worker._poll_for = scraped_just_before  # type: ignore[method-assign]
    rig.worker.step()
    work(rig)
    assert len(scrapes) == 1
    assert scrapes[0].poll is not None
    assert scrapes[0].poll.done()
    asked = [request for request in rig.transport.searches() if not counting(request)]
    begun = next(place for place, request in enumerate(asked) if ("_lastUpdated", since) in request.query)
    assert len(asked) - begun == 3  # the windows of one catch-up
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 4_500}
