"""The first event is visible: what a Prometheus that scrapes at its own pace can take the `increase()` of.

`increase()` sees the difference of two samples of one series. So each test keeps the samples that a Prometheus got, and
asks: is there a sample from before the event, and one that counts it?
"""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from exporter.demo.server import Response
from exporter.hold import HOLDS_WITHOUT_SCRAPE, SeriesHold
from exporter.ledger.state import ALL_GENERATIONS, NO_GENERATION

from ..support import quirks
from ..support.builders import by_display, completed, failed, task
from ..support.exposition import sample_value
from ..support.rig import Rig, settled

HOLD = 120.0


def created(payer: str) -> str:
    return f'fhir_task_created_total{{requesting_payer="unknown",source_payer="{payer}"}}'


def failures(payer: str, reason: str = "unclassified") -> str:
    labels = f'reason="{reason}",requesting_payer="unknown",source_payer="{payer}"'
    return f"fhir_task_failures_total{{{labels}}}"


@dataclass
class Prometheus:
    """Scrapes a rig and keeps what it got of one series; None where the series was not there."""

    rig: Rig
    series: str
    samples: list[float | None] = field(default_factory=list)

    def scrape(self, seconds: float) -> float | None:
        self.samples.append(sample_value(self.rig.scrape(seconds), self.series))
        return self.samples[-1]

    @property
    def increase(self) -> float:
        """The sum of all rises between two neighboring samples; a gap, or a series that begins at 1, shows none."""
        present = [sample for sample in self.samples if sample is not None]
        return sum(max(0, after - before) for before, after in pairwise(present))


def ready(**options: Any) -> Rig:
    """Prepare an exporter that has read a Task of Old Payer."""
    first = task("first", owner=by_display("Old Payer"))
    return settled(first, seconds_apart=0, **({"hold": HOLD} | options))


# --- Which generations have been scraped


def test_nothing_is_shown_before_two_scrapes_and_the_hold() -> None:
    hold = SeriesHold(HOLD, now_seconds=0)
    assert hold.exposed_through(10) == NO_GENERATION
    hold.exposed(1, 10)
    assert hold.exposed_through(10 + HOLD) == NO_GENERATION
    hold.exposed(2, 20)
    assert hold.exposed_through(10 + HOLD - 1) == NO_GENERATION
    assert hold.exposed_through(10 + HOLD) == 1
    assert hold.exposed_through(20 + HOLD) == 1
    hold.exposed(3, 21 + HOLD)
    assert hold.exposed_through(21 + HOLD) == 2


def test_a_snapshot_scraped_once_long_ago_is_held_until_the_second_scrape() -> None:
    hold = SeriesHold(HOLD, now_seconds=0)
    hold.exposed(5, 0)
    hold.exposed(5, 30)
    hold.exposed(6, 60)
    assert hold.exposed_through(60 + HOLD) == 5
    hold.exposed(7, 61 + HOLD)
    assert hold.exposed_through(61 + HOLD) == 6


def test_many_snapshots_cost_no_memory() -> None:
    hold = SeriesHold(HOLD, now_seconds=0)
    for number in range(10_000):
        hold.exposed(number, number * 15)
    assert len(hold._first_scrapes) < 20
    assert hold.exposed_through(10_000 * 15) != ALL_GENERATIONS


def test_without_scrapes_all_is_shown_after_three_holds() -> None:
    hold = SeriesHold(HOLD, now_seconds=0)
    assert hold.exposed_through(HOLDS_WITHOUT_SCRAPE * HOLD - 1) == NO_GENERATION
    assert hold.exposed_through(HOLDS_WITHOUT_SCRAPE * HOLD) == ALL_GENERATIONS
    hold.exposed(9, HOLDS_WITHOUT_SCRAPE * HOLD)
    assert hold.exposed_through(HOLDS_WITHOUT_SCRAPE * HOLD + 1) == NO_GENERATION


