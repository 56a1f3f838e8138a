"""Quirks of pages and searches, Q1 to Q14: what the exporter makes of each."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request
from exporter.task.model import Anomaly, Event

from ..support import quirk_tasks, quirks
from ..support.builders import completed, task
from ..support.fake import BASE, Answer
from ..support.quirks import Quirk, played
from ..support.readings import errors, own, tasks, totals, up, work
from ..support.rig import Rig, value


def rigged(*quirk: Quirk, count: int = 5, **options: object) -> Rig:
    """Put an exporter on a server that holds so many Tasks and plays these quirks; the baseline is done."""
    rig = Rig(**options)  # type: ignore[arg-type]
    for n in range(count):
        rig.store.put(task(f"t{n:04}"))
        rig.clock.advance(0.01)
    rig.clock.advance(60)
    rig.transport.answer = played(rig.store, *quirk)
    rig.start()
    return rig


def settled(*quirk: Quirk, count: int = 5, **options: object) -> Rig:
    rig = rigged(*quirk, count=count, **options)
    rig.settle()
    return rig


def small_pages(rig: Rig, size: int = 2) -> Rig:
    """Ask for small pages, so that few Tasks make many, and for no more than 200."""
    server = rig.context.server
    server.settings = replace(server.settings, page_size=size)
    server.options = replace(server.options, max_pages=200)
    return rig


# --- Q1, Q2: caches


def test_q1_a_change_is_seen_at_the_next_poll_though_the_server_repeats_answers() -> None:
    rig = Rig()
    rig.transport.answer = played(rig.store, quirks.result_cache(rig.clock))
    rig.start().settle()
    for n in range(3):
        rig.store.put(task(f"t{n}"))
        rig.scrape(5)
        assert tasks(rig) == {"requested": n + 1}


def test_q1_an_answer_from_a_disobedient_cache_is_no_complete_poll() -> None:
    rig = settled(count=1)
    rig.scrape()
    rig.clock.advance(60)
    answers = played(rig.store, quirks.result_cache(lambda: 0, obedient=False))
    rig.transport.answer = same_question(answers)
    rig.scrape()
    rig.store.put(completed("t0000"))
    rig.scrape()
    assert errors(rig) == {"cached": 1}
    assert not up(rig)
    assert tasks(rig) == {"requested": 1}
    rig.transport.answer = played(rig.store)
    rig.scrape()
    assert tasks(rig) == {"completed": 1}


def same_question(answer: Answer) -> Answer:
    """Take every search for the same one, as a cache does that keys by path alone."""
    return lambda request: answer(request._replace(query=tuple(p for p in request.query if p[0] != "_lastUpdated")))


def test_q2_no_store_is_never_said_and_no_cache_always() -> None:
    rig = settled(quirks.no_paging_without_store, count=450)
    assert tasks(rig) == {"requested": 450}
    said = {dict(request.headers)["cache-control"] for request in rig.transport.requests}
    assert said == {"no-cache"}


# --- Q3 to Q9: pages


@pytest.mark.parametrize("limit", [1, 7, 20])
def test_q3_pages_smaller_than_asked_for_lose_nothing(limit: int) -> None:
    rig = settled(quirks.clamped(limit), count=45)
    assert tasks(rig) == {"requested": 45}


def test_q4_expired_page_links_end_the_walk_and_neither_lose_nor_double() -> None:
    switch = quirks.Switch(False)
    rig = settled(quirks.when(switch, quirks.expired_pages), count=1)
    for n in range(500):
        rig.store.put(task(f"new-{n:04}"))
    switch.on = True
    rig.scrape()
    assert errors(rig) == {"cursor_expired": 1}
    assert totals(rig, Event.CREATED) == {}
    switch.on = False
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 500}
    assert totals(rig, Event.TRANSITION) == {"requested": 500}


def test_q4_a_baseline_goes_on_from_its_last_page_when_links_expire() -> None:
    rig = rigged(quirks.when(quirks.nth(5, 9), quirks.expired_pages), count=2_500)
    work(rig)
    assert tasks(rig) == {"requested": 2_500}
    assert errors(rig)["cursor_expired"] == 2


@pytest.mark.parametrize("total", [None, 0, 3, 10**9])
def test_q5_a_total_on_pages_is_ignored(total: int | None) -> None:
    rig = settled(
        quirks.when(lambda request: ("_summary", "count") not in request.query, quirks.total(total)), count=450
    )
    assert tasks(rig) == {"requested": 450}


def test_q5_a_wrong_count_spoils_no_baseline() -> None:
    for total in (None, 0, 10**9):
        rig = settled(quirks.total(total), count=450)
        assert tasks(rig) == {"requested": 450}
        assert value(own(rig), "fhir_task_exporter_baseline_progress_ratio") == 1


@pytest.mark.parametrize("base", quirks.ELSEWHERE)
def test_q6_a_link_that_leads_elsewhere_is_refused_and_not_followed(base: str) -> None:
    rig = rigged(quirks.next_at(base), count=450)
    work(rig, 3)
    assert errors(rig) == {"link_refused": 1}
    assert all(url.startswith((f"{BASE}/Task?", f"{BASE}/Organization/")) for url in rig.transport.urls)
    assert not any("_getpages" in url for url in rig.transport.urls)


def test_q6_links_of_a_server_behind_a_proxy_can_be_rewritten() -> None:
    rig = settled(quirks.next_at("http://inner.example:8080/fhir"), count=450, fhir={"rewrite_links": True})
    assert tasks(rig) == {"requested": 450}
    assert all(url.startswith(BASE) for url in rig.transport.urls)


def of_tasks(request: Request) -> bool:
    """Tell pages of Tasks from counts and Organizations."""
    return "Organization" not in request.path and ("_summary", "count") not in request.query


without_end = quirks.when(of_tasks, quirks.next_without_end)


@pytest.mark.parametrize("quirk", [quirks.next_to_itself, quirks.next_in_a_circle, without_end])
def test_q7_links_without_end_end_in_an_error(quirk: Quirk) -> None:
    rig = small_pages(rigged(quirk, count=5))
    while not errors(rig):
        work(rig, 1)
    assert errors(rig) == {"link_cycle": 1}
    assert rig.transport.count < 300


def test_q7_an_empty_page_is_no_end() -> None:
    rig = settled(quirks.empty_page_first, count=450)
    assert tasks(rig) == {"requested": 450}


def test_q8_the_same_task_on_two_pages_is_counted_once() -> None:
    rig = settled(quirks.clamped(2), quirks.repeated_entry, count=1)
    for n in range(7):
        rig.store.put(task(f"new-{n}"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 7}
    assert tasks(rig) == {"requested": 8}


def test_q8_a_task_changed_between_pages_shows_its_newest_version() -> None:
    rig = settled(quirks.clamped(2), count=5)
    rig.clock.advance(60)
    for n in range(5):
        rig.store.put(task(f"t{n:04}", "in-progress"))
        rig.clock.advance(0.01)
    change = quirks.meanwhile(lambda: rig.store.put(completed("t0004")))
    rig.transport.answer = played(rig.store, quirks.clamped(2), change)
    rig.scrape()
    rig.scrape()
    assert tasks(rig) == {"in-progress": 4, "completed": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 4, "completed": 1}


def test_q8_a_task_deleted_between_pages_loses_no_other() -> None:
    rig = Rig()
    for n in range(5):
        rig.store.put(task(f"t{n}"))
    rig.transport.answer = played(rig.store, quirks.clamped(2), quirks.meanwhile(lambda: rig.store.delete("t0")))
    rig.start().settle()
    assert tasks(rig) == {"requested": 5}
    rig.transport.answer = played(rig.store)
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 4}


def only_warned(answer: Answer) -> Answer:
    """Make warnings of the errors that the server tells beside its matches."""
    return quirks.body_changed(lambda body: body.replace(b'"severity": "error"', b'"severity": "warning"'))(answer)


def test_q9_only_matches_are_tasks() -> None:
    rig = settled(quirks.strange_entries, only_warned, count=450)
    assert tasks(rig) == {"requested": 450}
    rig.scrape()
    assert up(rig)


@pytest.mark.parametrize("quirk", [quirks.bare_bundle, quirks.without_modes])
def test_q9_a_bundle_that_says_little_is_enough(quirk: Quirk) -> None:
    rig = settled(quirk, count=450)
    assert tasks(rig) == {"requested": 450}


def test_q9_a_bundle_without_entries_is_a_real_zero() -> None:
    rig = settled(count=0)
    rig.scrape()
    assert up(rig)
    assert tasks(rig) == {}
    assert value(own(rig), "fhir_task_exporter_baseline_complete") == 1


# --- Q10 to Q14: stamps, bounds, clocks


@pytest.mark.parametrize("seconds", [5, 20, 28])
def test_q10_a_write_that_shows_up_late_is_caught_by_the_overlap(seconds: float) -> None:
    rig = settled()
    rig.scrape(60)
    quirk_tasks.put_late(rig.store, task("late"), seconds)
    rig.scrape(1)
    rig.scrape(5)
    assert totals(rig, Event.CREATED) == {"": 1}


def test_q10_a_write_that_shows_up_minutes_late_is_caught_by_the_sweep() -> None:
    rig = settled()
    rig.scrape(900)
    quirk_tasks.put_late(rig.store, completed("late"), 500)
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    rig.sweep()
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    lateness = value(own(rig), "fhir_task_exporter_largest_lateness_seconds")
    assert lateness is not None
    assert 500 < lateness < 1_000


@pytest.mark.parametrize("size", [3, 200])
def test_q11_equal_stamps_across_borders_of_pages_and_windows_lose_nothing(size: int) -> None:
    count = 2_450 if size == 200 else 50
    rig = Rig()
    quirk_tasks.put_together(rig.store, (task(f"t{n:04}") for n in range(count)))
    rig.clock.advance(60)
    small_pages(rig.start(), size).settle()
    assert tasks(rig) == {"requested": count}


def test_q12_the_last_seen_task_comes_again_and_is_not_counted_again() -> None:
    rig = settled(quirks.inclusive_bounds)
    rig.store.put(completed("t0000"))
    for _ in range(4):
        rig.scrape(5)
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert sum(tasks(rig).values()) == 5


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
    assert value(own(rig), "fhir_task_exporter_clock_skew_seconds") == hours * 3600
    assert totals(rig, Event.ANOMALY) == {}


def test_q13_a_stamp_in_the_future_is_an_anomaly_and_hides_no_task() -> None:
    rig = settled()
    quirk_tasks.put_in_the_future(rig.store, completed("ahead"), 5)
    rig.scrape()
    rig.store.put(task("behind-it"))
    for _ in range(3):
        rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 2}
    assert totals(rig, Event.ANOMALY) == {Anomaly.FUTURE_STAMP: 1}


def test_q13_only_stamps_in_the_future_still_let_a_baseline_end() -> None:
    rig = Rig()
    for n in range(2_100):
        quirk_tasks.put_in_the_future(rig.store, task(f"t{n:04}"), 5 + n / 3_600_000)
    rig.start().settle()
    assert tasks(rig) == {"requested": 2_100}


def test_q13_a_server_that_tells_no_time_is_walked_by_our_clock() -> None:
    rig = settled(quirks.without_clock)
    rig.store.put(completed("t0000"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1}


def test_q13_a_clock_that_jumps_ahead_for_one_poll_and_back_loses_no_task() -> None:
    rig = settled()
    rig.scrape()
    ahead = quirk_tasks.skewed(rig.clock, 24)
    rig.transport.answer = played(rig.store, quirks.clock_told(ahead))
    rig.scrape()
    rig.transport.answer = played(rig.store)
    rig.store.put(task("after-the-jump"))
    rig.scrape(60)
    rig.scrape(60)
    assert totals(rig, Event.CREATED) == {"": 1}


def test_q13_a_date_header_alone_is_a_clock() -> None:
    no_meta = quirks.editing(lambda bundle, _: bundle.pop("meta", None))
    rig = Rig()
    rig.store.clock = quirk_tasks.skewed(rig.clock, 2)
    rig.transport.answer = played(rig.store, no_meta)
    rig.start().settle()
    rig.store.put(task("a"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert value(own(rig), "fhir_task_exporter_clock_skew_seconds") == pytest.approx(7200, abs=1)


@pytest.mark.parametrize("prefixes", [("lt",), ("ge",), ("lt", "ge")])
def test_q14_a_full_comparison_is_exact_where_a_bound_is_ignored(prefixes: tuple[str, ...]) -> None:
    rig = Rig(comparisons=ReconcileSettings(open_interval=1e9))
    for n in range(300):
        rig.store.put(completed(f"t{n:04}"))
        rig.clock.advance(60)
    rig.transport.answer = played(rig.store, quirks.bound_ignored(*prefixes))
    rig.start().settle()
    for n in (3, 77, 299):
        rig.store.delete(f"t{n:04}")
    rig.sweep(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": 297}
    assert totals(rig, Event.VANISHED) == {"": 3}


def test_no_quirk_of_a_page_makes_metrics_fail() -> None:
    """Whatever comes, there is a text."""
    oddities: list[Callable[[Answer], Answer]] = [
        quirks.editing(lambda bundle, _: bundle.update(link=None)),
        quirks.editing(lambda bundle, _: bundle.update(entry=None)),
        quirks.editing(lambda bundle, _: bundle.update(entry={})),
        quirks.editing(lambda bundle, _: bundle.update(type="collection")),
        quirks.editing(lambda bundle, _: bundle.update(meta=7)),
        quirks.editing(lambda bundle, _: bundle.update(total="many")),
        quirks.editing(lambda bundle, _: bundle.update(link=[{"relation": "next"}])),
    ]
    for oddity in oddities:
        rig = rigged(oddity, count=3)
        work(rig, 6)
        assert set(errors(rig)) <= {"wrong_resource"}
        assert isinstance(own(rig), str)


def test_a_server_that_never_stamps_its_tasks_is_walked_to_its_end() -> None:
    """A proxy that strips meta: nothing can be known of a Task, yet the walk must end."""

    def stampless(bundle: dict[str, object], _: Request) -> None:
        for entry in bundle.get("entry", []):  # type: ignore[attr-defined]
            entry["resource"]["meta"].pop("lastUpdated")

    rig = rigged(quirks.editing(stampless), count=2_450)
    work(rig, 60)
    assert not rig.worker.busy
    assert value(own(rig), "fhir_task_exporter_tracked_tasks") == 2_450
