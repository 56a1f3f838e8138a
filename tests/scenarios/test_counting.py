"""Counting end to end: a driver that knows the truth, a server that misbehaves, and an exporter that is killed.

What a single change means is proven in `task/test_lifecycle`; here whole exporters are compared with the truth.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response
from exporter.metrics.negotiation import Format
from exporter.task.model import OPEN, TERMINAL, TIMED, Anomaly, Event, Pair, PairStatus, Series, Status

from ..support import fake, quirk_tasks, quirks
from ..support.builders import TAG, at, by_display, completed, failed, meta, organization, reference, task
from ..support.fake import START, Answer
from ..support.quirks import played
from ..support.readings import errors, own, sweep_all, tasks, totals, up, work
from ..support.rig import Rig, value

PAYERS = ("Alpha", "Beta", "Gamma")


class Truth:
    """Changes Tasks on a server one at a time, and counts with a pencil what an exporter should count."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.dice = random.Random(seed)
        self.now: dict[str, tuple[str, str]] = {}
        """What each Task is: its status and its payer."""
        self.counts: Counter[tuple[Event, str, str]] = Counter()
        self.observed: Counter[tuple[str, str]] = Counter()

    def change(self, counting: bool = True) -> None:
        """Let one Task come, move or be edited. Stamps are as old as the overlap allows: one may precede the last."""
        name = f"task-{self.dice.randrange(12)}"
        status = self.dice.choice([*Status][:-1])
        payer = self.now[name][1] if name in self.now and self.dice.random() < 0.8 else self.dice.choice(PAYERS)
        before = self.now.get(name, ("", ""))[0]
        resource = task(name, status, owner=by_display(payer), description=str(self.dice.random()), output=None)
        late = self.dice.randrange(20_000) if self.dice.random() < 0.4 else 0
        self.rig.store.put(resource, stamp=self.rig.clock.at - late)
        self.now[name] = (status, payer)
        if counting:
            self.count(before, status, payer)

    def count(self, before: str, status: str, payer: str) -> None:
        self.counts[Event.CREATED, payer, ""] += not before
        if before == status:
            return
        self.counts[Event.TRANSITION, payer, status] += 1
        self.counts[Event.REOPENED, payer, ""] += before in TERMINAL and status in OPEN
        self.counts[Event.FAILURE, payer, "unclassified"] += status == Status.FAILED
        self.counts[Event.COMPLETED_EMPTY, payer, ""] += status == Status.COMPLETED
        self.observed[payer, status] += status in TIMED

    def check(self) -> None:
        """Compare every counter and the gauge."""
        snapshot = self.rig.worker.published.snapshot
        shown = {
            (series.event, series.pair.source, series.label): n
            for series, n in snapshot.counts.items()
            if series.pair is not None and n
        }
        assert shown == {key: n for key, n in self.counts.items() if n}
        durations = {(pair.source, status): sum(each.counts) for (pair, status), each in snapshot.durations.items()}
        assert +Counter(durations) == +self.observed
        assert snapshot.gauges is not None
        gauge = Counter({(key.pair.source, key.status): n for key, n in snapshot.gauges.tasks.items()})
        assert +gauge == Counter((payer, status) for status, payer in self.now.values())


def faulty(rig: Rig, dice: random.Random) -> Answer:
    """Fail one request in four, in a way of its own, and repeat an entry on each second page."""
    honest = played(rig.store, quirks.clamped(3), quirks.repeated_entry)
    faults = [
        played(rig.store, quirk)
        for quirk in (quirks.down, quirks.cut, quirks.login_page, quirks.expired_pages, quirks.outcome_told(500, "x"))
    ]

    def answer(request: Request) -> Response:
        return dice.choice(faults)(request) if dice.random() < 0.25 else honest(request)

    return answer


def poll_until_complete(rig: Rig) -> None:
    rig.scrape(some_seconds(rig))
    while not up(rig) or rig.worker.busy:
        work(rig)
        rig.scrape(5)


def some_seconds(rig: Rig) -> float:
    """Some seconds, always others, without a dice of its own."""
    return 5 + rig.clock.at // 1000 % 20


