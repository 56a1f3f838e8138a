"""What `rules` and `dashboard` print: the shipped files, for the job and the addresses that a person gives."""

import json
from pathlib import Path

import pytest
import yaml

from exporter import bundle
from exporter.errors import ConfigurationError

from .promql import selectors
from .shipped import ALL, RULES, parse, run

NAMES = ["p2p-exporter", "monitoring/p2p.exporter:prod_1"]


def test_without_a_name_the_rules_are_those_of_the_files() -> None:
    printed = {(rule.name, rule.severity if rule.is_alert else "") for rule in parse("", bundle.rules())}
    assert printed == {(rule.name, rule.severity if rule.is_alert else "") for rule in ALL}
    assert sorted(str(r.said) for r in parse("", bundle.rules())) == sorted(str(r.said) for r in ALL)


@pytest.mark.parametrize("job", NAMES)
def test_every_selector_asks_for_the_job_that_was_named(job: str) -> None:
    for rule in parse("", bundle.rules(job)):
        wanted = "fhir-export-jobs" if rule.name.startswith("P2PExportJob") else job
        for selector in selectors(rule.expression):
            assert [m.value for m in selector.matchers if m.label == "job"] == [wanted], rule.name


@pytest.mark.parametrize("job", NAMES)
def test_promtool_accepts_what_is_printed_and_it_fires_for_that_job(job: str, tmp_path: Path) -> None:
    (tmp_path / "recording.yaml").write_text(bundle.rules(job))
    (tmp_path / "alerts.yaml").write_text("groups: []\n")
    case = (RULES / "deadlines_test.yaml").read_text().replace(f'job="{bundle.JOB}"', f'job="{job}"')
    case = case.replace(f"job: {bundle.JOB}", f"job: {job}")
    encoded = job.replace("/", "%2F").replace(":", "%3A")
    (tmp_path / "case.yaml").write_text(case.replace(f"var-job={bundle.JOB}", f"var-job={encoded}"))
    told = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "recording.yaml"))
    assert told.returncode == 0, told.stdout + told.stderr
    told = run("promtool", "test", "rules", str(tmp_path / "case.yaml"))
    assert told.returncode == 0, told.stdout + told.stderr


def test_links_lead_to_the_addresses_that_were_given() -> None:
    text = bundle.rules(runbook_url="https://wiki.test/p2p/", grafana_url="http://[::1]:3000/grafana")
    for rule in parse("", text):
        if rule.is_alert:
            notes = rule.said["annotations"]
            assert notes["runbook_url"] == f"https://wiki.test/p2p/{rule.name}.md"
            assert notes["dashboard_url"].startswith("http://[::1]:3000/grafana/d/p2p-exchanges")
    assert ".example" not in text.partition("\ngroups:\n")[2]


def test_an_address_that_holds_another_is_replaced_once() -> None:
    text = bundle.rules(runbook_url="https://grafana.example/wiki", grafana_url="https://g.test")
    assert "https://grafana.example/wiki/P2PExporterDown.md" in text


@pytest.mark.parametrize(
    "job",
    [
        "",
        "a b",
        'x"} or vector(1) #',
        "x\\",
        "x\n",
        "x`y",
        "{{ $labels.job }}",
        "$job",
        "jöb",
        "x" * 129,
    ],
)
def test_a_name_that_could_leave_its_matcher_is_refused_and_not_repeated(job: str) -> None:
    with pytest.raises(ConfigurationError, match="--job: must be") as raised:
        bundle.rules(job)
    assert len(job) < 3 or job not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wiki",
        "ftp://x",
        "javascript:x",
        "https://",
        "https://x y",
        "https://x\nfoo: bar",
        "https://x{{ 1 }}",
        'https://"',
    ],
)
def test_an_address_that_could_leave_its_line_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        bundle.rules("a b", url, url)
    assert [fault.partition(":")[0] for fault in raised.value.problems] == ["--job", "--runbook-url", "--grafana-url"]


def test_the_dashboard_is_the_one_that_the_alerts_link_to() -> None:
    assert json.loads(bundle.dashboard())["uid"] == "p2p-exchanges"


def test_links_of_alerts_fill_variables_that_the_dashboard_has() -> None:
    known = {variable["name"] for variable in json.loads(bundle.dashboard())["templating"]["list"]}
    text = bundle.rules()
    asked = {part.partition("=")[0] for part in text.split("var-")[1:]}
    assert asked == {"job", "instance", "fhir_source", "source_payer", "requesting_payer"}
    assert asked <= known


def test_what_is_printed_is_one_yaml_document() -> None:
    assert list(yaml.safe_load(bundle.rules())) == ["groups"]
