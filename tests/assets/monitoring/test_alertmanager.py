"""The example of an Alertmanager configuration: who is told of what, and what mutes what."""

import re
from collections.abc import Mapping

import pytest
import yaml

from .shipped import ALERTS, GRAFANA, Rule, run

FILE = GRAFANA / "alertmanager.yaml"
EXAMPLE = yaml.safe_load(FILE.read_text())
MATCHER = re.compile(r'(?P<label>\w+)(?P<operator>=~|=)"(?P<value>[^"]*)"')
HERE = {"job": "fhir-task-exporter", "fhir_source": "east"}
PAIR = {**HERE, "source_payer": "Old Payer", "requesting_payer": "Our Plan"}

Labels = Mapping[str, str]


def labels_of(name: str, severity: str = "", **more: str) -> dict[str, str]:
    (alert, *_) = (rule for rule in ALERTS if rule.name == name and severity in {"", rule.severity})
    return {"alertname": name, **alert.said["labels"], **more}


def matches(matchers: list[str], labels: Labels) -> bool:
    for text in matchers:
        found = MATCHER.fullmatch(text)
        assert found, text
        pattern = found["value"] if found["operator"] == "=~" else re.escape(found["value"])
        if not re.fullmatch(pattern, labels.get(found["label"], "")):
            return False
    return True


def muted(target: Labels, firing: Labels) -> bool:
    """Say what Alertmanager's documentation of `inhibit_rule` says; an absent label equals an empty one."""
    return any(
        matches(rule["source_matchers"], firing)
        and matches(rule["target_matchers"], target)
        and all(target.get(label, "") == firing.get(label, "") for label in rule["equal"])
        for rule in EXAMPLE["inhibit_rules"]
    )


def test_amtool_accepts_the_example() -> None:
    told = run("amtool", "check-config", str(FILE))
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (labels_of("P2PWatchdog"), "dead-mans-switch"),
        (labels_of("P2PExporterDown", **HERE), "page"),
        (labels_of("P2PExchangeOverdue", **PAIR), "page"),
        (labels_of("P2PExchangeFailed", **PAIR), "desk"),
        (labels_of("P2PExchangeLongOverdue", **PAIR), "desk"),
        (labels_of("P2PExchangesCancelled", **HERE), "desk"),
        (labels_of("P2PExchangeFailed", source_payer="Example Health Plan"), "example-health-plan-desk,desk"),
        (labels_of("P2PExchangeOverdue", source_payer="Example Health Plan"), "example-health-plan-desk,page"),
        ({"alertname": "SomethingElse"}, "desk"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["alertname"],
)
def test_an_alert_reaches_those_who_should_know(labels: Labels, receivers: str) -> None:
    given = (f'{label}="{value}"' for label, value in labels.items())
    told = run("amtool", "config", "routes", "test", f"--config.file={FILE}", f"--verify.receivers={receivers}", *given)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("severity", sorted({alert.severity for alert in ALERTS}))
def test_every_severity_has_a_route_of_its_own(severity: str) -> None:
    routes = [route for route in EXAMPLE["route"]["routes"] if not route.get("continue")]
    firing = labels_of("P2PWatchdog") if severity == "none" else {"severity": severity}
    assert sum(matches(route["matchers"], firing) for route in routes) == 1


def test_only_pages_and_the_dead_mans_switch_speak_at_night() -> None:
    waking = {route["receiver"] for route in EXAMPLE["route"]["routes"] if "active_time_intervals" not in route}
    assert waking == {"page", "dead-mans-switch"}


@pytest.mark.parametrize("alert", [rule for rule in ALERTS if rule.said["labels"]["component"] == "exchange"])
@pytest.mark.parametrize("stale", ["P2PExporterDown", "P2PSourceDown", "P2PPollStale", "P2PNeverPolled"])
def test_old_numbers_are_muted_for_their_own_server_only(alert: Rule, stale: str) -> None:
    target = labels_of(alert.name, alert.severity, **PAIR)
    assert muted(target, labels_of(stale, **HERE))
    assert not muted(target, labels_of(stale, job="fhir-task-exporter", fhir_source="west"))
    assert not muted(target, labels_of(stale, job="another", fhir_source="east"))


def test_a_missing_target_mutes_exchanges_of_every_server_of_the_job() -> None:
    assert muted(labels_of("P2PExchangeOverdue", **PAIR), labels_of("P2PExporterAbsent", job="fhir-task-exporter"))
    assert not muted(labels_of("P2PExchangeOverdue", **PAIR), labels_of("P2PExporterAbsent", job="another"))


def test_one_replica_that_is_down_mutes_nothing() -> None:
    firing = labels_of("P2PReplicaDown", **HERE, instance="a:9842")
    assert not any(muted(labels_of(alert.name, alert.severity, **PAIR), firing) for alert in ALERTS)


@pytest.mark.parametrize("name", ["P2PExchangeDueSoon", "P2PExchangeLongOverdue"])
def test_overdue_mutes_what_it_says_of_the_same_pair(name: str) -> None:
    target = labels_of(name, **PAIR)
    assert muted(target, labels_of("P2PExchangeOverdue", **PAIR))
    assert not muted(target, labels_of("P2PExchangeOverdue", **{**PAIR, "source_payer": "Other Payer"}))


def test_a_source_that_is_down_needs_no_second_notice() -> None:
    for name in ("P2PPollStale", "P2PPollErrors", "P2PNeverPolled"):
        assert muted(labels_of(name, **HERE), labels_of("P2PSourceDown", **HERE))


def test_nothing_mutes_itself_or_what_pages_about_us() -> None:
    for target in ALERTS:
        here = labels_of(target.name, target.severity, **PAIR)
        assert not muted(here, here)
    for name in ("P2PExporterDown", "P2PExporterAbsent", "P2PSourceDown", "P2PWatchdog"):
        assert not any(muted(labels_of(name, **HERE), labels_of(a.name, a.severity, **PAIR)) for a in ALERTS)


def test_addresses_are_nobodys_and_no_secret_stands_in_the_example() -> None:
    text = FILE.read_text()
    assert re.findall(r"https?://(?![\w-]+\.example/)", text) == []
    assert re.findall(r"@(?!mail\.example)", text) == []
    assert not re.search(r"password|secret|token|_key", text)
