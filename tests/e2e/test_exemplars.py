"""A real Prometheus stores the exemplars of a real exporter, and gives them for the dashboard's own queries.

See docs/design.md#exemplars.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.demo.dates import format_stamp

from ..support.builders import completed, failed, task
from .process import SimulatedServer, exporter
from .prometheus import Prometheus, Targets, prometheus, require_prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DASHBOARD = Path(__file__).parents[2] / "grafana" / "dashboards" / "p2p-exchanges.json"
STORING = ("--enable-feature=exemplar-storage",)
QUICK = ("--poll.min-interval", "0s", "--series.hold", "3s")
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def _possible() -> None:
    require_prometheus()


def stored(server: Prometheus, expression: str) -> list[dict[str, Any]]:
    """Ask as Grafana does, for the last ten minutes."""
    now = time.time()
    found = server.api("query_exemplars", query=expression, start=str(now - 600), end=str(now + 60))
    return [
        {"series": each["seriesLabels"], "task_id": one["labels"].get("task_id"), "value": float(one["value"])}
        for each in found
        for one in each["exemplars"]
    ]


def expressions() -> Iterator[str]:
    """List the dashboard's queries that ask for exemplars, for all payers."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            if target.get("exemplar"):
                every = target["expr"]
                for name in ("job", "instance", "fhir_source", "source_payer", "requesting_payer"):
                    every = every.replace(f"${name}", ".*").replace(f"${{{name}}}", ".*")
                yield every.replace("$__rate_interval", "1m").replace("$__interval", "1m").replace("$__range", "1h")


def test_prometheus_stores_which_task_was_counted_and_the_dashboard_finds_it(tmp_path: Path) -> None:
    simulated = SimulatedServer()
    simulated.put(task("p2p-known"))
    targets = Targets(tmp_path / "targets.json")
    scrape = {"job_name": "exporter", "scrape_interval": "1s", "scrape_timeout": "1s"} | targets.discovery
    ledger = str(tmp_path / "plain.db")
    with (
        prometheus({"scrape_configs": [scrape]}, tmp_path, STORING) as server,
        exporter(simulated.base, tmp_path, *QUICK, "--metrics.exemplars") as asked,
        exporter(simulated.base, tmp_path, *QUICK, ledger=ledger) as plain,
    ):
        targets.set(asked=asked.url, plain=plain.url)
        server.until("sum(fhir_task_exporter_baseline_complete)", 2)
        authored = format_stamp(int(time.time() * 1000) - HOUR - 60_000)
        for number in range(3):
            simulated.put(failed(f"p2p-failed-{number}", "401 Unauthorized", authoredOn=authored))
            simulated.put(completed(f"p2p-done-{number}", authoredOn=authored))
            server.until('sum(fhir_task_failures_total{exporter="asked", reason="auth"})', number + 1)
        server.until('sum(fhir_task_failures_total{exporter="plain", reason="auth"})', 3)

        failures = stored(server, "fhir_task_failures_total")
        assert {each["series"]["exporter"] for each in failures} == {"asked"}
        assert {each["series"]["reason"] for each in failures} == {"auth"}
        assert [each["task_id"] for each in failures] == [f"p2p-failed-{number}" for number in range(3)]
        buckets = stored(server, 'fhir_task_duration_seconds_bucket{status="completed"}')
        assert {each["series"]["le"] for each in buckets} == {"7200.0"}
        assert [each["task_id"] for each in buckets] == [f"p2p-done-{number}" for number in range(3)]
        assert all(HOUR / 1000 <= each["value"] < 2 * HOUR / 1000 for each in buckets)

        queries = list(expressions())
        assert len(queries) >= 3
        for query in queries:
            assert stored(server, query), query
        assert server.refusals() == {}
        assert server.complaints() == []
        assert "Task ids" in asked.log.read_text()
        assert "p2p-" not in asked.log.read_text()
