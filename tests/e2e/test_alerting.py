"""From a failing exchange to the notice that somebody reads: simulated network, exporter, Prometheus, Alertmanager.

North and south are one exporter each on the demo's FHIR server, distinguished by `fhir_source`; north is killed.

The files are those that people get: `fhir-task-exporter rules`, grafana/prometheus.yaml, grafana/alertmanager.yaml.
What is replaced in them, and no more:

* addresses: the targets of Prometheus, Alertmanager's address, its receivers (each becomes a webhook here), rule_files;
* `fhir_source`, since two exporters are scraped; business hours, which last all week here;
* scrape_interval, evaluation_interval and each group's `interval`: 2 s instead of 1 min; scrape_timeout: 2 s, not 30 s;
* P2PExporterDown's `for`: 5 s instead of 5 min.

Every other `for`, window and limit stays, as do Alertmanager's group_wait (30 s) and its other intervals. Prometheus
repeats a firing alert after 10 s instead of 1 min: what fires before it has found Alertmanager is lost until then.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from exporter.demo.payers import REQUESTERS
from exporter.metrics.catalogue import PROBE

from ..assets.monitoring.judge import KNOWN
from ..assets.monitoring.promql import Selector, selectors
from ..assets.monitoring.shipped import ALERTS, ALL, GRAFANA, RECORDED, RUNBOOKS
from .alertmanager import Alertmanager, Inbox, alertmanager, delivered_to, inbox, require_alertmanager
from .process import Process, batch_jobs_of, demo, exporter
from .program import environment
from .prometheus import Prometheus, prometheus, require_prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

INTERVAL = "2s"
HOLD = "5s"
"""At least twice the interval, see docs/design.md#series-hold."""
SPEED = 60
PATIENCE = 90
"""Seconds. A notice waits 30 in its group; the demo's first new exchange comes two minutes after its start."""

WIKI = "https://wiki.test/p2p"
OUR_PLAN = REQUESTERS[0][1]
FIRST, SECOND = ("emberloch", "Emberloch Benefit Trust"), ("bluefern", "Bluefern Mutual")
"""Id and name of payers of whom, with the demo's seed, nothing else fails in the first ten minutes."""
REASON = "store"

EXPORT_JOBS = 'job="fhir-export-jobs"'
"""In selectors of export jobs: the demo has none; test_export_jobs.py shows them, probed on a real server."""

OF_PROMETHEUS = {"ALERTS", "ALERTS_FOR_STATE", "up"}
OF_OAUTH2 = {"fhir_task_exporter_token_expiry_timestamp_seconds"}
"""Absent here: test_oauth2.py shows it on a real authorization server."""


@dataclass(frozen=True, slots=True)
class Watch:
    """All that runs. `fhir` is the base of the simulated network."""

    fhir: str
    north: Process
    prometheus: Prometheus
    alertmanager: Alertmanager
    post: Inbox

    def fail(self, payer: str) -> None:
        """Have an exchange with this payer fail, for the first time."""
        answer = httpx.post(f"{self.fhir}/$demo-fail", params={"payer": payer, "reason": REASON}, trust_env=False)
        assert answer.status_code == 200, answer.text


def rules() -> dict[str, Any]:
    """Give the rules as the command prints them, evaluated more often."""
    command = [sys.executable, "-m", "exporter", "rules", "--runbook-url", WIKI]
    printed = subprocess.run(command, capture_output=True, check=True, env=environment(), timeout=60)
    said: dict[str, Any] = yaml.safe_load(printed.stdout)
    for group in said["groups"]:
        group["interval"] = INTERVAL
        for rule in group["rules"]:
            if rule.get("alert") == "P2PExporterDown":
                rule["for"] = "5s"
    return said


