"""That each quirk is really played; what the exporter does about it is tested beside the exporter's modules."""

import gzip
import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from exporter.demo.dates import format_stamp
from exporter.demo.server import Request, Response
from exporter.demo.store import Store
from exporter.task.model import Status
from tests.support import quirk_streams as streams
from tests.support import quirk_tasks as tasks
from tests.support import quirks
from tests.support.builders import TAG, completed, organization, task
from tests.support.fake import BASE, START, Answer, HandClock, get, store, transport

TOKEN = f"{TAG.system}|{TAG.code}"
FRESH = {"cache-control": "no-cache"}


def holding(*identifiers: str, clock: HandClock | None = None) -> Store:
    made = store(clock)
    for identifier in identifiers or ("a", "b", "c", "d", "e"):
        made.put(task(identifier))
    return made


def ids(bundle: Any) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", []) if "resource" in entry]


def search(answer: Answer, *query: tuple[str, str], **headers: str) -> Any:
    return json.loads(get(answer, "/Task", *query, headers=headers).body)


def links(bundle: Any) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


def follow(answer: Answer, bundle: Any) -> Response:
    query = links(bundle)["next"].removeprefix(BASE + "?")
    return get(answer, "", *(tuple(pair.split("=", 1)) for pair in query.split("&")))  # type: ignore[arg-type]


def walk(answer: Answer, *query: tuple[str, str], most: int = 9) -> list[list[str]]:
    bundle = search(answer, *query)
    pages = [ids(bundle)]
    while "next" in links(bundle) and len(pages) < most:
        bundle = json.loads(follow(answer, bundle).body)
        pages.append(ids(bundle))
    return pages


TWO = ("_count", "2")


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


def test_q9_a_bundle_says_as_little_as_it_may() -> None:
    bundle = search(quirks.played(holding("a"), quirks.bare_bundle))
    assert set(bundle) == {"resourceType", "type", "link", "entry"}
    assert "search" not in bundle["entry"][0]


def test_q10_a_version_shows_up_late_with_an_old_stamp() -> None:
    made = holding("a")
    tasks.put_late(made, task("b"), 120)
    assert ids(search(quirks.played(made))) == ["b", "a"]


def test_q11_many_tasks_share_a_stamp() -> None:
    made = store()
    tasks.put_together(made, (task(f"t{n}") for n in range(5)))
    stamps = {entry["resource"]["meta"]["lastUpdated"] for entry in search(quirks.played(made))["entry"]}
    assert stamps == {format_stamp(START)}


def test_q12_an_inclusive_bound_brings_the_last_one_again() -> None:
    answer = quirks.played(holding("a"), quirks.inclusive_bounds)
    assert ids(search(answer, ("_lastUpdated", "ge" + format_stamp(START)))) == ["a"]


def test_q13_the_servers_clock_is_off_wrong_or_silent() -> None:
    clock = HandClock()
    made = Store(tasks.skewed(clock, 3), BASE)
    made.put(task("a"))
    bundle = search(quirks.played(made))
    assert bundle["meta"]["lastUpdated"] == format_stamp(START + 3 * 3_600_000)
    tasks.put_in_the_future(made, task("b"), 1)
    assert ids(search(quirks.played(made), ("_lastUpdated", "gt" + bundle["meta"]["lastUpdated"]))) == ["b"]
    assert search(quirks.played(made, quirks.clock_told(clock)))["meta"]["lastUpdated"] == format_stamp(START)
    silent = get(quirks.played(made, quirks.without_clock), "/Task")
    assert "meta" not in json.loads(silent.body)
    assert "date" not in dict(silent.headers)


def test_q14_one_of_two_bounds_is_ignored() -> None:
    empty = (("_lastUpdated", "ge" + format_stamp(START)), ("_lastUpdated", "lt" + format_stamp(START)))
    assert ids(search(quirks.played(holding("a")), *empty)) == []
    assert ids(search(quirks.played(holding("a"), quirks.bound_ignored("lt")), *empty)) == ["a"]


def version(made: Store, identifier: str = "a") -> str:
    record = made.get("Task", identifier)
    assert record
    return record.version


def test_q15_statuses_are_hurried_through_and_a_touch_makes_no_version() -> None:
    made = store()
    tasks.hurry(made, "a", "requested", "in-progress", "completed")
    assert version(made) == "3"
    tasks.touch(made, task("a", "completed"))
    assert version(made) == "3"
    tasks.rewrite(made, "a")
    assert version(made) == "4"
    assert search(quirks.played(made))["entry"][0]["resource"]["status"] == "completed"


def test_q16_tasks_are_deleted_expunged_untagged_and_purged() -> None:
    made = holding("a", "b")
    tasks.rewrite(made, "a")
    tasks.expunge_and_make_anew(made, task("a"))
    assert version(made) == "1"
    tasks.untag(made, "b")
    assert ids(search(quirks.played(made), ("_tag", TOKEN))) == ["a"]
    assert version(made, "b") == "1"
    made.put(completed("c"))
    tasks.purge(made)
    assert sorted(made.ids()) == ["a", "b"]
    assert get(made, "/Task/c").status == 410


def test_q17_tasks_are_reopened_and_versions_go_back_in_time() -> None:
    made = holding("a")
    tasks.reopen(made, "a")
    assert version(made) == "4"
    before = made.get("Task", "a")
    tasks.put_back_in_time(made, task("a", "completed"))
    after = made.get("Task", "a")
    assert before
    assert after
    assert (after.version, after.stamp) == ("5", before.stamp - 250)


