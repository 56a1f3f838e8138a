"""The dashboard asks for what the exporter has, counts nothing twice, and mixes no two servers."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.metrics.catalogue import PROBE

from . import promql
from .board import SERIES, Asked, asked, filled, shown

PROBED = {definition.name for definition in PROBE.values()}
PANELS = pytest.mark.parametrize("panel", shown(), ids=lambda panel: panel["title"])
QUERIES = pytest.mark.parametrize("query", asked(), ids=lambda query: query.where)
PANEL_QUERIES = [query for query in asked() if ", panel " in query.where]
SHOWN = pytest.mark.parametrize("query", PANEL_QUERIES, ids=lambda query: query.where)


@QUERIES
def test_a_query_names_series_and_labels_that_the_exporter_has(query: Asked) -> None:
    named = promql.labels(query.expr)
    known: frozenset[str] = frozenset()
    for selector in promql.selectors(query.expr):
        assert selector.metric in SERIES, f"{query.where}: no metric is called {selector.metric}"
        labels = SERIES[selector.metric].labels
        wrong = {matcher.label for matcher in selector.matchers} - labels
        assert not wrong, f"{query.where}: {selector.metric} has no label {wrong}"
        known = known | labels
    strange = named - known
    assert not strange, f"{query.where}: no metric here has the label {strange}"
    said = set(re.findall(r"{{(\w+)}}", query.legend))
    assert said <= named | {"instance"}, f"{query.where}: the answers have no label {said - named}"


@QUERIES
def test_a_query_says_which_labels_it_keeps_and_before_the_parenthesis(query: Asked) -> None:
    assert "without" not in {word for word, _ in promql.groupings(query.expr)}, query.where
    assert not re.search(r"\)\s*(by|without)\b", query.expr), query.where


@QUERIES
def test_a_query_names_values_that_a_closed_label_can_have(query: Asked) -> None:
    for selector in promql.selectors(query.expr):
        definition = SERIES[selector.metric].definition
        closed = {label.name: label.values for label in definition.labels if label.closed} if definition else {}
        for matcher in selector.matchers:
            wrong = set(matcher.value.split("|")) - set(closed.get(matcher.label, matcher.value.split("|")))
            assert not wrong, f"{query.where}: {matcher.label} of {selector.metric} is never {wrong}"


@QUERIES
def test_counters_are_counted_and_gauges_are_read(query: Asked) -> None:
    for selector in promql.selectors(query.expr):
        calls = set(selector.calls)
        counted = bool(calls & {"rate", "irate", "increase"})
        assert counted == SERIES[selector.metric].counter, f"{query.where}: {selector.metric}"
        if calls & {"rate", "irate"}:
            assert selector.range == "$__rate_interval", f"{query.where}: {selector.metric}"
        if {"sum", "increase"} <= calls:
            assert "round" in calls or _divided(query, selector), f"{query.where}: {selector.metric}"


def _divided(query: Asked, selector: promql.Selector) -> bool:
    """Shares and quantiles are no counts."""
    return " / " in query.expr or selector.metric.endswith("_bucket")


@QUERIES
def test_every_selector_follows_the_variables(query: Asked) -> None:
    for selector in promql.selectors(query.expr):
        labels = SERIES[selector.metric].labels
        wanted = ["job", "instance", "fhir_source", "source_payer", "requesting_payer"]
        if selector.metric == "ALERTS":  # alerts over replicas have no instance, and those of one payer only its own
            wanted = ["job", "fhir_source"]
        if selector.metric in PROBED:  # they have a scrape job and instances of their own
            wanted = ["fhir_source"]
            assert promql.Matcher("job", "=", "fhir-export-jobs") in selector.matchers
        for label in wanted:
            held = promql.Matcher(label, "=~", f"${label}") in selector.matchers
            assert held == (label in labels), f"{query.where}: {selector.metric}, {label}"


@SHOWN
def test_replicas_are_taken_once_and_servers_never_added(query: Asked) -> None:
    for selector in promql.selectors(query.expr):
        groups = [call for call in selector.around if call.name in promql.AGGREGATIONS]
        if selector.metric == "fhir_task_exporter_build_info":
            continue  # counts the servers themselves, to show the heat map for one only
        where = f"{query.where}: {selector.metric}"
        assert groups, where
        assert all({"job", "fhir_source"} <= set(call.labels or ()) for call in groups), where
        inner, pinned = groups[0], {matcher.label for matcher in selector.matchers if matcher.operator == "="}
        if "source_payer" in SERIES[selector.metric].labels:
            free = SERIES[selector.metric].labels - {"instance"} - pinned
            assert inner.name == "max", where
            assert free <= set(inner.labels or ()), f"{where}: max must keep {free}"
        elif inner.name == "sum" and selector.metric != "up":
            assert "instance" in (inner.labels or ()), f"{where}: replicas would be added"


def test_the_heat_map_is_empty_rather_than_mixed() -> None:
    (panel,) = [panel for panel in shown() if panel["type"] == "heatmap"]
    (target,) = panel["targets"]
    assert target["legendFormat"] == "{{le}}"
    assert target["expr"].endswith("== 1)")


@PANELS
def test_bars_cover_the_window_that_the_title_tells(panel: dict[str, Any]) -> None:
    windows = {s.range for target in panel["targets"] for s in promql.selectors(target["expr"]) if s.range}
    if panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars":
        assert windows == {panel["interval"]}
        assert f"per {'hour' if windows == {'1h'} else 'day'}" in panel["title"]
    for window in windows - {"$__range", "$__rate_interval"}:
        words = {"1h": ("1 h", "per hour"), "6h": ("6 h",), "1d": ("1 d", "per day", "24 h"), "3d": ("24 h",)}
        assert any(word in panel["title"] for word in words.get(window, ("30 min",))), window
    if "$__range" in windows:
        assert "range" in panel["title"]


def test_no_query_and_no_text_speaks_of_a_person() -> None:
    text = " ".join(query.expr + query.legend for query in asked()).lower()
    assert not re.search(r"member(?!_match)|patient|note_text|task_id", text)


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None and os.environ.get("CI") != "true":
        pytest.skip("promtool is not installed: `apt-get install prometheus` brings it")
    assert found, "CI needs promtool: `apt-get install prometheus` brings it"
    return found


def test_every_query_is_promql(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"panel:query:{number}", "expr": filled(query.expr)} for number, query in enumerate(asked())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    ran = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert f"{len(rules)} rules found" in ran.stdout


def _told(title: str, place: int = 0) -> str:
    (panel,) = [panel for panel in shown() if panel["title"] == title]
    return filled(str(panel["targets"][place]["expr"]))


PAIR = 'source_payer="Alder", requesting_payer="Oak"'


def _fed(name: str, labels: str, values: str) -> list[dict[str, str]]:
    """Two replicas of server `a`, which Prometheus Operator labels by pod, and one of server `b`, in one job."""
    places = [("a", "1:9842", "p-0"), ("a", "2:9842", "p-1"), ("b", "3:9842", "p-2")]
    return [
        {
            "series": f'{name}{{job="j", fhir_source="{source}", instance="{at}", pod="{pod}", {labels}}}',
            "values": values,
        }
        for source, at, pod in places
    ]


TWICE = [
    ("In flight", _fed("fhir_tasks", f'{PAIR}, status="requested"', "2x180"), 2),
    ("Overdue", _fed("fhir_tasks_overdue", PAIR, "3x180"), 3),
    ("Failed (last 1 h)", _fed("fhir_task_transitions_total", f'{PAIR}, status="failed"', "5x130 7x50"), 2),
    ("Cancelled (last 1 h)", _fed("fhir_task_transitions_total", f'{PAIR}, status="cancelled"', "5x130 9x50"), 4),
    ("Vanished (last 1 h)", _fed("fhir_task_vanished_total", PAIR, "0x130 6x50"), 6),
]


@pytest.mark.parametrize(("title", "series", "count"), TWICE)
def test_two_replicas_count_once_and_two_servers_stay_two(
    title: str, series: list[dict[str, str]], count: int, promtool: str, tmp_path: Path
) -> None:
    samples = [{"labels": f'{{job="j", fhir_source="{source}"}}', "value": count} for source in "ab"]
    ask = {"expr": _told(title), "eval_time": "170m", "exp_samples": samples}
    tests = {"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [ask]}]}
    file = tmp_path / "replicas.yaml"
    file.write_text(yaml.safe_dump(tests), encoding="utf-8")
    ran = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