def test_a_hold_of_zero_shows_all_at_once() -> None:
    assert SeriesHold(0, now_seconds=0).exposed_through(0) == ALL_GENERATIONS


# --- One Prometheus


@pytest.mark.parametrize("interval", [10, 15, 30, 60])
def test_the_first_event_of_a_new_payer_is_an_increase_of_one(interval: float) -> None:
    rig = ready()
    prometheus = Prometheus(rig, created("New One"))
    prometheus.scrape(interval)
    rig.store.put(failed("a", owner=by_display("New One")))
    for _ in range(round(4 * HOLD / interval)):
        prometheus.scrape(interval)
    assert prometheus.samples[1:3] == [0, 0]
    assert prometheus.samples[-1] == 1
    assert prometheus.increase == 1


def test_a_new_reason_of_a_known_payer_shows_0_first_too() -> None:
    rig = ready()
    for _ in range(30):
        rig.scrape()
    prometheus = Prometheus(rig, failures("Old Payer", "auth"))
    rig.store.put(failed("first", "Authentication failed", owner=by_display("Old Payer")))
    for _ in range(20):
        prometheus.scrape(15)
    assert prometheus.samples[0] == 0
    assert prometheus.increase == 1


def test_what_a_known_series_counts_shows_at_once() -> None:
    rig = ready()
    for _ in range(20):
        rig.scrape()
    rig.store.put(task("b", owner=by_display("Old Payer")))
    assert sample_value(rig.scrape(), created("Old Payer")) == 1


def test_a_histogram_appears_whole_and_grows_whole() -> None:
    rig = ready()
    for _ in range(20):
        rig.scrape()
    rig.store.put(task("first", "cancelled", owner=by_display("Old Payer")))
    text = rig.scrape()
    lines = [line for line in text.splitlines() if "duration_seconds" in line and "cancelled" in line]
    assert len(lines) == 15
    assert all(line.endswith(" 0.0") for line in lines)
    for _ in range(20):
        text = rig.scrape()
    labels = 'requesting_payer="unknown",source_payer="Old Payer",status="cancelled"'
    assert sample_value(text, f"fhir_task_duration_seconds_count{{{labels}}}") == 1
    assert sample_value(text, f'fhir_task_duration_seconds_bucket{{le="+Inf",{labels}}}') == 1
    assert sample_value(text, f"fhir_task_duration_seconds_sum{{{labels}}}") == pytest.approx(3600 + 60 + 300)


def test_a_hold_of_zero_shows_the_first_event_at_once() -> None:
    rig = ready(hold=0)
    rig.store.put(failed("a", owner=by_display("New One")))
    assert sample_value(rig.scrape(), created("New One")) == 1


def test_failed_polls_show_nothing_that_was_held() -> None:
    rig = ready()
    prometheus = Prometheus(rig, created("New One"))
    rig.store.put(failed("a", owner=by_display("New One")))
    prometheus.scrape(15)
    rig.play(quirks.always(Response(500, (), b"")))
    for _ in range(20):
        prometheus.scrape(15)
    assert set(prometheus.samples) == {0}
    rig.play()
    prometheus.scrape(15)
    assert prometheus.increase == 1


# --- Several, none, and others


@pytest.mark.parametrize("shift", [1, 7, 14])
def test_two_prometheus_servers_both_see_the_first_event(shift: float) -> None:
    rig = ready()
    one, two = Prometheus(rig, created("New One")), Prometheus(rig, created("New One"))
    rig.store.put(failed("a", owner=by_display("New One")))
    for _ in range(20):
        one.scrape(30 - shift)
        two.scrape(shift)
    assert one.increase == two.increase == 1


