"""How Prometheus scrapes us: grafana/prometheus.yaml, and the ServiceMonitor that says the same."""

import re
from typing import Any

import pytest

from exporter.config import OPTIONS
from exporter.config.values import duration

from ..monitoring.shipped import run
from .files import EXPORTER, ROOT, read

PROMETHEUS = read("grafana/prometheus.yaml")
(JOB,) = PROMETHEUS["scrape_configs"]
(PROBES,) = read("grafana/prometheus-export-jobs.yaml")["scrape_configs"]
MONITOR: dict[str, Any] = read(EXPORTER / "servicemonitor.yaml")["spec"]
(ENDPOINT,) = MONITOR["endpoints"]
HOLD = next(option.default for option in OPTIONS if option.name == "series.hold")


def limit_for_the_most_pairs() -> int:
    """Read the last row of the table that the documents give."""
    rows = re.findall(r"^\| (\d+) \|.*\| (\d+) \|$", (ROOT / "docs/metrics.md").read_text("utf-8"), re.MULTILINE)
    return int(rows[-1][1])


def test_promtool_accepts_the_configuration_with_its_rules() -> None:
    checked = run("promtool", "check", "config", str(ROOT / "grafana/prometheus.yaml"))
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("rules found") == len(PROMETHEUS["rule_files"])


def test_the_job_is_the_one_that_the_rules_ask_for() -> None:
    rules = (ROOT / "grafana/rules/alerts.yaml").read_text("utf-8")
    assert set(re.findall(r'job="([^"]+)"', rules)) == {JOB["job_name"], PROBES["job_name"]}


def test_promtool_accepts_the_job_of_export_jobs() -> None:
    checked = run("promtool", "check", "config", str(ROOT / "grafana/prometheus-export-jobs.yaml"))
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "target",
    ["https://cdr.example/fhir/$export-poll-status?_jobId=0f7c-9.d_0e", "0f7c-9.d_0e", "?_jobId=0f7c-9.d_0e"],
)
def test_an_export_job_is_known_by_its_id(target: str) -> None:
    """Relabeled as Prometheus does it: the expression must match all of the address."""
    (relabel,) = (each for each in PROBES["relabel_configs"] if each.get("target_label") == "instance")
    found = re.fullmatch(relabel["regex"], target)
    assert found
    assert found[1] == "0f7c-9.d_0e"
    assert PROBES["metrics_path"] == "/probe"
    assert duration(PROBES["scrape_timeout"]) < duration(PROBES["scrape_interval"])


def test_a_scrape_comes_at_least_twice_while_a_new_series_shows_zero() -> None:
    assert HOLD
    assert duration(JOB["scrape_interval"]) * 2 <= duration(HOLD)
    assert duration(JOB["scrape_timeout"]) < duration(JOB["scrape_interval"])


def test_grafana_is_told_the_interval() -> None:
    (source,) = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["jsonData"]["timeInterval"] == JOB["scrape_interval"]


def test_the_sample_limit_is_that_of_the_documents_for_the_most_pairs() -> None:
    assert JOB["sample_limit"] == limit_for_the_most_pairs()


def test_the_fhir_server_has_a_name_in_every_series() -> None:
    assert all(group["labels"]["fhir_source"] for group in JOB["static_configs"])


def test_the_operator_is_told_the_same() -> None:
    assert ENDPOINT["interval"] == JOB["scrape_interval"]
    assert ENDPOINT["scrapeTimeout"] == JOB["scrape_timeout"]
    assert MONITOR["sampleLimit"] == JOB["sample_limit"]
    assert MONITOR["targetLabels"] == ["fhir_source"]
