"""The dashboard turns red where the alerts fire, and both lead to each other."""

import re
from typing import Any

import pytest
import yaml

from .board import BOARD, ROOT, shown

LIMITS = yaml.safe_load((ROOT / "grafana" / "thresholds.yaml").read_text(encoding="utf-8"))
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((ROOT / "grafana/rules/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
EXCHANGE, OBJECTIVE, EXPORTER = LIMITS["exchange"], LIMITS["slo"], LIMITS["exporter"]
EXPORT = LIMITS["export"]
BATCH_JOBS = LIMITS["batch_jobs"]
AGES = [EXCHANGE["oldest_warning_seconds"], EXCHANGE["oldest_critical_seconds"]]

# Alerts fire above a limit, Grafana colors from a step on: one more for a count.
STEPS: dict[str, list[float]] = {
    "Overdue": [EXCHANGE["overdue_count"] + 1],
    "Oldest in flight": AGES,
    "Stalled": [EXCHANGE["stalled_count"] + 1],
    "Failed (last 1 h)": [EXCHANGE["failed_count"] + 1],
    "Failure ratio (last 6 h)": [EXCHANGE["failure_ratio"]],
    "Age of the data": [EXPORTER["stale_seconds"]],
    "Time left to the next deadline": [EXCHANGE["due_soon_seconds"]],
    "Overdue by payer": [EXCHANGE["overdue_count"] + 1],
    "Longest wait for a start": [EXCHANGE["not_started_seconds"]],
    "Completed within 24 h": [1 - OBJECTIVE["slow_ratio_fast"], OBJECTIVE["objective_ratio"]],
    "Cancelled (last 1 h)": [EXCHANGE["cancelled_count"] + 1],
    "Vanished (last 1 h)": [EXCHANGE["vanished_count"] + 1],
    "Failure ratio over time (last 6 h)": [EXCHANGE["failure_ratio"]],
    "Failure ratio by payer (last 6 h)": [1],
    "Duration of completed exchanges (last 1 d)": [OBJECTIVE["slow_seconds"]],
    "Admin API up": [1],
    "Oldest unfinished batch job": [BATCH_JOBS["unfinished_seconds"]],
    "Time since the last failed batch job": [BATCH_JOBS["failed_within_seconds"]],
    "Replicas up": [1],
    "FHIR server up": [1],
    "Pairs beyond --pairs.max": [EXPORTER["pairs_capped_count"] + 1],
    "Age of the data by replica": [EXPORTER["stale_seconds"]],
    "Polls not complete (last 30 min)": [EXPORTER["poll_error_ratio"]],
    "Export jobs failed": [EXPORT["job_failed_count"] + 1],
    "Export jobs not readable": [EXPORT["job_unreadable_count"] + 1],
    "Duration of export jobs": [EXPORT["job_slow_seconds"]],
    "Clock skew": [EXPORTER["clock_skew_seconds"]],
    "Configuration files usable": [1],
    "Payers (counts and p95 over the range): Overdue": [EXCHANGE["overdue_count"] + 1],
    "Payers (counts and p95 over the range): Oldest": AGES,
    "Payers (counts and p95 over the range): p95": [OBJECTIVE["slow_seconds"]],
}
FLOORS = {
    "Failure ratio (last 6 h)": EXCHANGE["failure_ratio_floor"],
    "Failure ratio over time (last 6 h)": EXCHANGE["failure_ratio_floor"],
    "Failure ratio by payer (last 6 h)": EXCHANGE["all_failing_floor"],
}
PANELS = pytest.mark.parametrize("panel", shown(), ids=lambda panel: panel["title"])


@PANELS
def test_a_panel_says_what_it_counts_and_what_to_do(panel: dict[str, Any]) -> None:
    counts, act, used = panel["description"].split("\n\n")
    assert len(counts) > 20
    assert act.startswith("What to do: ")
    named = re.findall(r"P2P\w+", used)
    assert used == (f"Alert: {', '.join(named)}." if named else "No alert uses it.")
    assert set(named) <= ALERTS.keys(), "it names an alert that does not exist"
    runbooks = [link["url"] for link in panel.get("links", ())]
    assert runbooks == [f"${{runbook_url:raw}}/{alert}.md" for alert in named]


def test_a_number_that_is_unknown_is_not_green() -> None:
    """Grafana writes the text for no data on the color of the first step; a mapping makes it grey."""
    for panel in (
        panel for panel in shown() if panel["type"] == "stat" and panel["options"]["colorMode"] == "background"
    ):
        (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
        assert (mapping["type"], mapping["options"]["match"]) == ("special", "null+nan")
        assert mapping["options"]["result"]["text"] == panel["fieldConfig"]["defaults"]["noValue"]
        assert mapping["options"]["result"]["color"] not in {"green", "text"}


def test_every_alert_but_the_watchdog_can_be_looked_at() -> None:
    named = set(re.findall(r"P2P\w+", " ".join(panel["description"] for panel in shown())))
    assert named == ALERTS.keys() - {"P2PWatchdog"}


def test_links_of_alerts_set_variables_that_exist() -> None:
    names = {variable["name"] for variable in BOARD["templating"]["list"]}
    for alert, rule in ALERTS.items():
        url = rule["annotations"].get("dashboard_url", "/d/p2p-exchanges")
        assert "/d/p2p-exchanges" in url, alert
        assert set(re.findall(r"[?&]var-(\w+)=", url)) <= names, alert


def test_colors_change_where_the_alerts_fire() -> None:
    found = {where: steps for panel in shown() for where, steps in _steps(panel) if steps}
    assert found == STEPS


def _steps(panel: dict[str, Any]) -> list[tuple[str, list[float]]]:
    fields = panel["fieldConfig"]
    marks = [(panel["title"], fields["defaults"]["thresholds"])]
    for held in fields["overrides"]:
        values = {value["id"]: value["value"] for value in held["properties"]}
        if "thresholds" in values:
            marks.append((f"{panel['title']}: {values['displayName']}", values["thresholds"]))
    return [(where, _values(mark["steps"])) for where, mark in marks]


def _values(steps: list[dict[str, Any]]) -> list[float]:
    """Without a first step Grafana takes its own default, red from 80 on."""
    assert steps[0]["value"] is None
    values = [step["value"] for step in steps[1:]]
    assert values == sorted(values)
    return values


@pytest.mark.parametrize(("title", "floor"), FLOORS.items())
def test_a_ratio_shows_from_as_many_events_as_its_alert_wants(title: str, floor: int) -> None:
    (panel,) = [panel for panel in shown() if panel["title"] == title]
    assert f">= {floor})" in panel["targets"][0]["expr"]
