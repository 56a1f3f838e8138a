"""The rules hold to the catalogue, to the conventions, and to pint's checks that need no server."""

import os
import re
from collections import Counter
from itertools import pairwise

import pytest
import yaml

from .judge import TARGET, findings
from .promql import groupings, numbers, selectors, tokens
from .shipped import ALERT_NAMES, ALERTS, ALL, RECORDED, RULES, THRESHOLDS, Rule, parse, program, run

JOB = "fhir-task-exporter"
EXPORT_JOBS = "fhir-export-jobs"
"""The scrape job of probes, in grafana/prometheus-export-jobs.yaml."""
LIMITS = {
    "P2PExchangeDueSoon": "due_soon_seconds",
    "P2PExchangeOverdue": "overdue_count",
    "P2PExchangeLongOverdue": "overdue_count",
    "P2PExchangeNotStarted": "not_started_seconds",
    "P2PRefreshDue": "refresh_after_seconds",
    "P2PExchangeStalled": "stalled_count",
    "P2PExchangeFailed": "failed_count",
    "P2PExchangeFailureRatioHigh": "failure_ratio failure_ratio_floor",
    "P2PSourcePayerAllFailing": "all_failing_floor",
    "P2PExchangesCancelled": "cancelled_count",
    "P2PTasksVanished": "vanished_count",
    "P2PCompletedEmpty": "completed_empty_floor",
    "P2PPollStale": "stale_seconds",
    "P2PReplicaDown": "stale_seconds",
    "P2PPollErrors": "poll_error_ratio",
    "P2PLedgerTrouble": "ledger_error_count",
    "P2PPairsCapped": "pairs_capped_count",
    "P2PTokenNotRenewed": "token_error_count",
    "P2PClockSkew": "clock_skew_seconds",
    "P2PExportJobFailed": "job_failed_count",
    "P2PExportJobSlow": "job_slow_seconds",
    "P2PExportJobUnreadable": "job_unreadable_count",
    "P2PBatchJobFailed": "failed_within_seconds",
}
BURN = {"critical": "slow_ratio_fast slow_floor", "warning": "slow_ratio_slow slow_floor"}
ON_VANISHING_GAUGES = {
    *("P2PExchangeDueSoon", "P2PExchangeOverdue", "P2PExchangeLongOverdue"),
    *("P2PExchangeNotStarted", "P2PExchangeStalled", "P2PRefreshDue"),
}
MAX_STALENESS, SCRAPE_INTERVAL = 300, 60
TEST_FILES = sorted(RULES.glob("*_test.yaml"))

every_rule = pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: f"{rule.name}-{rule.severity}")
every_record = pytest.mark.parametrize("record", RECORDED, ids=lambda rule: rule.name)


def limit(key: str) -> float:
    return next(group[key] for group in THRESHOLDS.values() if key in group)


def seconds(duration: str | None) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)([smhd])", duration or ""))


# ------------------------------------------------------------------ names


@every_rule
def test_every_metric_label_and_closed_value_exists_and_counters_are_counted(rule: Rule) -> None:
    assert findings(rule.file, rule.name, rule.expression) == []


@pytest.mark.parametrize(
    ("expression", "finding"),
    [
        ("fhir_tasks_late > 0", "there is no metric fhir_tasks_late"),
        ('fhir_tasks{owner="x"} > 0', "fhir_tasks has no label owner"),
        ('fhir_tasks{status="done"} > 0', "status of fhir_tasks is never done"),
        ('fhir_tasks{status=~"failed|canceled"} > 0', "status of fhir_tasks is never canceled"),
        ("fhir_task_created_total > 0", "the counter fhir_task_created_total stands outside rate() and increase()"),
        ("increase(fhir_tasks_overdue[1h]) > 0", "fhir_tasks_overdue is no counter, but inside rate() or increase()"),
        ("sum by (member) (fhir_tasks_overdue) > 0", "no series in it has the label member"),
        (
            'rate(fhir_task_duration_seconds_bucket{status="completed", le="86400"}[1d]) > 0',
            "le of fhir_task_duration_seconds_bucket is never 86400",
        ),
    ],
)
def test_a_rule_about_what_does_not_exist_is_named_with_its_file(expression: str, finding: str) -> None:
    text = yaml.safe_dump({"groups": [{"name": "g", "rules": [{"alert": "P2PWrong", "expr": expression}]}]})
    (rule,) = parse("alerts.yaml", text)
    assert findings(rule.file, rule.name, rule.expression) == [f"alerts.yaml: P2PWrong: {finding}"]


