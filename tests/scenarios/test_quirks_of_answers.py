"""Quirks of answers, Q23 to Q32: refusals, nonsense, leaks and wire faults, and what the exporter makes of each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Response
from exporter.metrics.negotiation import Format
from exporter.task.model import Anomaly, Event

from ..support import fake, quirk_streams, quirk_tasks, quirks
from ..support.builders import Resource, completed, failed, task
from ..support.quirks import Quirk, Switch, played
from ..support.readings import errors, own, sweep_all, tasks, totals, up, work
from ..support.rig import Rig, value

CANARY = "CANARY-4711"


def settled(*resources: Resource, **options: object) -> Rig:
    rig = Rig(**options)  # type: ignore[arg-type]
    for resource in resources:
        rig.store.put(resource)
    rig.clock.advance(60)
    rig.start().settle()
    return rig


def troubled(quirk: Quirk) -> Rig:
    """Let one Task be known, then play a quirk, and let something happen that must not be lost."""
    rig = settled(task("a"))
    rig.scrape()
    rig.store.put(failed("a"))
    rig.transport.answer = played(rig.store, quirk)
    return rig


def recovers(rig: Rig) -> None:
    """Whatever was wrong: when the server is honest again, the event counts, once."""
    rig.transport.answer = fake.honest(rig.store)
    rig.clock.advance(300)
    work(rig)
    rig.scrape(5)
    rig.scrape()
    assert up(rig)
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert tasks(rig) == {"failed": 1}


# --- Q23 to Q27: what the server understands, and what it tells too much


@pytest.mark.parametrize("quirk", [quirks.ignoring("_tag"), quirks.ignoring("_tag", "status:not"), quirks.lenient])
def test_q23_parameters_that_are_ignored_change_no_number(quirk: Quirk) -> None:
    rig = Rig()
    for resource in quirk_tasks.foreign():
        rig.store.put(resource)
    rig.transport.answer = played(rig.store, quirk)
    rig.start().settle()
    rig.store.put(completed("new"))
    sweep_all(rig)
    rig.scrape()
    assert tasks(rig) == {"requested": 1, "completed": 1}
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.VANISHED) == {}


def test_q23_where_tag_is_refused_all_is_read_and_checked_here() -> None:
    rig = Rig(comparisons=ReconcileSettings(open_interval=1e9))
    for resource in quirk_tasks.foreign():
        rig.store.put(resource)
    rig.transport.answer = played(rig.store, quirks.tag_retired)
    rig.start().settle()
    assert tasks(rig) == {"requested": 1}
    rig.store.delete("ours-among-others")
    sweep_all(rig)
    rig.scrape()
    assert tasks(rig) == {}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q23_a_tag_that_is_searchable_again_is_asked_for_again() -> None:
    switch = Switch()
    rig = Rig(comparisons=ReconcileSettings(open_interval=1e9))
    rig.store.put(task("a"))
    rig.transport.answer = played(rig.store, quirks.when(switch, quirks.tag_retired))
    rig.start().settle()
    switch.on = False
    sweep_all(rig)
    rig.scrape()
    assert dict(rig.transport.requests[-1].query)["_tag"]


def test_q23_a_refused_status_search_is_an_error_of_the_sweep_alone() -> None:
    rig = settled(task("a"))
    rig.transport.answer = played(rig.store, quirks.refusing("status:not"))
    rig.sweep()
    assert errors(rig) == {"client_error": 1}
    rig.scrape()
    assert up(rig)
    assert tasks(rig) == {"requested": 1}


def test_q24_full_resources_leave_nothing_behind() -> None:
    rig = Rig()
    rig.transport.answer = played(rig.store, quirks.elements_ignored)
    rig.start().settle()
    rig.store.put(quirk_tasks.full_of(CANARY))
    text = rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert CANARY not in text


def test_q25_no_history_is_ever_asked_for() -> None:
    rig = Rig()
    rig.transport.answer = played(rig.store, quirks.history_refused)
    rig.store.put(task("a"))
    rig.start().settle()
    for status in ("in-progress", "failed", "in-progress"):
        rig.store.put(task("a", status))
        rig.scrape()
    sweep_all(rig)
    assert errors(rig) == {}
    assert not any("_history" in url for url in rig.transport.urls)


@pytest.mark.parametrize("raw", quirk_tasks.MALFORMED.values(), ids=quirk_tasks.MALFORMED)
def test_q26_a_malformed_task_costs_no_other_and_is_counted_at_most_once(raw: bytes) -> None:
    rig = settled(task("a"))
    rig.transport.answer = played(rig.store, quirks.raw_entry(raw))
    rig.store.put(completed("b"))
    for _ in range(4):
        rig.scrape()
    assert up(rig)
    assert totals(rig, Event.CREATED)[""] in {1, 2}
    assert tasks(rig)["completed"] >= 1
    assert totals(rig, Event.ANOMALY).get(Anomaly.UNPARSABLE, 0) <= 1


@pytest.mark.parametrize("raw", quirk_tasks.MALFORMED.values(), ids=quirk_tasks.MALFORMED)
def test_q26_sweeps_live_with_a_malformed_task(raw: bytes) -> None:
    rig = settled(task("a"))
    rig.transport.answer = played(rig.store, quirks.when(quirks.is_search, quirks.raw_entry(raw)))
    for _ in range(2):
        sweep_all(rig)
        rig.scrape()
    assert up(rig)
    assert tasks(rig)["requested"] >= 1
    assert "internal" not in errors(rig)


@pytest.mark.parametrize("raw", quirk_tasks.BROKEN.values(), ids=quirk_tasks.BROKEN)
def test_q26_a_page_that_is_no_json_is_not_half_a_page(raw: bytes) -> None:
    rig = settled(task("a"))
    rig.transport.answer = played(rig.store, quirks.raw_entry(raw))
    rig.store.put(completed("b"))
    rig.scrape()
    if up(rig):
        assert tasks(rig)["completed"] == 1
    else:
        assert errors(rig) == {"not_fhir": 1}
        assert tasks(rig) == {"requested": 1}


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 422, 500, 502, 503, 504])
def test_q27_an_outcome_is_counted_by_its_class_and_never_shown(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    rig = troubled(quirks.outcome_told(status, f"Patient {CANARY} is unknown"))
    text = rig.scrape()
    kind = {200: "wrong_resource", 401: "auth", 403: "auth"}.get(
        status, f"{'client' if status < 500 else 'server'}_error"
    )
    assert errors(rig) == {kind: 1}
    assert not up(rig)
    assert CANARY not in text + own(rig) + caplog.text + repr([vars(record) for record in caplog.records])
    recovers(rig)


def test_q27_an_error_inside_a_bundle_is_no_complete_poll() -> None:
    rig = troubled(quirks.outcome_inside(CANARY))
    rig.scrape()
    assert errors(rig) == {"wrong_resource": 1}
    recovers(rig)


# --- Q28, Q29: what is no FHIR


@pytest.mark.parametrize(
    ("quirk", "reason"),
    [
        (quirks.login_page, "not_fhir"),
        (quirks.empty_body, "not_fhir"),
        (quirks.content_type("text/plain"), "not_fhir"),
        (quirks.content_type("text/html; charset=utf-8"), "not_fhir"),
        (quirks.content_type(None), "not_fhir"),
        (quirks.byte_order_mark, "not_fhir"),
        (quirks.cut, "not_fhir"),
        (quirks.body_changed(lambda body: b"\x00" * len(body)), "not_fhir"),
        (quirks.body_changed(lambda body: body + b"{}"), "not_fhir"),
        (quirks.body_changed(lambda _: b"[]"), "wrong_resource"),
        (quirks.body_changed(lambda _: b"null"), "wrong_resource"),
        (quirks.body_changed(lambda _: b'{"resourceType":"Task"}'), "wrong_resource"),
        (quirks.body_changed(lambda body: body * 20_000), "too_large"),
        (quirks.always(Response(204, (), b"")), "not_fhir"),
        (quirks.always(Response(304, (), b"")), "redirect"),
    ],
)
def test_q28_what_is_no_fhir_fails_the_poll_and_loses_nothing(quirk: Quirk, reason: str) -> None:
    rig = troubled(quirk)
    rig.scrape()
    assert errors(rig) == {reason: 1}
    assert not up(rig)
    assert tasks(rig) == {"requested": 1}
    recovers(rig)


def test_a_compressed_answer_is_as_good() -> None:
    rig = settled(task("a"))
    rig.transport.answer = played(rig.store, quirks.gzipped)
    rig.store.put(completed("a"))
    rig.scrape()
    assert tasks(rig) == {"completed": 1}


GOOD = b'{"resourceType":"Bundle","type":"searchset","meta":{"lastUpdated":"2026-11-20T12:00:00Z"},"link":[]}'

STREAMS: dict[str, tuple[Callable[[], quirk_streams.Stream], str]] = {
    "whole": (lambda: quirk_streams.whole(GOOD), ""),
    "cut with length": (lambda: quirk_streams.cut_with_length(GOOD), "truncated"),
    "cut without length": (lambda: quirk_streams.cut_without_length(GOOD), "not_fhir"),
    "cut in a chunk": (lambda: quirk_streams.cut_in_a_chunk(GOOD), "truncated"),
    "silent": (quirk_streams.silent, "timeout"),
    "slow body": (lambda: quirk_streams.slow_body(GOOD, 0.05), "timeout"),
    "slow headers": (lambda: quirk_streams.slow_headers(0.01), "timeout"),
    "endless headers": (quirk_streams.endless_headers, "unreachable"),
    "endless information": (lambda: quirk_streams.endless_information(0.001), "timeout"),
    "endless body": (quirk_streams.endless_body, "too_large"),
    "gzip bomb": (lambda: quirk_streams.gzip_bomb(64), "too_large"),
    "double gzip bomb": (lambda: quirk_streams.gzip_bomb(16, 2), "not_fhir"),
    "cut gzip": (lambda: quirk_streams.cut_gzip(GOOD), "truncated"),
    "two gzips": (lambda: quirk_streams.two_gzip_members(GOOD), "not_fhir"),
    "no HTTP": (quirk_streams.not_http, "unreachable"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_q29_wire_faults_have_their_class_and_an_end(name: str) -> None:
    stream, reason = STREAMS[name]
    with quirk_streams.Loopback(stream) as server:
        rig = wired(server.url, 0.6 if reason == "timeout" else 10)
        work(rig, 1)
    assert errors(rig) == ({reason: 1} if reason else {})


def test_q29_a_reset_connection_is_no_answer() -> None:
    with quirk_streams.Loopback(lambda: quirk_streams.reset(GOOD), resets=True) as server:
        rig = wired(server.url, 1)
        work(rig, 1)
    assert set(errors(rig)) <= {"truncated", "unreachable"}
    assert not up(rig)


def wired(url: str, seconds: float) -> Rig:
    """Put an exporter on a real socket."""
    return Rig(fhir={"url": url, "timeout": seconds}, real_network=True).start()


# --- Q30 to Q32: refusals


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", quirks.RETRY_AFTER)
def test_q30_we_wait_as_asked_but_not_for_ever(header: str, status: int) -> None:
    rig = troubled(quirks.throttled(header, status))
    rig.scrape()
    assert errors(rig) == {"throttled": 1}
    assert not up(rig)
    asked = rig.transport.count
    pause = rig.worker._back_off.until_seconds - rig.clock.monotonic()
    assert 0 <= pause <= 300
    if pause > 1:
        rig.scrape(pause / 2)
        assert rig.transport.count == asked
    recovers(rig)


def test_q30_a_throttled_sweep_keeps_polls_away_too() -> None:
    rig = settled(task("a"))
    rig.transport.answer = played(rig.store, quirks.throttled("120"))
    rig.sweep()
    asked = rig.transport.count
    rig.scrape(60)
    assert rig.transport.count == asked
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape(70)
    assert up(rig)


def test_q30_failures_of_the_baseline_are_tried_again_ever_more_slowly() -> None:
    rig = Rig()
    rig.transport.answer = played(rig.store, quirks.down)
    rig.start()
    pauses = []
    for _ in range(12):
        rig.worker.step()
        pauses.append(rig.worker._back_off.until_seconds - rig.clock.monotonic())
        rig.clock.advance(pauses[-1] + 0.001)
    assert all(0.5 * min(60, 2**n) <= pause <= min(60, 2**n) for n, pause in enumerate(pauses))
    assert errors(rig) == {"unreachable": 12}


def guarded(folder: Path, accepted: set[str]) -> tuple[Rig, Path]:
    """Put an exporter on a server that wants a token; the exporter reads it from a file."""
    file = folder / "token"
    file.write_text("first")
    rig = Rig(
        comparisons=ReconcileSettings(open_interval=1e9, full_interval=1e9), fhir={"bearer_token_file": str(file)}
    )
    rig.store.put(task("a"))
    rig.transport.answer = played(rig.store, quirks.clamped(20), quirks.guarded(accepted))
    rig.start().settle()
    return rig, file


def test_q31_a_token_that_ends_between_pages_is_read_anew_once(tmp_path: Path) -> None:
    accepted = {"first"}
    rig, file = guarded(tmp_path, accepted)
    for n in range(100):
        rig.store.put(completed(f"new-{n}"))

    def swap() -> None:
        accepted.clear()
        accepted.add("second")
        file.write_text("second")

    rig.transport.answer = played(rig.store, quirks.clamped(20), quirks.guarded(accepted), quirks.meanwhile(swap))
    rig.scrape()
    assert errors(rig) == {}
    assert totals(rig, Event.CREATED) == {"": 100}


def test_q31_a_token_that_stays_refused_is_an_error_and_no_loop(tmp_path: Path) -> None:
    rig, file = guarded(tmp_path, accepted := {"first"})
    accepted.clear()
    before = rig.transport.count
    rig.scrape()
    assert errors(rig) == {"auth": 1}
    assert rig.transport.count - before == 1
    file.write_text("still-wrong")
    rig.scrape()
    assert errors(rig) == {"auth": 2}
    assert rig.transport.count - before <= 3
    accepted.add("still-wrong")
    rig.scrape()
    assert up(rig)


def test_q31_forbidden_is_an_error_of_its_own_class() -> None:
    rig = troubled(quirks.always(quirks.FORBIDDEN))
    rig.scrape()
    assert errors(rig) == {"auth": 1}
    recovers(rig)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["http://evil.example/fhir/Task", "/login", f"{fake.BASE}/Task?x=y", ""])
def test_q32_no_redirect_is_followed(location: str, status: int) -> None:
    rig = troubled(quirks.redirected(location, status))
    before = rig.transport.count
    rig.scrape()
    assert errors(rig) == {"redirect": 1}
    assert rig.transport.count == before + 1
    recovers(rig)


def test_whatever_the_server_answers_there_are_metrics() -> None:
    rig = settled(task("a"))
    for quirk in (quirks.login_page, quirks.down, quirks.cut, quirks.throttled("soon"), quirks.redirected("x")):
        rig.transport.answer = played(rig.store, quirk)
        assert 'status="requested"} 1.0' in rig.scrape()
    assert value(rig.telemetry.render(Format.TEXT).decode(), "fhir_task_up") == 0