def test_q18_every_status_and_none_are_there() -> None:
    words = [resource.get("status") for resource in tasks.of_each_status()]
    assert set(Status) - {Status.UNKNOWN} < set(words)
    assert None in words
    assert len(words) == 14


def test_q18_to_q22_odd_tasks_can_be_stored_and_come_back_as_they_are() -> None:
    owners = [task(f"owner-{n}", **elements) for n, elements in enumerate(tasks.OWNERS.values())]
    odd = [*tasks.of_each_status(), *tasks.dated(), *owners, *tasks.foreign(), *tasks.many_owners(7)]
    made = store()
    made.page_limit = 1000
    tasks.put_together(made, odd)
    shown = {
        each["resource"]["id"]: each["resource"] for each in search(quirks.played(made), ("_count", "999"))["entry"]
    }
    assert len(shown) == len(odd)
    assert all(shown[each["id"]].get("authoredOn") == each.get("authoredOn") for each in odd)
    assert all(shown[each["id"]].get("owner") == each.get("owner") for each in odd)


def test_q22_a_search_by_tag_finds_tasks_of_another_code_too() -> None:
    made = store()
    tasks.put_together(made, tasks.foreign())
    found = ids(search(quirks.played(made), ("_tag", TOKEN)))
    assert found == ["ours-among-others", "tag-and-other-code", "tag-without-code"]


def test_q23_unknown_parameters_are_ignored_or_refused() -> None:
    made = holding("a")
    assert ids(search(quirks.played(made, quirks.lenient), ("colour", "blue"))) == ["a"]
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


def read_raw(server: streams.Loopback, most: int = 200_000) -> bytes:
    """Read until the end, or until `most` bytes or a pause tell that there is none."""
    port = int(server.url.split(":")[2].split("/")[0])
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=0.3) as connection:
        connection.sendall(b"GET /fhir HTTP/1.1\r\nhost: x\r\n\r\n")
        try:
            while len(received) < most and (data := connection.recv(65536)):
                received += data
        except TimeoutError:
            return received + b"<pause>"
        except ConnectionResetError:
            return received + b"<reset>"
    return received


BODY = b'{"resourceType":"Bundle"}'


@pytest.mark.parametrize(
    ("stream", "holds"),
    [
        (lambda: streams.whole(BODY), b'Bundle"}'),
        (lambda: streams.cut_with_length(BODY), b"content-length: 25\r\n\r\n" + BODY[:12]),
        (lambda: streams.cut_without_length(BODY), b"close\r\n\r\n" + BODY[:12]),
        (lambda: streams.cut_in_a_chunk(BODY), b"19\r\n" + BODY[:12]),
        (streams.silent, b"<pause>"),
        (lambda: streams.slow_body(BODY), b"{<pause>"),
        (lambda: streams.slow_headers(1), b"200 OK\r\nx<pause>"),
        (streams.endless_headers, b"x-header-150: y"),
        (lambda: streams.endless_information(0), b"103 Early Hints"),
        (streams.endless_body, b"x" * 150_000),
        (streams.not_http, b"SSH"),
    ],
)
def test_q29_streams_send_what_they_are_named_for(stream: Callable[[], streams.Stream], holds: bytes) -> None:
    with streams.Loopback(stream) as server:
        assert holds in read_raw(server)
        assert server.connections == 1


def test_q29_a_connection_is_reset() -> None:
    with streams.Loopback(lambda: streams.reset(BODY), resets=True) as server:
        assert read_raw(server).endswith(b"<reset>")


def test_q29_compressed_bodies_burst_end_early_or_come_twice() -> None:
    def body(stream: streams.Stream) -> bytes:
        return next(stream).data.split(b"\r\n\r\n", 1)[1]

    bomb = body(streams.gzip_bomb(4, layers=2))
    assert len(bomb) < 1000
    assert len(gzip.decompress(gzip.decompress(bomb))) == 4 * 1024 * 1024
    with pytest.raises(EOFError):
        gzip.decompress(body(streams.cut_gzip(BODY)))
    assert gzip.decompress(body(streams.two_gzip_members(BODY))) == BODY + b"{}"


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


def test_q33_ids_and_versions_are_any_text() -> None:
    made = holding(*tasks.IDS)
    tasks.put_with_uuid(made, task("7", "failed"), 1)
    assert sorted(ids(search(quirks.played(made)))) == sorted(tasks.IDS)
    assert version(made, "7") == "00000000-0000-0000-0000-000000000001"


def test_q34_the_server_is_down_and_comes_back_with_an_old_backup() -> None:
    made = holding("a")
    backup = tasks.Backup(made)
    tasks.rewrite(made, "a")
    made.put(task("b"))
    made.delete("a")
    backup.restore(made)
    assert version(made) == "1"
    assert ids(search(quirks.played(made))) == ["a"]
    made.put(task("c"))
    backup.restore(made)
    assert ids(search(quirks.played(made))) == ["a"], "a backup can be restored twice"
    with (
        httpx.Client(transport=transport(quirks.played(made, quirks.down))) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get(BASE + "/Task")


def test_q35_old_tasks_are_spread_over_the_past() -> None:
    made = store()
    tasks.load(made, 1000)
    count = ("_summary", "count")
    assert search(quirks.played(made), count)["total"] == 1000
    assert search(quirks.played(made), count, ("status", "failed"))["total"] == 100
    half = ("_lastUpdated", "lt" + format_stamp(START - 365 * 43_200_000))
    assert search(quirks.played(made), count, half)["total"] == 500


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