@every_rule
def test_every_selector_names_the_job(rule: Rule) -> None:
    job = EXPORT_JOBS if rule.name.startswith("P2PExportJob") else JOB
    for selector in selectors(rule.expression):
        assert ("job", "=", job) in selector.matchers, selector.metric


@every_rule
def test_what_replicas_repeat_is_taken_once_before_it_is_summed(rule: Rule) -> None:
    for selector in selectors(rule.expression):
        if "sum" in selector.calls and ":" not in selector.metric and rule.name != "P2PPollErrors":
            assert "max" in selector.calls[: selector.calls.index("sum")], selector.metric


@every_rule
def test_two_fhir_servers_in_one_job_never_mix(rule: Rule) -> None:
    for word, labels in groupings(rule.expression):
        if word in {"by", "on"} and labels:
            assert {"job", "fhir_source"} <= set(labels)


# ------------------------------------------------------------------ pint's checks that need no server


@every_rule
def test_nothing_fragile_is_asked(rule: Rule) -> None:
    assert not {"topk", "bottomk", "irate", "quantile", "count_values"} & {t.text for t in tokens(rule.expression)}
    for selector in selectors(rule.expression):
        for matcher in selector.matchers:
            if "~" in matcher.operator:
                assert "|" in matcher.value, "a regular expression that is one word wants = instead"
                assert not matcher.value.startswith("^"), "Prometheus anchors by itself"


@every_rule
def test_no_division_by_zero(rule: Rule) -> None:
    for here, after in pairwise(list(re.finditer(r"/|\(|$", rule.expression))):
        if here[0] == "/":
            assert after[0] == "(", "a divisor stands in parentheses"
            assert re.search(r">\s*0\s*\)$", _enclosed(rule.expression, after.start())), "and ends in > 0"


def _enclosed(text: str, start: int) -> str:
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return text[start : place + 1]
    return text[start:]


@every_rule
def test_a_window_holds_at_least_four_scrapes(rule: Rule) -> None:
    for selector in selectors(rule.expression):
        if selector.range:
            assert seconds(selector.range) >= 4 * SCRAPE_INTERVAL


def test_no_rule_stands_twice() -> None:
    stood = Counter((rule.name, str(rule.said.get("labels"))) for rule in ALL)
    assert [name for name, times in stood.items() if times > 1] == []


