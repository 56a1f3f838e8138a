"""What a Task goes through between two polls: the versions of its instance history that no search has shown.

See docs/design.md#history.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import history
from exporter.demo.server import JSON, Request, Response, outcome
from exporter.fhir.client import ELEMENTS
from exporter.task.model import Event, Status

from ..support import quirk_tasks, quirks
from ..support.builders import TAG, at, completed, failed, meta, task
from ..support.exposition import errors, is_up, observed, own_value, totals
from ..support.fake import Answer, honest
from ..support.rig import FULL_ONLY, Rig, settled

REFUSED = "the FHIR server gives no instance history of Tasks"
RETRIED = (failed("a", "401 Unauthorized"), task("a", "in-progress"), completed("a"))


def is_history(request: Request) -> bool:
    return request.path.endswith("/_history")


def reads(rig: Rig) -> int:
    """How many requests for histories, further pages included, have gone out."""
    return sum(map(is_history, rig.transport.requests))


def write(rig: Rig, *resources: dict[str, Any], seconds: float = 1) -> None:
    for resource in resources:
        rig.clock.advance(seconds)
        rig.store.put(resource)


def retried(**options: Any) -> Rig:
    """Let a Task fail, be retried and complete between two scrapes."""
    rig = settled(task("a"), **options)
    write(rig, *RETRIED)
    rig.scrape()
    return rig


def answering(status: int) -> quirks.Quirk:
    """Answer histories with this status."""
    response = Response(status, (("content-type", JSON),), outcome("no"))
    return quirks.when(is_history, quirks.always(response))


def slow(_: Answer) -> Answer:
    """Answer nothing in time."""

    def late(_: Request) -> Response:
        raise httpx.ReadTimeout("too late")

    return late


def test_a_failure_that_was_retried_between_two_scrapes_counts() -> None:
    rig = retried()
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "in-progress": 1, "completed": 1}
    assert totals(rig, Event.FAILURE) == {"auth": 1}
    assert totals(rig, Event.REOPENED) == {"": 1}
    assert totals(rig, Event.ARCHIVED_DOCUMENT) == {"": 1}
    assert observed(rig) == 2


def test_without_histories_it_does_not_and_nothing_is_asked() -> None:
    rig = retried(history=False)
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert totals(rig, Event.FAILURE) == {}
    assert reads(rig) == 0


def test_a_task_that_is_first_seen_at_a_later_version_was_created_once() -> None:
    rig = settled(task("known"))
    write(rig, task("a"), *RETRIED)
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"requested": 1, "failed": 1, "in-progress": 1, "completed": 1}


def test_at_rest_nothing_is_read_and_a_jump_is_one_read() -> None:
    rig = settled(task("a"))
    before = rig.transport.count
    rig.scrape()
    assert rig.transport.count == before + 1
    write(rig, task("a", "in-progress"))
    rig.scrape()
    assert rig.transport.count == before + 2
    write(rig, *RETRIED)
    rig.scrape()
    assert rig.transport.count == before + 4
    assert reads(rig) == 1
    asked = next(request for request in rig.transport.requests if is_history(request))
    assert dict(asked.query)["_elements"] == ELEMENTS
    assert own_value(rig, 'fhir_task_exporter_requests_total{code="2xx",operation="read"}') == 1


def test_the_baseline_reads_none_nor_does_what_joins_it() -> None:
    rig = Rig(comparisons=FULL_ONLY)
    write(rig, task("a"), *RETRIED, task("hidden", meta=meta()), task("hidden", "failed", meta=meta()))
    rig.clock.advance(3600)
    rig.start().settle()
    rig.store.meta_add("hidden", TAG)
    rig.compare(full=True)
    rig.scrape()
    assert totals(rig, Event.ANOMALY) == {"late_old": 1}
    assert reads(rig) == 0


def test_a_duration_is_that_of_the_version_that_first_ended() -> None:
    rig = settled(task("a", authoredOn=at(0)))
    write(rig, completed("a", authoredOn=at(0)), seconds=600)
    write(rig, completed("a", authoredOn=at(0), description="edited"), seconds=7200)
    rig.scrape()
    (histogram,) = [each for each in rig.worker.published.snapshot.durations.values() if each.sum]
    assert histogram.sum == pytest.approx(600 + 60, abs=1)


def test_a_deadline_is_missed_once_whatever_came_after_it() -> None:
    rig = settled(task("a", authoredOn=at(0)), deadline="1h")
    write(rig, failed("a", authoredOn=at(0)), seconds=2 * 3600)
    write(rig, task("a", "in-progress", authoredOn=at(0)), completed("a", authoredOn=at(0)))
    rig.scrape()
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}


def test_a_deadline_that_passed_after_the_task_had_ended_and_before_it_ended_again_is_missed() -> None:
    rig = settled(task("a", authoredOn=at(0)), deadline="1h")
    write(rig, failed("a", authoredOn=at(0)), task("a", "in-progress", authoredOn=at(0)))
    write(rig, completed("a", authoredOn=at(0)), seconds=2 * 3600)
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}


def test_a_page_that_comes_twice_and_a_process_that_dies_change_nothing(tmp_path: Path) -> None:
    rig = retried(path=str(tmp_path / "ledger.db"))
    counted = totals(rig, Event.TRANSITION)
    rig.scrape()
    rig.restart().scrape()
    assert totals(rig, Event.TRANSITION) == counted
    assert reads(rig) == 1


def test_a_process_that_dies_before_the_commit_reads_again_and_counts_once(tmp_path: Path) -> None:
    rig = settled(task("a"), path=str(tmp_path / "ledger.db"))
    write(rig, *RETRIED)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    rig.context.namer.pairs = die  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        rig.scrape()
    assert reads(rig) == 1
    rig.restart().scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "in-progress": 1, "completed": 1}
    assert reads(rig) == 2


def test_deletions_and_gaps_in_the_numbers_are_ignored() -> None:
    rig = settled(task("a"))
    write(rig, failed("a"))
    rig.store.delete("a")
    write(rig, task("a", "in-progress"), completed("a"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "in-progress": 1, "completed": 1}
    assert totals(rig, Event.CREATED) == {}


def test_of_a_task_that_came_back_only_what_it_did_since_counts() -> None:
    rig = settled(task("a"), task("b"))
    write(rig, failed("a"))
    rig.store.delete("a")
    rig.clock.advance(120)
    rig.compare()
    write(rig, task("a", "in-progress"), completed("a"))
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "completed": 1}


def test_a_task_made_again_under_its_id_is_filled_from_its_new_life() -> None:
    rig = settled(task("a"))
    write(rig, task("a", "in-progress"), task("a", "on-hold"))
    rig.scrape()
    rig.store.expunge("a")
    write(rig, task("a"), failed("a"))
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "on-hold": 1, "requested": 1, "failed": 1}


def test_versions_that_no_search_would_show_or_nobody_can_read_are_gaps() -> None:
    rig = settled(task("a"))

    def spoil(bundle: dict[str, Any], request: Request) -> None:
        if is_history(request):
            newest, second, third, fourth, *_ = (entry["resource"] for entry in bundle["entry"])
            newest["meta"]["versionId"] = "99"
            second["meta"]["tag"] = []
            third["id"] = "another"
            fourth["output"] = "no list"

    write(rig, failed("a"), task("a", "on-hold"), task("a", "ready"), task("a", "received"), task("a", "accepted"))
    rig.play(quirks.editing(spoil))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "accepted": 1}
    assert totals(rig, Event.ANOMALY) == {}


def test_small_pages_are_followed_as_far_as_they_are_needed() -> None:
    rig = settled(task("a"), quirks=[quirks.clamped(2)])
    write(rig, *RETRIED)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "in-progress": 1, "completed": 1}
    assert reads(rig) == 2


def short(count: int) -> quirks.Quirk:
    """Q39: the list ends after the newest versions: HAPI counted them less than a minute ago."""

    def spoil(bundle: dict[str, Any], request: Request) -> None:
        if is_history(request):
            bundle["entry"], bundle["link"], bundle["total"] = bundle["entry"][:count], [], count

    return quirks.editing(spoil)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_versions_that_a_list_leaves_out_are_read_one_by_one(count: int) -> None:
    rig = settled(task("a"))
    rig.play(short(count))
    write(rig, *RETRIED)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "in-progress": 1, "completed": 1}
    assert totals(rig, Event.FAILURE) == {"auth": 1}


def test_what_could_not_be_read_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"t-{n:03}" for n in range(history.READS + 10)]
    rig = settled(*map(task, names))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            for name in names:
                write(rig, failed(name), completed(name), seconds=0.01)
            rig.scrape()
    (said,) = [each for each in caplog.records if "changed more often" in each.getMessage()]
    assert said.fields["tasks"] == 10  # type: ignore[attr-defined]


def test_the_earlier_life_of_a_task_that_returns_after_its_row_is_not_counted_again() -> None:
    rig = settled(task("b"))
    write(rig, task("a"))
    rig.scrape()
    write(rig, failed("a"))
    rig.scrape()
    rig.store.delete("a")
    for _ in range(2):
        rig.clock.advance(31 * 86_400)
        rig.compare_all()
    write(rig, task("a"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"requested": 2, "failed": 1}


def test_a_history_without_end_ends() -> None:
    rig = settled(task("a"), quirks=[quirks.clamped(1)])
    write(rig, *(task("a", status) for status in ("in-progress", "on-hold") * 10))
    rig.scrape()
    assert reads(rig) == history.PAGES
    assert totals(rig, Event.TRANSITION) == {"in-progress": 2, "on-hold": 3}
    assert is_up(rig)


def test_reads_of_one_poll_are_few_and_the_rest_counts_as_it_was_seen() -> None:
    names = [f"t-{n:03}" for n in range(history.READS + 10)]
    rig = settled(*map(task, names))
    for name in names:
        write(rig, failed(name), completed(name), seconds=0.01)
    rig.scrape()
    assert reads(rig) == history.READS
    assert totals(rig, Event.TRANSITION) == {"failed": history.READS, "completed": len(names)}
    for name in names:
        write(rig, failed(name), completed(name), seconds=0.01)
    rig.scrape()
    assert reads(rig) == 2 * history.READS


def test_further_pages_count_among_the_reads_of_a_poll() -> None:
    names = [f"t-{n:03}" for n in range(history.READS)]
    rig = settled(*map(task, names), quirks=[quirks.when(is_history, quirks.clamped(1))])
    for name in names:
        for status in ("in-progress", "on-hold", "ready", "in-progress", "failed"):
            write(rig, task(name, status), seconds=0.01)
    rig.scrape()
    assert reads(rig) == history.READS


def test_slow_histories_do_not_hold_a_poll_up() -> None:
    names = [f"t-{n:03}" for n in range(20)]
    rig = settled(*map(task, names))
    for name in names:
        write(rig, failed(name), completed(name), seconds=0.01)

    def wait(request: Request) -> None:
        if is_history(request):
            rig.clock.advance(history.SECONDS / 4)

    rig.play(quirks.instead(wait))
    rig.scrape()
    assert 0 < reads(rig) < len(names)
    assert totals(rig, Event.TRANSITION)["completed"] == len(names)


@pytest.mark.parametrize(
    ("status", "tries"),
    [(400, 1), (403, 1), (405, 1), (501, 1), (404, history.FAILURES), (410, history.FAILURES)],  # gone, or no histories
)
def test_a_server_that_refuses_is_asked_no_more_and_said_once(
    status: int, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    rig = settled(task("a"), task("b"), quirks=[answering(status)], comparisons=FULL_ONLY)
    for name in ("a", "b"):
        write(rig, failed(name), completed(name))
    rig.scrape()
    write(rig, failed("a"), completed("a"))
    rig.scrape()
    assert reads(rig) == tries
    assert is_up(rig)
    assert errors(rig) == {}
    assert totals(rig, Event.TRANSITION) == {"completed": 2}
    (line,) = [record for record in caplog.records if record.getMessage() == REFUSED]
    assert vars(line)["fields"]["why"] == f"status {status}"
    assert line.levelno == logging.WARNING


def test_after_a_full_comparison_it_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig = settled(task("a"), quirks=[answering(403)], comparisons=FULL_ONLY)
    write(rig, *RETRIED)
    rig.scrape()
    rig.compare(full=True)
    write(rig, failed("a"), completed("a"))
    rig.scrape()
    assert reads(rig) == 2
    assert caplog.text.count(REFUSED) == 1
    rig.play()
    rig.compare(full=True)
    write(rig, failed("a"), completed("a"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "completed": 2}
    assert "the FHIR server gives instance histories again" in caplog.text


def test_where_histories_are_read_a_task_that_is_gone_refuses_nothing() -> None:
    rig = retried()
    gone = quirks.when(lambda request: "/b/" in request.path, answering(404))
    write(rig, task("b"), failed("b"), *RETRIED)
    rig.play(gone)
    rig.scrape()
    assert reads(rig) == 3
    assert totals(rig, Event.FAILURE) == {"auth": 2, "unclassified": 1}


def test_a_history_that_fails_costs_no_page_and_three_in_a_row_end_it(caplog: pytest.LogCaptureFixture) -> None:
    rig = settled(task("a"), task("b"), quirks=[answering(500)], comparisons=FULL_ONLY)
    for _ in range(history.FAILURES + 2):
        for name in ("a", "b"):
            write(rig, failed(name), completed(name))
        rig.scrape()
    assert reads(rig) == history.FAILURES
    assert errors(rig) == {"server_error": history.FAILURES}
    assert is_up(rig)
    assert totals(rig, Event.TRANSITION) == {"completed": 2}
    assert caplog.text.count(REFUSED) == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (quirks.always(Response(200, (("content-type", "text/html"),), b"<html>")), "not_fhir"),
        (quirks.always(Response(200, (("content-type", JSON),), outcome("who"))), "wrong_resource"),
        (quirks.editing(lambda bundle, _: bundle.update(type="searchset")), "wrong_resource"),
        (quirks.editing(lambda bundle, _: bundle.update(entry="none")), "wrong_resource"),
        (quirks.next_at("http://elsewhere.example/fhir"), "link_refused"),
        (slow, "timeout"),
        (quirks.redirected("http://elsewhere.example/fhir"), "redirect"),
    ],
)
def test_a_history_that_is_none_costs_no_page(spoil: quirks.Quirk, reason: str) -> None:
    rig = settled(task("a"), quirks=[quirks.clamped(2), quirks.when(is_history, spoil)])
    write(rig, *RETRIED)
    rig.scrape()
    assert errors(rig) == {reason: 1}
    assert is_up(rig)
    assert totals(rig, Event.TRANSITION)["completed"] == 1
    assert all("elsewhere" not in url for url in rig.transport.urls)


def test_a_server_that_asks_to_wait_gets_its_pause_and_no_more_reads() -> None:
    rig = settled(task("a"), quirks=[quirks.when(is_history, quirks.throttled("7"))])
    write(rig, *RETRIED)
    rig.scrape()
    assert not is_up(rig)
    asked = rig.transport.count
    rig.scrape(5.5)
    assert rig.transport.count == asked
    rig.scrape()
    assert is_up(rig)
    assert reads(rig) == 1
    assert totals(rig, Event.TRANSITION) == {"completed": 1}


def test_a_version_from_a_history_is_not_late() -> None:
    rig = settled(task("known"), comparisons=FULL_ONLY)
    rig.clock.advance(60)
    write(rig, task("a", meta=meta()), task("a", "failed", meta=meta()))
    for _ in range(10):
        rig.scrape(600)

    def tagged(bundle: dict[str, Any], request: Request) -> None:
        for entry in bundle["entry"] if is_history(request) else ():
            entry["resource"]["meta"]["tag"] = task()["meta"]["tag"]

    rig.play(quirks.editing(tagged))
    write(rig, completed("a"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"requested": 1, "failed": 1, "completed": 1}
    assert own_value(rig, "fhir_task_exporter_largest_lateness_seconds") == 0


def test_a_comparison_fills_what_it_finds_too() -> None:
    rig = settled(task("a"), comparisons=FULL_ONLY)
    rig.clock.advance(3600)
    quirk_tasks.put_late(rig.store, task("b"), 300)
    quirk_tasks.put_late(rig.store, failed("b"), 290)
    rig.compare(full=True)
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"requested": 1, "failed": 1}


def test_nothing_of_a_history_is_in_the_log_but_that_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rig = settled(task("p2p-secret"), quirks=[answering(500)])
    write(rig, failed("p2p-secret", "Jane Doe"), completed("p2p-secret"))
    rig.scrape()
    assert "p2p-secret" not in caplog.text
    assert "Jane" not in caplog.text


# --- whatever is written, and whenever it is polled


@dataclass
class Twins:
    """One server, polled by an exporter after every write, and by another one whenever a test says so."""

    store_rig: Rig = field(default_factory=lambda: Rig(comparisons=FULL_ONLY))

    def __post_init__(self) -> None:
        every = self.store_rig
        self.seldom = Rig(clock=every.clock, answer=honest(every.store), comparisons=FULL_ONLY)
        every.clock.advance(60)
        for rig in (every, self.seldom):
            rig.start().settle()

    def write(self, identifier: str, status: Status, late: bool) -> None:
        """Write a version; a late one has a stamp older than its predecessor's."""
        clock, store = self.store_rig.clock, self.store_rig.store
        clock.advance(6)
        elements = {"description": str(clock.at), "owner": task()["owner"]}
        store.put(task(identifier, status, **elements), stamp=clock.at - (9_000 if late else 0))
        self.store_rig.scrape(6)

    def gap(self, identifier: str) -> None:
        """Delete a Task and write it again: three numbers further."""
        if self.store_rig.store.get("Task", identifier):
            self.store_rig.store.delete(identifier)
            self.write(identifier, Status.ON_HOLD, late=False)

    def poll(self) -> None:
        self.seldom.scrape(6)


ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("abc"), st.sampled_from([*Status][:-1]), st.booleans()),
    st.tuples(st.just("gap"), st.sampled_from("abc")),
    st.tuples(st.just("poll")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_polls_at_any_time_count_what_an_exporter_counts_that_saw_every_version(actions: list[tuple[Any, ...]]) -> None:
    twins = Twins()
    for name, *arguments in actions:
        act: Callable[..., None] = getattr(twins, name)
        act(*arguments)
    twins.poll()
    every, seldom = (rig.worker.published.snapshot for rig in (twins.store_rig, twins.seldom))
    assert {series: n for series, n in seldom.counts.items() if n} == {
        series: n for series, n in every.counts.items() if n
    }
    assert seldom.durations == every.durations