@pytest.mark.parametrize("seed", range(12))
def test_whatever_tasks_and_server_do_the_counters_are_the_truth(seed: int, tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"), comparisons=ReconcileSettings(open_interval=120, full_interval=600))
    truth = Truth(rig, seed)
    for _ in range(8):
        truth.change(counting=False)
    rig.clock.advance(60)
    rig.transport.answer = faulty(rig, truth.dice)
    rig.start()
    work(rig)
    for _ in range(40):
        truth.change()
        poll_until_complete(rig)
        if truth.dice.random() < 0.1:
            rig.stop()
            rig.start()
            poll_until_complete(rig)
        while rig.worker.rest_seconds() <= 0 and truth.dice.random() < 0.9:
            rig.worker.step()
            work(rig)
    rig.transport.answer = fake.honest(rig.store)
    rig.clock.advance(300)
    work(rig)
    rig.scrape()
    truth.check()


@pytest.mark.parametrize("request_number", range(1, 8))
def test_a_process_killed_at_any_request_counts_each_event_once(request_number: int, tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"))
    rig.store.put(task("known"))
    rig.clock.advance(60)
    rig.start().settle()
    for n in range(9):
        rig.store.put(failed(f"new-{n}"))
        rig.clock.advance(0.01)
    rig.store.put(completed("known"))

    class Killed(BaseException):
        """Nothing that the exporter would catch."""

    number = iter(range(1, 100))

    def killing(request: Request) -> Response:
        if next(number) == request_number:
            raise Killed
        return played(rig.store, quirks.clamped(2))(request)

    rig.transport.answer = killing
    try:
        rig.scrape()
    except Killed:
        rig.stop()
        rig.start()
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 9}
    assert totals(rig, Event.TRANSITION) == {"failed": 9, "completed": 1}
    assert totals(rig, Event.FAILURE) == {"unclassified": 9}


# --- The contract, point by point (docs/design.md#numbers)


def settled(*resources: dict[str, object], **options: object) -> Rig:
    rig = Rig(**options)  # type: ignore[arg-type]
    for resource in resources:
        rig.store.put(resource)
    rig.clock.advance(60)
    rig.start().settle()
    return rig


def test_no_metric_of_a_task_is_there_before_the_baseline_is_complete() -> None:
    rig = Rig()
    for n in range(450):
        rig.store.put(task(f"t{n}"))
    rig.start()
    for _ in range(2):  # the server is asked for its count after the first page
        rig.worker.step()
    text = rig.text.render(rig.worker.published.snapshot, Format.TEXT).decode()
    assert "payer" not in text
    assert value(own(rig), "fhir_task_exporter_baseline_complete") == 0
    assert 0 < (value(own(rig), "fhir_task_exporter_baseline_progress_ratio") or 0) < 1
    rig.settle()
    rig.scrape()
    assert value(own(rig), "fhir_task_exporter_baseline_complete") == 1


def test_a_payer_known_from_the_baseline_alone_has_all_its_series_at_0() -> None:
    rig = settled(completed("a", owner=by_display("Alpha")))
    counts = rig.worker.published.snapshot.counts
    pair = Pair("Alpha", "unknown")
    assert all(counts[Series(Event.TRANSITION, pair, status)] == 0 for status in ("requested", "failed", "completed"))
    assert counts[Series(Event.CREATED, pair)] == counts[Series(Event.VANISHED, pair)] == 0


def test_a_status_and_a_reason_appear_once_met_and_stay() -> None:
    rig = settled(task("a"))
    assert "on-hold" not in rig.scrape()
    rig.store.put(task("a", "on-hold"))
    rig.scrape()
    rig.store.put(failed("a", "Download failed"))
    text = rig.scrape()
    lines = [line.rpartition(" ") for line in text.splitlines() if "on-hold" in line or "download" in line]
    assert {name.partition("{")[0]: float(n) for name, _, n in lines if "timestamp" not in name} == {
        "fhir_tasks": 0,
        "fhir_tasks_stalled": 0,
        "fhir_task_transitions_total": 1,
        "fhir_task_failures_total": 1,
    }


def test_after_a_restart_nothing_is_counted_again(tmp_path: Path) -> None:
    rig = settled(task("a"), path=str(tmp_path / "ledger.db"))
    rig.store.put(failed("a"))
    rig.store.put(completed("b"))
    before = rig.scrape()
    for _ in range(3):
        rig.stop()
        rig.start()
        after = rig.scrape()
    counters = [line for line in before.splitlines() if "_total" in line or "duration" in line]
    assert counters == [line for line in after.splitlines() if "_total" in line or "duration" in line]


def test_what_happens_during_the_baseline_shows_and_is_counted_at_most_once() -> None:
    rig = Rig()
    for n in range(650):
        rig.store.put(task(f"t{n:03}"))
        rig.clock.advance(0.001)
    rig.start()
    rig.worker.step()
    rig.clock.advance(10)
    rig.store.put(failed("t000"))
    rig.store.put(completed("new"))
    rig.settle()
    rig.scrape()
    assert tasks(rig) == {"requested": 649, "failed": 1, "completed": 1}
    rig.scrape()
    assert all(n == 1 for n in totals(rig, Event.TRANSITION).values())
    assert totals(rig, Event.FAILURE).get("unclassified", 0) == totals(rig, Event.TRANSITION).get("failed", 0)


def test_a_renamed_payer_is_a_new_pair_whose_counters_begin_at_0(tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"), payers={"Organization/one": "One"})
    rig.store.put(task("a", owner=reference("Organization/one")))
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.put(failed("a", owner=reference("Organization/one")))
    rig.store.put(task("b", owner=reference("Organization/one")))
    rig.scrape()
    rig.stop()
    rig.payers = {"Organization/one": "Uno"}
    rig.start()
    rig.sweep()
    rig.scrape()
    snapshot = rig.worker.published.snapshot
    old, new = Pair("One", "unknown"), Pair("Uno", "unknown")
    assert snapshot.counts[Series(Event.TRANSITION, old, "failed")] == 1
    assert snapshot.counts[Series(Event.TRANSITION, new, "failed")] == 0
    assert snapshot.gauges is not None
    assert snapshot.gauges.tasks[PairStatus(old, Status.FAILED)] == 0
    assert snapshot.gauges.tasks[PairStatus(new, Status.FAILED)] == 1
    assert snapshot.gauges.tasks[PairStatus(new, Status.REQUESTED)] == 1


def test_gauges_of_ended_tasks_move_to_the_new_name_too(tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"), payers={"Organization/one": "One"})
    rig.store.put(completed("a", owner=reference("Organization/one")))
    rig.clock.advance(86_400)
    rig.start().settle()
    rig.stop()
    rig.payers = {"Organization/one": "Uno"}
    rig.start()
    sweep_all(rig)
    rig.scrape()
    assert rig.worker.published.snapshot.gauges is not None
    found = {key: n for key, n in rig.worker.published.snapshot.gauges.tasks.items() if n}
    assert found == {PairStatus(Pair("Uno", "unknown"), Status.COMPLETED): 1}


def test_a_name_changed_while_we_are_down_shows_with_the_next_full_comparison(
    tmp_path: Path,
) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"))
    rig.store.put(organization("old-payer", "Before"))
    rig.store.put(task("a"))
    rig.start().settle()
    rig.store.put(organization("old-payer", "After"))
    rig.stop()
    rig.start()
    rig.sweep(full=True)
    rig.scrape()
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    assert {key.pair.source for key, n in gauges.tasks.items() if n} == {"After"}


def test_deadlines_are_judged_by_the_servers_clock() -> None:
    rig = Rig()
    rig.store.clock = quirk_tasks.skewed(rig.clock, 23.5)
    rig.store.put(task("a"))
    rig.clock.advance(60)
    rig.start().settle()
    assert totals(rig, Event.DEADLINE_MISSED) == {}
    assert _overdue(rig) == 1
    rig.store.put(task("b", authoredOn=at(0)))
    rig.scrape()
    assert _overdue(rig) == 1
    rig.scrape(3600)
    assert _overdue(rig) == 2
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}


def _overdue(rig: Rig) -> int:
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    return sum(gauges.overdue.values())


def test_a_missed_deadline_is_missed_once_though_the_task_opens_and_ends_again(tmp_path: Path) -> None:
    rig = settled(task("a", authoredOn=at(-23.5)), path=str(tmp_path / "ledger.db"))
    for status in ("requested", "failed", "in-progress", "completed", "in-progress"):
        rig.store.put(task("a", status, authoredOn=at(-23.5)))
        rig.scrape(7200)
        rig.stop()
        rig.start()
        rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}
    assert _overdue(rig) == 1


def test_a_deadline_that_passed_while_we_were_down_is_counted(tmp_path: Path) -> None:
    rig = settled(task("a", authoredOn=at(-23.5)), path=str(tmp_path / "ledger.db"))
    rig.scrape()
    rig.stop()
    rig.clock.advance(86_400)
    rig.start().settle()
    rig.scrape()
    assert totals(rig, Event.DEADLINE_MISSED) == {"": 1}


def test_a_deadline_that_passes_while_the_baseline_walks_is_overdue_and_not_missed() -> None:
    rig = Rig()
    rig.store.put(task("first", authoredOn=at(-23.5)))
    for n in range(2_450):
        rig.clock.advance(0.001)
        rig.store.put(task(f"t{n}"))
    rig.start()
    rig.worker.step()
    rig.clock.advance(3_000)
    work(rig)
    rig.scrape()
    assert _overdue(rig) == 1
    assert totals(rig, Event.DEADLINE_MISSED) == {}


def test_the_next_deadline_is_the_earliest_still_ahead() -> None:
    rig = settled(task("past", authoredOn=at(-30)), task("soon", authoredOn=at(-20)), task("later", authoredOn=at(-2)))
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    assert list(gauges.next_due.values()) == [START + 4 * 3_600_000]


def test_stalled_tasks_are_those_that_have_not_changed_for_long() -> None:
    rig = settled(task("a"), task("b", "in-progress"), completed("c"))
    rig.scrape(4 * 3600 - 80)
    assert _stalled(rig) == 0
    rig.store.put(task("b", "on-hold"))
    rig.scrape(60)
    assert _stalled(rig) == 1


def _stalled(rig: Rig) -> int:
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    return sum(gauges.stalled.values())


def test_a_slot_is_permanent_and_survives_its_tasks_and_restarts(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    rig = settled(
        task("a", owner=by_display("Alpha")), path=path, pairs_max=1, comparisons=ReconcileSettings(open_interval=1e9)
    )
    rig.store.delete("a")
    sweep_all(rig)
    rig.stop()
    rig.start()
    rig.store.put(task("b", owner=by_display("Beta")))
    rig.store.put(task("c", owner=by_display("Alpha")))
    rig.scrape()
    created = {
        s.pair.source: n for s, n in rig.worker.published.snapshot.counts.items() if s.event is Event.CREATED and s.pair
    }
    assert created == {"Alpha": 1, "other": 1}


def test_a_failed_sweep_lowers_no_up_and_is_tried_again() -> None:
    rig = settled(task("a"), task("gone"))
    rig.scrape()
    rig.store.delete("gone")
    rig.transport.answer = played(rig.store, quirks.refusing("status:not"))
    rig.sweep()
    assert up(rig)
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert errors(rig) == {"client_error": 1}
    rig.transport.answer = fake.honest(rig.store)
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}


def test_a_task_tagged_and_untagged_while_we_look_away_never_was() -> None:
    rig = settled(task("a"))
    rig.store.put(task("b"))
    quirk_tasks.untag(rig.store, "b")
    rig.scrape()
    sweep_all(rig)
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    assert totals(rig, Event.VANISHED) == {}


def test_late_finds_join_the_baseline_once_and_are_counted_from_then_on() -> None:
    rig = settled(task("a"), completed("hidden", meta=meta()), comparisons=ReconcileSettings(open_interval=1e9))
    rig.clock.advance(3600)
    rig.store.meta_add("hidden", TAG)
    for _ in range(2):
        sweep_all(rig)
    rig.scrape()
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 1}
    assert totals(rig, Event.CREATED) == {}
    rig.store.put(task("hidden", "in-progress"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1}
    assert totals(rig, Event.REOPENED) == {"": 1}


def test_a_picture_at_rest_is_the_same_object_and_text() -> None:
    rig = settled(task("a"))
    rig.scrape(60)
    first, text = rig.worker.published.snapshot, rig.scrape(60)
    assert rig.worker.published.snapshot is first
    assert rig.scrape(60) is not None
    assert rig.scrape(60) == text
