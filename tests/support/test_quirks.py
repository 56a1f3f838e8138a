"""That each quirk of a search, page or answer is really played; what exporters do about it is in tests/scenarios."""

import gzip
import json

import pytest

from exporter.demo.dates import format_stamp
from exporter.demo.server import Request
from tests.support import quirk_tasks as tasks
from tests.support import quirks
from tests.support.builders import TAG, organization, task
from tests.support.fake import START, HandClock, get, store
from tests.support.questions import follow, holding, ids, links, search, walk

TOKEN = f"{TAG.system}|{TAG.code}"


FRESH = {"cache-control": "no-cache"}


TWO = ("_count", "2")


# --- Q1 to Q14: searches and pages


def test_q1_an_identical_search_is_repeated_for_a_minute_unless_no_cache_is_said() -> None:
    clock = HandClock()
    made = holding("a", clock=clock)
    answer = quirks.played(made, quirks.result_cache(clock))
    search(answer)
    made.put(task("b"))
    assert ids(search(answer)) == ["a"]
    assert dict(get(answer, "/Task").headers)["x-cache"].startswith("HIT")
    assert ids(search(answer, **FRESH)) == ["a", "b"]
    assert "x-cache" not in dict(get(answer, "/Task", headers=FRESH).headers)


def test_q1_the_cache_forgets_and_a_disobedient_one_does_not_listen() -> None:
    clock = HandClock()
    made = holding("a", clock=clock)
    answer = quirks.played(made, quirks.result_cache(clock, obedient=False))
    search(answer)
    made.put(task("b"))
    assert ids(search(answer, **FRESH)) == ["a"]
    clock.advance(61)
    assert ids(search(answer)) == ["a", "b"]


def test_q2_no_store_loses_the_next_link() -> None:
    answer = quirks.played(holding(), quirks.no_paging_without_store)
    assert "next" in links(search(answer, TWO))
    assert "next" not in links(search(answer, TWO, **{"cache-control": "no-store"}))


def test_q3_count_is_clamped_on_every_page() -> None:
    assert walk(quirks.played(holding(), quirks.clamped(2)), ("_count", "200")) == [["a", "b"], ["c", "d"], ["e"]]


def test_q4_page_links_expire() -> None:
    answer = quirks.played(holding(), quirks.expired_pages)
    assert follow(answer, search(answer, TWO)).status == 410


def test_q5_totals_are_absent_or_wrong() -> None:
    assert "total" not in search(quirks.played(holding(), quirks.total(None)))
    assert search(quirks.played(holding(), quirks.total(10**6)))["total"] == 10**6


@pytest.mark.parametrize("base", quirks.ELSEWHERE)
def test_q6_links_lead_elsewhere(base: str) -> None:
    answer = quirks.played(holding(), quirks.next_at(base))
    assert links(search(answer, TWO))["next"].startswith(base + "?_getpages=")


def test_q7_a_page_links_to_itself() -> None:
    pages = walk(quirks.played(holding(), quirks.next_to_itself), TWO)
    assert pages[1:] == [["c", "d"]] * 8


def test_q7_pages_link_in_a_circle() -> None:
    pages = walk(quirks.played(holding(), quirks.next_in_a_circle), TWO)
    assert pages[1:5] == [["c", "d"], ["e"]] * 2


def test_q7_pages_never_end() -> None:
    answer = quirks.played(holding("a"), quirks.next_without_end)
    first = search(answer)
    second = json.loads(follow(answer, first).body)
    assert ids(second) == ["a"]
    assert links(first)["next"] != links(second)["next"]


def test_q7_an_empty_page_comes_before_the_real_one() -> None:
    assert walk(quirks.played(holding(), quirks.empty_page_first), TWO) == [[], ["a", "b"], ["c", "d"], ["e"]]


def test_q8_a_task_is_on_two_pages() -> None:
    assert walk(quirks.played(holding("a", "b", "c"), quirks.repeated_entry), TWO) == [["a", "b"], ["b", "c"]]


def test_q8_something_happens_between_pages() -> None:
    made = holding("a", "b", "c", "d")
    answer = quirks.played(made, quirks.meanwhile(lambda: made.delete("c")))
    assert walk(answer, TWO) == [["a", "b"], ["d"]]


def test_q9_strange_entries_are_beside_the_matches() -> None:
    bundle = search(quirks.played(holding("a"), quirks.strange_entries))
    assert [entry.get("search", {}).get("mode") for entry in bundle["entry"]] == ["include", "match", "outcome", None]


def test_q9_a_bundle_can_be_minimal() -> None:
    bundle = search(quirks.played(holding("a"), quirks.bare_bundle))
    assert set(bundle) == {"resourceType", "type", "link", "entry"}
    assert "search" not in bundle["entry"][0]


def test_q12_an_inclusive_bound_brings_the_last_one_again() -> None:
    answer = quirks.played(holding("a"), quirks.inclusive_bounds)
    assert ids(search(answer, ("_lastUpdated", "ge" + format_stamp(START)))) == ["a"]


def test_q14_one_of_two_bounds_is_ignored() -> None:
    empty = (("_lastUpdated", "ge" + format_stamp(START)), ("_lastUpdated", "lt" + format_stamp(START)))
    assert ids(search(quirks.played(holding("a")), *empty)) == []
    assert ids(search(quirks.played(holding("a"), quirks.bound_ignored("lt")), *empty)) == ["a"]


# --- Q23 to Q28: what the server makes of a question, and what it answers


