"""Counting end to end: the counters are exact whatever the server does and whenever the exporter is killed.

tests/unit/task/test_lifecycle.py proves what a single change means; here whole exporters are compared with an oracle.
See docs/design.md#numbers.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response
from exporter.task.model import Event, Pair, Series, Status

from ..support import quirk_tasks, quirks
from ..support.builders import by_display, completed, failed, task
from ..support.exposition import errors, gauges, is_up, observed, own_value, sample_value, tasks, totals
from ..support.fake import Answer
from ..support.oracle import Oracle
from ..support.quirks import played
from ..support.rig import Rig, filled, prepared, settled

PAYERS = ("Alpha", "Beta", "Gamma")


class Driver:
    """Changes Tasks on a server one at a time, and lets an oracle count them."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.dice = random.Random(seed)
        self.oracle = Oracle()

    def change(self, counting: bool = True) -> None:
        """Let one Task come, move or be edited. Stamps are as old as the overlap allows: one may precede the last."""
        name = f"task-{self.dice.randrange(12)}"
        status = self.dice.choice([*Status][:-1])
        before = self.oracle.tasks.get(name)
        payer = before.payer if before and self.dice.random() < 0.8 else self.dice.choice(PAYERS)
        resource = task(name, status, owner=by_display(payer), description=str(self.dice.random()), output=None)
        late = self.dice.randrange(20_000) if self.dice.random() < 0.4 else 0
        self.rig.store.put(resource, stamp=self.rig.clock.at - late)
        self.oracle.see(name, status, payer, counting=counting)

    def check(self) -> None:
        """Compare every counter, the histograms and the gauge."""
        snapshot = self.rig.worker.published.snapshot
        shown = {
            (series.event, series.pair.source, series.label): n
            for series, n in snapshot.counts.items()
            if series.pair is not None and n
        }
        assert shown == dict(+self.oracle.counts)
        durations = {(pair.source, status): sum(each.counts) for (pair, status), each in snapshot.durations.items()}
        assert +Counter(durations) == +self.oracle.durations
        gauge = Counter({(key.pair.source, key.status): n for key, n in gauges(self.rig).tasks.items()})
        assert +gauge == self.oracle.gauge()


def faulty(rig: Rig, dice: random.Random) -> Answer:
    """Fail one request in four, each in some other way, and repeat an entry on each second page."""
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
    while not is_up(rig) or rig.worker.busy:
        rig.run()
        rig.scrape(5)


def some_seconds(rig: Rig) -> float:
    """Between 5 and 25 seconds; the dice stay as they are, so that a seed gives the same Tasks whatever is polled."""
    return 5 + rig.clock.at // 1000 % 20


@pytest.mark.parametrize("seed", range(12))
def test_whatever_tasks_and_server_do_the_counters_are_the_truth(seed: int, tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"), comparisons=ReconcileSettings(open_interval=120, full_interval=600))
    driver = Driver(rig, seed)
    for _ in range(8):
        driver.change(counting=False)
    rig.clock.advance(60)
    rig.transport.answer = faulty(rig, driver.dice)
    rig.start()
    rig.run()
    for _ in range(40):
        driver.change()
        poll_until_complete(rig)
        if driver.dice.random() < 0.1:
            rig.restart()
            poll_until_complete(rig)
        while rig.worker.rest_seconds() <= 0 and driver.dice.random() < 0.9:
            rig.worker.step()
            rig.run()
    rig.play()
    rig.clock.advance(300)
    rig.run()
    rig.scrape()
    driver.check()


@pytest.mark.parametrize("request_number", range(1, 8))
def test_a_process_killed_at_any_request_counts_each_event_once(request_number: int, tmp_path: Path) -> None:
    rig = settled(task("known"), path=str(tmp_path / "ledger.db"))
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
        rig.restart()
    rig.play()
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 9}
    assert totals(rig, Event.TRANSITION) == {"failed": 9, "completed": 1}
    assert totals(rig, Event.FAILURE) == {"unclassified": 9}


# --- The contract, point by point


def test_a_baseline_counts_nothing_and_what_comes_later_is_counted_once() -> None:
    rig = filled(3).start().settle()
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    rig.store.put(failed("p2p-task-000000"))
    rig.store.put(completed("new-one"))
    for _ in range(3):
        rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"failed": 1, "completed": 1}
    assert tasks(rig) == {"requested": 2, "failed": 1, "completed": 1}


def test_no_metric_of_a_task_is_there_before_the_baseline_is_complete() -> None:
    rig = filled(450).start()
    for _ in range(2):  # the server is asked for its count after the first page
        rig.worker.step()
    text = rig.published_text()
    assert "payer" not in text
    assert own_value(rig, "fhir_task_exporter_baseline_complete") == 0
    assert 0 < (own_value(rig, "fhir_task_exporter_baseline_progress_ratio") or 0) < 1
    rig.settle()
    rig.scrape()
    assert own_value(rig, "fhir_task_exporter_baseline_complete") == 1


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
        rig.restart()
        after = rig.scrape()
    counters = [line for line in before.splitlines() if "_total" in line or "duration" in line]
    assert counters == [line for line in after.splitlines() if "_total" in line or "duration" in line]


def test_what_happens_during_the_baseline_shows_and_is_counted_at_most_once() -> None:
    rig = prepared(*(task(f"t{n:03}") for n in range(650)), seconds_apart=0.001)
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


def test_a_snapshot_without_changes_is_the_same_object_and_text() -> None:
    rig = settled(task("a"))
    rig.scrape(60)
    first, text = rig.worker.published.snapshot, rig.scrape(60)
    assert rig.worker.published.snapshot is first
    assert rig.scrape(60) == text
    assert rig.scrape(60) == text
    assert rig.worker.published.snapshot is first


def test_q25_no_history_is_asked_for_where_polls_see_every_version() -> None:
    rig = settled(task("a"), quirks=[quirks.history_refused])
    for status in ("in-progress", "failed", "in-progress"):
        rig.store.put(task("a", status))
        rig.scrape()
    rig.compare_all()
    assert errors(rig) == {}
    assert not any("_history" in url for url in rig.transport.urls)


def test_q35_an_empty_server_gives_zeros_and_is_up() -> None:
    rig = settled()
    text = rig.scrape()
    assert is_up(rig)
    assert sample_value(text, 'fhir_task_anomalies_total{kind="foreign"}') == 0
    assert own_value(rig, "fhir_task_exporter_baseline_complete") == 1


def test_q35_many_old_tasks_are_a_baseline_and_count_nothing() -> None:
    rig = Rig()
    quirk_tasks.load(rig.store, 10_000)
    rig.clock.advance(60)
    rig.start().settle()
    rig.scrape()
    assert sum(tasks(rig).values()) == 10_000
    assert totals(rig, Event.CREATED) == {}
    assert observed(rig) == 0
    assert rig.transport.count < 80