def test_a_second_prometheus_that_is_slower_sees_it_too_while_the_hold_is_twice_its_interval() -> None:
    rig = ready()
    quick, slow = Prometheus(rig, created("New One")), Prometheus(rig, created("New One"))
    rig.store.put(failed("a", owner=by_display("New One")))
    for second in range(10, 600, 10):
        (slow if second % 60 == 0 else quick).scrape(10)
    assert quick.increase == slow.increase == 1


def poll_without_header(rig: Rig, seconds: float) -> str:
    """Ask as Telegraf or a person does: without the header of a scrape, nothing is noted as exposed."""
    rig.clock.advance(seconds)
    rig.worker.scrape()
    rig.settle()
    return rig.published_text()


def test_telegraf_gets_what_is_counted_after_three_holds_and_then_at_once() -> None:
    rig = ready()
    rig.store.put(failed("a", owner=by_display("New One")))
    shown = [sample_value(poll_without_header(rig, 30), created("New One")) for _ in range(20)]
    assert shown[0] == 0
    assert shown[-1] == 1
    assert shown.index(1) <= HOLDS_WITHOUT_SCRAPE * HOLD / 30
    rig.store.put(failed("b", owner=by_display("Newer One")))
    assert sample_value(poll_without_header(rig, 30), created("Newer One")) == 1


def test_a_person_beside_a_prometheus_ends_no_hold() -> None:
    rig = ready()
    prometheus = Prometheus(rig, created("New One"))
    rig.store.put(failed("a", owner=by_display("New One")))
    for _ in range(20):
        for _ in range(3):
            poll_without_header(rig, 5)
        prometheus.scrape(5)
    assert prometheus.samples[0] == 0
    assert prometheus.increase == 1


# --- Restarts


@pytest.mark.parametrize("down", [5, 600, 86_400])
def test_what_happened_while_we_were_down_is_an_increase_after_the_restart(tmp_path: Path, down: float) -> None:
    rig = ready(path=str(tmp_path / "ledger.db"))
    for _ in range(20):
        rig.scrape()
    rig.stop()
    rig.store.put(completed("b", owner=by_display("Old Payer")))
    rig.clock.advance(down)
    rig.start()
    prometheus = Prometheus(rig, created("Old Payer"))  # a new address is a new series: it knows no earlier sample
    for _ in range(20):
        prometheus.scrape(15)
    assert prometheus.samples[0] == 0
    assert prometheus.increase == 1


def test_what_was_counted_and_held_at_the_stop_shows_after_it(tmp_path: Path) -> None:
    rig = ready(path=str(tmp_path / "ledger.db"))
    rig.store.put(failed("a", owner=by_display("New One")))
    rig.scrape()
    rig.restart()
    prometheus = Prometheus(rig, created("New One"))
    for _ in range(20):
        prometheus.scrape(15)
    assert prometheus.samples[0] == 0
    assert prometheus.increase == 1


def test_a_series_that_counts_late_in_a_long_run_is_held_no_longer_after_a_restart(tmp_path: Path) -> None:
    rig = ready(path=str(tmp_path / "ledger.db"))
    for _ in range(60):
        rig.scrape()
    rig.store.put(failed("a", owner=by_display("New One")))
    rig.scrape()
    rig.restart()
    prometheus = Prometheus(rig, created("New One"))
    for _ in range(round(HOLD / 15) + 2):
        prometheus.scrape(15)
    assert prometheus.samples[-1] == 1
    assert prometheus.increase == 1


def test_no_shown_value_ever_falls(tmp_path: Path) -> None:
    rig = ready(path=str(tmp_path / "ledger.db"))
    prometheus = Prometheus(rig, created("Old Payer"))
    for n in range(40):
        rig.store.put(task(f"new-{n}", owner=by_display("Old Payer")))
        prometheus.scrape(15)
        if n % 9 == 8:
            rig.restart()
    shown = [sample for sample in prometheus.samples if sample is not None]
    assert shown == sorted(shown)
    for _ in range(20):
        prometheus.scrape(15)
    assert prometheus.samples[-1] == 40