def test_q23_unknown_parameters_are_ignored_or_refused() -> None:
    made = holding("a")
    assert ids(search(quirks.played(made, quirks.lenient), ("color", "blue"))) == ["a"]
    assert ids(search(quirks.played(made, quirks.ignoring("_tag")), ("_tag", "x|y"))) == ["a"]
    refused = get(quirks.played(made, quirks.tag_retired), "/Task", ("_tag", TOKEN))
    assert refused.status == 400
    assert b"HAPI-1223" in refused.body
    assert get(quirks.played(made, quirks.tag_retired), "/Task").status == 200


def test_q24_everything_comes_although_elements_were_named() -> None:
    made = store()
    made.put(tasks.full_of("CANARY"))
    thin = get(made, "/Task", ("_elements", "status")).body
    full = get(quirks.played(made, quirks.elements_ignored), "/Task", ("_elements", "status")).body
    assert full.count(b"CANARY") > thin.count(b"CANARY") + 10


def test_q25_history_is_refused() -> None:
    answer = quirks.played(holding("a"), quirks.history_refused)
    assert b"HAPI-0953" in get(answer, "/Task/_history").body
    assert get(answer, "/Task/a/_history").status == 400


@pytest.mark.parametrize("raw", tasks.MALFORMED.values(), ids=tasks.MALFORMED)
def test_q26_a_malformed_task_is_in_a_page_that_is_json(raw: bytes) -> None:
    bundle = search(quirks.played(holding("a"), quirks.raw_entry(raw)))
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "match"]
    assert bundle["entry"][0]["resource"] == json.loads(raw)


@pytest.mark.parametrize("raw", tasks.BROKEN.values(), ids=tasks.BROKEN)
def test_q26_a_broken_entry_is_in_a_page_as_bytes(raw: bytes) -> None:
    assert raw in get(quirks.played(holding("a"), quirks.raw_entry(raw)), "/Task").body


def test_q27_outcomes_contain_what_they_should_not() -> None:
    assert b"CANARY" in get(quirks.played(store(), quirks.outcome_told(200, "CANARY")), "/Task").body
    assert get(quirks.played(store(), quirks.outcome_told(500, "CANARY")), "/Task").status == 500
    bundle = search(quirks.played(holding("a"), quirks.outcome_inside("CANARY")))
    assert bundle["entry"][-1]["resource"]["issue"][0]["diagnostics"] == "CANARY"


def test_q28_what_comes_is_no_fhir() -> None:
    honest = get(holding("a"), "/Task")
    for quirk in (quirks.login_page, quirks.empty_body, quirks.byte_order_mark, quirks.cut):
        response = get(quirks.played(holding("a"), quirk), "/Task")
        assert response.status == 200
        with pytest.raises(ValueError, match=r"Expecting|Unexpected|Unterminated"):
            json.loads(response.body.decode())
    for value in ("text/plain", None):
        response = get(quirks.played(holding("a"), quirks.content_type(value)), "/Task")
        assert dict(response.headers).get("content-type") == value
        assert response.body == honest.body


def test_a_compressed_body_is_sent_to_clients_that_accept_it() -> None:
    answer = quirks.played(holding("a"), quirks.gzipped)
    response = get(answer, "/Task/a", headers={"accept-encoding": "gzip"})
    assert gzip.decompress(response.body) == get(answer, "/Task/a").body


# --- Q30 to Q32: refusals


@pytest.mark.parametrize("after", quirks.RETRY_AFTER)
def test_q30_the_server_asks_to_wait(after: str) -> None:
    response = get(quirks.played(store(), quirks.throttled(after, 503)), "/Task")
    assert response.status == 503
    assert dict(response.headers)["retry-after"] == after


def test_q31_tokens_end_after_five_minutes() -> None:
    clock = HandClock()
    tokens = quirks.Tokens(clock)
    answer = quirks.played(holding("a", clock=clock), tokens.guarding)
    granted = json.loads(tokens.endpoint(Request("POST", "/token")).body)
    signed_in = {"authorization": f"Bearer {granted['access_token']}"}
    assert get(answer, "/Task").status == 401
    assert get(answer, "/Task", headers=signed_in).status == 200
    clock.advance(granted["expires_in"])
    assert get(answer, "/Task", headers=signed_in).status == 401


def test_q31_token_endpoints_refuse_or_leave_out_the_lifetime() -> None:
    tokens = quirks.Tokens(HandClock())
    tokens.tells_life = False
    assert "expires_in" not in json.loads(tokens.endpoint(Request("POST", "/token")).body)
    tokens.refusal = quirks.INVALID_CLIENT
    assert tokens.endpoint(Request("POST", "/token")).status == 400
    assert get(quirks.played(store(), quirks.always(quirks.FORBIDDEN)), "/Task").status == 403
    assert get(quirks.played(store(), quirks.guarded({"good"})), "/Task").status == 401


def test_q32_requests_are_sent_elsewhere() -> None:
    response = get(quirks.played(store(), quirks.redirected("http://evil.example/", 307)), "/Task")
    assert (response.status, dict(response.headers)["location"]) == (307, "http://evil.example/")


# --- Putting quirks together


def test_quirks_can_be_limited_to_some_requests_and_switched_off() -> None:
    switch = quirks.Switch()
    answer = quirks.played(holding("a"), quirks.when(switch, quirks.login_page))
    assert b"Sign in" in get(answer, "/Task").body
    switch.on = False
    assert ids(search(answer)) == ["a"]
    second = quirks.played(holding("a"), quirks.when(quirks.nth(2), quirks.empty_body))
    assert [bool(get(second, "/Task").body) for _ in range(3)] == [True, False, True]


def test_quirks_leave_what_is_no_bundle_alone() -> None:
    made = store()
    made.put(organization())
    answer = quirks.played(made, quirks.strange_entries, quirks.without_modes, quirks.total(5))
    assert get(answer, "/Organization/old-payer") == get(made, "/Organization/old-payer")