@pytest.mark.parametrize("file", ["recording.yaml", "alerts.yaml"])
def test_groups_have_names_of_their_own_and_leave_no_gaps(file: str) -> None:
    groups = yaml.safe_load((RULES / file).read_text())["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    assert all(group["name"].startswith(f"{JOB}-") and group["interval"] == "1m" for group in groups)


def test_every_recorded_series_is_read_or_shown() -> None:
    board = "".join(path.read_text() for path in (RULES.parent / "dashboards").glob("*.json"))
    readers = board + "".join(rule.expression for rule in ALL)
    assert [rule.name for rule in RECORDED if rule.name not in readers] == []


# ------------------------------------------------------------------ recording rules


@every_record
def test_a_recorded_name_says_labels_metric_and_operation(record: Rule) -> None:
    level, metric, operation = record.name.split(":")
    _, outermost = groupings(record.expression)[0]
    assert set(outermost) - {"fhir_source"} == {
        "job",
        *({"source_payer"} if "source_payer" in level else set()),
        *({"requesting_payer"} if "requesting_payer" in level else set()),
        *({"status"} if "status" in level else set()),
    }
    assert ("_per_" in metric) == operation.startswith("ratio_") == ("/" in record.expression)
    if window := re.search(r"\d+[hd]$", operation):
        spans = {selector.range for selector in selectors(record.expression) if selector.range}
        assert spans <= {window[0]}
        assert spans or all(s.metric.endswith(window[0]) for s in selectors(record.expression))


# ------------------------------------------------------------------ alerts


@every_alert
def test_an_alert_says_how_grave_it_is_and_whose(alert: Rule) -> None:
    assert re.fullmatch(r"P2P[A-Z][A-Za-z]+", alert.name)
    assert set(alert.said["labels"]) == {"severity", "component"}
    assert alert.severity in {"critical", "warning", "info", "none"}
    assert alert.said["labels"]["component"] in {"exchange", "exporter", "batch-jobs"}


@every_alert
def test_an_alert_says_what_it_is_and_where_to_read_on(alert: Rule) -> None:
    notes = alert.said["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"], "a summary is a fixed sentence, so that notices can be grouped by it"
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"https://fhir-task-exporter.example/runbooks/{alert.name}.md"
    assert notes["dashboard_url"].startswith("https://grafana.example/d/p2p-exchanges")


@every_alert
def test_a_text_uses_only_labels_that_the_alert_has(alert: Rule) -> None:
    kept = {label for word, labels in groupings(alert.expression) if word == "by" for label in labels}
    per_target = {"P2PReplicaDown", "P2PPollErrors"}
    recorded = {label for selector in selectors(alert.expression) for label in _level(selector.metric)}
    there = kept | recorded | ({"job"} if "absent" in alert.expression else set())
    there |= TARGET if alert.name in per_target else set()
    for text in alert.said["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= there


def _level(metric: str) -> set[str]:
    if ":" not in metric:
        return set()
    level = metric.split(":", maxsplit=1)[0]
    return {"job", "fhir_source"} | {
        label for label in ("source_payer", "requesting_payer", "status") if label in level
    }


@every_alert
def test_an_alert_compares_with_something(alert: Rule) -> None:
    assert re.search(r"[<>]|==|absent\(|^vector\(1\)$", alert.expression.strip())


@every_alert
def test_a_count_is_rounded_before_it_is_compared(alert: Rule) -> None:
    for selector in selectors(alert.expression):
        if "increase" in selector.calls and alert.name != "P2PPollErrors":
            assert selector.calls[:2] == ("increase", "round")


@every_alert
def test_a_state_lasts_for_two_scrapes_before_it_is_told(alert: Rule) -> None:
    of_events = alert.said["expr"].strip() == "vector(1)" or any(
        "increase" in selector.calls or "increase1h" in selector.metric for selector in selectors(alert.expression)
    )
    assert of_events or seconds(alert.said.get("for")) >= 2 * SCRAPE_INTERVAL


@pytest.mark.parametrize("name", sorted(ON_VANISHING_GAUGES))
def test_an_alert_on_gauges_outlives_them_until_the_source_is_known_to_be_down(name: str) -> None:
    (alert,) = (rule for rule in ALERTS if rule.name == name)
    (down,) = (rule for rule in ALERTS if rule.name == "P2PSourceDown")
    assert seconds(down.said["for"]) < MAX_STALENESS < seconds(alert.said["keep_firing_for"])


@pytest.mark.parametrize(("name", "keys"), LIMITS.items())
def test_a_limit_is_that_of_the_table(name: str, keys: str) -> None:
    (alert,) = (rule for rule in ALERTS if rule.name == name)
    assert {float(limit(key)) for key in keys.split()} <= numbers(alert.expression)


def test_the_limit_of_batch_jobs_is_that_of_the_table_for_exports_and_others_alike() -> None:
    found = [rule for rule in ALERTS if rule.name == "P2PBatchJobOverdue"]
    assert {rule.severity for rule in found} == {"critical", "warning"}
    assert all(numbers(rule.expression) == {float(limit("unfinished_seconds"))} for rule in found)


@pytest.mark.parametrize(("severity", "keys"), BURN.items())
def test_the_limits_of_the_objective_are_those_of_the_table(severity: str, keys: str) -> None:
    (alert,) = (rule for rule in ALERTS if rule.name == "P2PExchangeSlowBudgetBurn" and rule.severity == severity)
    assert {float(limit(key)) for key in keys.split()} <= numbers(alert.expression)


def test_the_objective_is_what_the_recorded_shares_measure() -> None:
    slow = [rule for rule in RECORDED if "slow_per_completed" in rule.name]
    assert len(slow) == 3
    assert all(f'le="{float(limit("slow_seconds"))}"' in rule.expression for rule in slow)
    budget = 1 - limit("objective_ratio")
    assert limit("slow_ratio_budget") == pytest.approx(budget)
    assert limit("slow_ratio_fast") == pytest.approx(3 * budget)
    assert limit("slow_ratio_slow") == pytest.approx(budget)


# ------------------------------------------------------------------ promtool


@pytest.mark.parametrize("file", ["recording.yaml", "alerts.yaml"])
def test_promtool_finds_no_fault(file: str) -> None:
    told = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(RULES / file))
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent_where_they_should(file: object) -> None:
    told = run("promtool", "test", "rules", str(file))
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_every_alert_is_seen_to_fire_with_all_it_says(name: str) -> None:
    assert any(
        check["alertname"] == name and check["exp_alerts"]
        for path in TEST_FILES
        for case in yaml.safe_load(path.read_text())["tests"]
        for check in case.get("alert_rule_test", ())
    )


def test_a_missing_programme_fails_ci_and_is_skipped_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Debian's package prometheus"):
        program("promtool")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        program("promtool")
