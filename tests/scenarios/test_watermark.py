"""The watermark and the clocks behind it: late writes, skewed clocks, and clocks that jump.

See docs/design.md#watermark.
"""

from pathlib import Path

import pytest

from exporter.demo.server import Request, Response
from exporter.task.model import Anomaly, Event

from ..support import fake, quirk_tasks, quirks
from ..support.builders import at, completed, failed, task
from ..support.exposition import gauges, own_value, tasks, totals
from ..support.quirk_tasks import skewed
from ..support.rig import FULL_ONLY, Rig, filled

# --- Q10, Q12: stamps that come late, or again


@pytest.mark.parametrize("seconds", [5, 20, 28])
def test_q10_a_write_that_shows_up_late_is_caught_by_the_overlap(seconds: float) -> None:
    rig = filled(5).start().settle()
    rig.scrape(60)
    quirk_tasks.put_late(rig.store, task("late"), seconds)
    rig.scrape(1)
    rig.scrape(5)
    assert totals(rig, Event.CREATED) == {"": 1}


def test_q10_a_write_that_shows_up_minutes_late_is_caught_by_the_comparison() -> None:
    rig = filled(5).start().settle()
    rig.scrape(900)
    quirk_tasks.put_late(rig.store, completed("late"), 500)
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    rig.compare()
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    lateness = own_value(rig, "fhir_task_exporter_largest_lateness_seconds")
    assert lateness is not None
    assert 500 < lateness < 1_000


def test_q12_the_last_seen_task_comes_again_and_is_not_counted_again() -> None:
    rig = filled(5, quirks=[quirks.inclusive_bounds]).start().settle()
    rig.store.put(completed("p2p-task-000000"))
    for _ in range(4):
        rig.scrape(5)
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert sum(tasks(rig).values()) == 5


# --- Q13: a clock that is wrong


@pytest.mark.parametrize("hours", [-7, -0.1, 0.1, 7])
def test_q13_a_server_whose_clock_is_off_skips_no_task_and_the_skew_shows(hours: float) -> None:
    rig = Rig()
    rig.store.clock = quirk_tasks.skewed(rig.clock, hours)
    rig.store.put(task("a"))
    rig.clock.advance(60)
    rig.start().settle()
    for n in range(3):
        rig.store.put(task(f"new-{n}"))
        rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 3}
    assert own_value(rig, "fhir_task_exporter_clock_skew_seconds") == hours * 3600
    assert totals(rig, Event.ANOMALY) == {}


def test_q13_a_stamp_in_the_future_is_an_anomaly_and_hides_no_task() -> None:
    rig = filled(5).start().settle()
    quirk_tasks.put_in_the_future(rig.store, completed("ahead"), 5)
    rig.scrape()
    rig.store.put(task("behind-it"))
    for _ in range(3):
        rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 2}
    assert totals(rig, Event.ANOMALY) == {Anomaly.FUTURE_STAMP: 1}


def test_q13_a_server_that_sends_no_time_is_walked_by_our_clock() -> None:
    rig = filled(5, quirks=[quirks.without_clock]).start().settle()
    rig.store.put(completed("p2p-task-000000"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1}


def test_q13_a_clock_that_jumps_ahead_for_one_poll_and_back_loses_no_task() -> None:
    rig = filled(5).start().settle()
    rig.scrape()
    ahead = quirk_tasks.skewed(rig.clock, 24)
    rig.play(quirks.clock_told(ahead))
    rig.scrape()
    rig.play()
    rig.store.put(task("after-the-jump"))
    rig.scrape(60)
    rig.scrape(60)
    assert totals(rig, Event.CREATED) == {"": 1}


def test_q13_a_date_header_alone_is_a_clock() -> None:
    no_meta = quirks.editing(lambda bundle, _: bundle.pop("meta", None))
    rig = Rig()
    rig.store.clock = quirk_tasks.skewed(rig.clock, 2)
    rig.play(no_meta)
    rig.start().settle()
    rig.store.put(task("a"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert own_value(rig, "fhir_task_exporter_clock_skew_seconds") == pytest.approx(7200, abs=1)


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


def test_an_edit_late_in_a_long_window_is_not_in_the_future() -> None:
    rig = filled(1_000)

    def slow(request: Request) -> Response:
        rig.clock.advance(20)
        rig.store.put(task("p2p-task-000999", authoredOn=at(-1), note=[{"text": str(rig.clock.at)}]))
        return fake.honest(rig.store)(request)

    rig.transport.answer = slow
    rig.start().settle()
    assert Anomaly.FUTURE_STAMP not in gauges(rig).anomalous


# --- Clocks that jump


def test_a_server_clock_that_jumps_a_day_ahead_and_back_loses_nothing() -> None:
    rig = filled(3).start().settle()
    now = rig.clock.at
    for offset in (86_400_000, 0):
        rig.clock.set(now + offset)
        rig.store.put(task(f"at-{offset}"))
        rig.scrape()
        rig.scrape()
    rig.store.put(task("after"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 3}


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
    rig.interrupt(11)
    rig.store.clock = rig.clock
    rig.store.put(failed("p2p-task-000001"), version="2")
    rig.clock.advance(600)
    rig.start()
    rig.run()
    assert tasks(rig) == {"requested": 2_999, "failed": 1}


def test_a_steady_clock_costs_no_second_search() -> None:
    rig = filled(3).start().settle()
    asked = rig.transport.count
    for _ in range(20):
        rig.scrape(15)
    assert rig.transport.count == asked + 20


def test_a_full_comparison_lets_the_watermark_jump_to_a_clock_that_was_slow() -> None:
    rig = filled(2, comparisons=FULL_ONLY)
    rig.store.clock = skewed(rig.clock, -1)
    rig.start().settle()
    rig.store.clock = rig.clock
    rig.scrape()
    lag = rig.clock.at / 1000 - (own_value(rig, "fhir_task_exporter_watermark_timestamp_seconds") or 0)
    assert lag > 3_600
    rig.compare(full=True)
    rig.scrape()
    lag = rig.clock.at / 1000 - (own_value(rig, "fhir_task_exporter_watermark_timestamp_seconds") or 0)
    assert lag < 60


def test_after_a_long_sleep_of_the_machine_the_watermark_is_up_to_date() -> None:
    rig = filled(5).start().settle()
    rig.clock.advance(7 * 86_400)  # our steady clock counts the sleep (CLOCK_BOOTTIME)
    rig.burst(2_500, seconds_apart=0.1, name="meanwhile")
    rig.scrape()
    rig.run()
    rig.scrape(60)
    asked = rig.transport.count
    rig.scrape(15)
    assert rig.transport.count == asked + 1
    assert totals(rig, Event.CREATED) == {"": 2_500}
