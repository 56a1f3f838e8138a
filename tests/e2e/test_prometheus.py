"""A real Prometheus scrapes a real exporter: nothing is refused, and no first event stays unseen."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from ..support.builders import failed, organization, reference
from .process import Process, SimulatedServer, exporter
from .prometheus import Prometheus, Targets, prometheus, require_prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

INTERVAL = 1
HOLD = 3
"""Seconds; at least twice the interval, see docs/design.md#series-hold."""
WINDOW = 10
"""Seconds that `increase()` looks back."""
PAYERS = 20
LONGEST_LABEL = 80

SCRAPE = {
    "job_name": "exporter",
    "scrape_interval": f"{INTERVAL}s",
    "scrape_timeout": f"{INTERVAL}s",
    "sample_limit": 8000,  # what docs/metrics.md prints for 50 pairs
    "label_limit": 15,
    "label_name_length_limit": 60,
    "label_value_length_limit": LONGEST_LABEL,
    "body_size_limit": "2MB",
}
"""The strictest limits that docs and threat model promise to keep; each would fail the whole scrape."""

QUICK = ("--poll.min-interval", "0s")
SHOWN = f'sum(fhir_task_failures_total{{exporter="held"}} offset {2 * INTERVAL}s)'
"""Failures that have been there for two scrapes, so that whoever looks each second has looked at them."""


@pytest.fixture(autouse=True)
def _possible() -> None:
    require_prometheus()


@contextmanager
def watching(folder: Path) -> Iterator[tuple[Prometheus, Targets]]:
    targets = Targets(folder / "targets.json")
    with prometheus({"scrape_configs": [SCRAPE | targets.discovery]}, folder) as server:
        yield server, targets


def held(server: SimulatedServer, folder: Path) -> AbstractContextManager[Process]:
    return exporter(server.base, folder, *QUICK, "--series.hold", f"{HOLD}s")


def name(payer: int) -> str:
    """Make a name that is longer than a label may be; its head tells it from others."""
    return f"Payer {payer:02} " + "of the many payers " * 8


def label(payer: int) -> str:
    return name(payer)[:LONGEST_LABEL].strip()


def fail(server: SimulatedServer, payers: Iterable[int], attempt: int, every: float = 0.0) -> None:
    """Have a Task of each payer fail at once, unseen before; `every` spreads them over the scrapes, in seconds."""
    for payer in payers:
        owner = reference(f"Organization/payer-{payer}")
        server.put(organization(f"payer-{payer}", name(payer)), failed(f"p2p-{attempt}-{payer}", owner=owner))
        time.sleep(every)


def seen(server: Prometheus, exporter_name: str, since: float) -> dict[str, float]:
    """For each payer the most failures that an alert or panel has seen within one window, since a monotonic time."""
    increase = f'increase(fhir_task_failures_total{{exporter="{exporter_name}"}}[{WINDOW}s])'
    ago = int(time.monotonic() - since) + 1
    return server.values(
        f"max_over_time(round(sum by (source_payer) ({increase}))[{ago}s:{INTERVAL}s])", "source_payer"
    )


def check_scrapes(server: Prometheus) -> None:
    """Every scrape so far, of every exporter, was taken whole, and in the better of the two formats."""
    assert server.value("min(min_over_time(up[1h]))") == 1
    assert {target["lastError"] for target in server.active_targets()} <= {""}
    assert server.refusals() == {}
    assert server.complaints() == []
    assert server.query("scrape_samples_scraped != scrape_samples_post_metric_relabeling") == []
    said = server.api("targets/metadata", metric="fhir_task_duration_seconds")
    assert {each["unit"] for each in said} == {"seconds"}, "only OpenMetrics tells units"


def test_the_first_failure_of_each_new_payer_is_seen_because_its_series_is_held_at_zero(tmp_path: Path) -> None:
    server = SimulatedServer()
    bold = exporter(server.base, tmp_path, *QUICK, "--series.hold", "0s", ledger=str(tmp_path / "bold.db"))
    with watching(tmp_path) as (watcher, targets), held(server, tmp_path) as careful, bold as process:
        targets.set(held=careful.url, bold=process.url)
        watcher.until("sum(fhir_task_exporter_baseline_complete)", 2)
        began = time.monotonic()
        fail(server, range(PAYERS), attempt=1, every=0.37)
        watcher.until(SHOWN, PAYERS)

        everyone = {label(payer) for payer in range(PAYERS)}
        assert seen(watcher, "held", began) == dict.fromkeys(everyone, 1.0)
        assert seen(watcher, "bold", began) == dict.fromkeys(everyone, 0.0), (
            "first seen at 1: no alert would have fired"
        )
        check_scrapes(watcher)
        least = watcher.value('min(min_over_time(scrape_samples_scraped{exporter="held"}[1h]))')
        assert least is not None
        assert least > 200, "the exporter's own samples are there from the first scrape"


def test_failures_while_the_exporter_was_away_are_seen_under_its_new_address(tmp_path: Path) -> None:
    server = SimulatedServer()
    with watching(tmp_path) as (watcher, targets):
        with held(server, tmp_path) as first:
            targets.set(held=first.url)
            watcher.until("fhir_task_exporter_baseline_complete", 1)
            fail(server, range(PAYERS // 2), attempt=1)
            watcher.until(SHOWN, PAYERS // 2)
            targets.set()
            watcher.until("count(up)", None)
            assert first.stop() == 0
        fail(server, range(PAYERS), attempt=2)
        watcher.until(f"count(count_over_time(up[{WINDOW}s]))", None)

        returned = time.monotonic()
        with held(server, tmp_path) as second:
            assert second.url != first.url
            targets.set(held=second.url)
            watcher.until(SHOWN, PAYERS + PAYERS // 2)
            assert seen(watcher, "held", returned) == {label(payer): 1.0 for payer in range(PAYERS)}
            check_scrapes(watcher)
