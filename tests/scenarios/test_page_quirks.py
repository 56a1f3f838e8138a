"""Quirks of searches and pages, Q1 to Q9: caches, links, repeated and strange entries."""

from collections.abc import Callable

import pytest

from exporter.demo.server import Request, Response
from exporter.task.model import Event

from ..support import quirks
from ..support.builders import completed, task
from ..support.exposition import errors, is_up, own_value, tasks, totals
from ..support.fake import BASE, Answer, HandClock, is_count
from ..support.quirks import Quirk
from ..support.rig import filled, settled

# --- Q1, Q2: caches


def test_q1_a_change_is_seen_at_the_next_poll_though_the_server_repeats_answers() -> None:
    clock = HandClock()
    rig = settled(quirks=[quirks.result_cache(clock)], clock=clock)
    for n in range(3):
        rig.store.put(task(f"t{n}"))
        rig.scrape(5)
        assert tasks(rig) == {"requested": n + 1}


def test_q1_an_answer_from_a_disobedient_cache_is_no_complete_poll() -> None:
    rig = filled(1).start().settle()
    rig.scrape()
    rig.clock.advance(60)
    rig.play(quirks.result_cache(lambda: 0, obedient=False), same_question)
    rig.scrape()
    rig.store.put(completed("p2p-task-000000"))
    rig.scrape()
    assert errors(rig) == {"cached": 1}
    assert not is_up(rig)
    assert tasks(rig) == {"requested": 1}
    rig.play()
    rig.scrape()
    assert tasks(rig) == {"completed": 1}


def same_question(answer: Answer) -> Answer:
    """Take every search for the same one, as a cache does that keys by path alone."""
    return lambda request: answer(request._replace(query=tuple(p for p in request.query if p[0] != "_lastUpdated")))


def test_q2_no_store_is_never_sent_and_no_cache_always() -> None:
    rig = filled(450, quirks=[quirks.no_paging_without_store]).start().settle()
    assert tasks(rig) == {"requested": 450}
    sent = {dict(request.headers)["cache-control"] for request in rig.transport.requests}
    assert sent == {"no-cache"}


# --- Q3, Q4: short pages and expired links


@pytest.mark.parametrize("limit", [1, 7, 20])
def test_q3_pages_smaller_than_asked_for_lose_nothing(limit: int) -> None:
    rig = filled(45, quirks=[quirks.clamped(limit)]).start().settle()
    assert tasks(rig) == {"requested": 45}


def test_q4_expired_page_links_end_the_walk_and_neither_lose_nor_double() -> None:
    switch = quirks.Switch(False)
    rig = filled(1, quirks=[quirks.when(switch, quirks.expired_pages)]).start().settle()
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
    rig = filled(2_500, quirks=[quirks.when(quirks.nth(5, 9), quirks.expired_pages)]).start()
    rig.run()
    assert tasks(rig) == {"requested": 2_500}
    assert errors(rig)["cursor_expired"] == 2


def test_a_page_that_fails_in_the_middle_of_a_poll_is_partial_and_counts_once() -> None:
    rig = filled(1).start().settle()
    rig.burst(500)
    rig.play(quirks.when(quirks.nth(3), quirks.always(Response(500, (), b""))))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 500}


# --- Q6, Q7: links


@pytest.mark.parametrize("base", quirks.ELSEWHERE)
def test_q6_a_link_that_leads_elsewhere_is_refused_and_not_followed(base: str) -> None:
    rig = filled(450, quirks=[quirks.next_at(base)]).start()
    rig.run(3)
    assert errors(rig) == {"link_refused": 1}
    assert all(url.startswith((f"{BASE}/Task?", f"{BASE}/Organization/")) for url in rig.transport.urls)
    assert not any("_getpages" in url for url in rig.transport.urls)


def test_q6_links_of_a_server_behind_a_proxy_can_be_rewritten() -> None:
    inner = quirks.next_at("http://inner.example:8080/fhir")
    rig = filled(450, quirks=[inner], fhir={"rewrite_links": True}).start().settle()
    assert tasks(rig) == {"requested": 450}
    assert all(url.startswith(BASE) for url in rig.transport.urls)


def of_tasks(request: Request) -> bool:
    """Recognize pages of Tasks; counts and Organizations are none."""
    return "Organization" not in request.path and not is_count(request)


without_end = quirks.when(of_tasks, quirks.next_without_end)


@pytest.mark.parametrize("quirk", [quirks.next_to_itself, quirks.next_in_a_circle, without_end])
def test_q7_links_without_end_end_in_an_error(quirk: Quirk) -> None:
    rig = filled(5, quirks=[quirk]).start().ask_for_pages(2)
    while not errors(rig):
        rig.run(1)
    assert errors(rig) == {"link_cycle": 1}
    assert rig.transport.count < 300


def test_q7_an_empty_page_is_no_end() -> None:
    rig = filled(450, quirks=[quirks.empty_page_first]).start().settle()
    assert tasks(rig) == {"requested": 450}


# --- Q8, Q9: entries


def test_q8_the_same_task_on_two_pages_is_counted_once() -> None:
    rig = filled(1, quirks=[quirks.clamped(2), quirks.repeated_entry]).start().settle()
    for n in range(7):
        rig.store.put(task(f"new-{n}"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 7}
    assert tasks(rig) == {"requested": 8}


def test_q8_a_task_changed_between_pages_shows_its_newest_version() -> None:
    rig = filled(5, quirks=[quirks.clamped(2)]).start().settle()
    rig.clock.advance(60)
    for n in range(5):
        rig.store.put(task(f"p2p-task-{n:06}", "in-progress"))
        rig.clock.advance(0.01)
    change = quirks.meanwhile(lambda: rig.store.put(completed("p2p-task-000004")))
    rig.play(quirks.clamped(2), change)
    rig.scrape()
    rig.scrape()
    assert tasks(rig) == {"in-progress": 4, "completed": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 5, "completed": 1}


def test_q8_a_task_deleted_between_pages_loses_no_other() -> None:
    rig = filled(5)
    rig.play(quirks.clamped(2), quirks.meanwhile(lambda: rig.store.delete("p2p-task-000000")))
    rig.start().settle()
    assert tasks(rig) == {"requested": 5}
    rig.play()
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 4}


def only_warned(answer: Answer) -> Answer:
    """Turn the errors among the entries into warnings."""
    return quirks.body_changed(lambda body: body.replace(b'"severity": "error"', b'"severity": "warning"'))(answer)


def test_q9_only_matches_are_tasks() -> None:
    rig = filled(450, quirks=[quirks.strange_entries, only_warned]).start().settle()
    assert tasks(rig) == {"requested": 450}
    rig.scrape()
    assert is_up(rig)


@pytest.mark.parametrize("quirk", [quirks.bare_bundle, quirks.without_modes])
def test_q9_a_minimal_bundle_is_enough(quirk: Quirk) -> None:
    rig = filled(450, quirks=[quirk]).start().settle()
    assert tasks(rig) == {"requested": 450}


def test_q9_a_bundle_without_entries_is_a_real_zero() -> None:
    rig = filled(0).start().settle()
    rig.scrape()
    assert is_up(rig)
    assert tasks(rig) == {}
    assert own_value(rig, "fhir_task_exporter_baseline_complete") == 1


def test_no_quirk_of_a_page_makes_metrics_fail() -> None:
    """Whatever a page holds, there is a text, and it is either a failure or a success."""
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
        rig = filled(3, quirks=[oddity]).start()
        rig.run(6)
        assert set(errors(rig)) <= {"wrong_resource"}
        assert own_value(rig, "fhir_task_up") == (0 if errors(rig) else 1)
