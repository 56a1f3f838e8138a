"""Walks that are interrupted, or longer than a window: baselines and catch-ups go on where they were."""

from pathlib import Path

import httpx
import pytest

from exporter.demo.server import Request, Response
from exporter.metrics.vocabulary import Comparison, Outcome, ScrapeAnswer
from exporter.task.model import Event

from ..support import fake, quirks
from ..support.builders import task
from ..support.exposition import comparisons, errors, is_up, tasks, totals
from ..support.rig import Rig, filled, settled


def test_a_poll_of_many_windows_becomes_a_catch_up_that_answers_scrapes_at_once() -> None:
    rig = filled(10).start().settle()
    rig.burst(4_500, seconds_apart=15)
    waiting = rig.worker.scrape()
    for _ in range(3):
        rig.worker.step()
    assert waiting.poll is not None
    assert not waiting.poll.done()
    assert rig.worker.scrape().immediate is ScrapeAnswer.LATE
    rig.settle()
    assert waiting.poll.result(timeout=0)
    assert totals(rig, Event.CREATED) == {"": 4_500}


@pytest.mark.parametrize("pages", [1, 4, 12, 17])
def test_a_baseline_goes_on_after_a_restart_where_it_was(tmp_path: Path, pages: int) -> None:
    rig = filled(4_200, path=str(tmp_path / "ledger.db")).start()
    rig.interrupt(pages)
    before = rig.transport.count
    rig.start().settle()
    assert tasks(rig) == {"requested": 4_200}
    assert totals(rig, Event.CREATED) == {}
    assert before + rig.transport.count < 60


@pytest.mark.parametrize("pages", [1, 11, 15])
def test_an_interrupted_catch_up_counts_nothing_twice(tmp_path: Path, pages: int) -> None:
    rig = filled(5, path=str(tmp_path / "ledger.db")).start().settle()
    rig.stop()
    rig.burst(4_500, seconds_apart=0.01)
    rig.start()
    rig.worker.scrape()
    rig.interrupt(pages)
    rig.start().settle()
    rig.scrape()
    rig.settle()
    assert totals(rig, Event.CREATED) == {"": 4_500}
    assert totals(rig, Event.TRANSITION) == {"requested": 4_500}


@pytest.mark.parametrize("kind", ["baseline", "catch-up"])
def test_a_walk_resumed_a_week_later_leaves_no_lag(tmp_path: Path, kind: str) -> None:
    rig = filled(3_000 if kind == "baseline" else 5, path=str(tmp_path / "ledger.db")).start()
    if kind == "catch-up":
        rig.settle()
        rig.burst(3_000, seconds_apart=0.1)
        rig.worker.scrape()
    rig.interrupt(4)
    rig.burst(2_500, seconds_apart=7 * 86_400 / 2_500, name="meanwhile")
    rig.start()
    rig.run()
    rig.scrape(30)
    asked = rig.transport.count
    for _ in range(5):
        rig.scrape(15)
        assert rig.last_answer is ScrapeAnswer.FRESH
    assert rig.transport.count == asked + 5
    assert tasks(rig) == {"requested": 5_500 if kind == "baseline" else 5_505}
    assert totals(rig, Event.CREATED) == ({} if kind == "baseline" else {"": 5_500})
    rig.compare_all()
    assert comparisons(rig, Comparison.OPEN, Outcome.COMPLETE) == 1


def test_a_walk_interrupted_inside_a_burst_reads_again_what_may_have_come_late(tmp_path: Path) -> None:
    rig = filled(5, path=str(tmp_path / "ledger.db")).start().settle()
    rig.burst(3_000, seconds_apart=0.008)
    rig.worker.scrape()
    rig.interrupt(6)
    rig.store.put(task("late"), stamp=rig.clock.at - 20_000)  # its transaction had begun before the last search
    rig.clock.advance(3_600)
    rig.start()
    rig.run()
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 3_001}


def test_q34_ten_minutes_down_are_caught_up_with() -> None:
    rig = settled(task("a"))
    rig.scrape()
    rig.play(quirks.down)
    for _ in range(10):
        rig.store.put(task(f"meanwhile-{rig.clock.at}"))
        rig.scrape(60)
        assert not is_up(rig)
    assert errors(rig) == {"unreachable": 10}
    rig.play()
    rig.scrape()
    assert is_up(rig)
    assert totals(rig, Event.CREATED) == {"": 10}
    assert tasks(rig) == {"requested": 11}


# --- Walks that take long


def test_a_long_walk_does_not_make_its_own_snapshot_stale() -> None:
    rig = filled(600, seconds_apart=0)

    def slow(request: Request) -> Response:
        rig.clock.advance(200)
        return fake.honest(rig.store)(request)

    rig.transport.answer = slow
    rig.start().settle()
    assert tasks(rig) == {"requested": 600}


def too_slow(rig: Rig, pages: int) -> fake.Answer:
    """A server so slow that a window of the usual time has room for so many requests and no more."""
    asked = 0

    def answer(request: Request) -> Response:
        nonlocal asked
        asked = asked + 1 if request.path.endswith("/fhir") else 1
        if asked > pages * rig.worker._walk_timeout.factor:
            raise httpx.ReadTimeout("too late", request=httpx.Request("GET", fake.BASE))
        return fake.honest(rig.store)(request)

    return answer


def test_a_poll_that_takes_longer_than_a_window_may_goes_on_where_it_was() -> None:
    rig = Rig()
    rig.store.page_limit = 50
    rig.start().settle()
    for number in range(999):
        rig.store.put(task(f"p2p-task-{number:06}"))
        rig.clock.advance(0.01)
    rig.transport.answer = too_slow(rig, 6)
    for _ in range(6):
        rig.scrape(120)
    assert totals(rig, Event.CREATED) == {"": 999}
    assert rig.worker.up


def test_tasks_of_one_stamp_that_take_longer_than_a_window_may_are_given_more_time() -> None:
    rig = filled(300, seconds_apart=0)
    rig.store.page_limit = 20
    rig.transport.answer = too_slow(rig.start(), 4)
    rig.run()
    assert tasks(rig) == {"requested": 300}


# --- Up while a walk makes progress


def test_up_is_1_while_a_baseline_and_a_catch_up_make_progress() -> None:
    rig = filled(4_500).start()
    rig.worker.step()
    assert is_up(rig)
    rig.settle()
    rig.play(quirks.always(Response(500, (), b"")))
    rig.scrape()
    assert not is_up(rig)
    rig.play()
    rig.burst(4_500, seconds_apart=0.1)
    rig.worker.scrape()
    rig.worker.step()
    assert rig.worker.busy
    assert is_up(rig)
    rig.settle()
    assert is_up(rig)


def test_up_is_0_when_a_page_of_the_baseline_fails_and_1_again_with_the_next() -> None:
    rig = filled(4_500).start()
    rig.worker.step()
    rig.play(quirks.always(Response(500, (), b"")))
    rig.worker.step()
    assert not is_up(rig)
    rig.play()
    rig.clock.advance(61)
    rig.worker.step()
    assert is_up(rig)