def scraping(rule_file: Path, manager: str, sources: dict[str, Process]) -> dict[str, Any]:
    """Give the configuration of Prometheus for these exporters."""
    said: dict[str, Any] = yaml.safe_load((GRAFANA / "prometheus.yaml").read_text())
    said["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    said["rule_files"] = [str(rule_file)]
    said["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [manager.removeprefix("http://")]}]
    (job,) = said["scrape_configs"]
    job |= {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL}
    job["static_configs"] = [
        {"targets": [process.url.removeprefix("http://")], "labels": {"fhir_source": source}}
        for source, process in sources.items()
    ]
    return said


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    require_prometheus()
    require_alertmanager()
    folder = tmp_path_factory.mktemp("alerting")
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
    example = yaml.safe_load((GRAFANA / "alertmanager.yaml").read_text())
    with ExitStack() as stack:
        _, fhir = stack.enter_context(demo(folder, SPEED))
        options = ("--series.hold", HOLD, "--poll.min-interval", "1s", *batch_jobs_of(fhir))
        north, south = (
            stack.enter_context(exporter(fhir, folder, *options, ledger=str(folder / f"{source}.db")))
            for source in ("north", "south")
        )
        post = stack.enter_context(inbox())
        manager = stack.enter_context(alertmanager(delivered_to(post.url, example), folder))
        configuration = scraping(folder / "rules.yaml", manager.url, {"north": north, "south": south})
        server = stack.enter_context(prometheus(configuration, folder, ["--rules.alert.resend-delay=10s"]))
        server.until("sum(fhir_task_exporter_baseline_complete)", 2)
        yield Watch(fhir, north, server, manager, post)


def test_the_dead_mans_switch_hears_that_all_is_well(watch: Watch) -> None:
    notice = watch.post.wait(PATIENCE, alertname="P2PWatchdog")
    assert notice.receiver == "dead-mans-switch"
    assert notice.labels == {"alertname": "P2PWatchdog", "severity": "none", "component": "exporter"}


def test_the_first_failure_of_a_payer_reaches_the_desk_with_all_that_it_says(watch: Watch) -> None:
    identifier, payer = FIRST
    assert watch.prometheus.query(f'fhir_task_failures_total{{source_payer="{payer}"}}') == []
    watch.fail(identifier)
    notice = watch.post.wait(PATIENCE, alertname="P2PExchangeFailed", source_payer=payer, fhir_source="south")
    assert notice.receiver == "desk"
    assert notice.labels == {
        "alertname": "P2PExchangeFailed",
        "severity": "warning",
        "component": "exchange",
        "job": "fhir-task-exporter",
        "fhir_source": "south",
        "source_payer": payer,
        "requesting_payer": OUR_PLAN,
        "reason": REASON,
    }
    (rule,) = (rule for rule in ALERTS if rule.name == "P2PExchangeFailed")
    assert notice.annotations.keys() == rule.said["annotations"].keys()
    assert notice.annotations["summary"] == rule.said["annotations"]["summary"]
    assert notice.annotations["description"].startswith(
        f"Requests of {OUR_PLAN} to {payer} that failed in the last hour with the reason {REASON}: 1."
    )
    assert notice.annotations["dashboard_url"].endswith(
        "/d/p2p-exchanges?var-job=fhir-task-exporter&var-fhir_source=south"
        "&var-source_payer=Emberloch+Benefit+Trust&var-requesting_payer=Marigold+Harbor+Health"
    )
    assert notice.annotations["runbook_url"] == f"{WIKI}/P2PExchangeFailed.md"
    assert (RUNBOOKS / "P2PExchangeFailed.md").is_file()


def test_a_dead_exporter_pages_and_mutes_the_exchanges_of_its_own_server_only(watch: Watch) -> None:
    identifier, payer = SECOND
    failed = {"alertname": "P2PExchangeFailed", "source_payer": payer}
    watch.fail(identifier)
    watch.alertmanager.until(2, failed)
    # Both wait in their groups now: what mutes north in time keeps its notice from being sent at all.
    assert watch.post.firing(**failed) == []
    watch.north.kill()

    page = watch.post.wait(PATIENCE, alertname="P2PExporterDown")
    assert (page.receiver, page.labels["severity"], page.labels["fhir_source"]) == ("page", "critical", "north")
    assert watch.post.wait(PATIENCE, fhir_source="south", **failed).receiver == "desk"
    # It came into its group before P2PExporterDown came into another, and each waits as long.
    assert watch.post.firing(fhir_source="north", **failed) == []

    (down,) = watch.alertmanager.alerts(alertname="P2PExporterDown")
    for source, muting in (("north", [down["fingerprint"]]), ("south", [])):
        exchange = watch.alertmanager.alerts(component="exchange", fhir_source=source)
        assert exchange
        assert [alert["status"]["inhibitedBy"] for alert in exchange] == [muting] * len(exchange)


def written(selector: Selector) -> str:
    matchers = ", ".join(f'{matcher.label}{matcher.operator}"{matcher.value}"' for matcher in selector.matchers)
    return f"{selector.metric}{{{matchers}}}"


def test_every_selector_of_every_rule_finds_series(watch: Watch) -> None:
    """Within the last hour: what is requested is seldom seen, since at this speed its job begins after seconds."""
    asked = {written(selector) for rule in ALL for selector in selectors(rule.expression)}
    expected = {each: f"count(count_over_time({each}[1h]))" for each in asked if EXPORT_JOBS not in each}
    assert len(asked) - len(expected) == 5
    assert watch.prometheus.unanswered(expected, 2 * PATIENCE) == {}


def test_every_rule_can_be_evaluated(watch: Watch) -> None:
    found = [rule for group in watch.prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in found} == {rule.name for rule in ALL}
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] == "err"} == {}
    assert watch.prometheus.complaints() == []


def test_what_is_exposed_is_what_the_catalogue_lists(watch: Watch) -> None:
    names = watch.prometheus.label_values("__name__", '{job="fhir-task-exporter"}')
    exposed = {name for name in names if not name.startswith("scrape_")} - OF_PROMETHEUS
    recorded = {rule.name for rule in RECORDED}
    absent = OF_PROMETHEUS | OF_OAUTH2 | {each.name for each in PROBE.values()}
    assert exposed - recorded == KNOWN.keys() - recorded - absent
