"""Answers that are no result, Q23 and Q27 to Q32: refusals, redirects, and what is no FHIR."""

from pathlib import Path

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Response
from exporter.metrics.vocabulary import ScrapeAnswer
from exporter.task.model import Coding, Event, Selection

from ..support import fake, quirk_tasks, quirks
from ..support.builders import completed, failed, task
from ..support.exposition import errors, is_up, own_metrics, tasks, totals
from ..support.quirks import Quirk, Switch
from ..support.rig import FULL_ONLY, Rig, filled, settled

CANARY = "CANARY-4711"


def troubled(quirk: Quirk) -> Rig:
    """Let one Task be known, then play a quirk, and let something happen that must not be lost."""
    rig = settled(task("a"))
    rig.scrape()
    rig.store.put(failed("a"))
    rig.play(quirk)
    return rig


def recovers(rig: Rig) -> None:
    """Whatever was wrong: when the server is honest again, the event counts, once."""
    rig.play()
    rig.clock.advance(300)
    rig.run()
    rig.scrape(5)
    rig.scrape()
    assert is_up(rig)
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert tasks(rig) == {"failed": 1}


# --- Q23: parameters


@pytest.mark.parametrize("quirk", [quirks.ignoring("_tag"), quirks.ignoring("_tag", "status:not"), quirks.lenient])
def test_q23_parameters_that_are_ignored_change_no_number(quirk: Quirk) -> None:
    rig = settled(*quirk_tasks.foreign(), quirks=[quirk])
    rig.store.put(completed("new"))
    rig.compare_all()
    rig.scrape()
    assert tasks(rig) == {"requested": 1, "completed": 1}
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.VANISHED) == {}


def test_q23_where_tag_is_refused_all_is_read_and_checked_here() -> None:
    rig = settled(*quirk_tasks.foreign(), quirks=[quirks.tag_retired], comparisons=FULL_ONLY)
    assert tasks(rig) == {"requested": 1}
    rig.store.delete("ours-among-others")
    rig.compare_all()
    rig.scrape()
    assert tasks(rig) == {}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q23_a_tag_that_is_searchable_again_is_asked_for_again() -> None:
    switch = Switch()
    rig = settled(task("a"), quirks=[quirks.when(switch, quirks.tag_retired)], comparisons=FULL_ONLY)
    switch.on = False
    rig.compare_all()
    rig.scrape()
    assert dict(rig.transport.requests[-1].query)["_tag"]


def test_a_tag_that_would_split_a_search_is_escaped() -> None:
    rig = Rig(selection=Selection(Coding("http://x/t", "a,b|c$d\\e"), None))
    rig.start().settle()
    asked = dict(rig.transport.requests[0].query)
    assert asked["_tag"] == "http://x/t|a\\,b\\|c\\$d\\\\e"


# --- Q27, Q28: what is no FHIR


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 422, 500, 502, 503, 504])
def test_q27_an_outcome_is_counted_by_its_class_and_never_shown(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    rig = troubled(quirks.outcome_told(status, f"Patient {CANARY} is unknown"))
    text = rig.scrape()
    kind = {200: "wrong_resource", 401: "auth", 403: "auth"}.get(
        status, f"{'client' if status < 500 else 'server'}_error"
    )
    assert errors(rig) == {kind: 1}
    assert not is_up(rig)
    assert CANARY not in text + own_metrics(rig) + caplog.text + repr([vars(record) for record in caplog.records])
    recovers(rig)


def test_q27_an_error_inside_a_bundle_is_no_complete_poll() -> None:
    rig = troubled(quirks.outcome_inside(CANARY))
    rig.scrape()
    assert errors(rig) == {"wrong_resource": 1}
    recovers(rig)


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
    assert not is_up(rig)
    assert tasks(rig) == {"requested": 1}
    recovers(rig)


def test_a_compressed_answer_is_as_good() -> None:
    rig = settled(task("a"))
    rig.play(quirks.gzipped)
    rig.store.put(completed("a"))
    rig.scrape()
    assert tasks(rig) == {"completed": 1}


def test_whatever_the_server_answers_there_are_metrics() -> None:
    rig = settled(task("a"))
    for quirk in (quirks.login_page, quirks.down, quirks.cut, quirks.throttled("soon"), quirks.redirected("x")):
        rig.play(quirk)
        assert 'status="requested"} 1.0' in rig.scrape()
    assert not is_up(rig)


def test_a_failed_poll_keeps_the_snapshot_and_up_is_0() -> None:
    rig = filled(3).start().settle()
    rig.scrape()
    rig.play(quirks.always(Response(500, (), b"")))
    text = rig.scrape()
    assert rig.last_answer is ScrapeAnswer.STALE
    assert 'status="requested"} 3.0' in text
    assert not rig.worker.up
    for _ in range(20):
        text = rig.scrape(16)
    assert "fhir_tasks{" not in text
    assert "fhir_task_created_total{" in text
    rig.play()
    assert 'status="requested"} 3.0' in rig.scrape()
    assert rig.worker.up


# --- Q30 to Q32: throttling, tokens and redirects


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", quirks.RETRY_AFTER)
def test_q30_we_wait_as_asked_but_not_for_ever(header: str, status: int) -> None:
    rig = troubled(quirks.throttled(header, status))
    rig.scrape()
    assert errors(rig) == {"throttled": 1}
    assert not is_up(rig)
    asked = rig.transport.count
    pause = rig.worker._back_off.until_seconds - rig.clock.monotonic()
    assert 0 <= pause <= 300
    if pause > 1:
        rig.scrape(pause / 2)
        assert rig.transport.count == asked
    recovers(rig)


def guarded(folder: Path, accepted: set[str]) -> tuple[Rig, Path]:
    """Put an exporter on a server that wants a token; the exporter reads it from a file."""
    file = folder / "token"
    file.write_text("first")
    rig = Rig(
        comparisons=ReconcileSettings(open_interval=1e9, full_interval=1e9), fhir={"bearer_token_file": str(file)}
    )
    rig.store.put(task("a"))
    rig.play(quirks.clamped(20), quirks.guarded(accepted))
    rig.start().settle()
    return rig, file


def test_q31_a_token_that_expires_between_pages_is_read_again_once(tmp_path: Path) -> None:
    accepted = {"first"}
    rig, file = guarded(tmp_path, accepted)
    for n in range(100):
        rig.store.put(completed(f"new-{n}"))

    def swap() -> None:
        accepted.clear()
        accepted.add("second")
        file.write_text("second")

    rig.play(quirks.clamped(20), quirks.guarded(accepted), quirks.meanwhile(swap))
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
    assert is_up(rig)


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
