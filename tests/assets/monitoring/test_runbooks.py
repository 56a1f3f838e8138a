"""Alerts, runbooks and the dashboard hold together, and what a runbook tells to type is right."""

import json
import re
from pathlib import Path

import pytest
import yaml

from exporter.config import OPTIONS

from .judge import findings
from .shipped import ALERT_NAMES, ALERTS, GRAFANA, RUNBOOKS, run

SECTIONS = [
    "What it means",
    "Who is affected",
    "First three checks",
    "Our side or theirs",
    "Likely causes",
    "What to do",
    "Logs",
    "How to close it",
    "Who to call",
    "How to silence",
    "Known false alarms",
]
LOGGERS = {
    "ca.cdr.log.s2s_troubleshooting",
    "ca.uhn.fhir.log.batch_troubleshooting",
    "ca.cdr.log.http_troubleshooting",
    "ca.cdr.log.security_troubleshooting",
}
INDEX = RUNBOOKS / "README.md"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path != INDEX)
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def section(page: Path, title: str) -> str:
    return page.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0].strip()


def blocks(text: str, language: str) -> list[str]:
    return [found.strip() for found in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def shown() -> set[str]:
    """List the panels as people find them: row / title."""
    board = json.loads((GRAFANA / "dashboards" / "p2p-exchanges.json").read_text())
    row, found = "", set()
    for panel in board["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        found |= {f"{row} / {inner['title']}" for inner in panel.get("panels", [panel])}
    return found


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert [page.stem for page in PAGES] == ALERT_NAMES


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: f"{rule.name}-{rule.severity}")
def test_the_link_of_an_alert_ends_in_the_name_of_its_runbook(alert: object) -> None:
    url = alert.said["annotations"]["runbook_url"]  # type: ignore[attr-defined]
    assert (RUNBOOKS / url.rpartition("/")[2]).is_file()


@every_page
def test_a_runbook_has_every_section_in_order_and_none_empty(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert all(section(page, title) for title in SECTIONS)


@every_page
def test_a_runbook_says_the_severity_of_its_alert(page: Path) -> None:
    said = page.read_text().splitlines()[2]
    assert all(alert.severity in said for alert in ALERTS if alert.name == page.stem)


@every_page
def test_the_first_checks_are_a_query_a_panel_and_a_command(page: Path) -> None:
    checks = section(page, "First three checks")
    assert re.findall(r"^(\d)\. ", checks, re.MULTILINE) == ["1", "2", "3"]
    assert len(blocks(checks, "promql")) == 1
    assert "https://grafana.example/d/p2p-exchanges" in checks
    assert len(blocks(checks, "sh")) == 1


@every_page
def test_a_query_asks_for_what_exists(page: Path) -> None:
    for query in blocks(page.read_text(), "promql"):
        assert findings(f"docs/runbooks/{page.name}", "query", query) == []


def test_promtool_reads_every_query(tmp_path: Path) -> None:
    queries = [query for page in PAGES for query in blocks(page.read_text(), "promql")]
    rules = [{"record": f"runbook:query:{place}", "expr": query} for place, query in enumerate(queries)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    told = run("promtool", "check", "rules", str(file))
    assert told.returncode == 0, told.stdout + told.stderr


@every_page
def test_a_panel_that_a_runbook_names_is_on_the_dashboard(page: Path) -> None:
    named = {text for text, url in LINK.findall(page.read_text()) if "grafana.example" in url}
    assert named
    assert named <= shown()


@pytest.mark.parametrize("page", [*PAGES, INDEX], ids=lambda path: path.stem)
def test_a_link_to_a_file_finds_it(page: Path) -> None:
    for _, url in LINK.findall(page.read_text()):
        if "://" not in url:
            file, _, anchor = url.partition("#")
            target = (RUNBOOKS / file).resolve()
            assert target.exists(), url
            assert not anchor or f"\n## {anchor}\n" in target.read_text().lower()


@every_page
def test_a_runbook_names_real_loggers_and_where_they_write(page: Path) -> None:
    named = set(re.findall(r"`(ca\.[\w.]+)`", page.read_text()))
    assert named <= LOGGERS
    if named:
        assert "`cdr.log`" in section(page, "Logs")
        assert "PHI" in section(page, "Logs")


def test_every_exchange_alert_but_silence_tells_which_logger_to_switch_on() -> None:
    exchange = {alert.name for alert in ALERTS if alert.said["labels"]["component"] == "exchange"}
    for name in exchange - {"P2PExchangesReopened"}:
        assert any(logger in section(RUNBOOKS / f"{name}.md", "Logs") for logger in LOGGERS), name


@every_page
def test_a_silence_is_of_this_alert_and_ends(page: Path) -> None:
    (command,) = blocks(section(page, "How to silence"), "sh")
    assert f"'alertname={page.stem}'" in command
    assert re.search(r"--duration=\d+[hd] ", command)
    labels = re.findall(r"'(\w+)=", command)
    kept = {label for alert in ALERTS if alert.name == page.stem for label in re.findall(r"\w+", alert.expression)}
    assert set(labels) - {"alertname", "job", "instance"} <= kept


@pytest.mark.parametrize("page", [*PAGES, INDEX], ids=lambda path: path.stem)
def test_an_option_that_a_runbook_names_exists(page: Path) -> None:
    known = {option.flag for option in OPTIONS}
    named = set(re.findall(r"`(--[a-z0-9.-]+)", page.read_text()))
    assert named <= known


@pytest.mark.parametrize("page", [*PAGES, INDEX], ids=lambda path: path.stem)
def test_a_command_on_the_server_asks_for_no_member_consent_or_note(page: Path) -> None:
    for command in re.findall(r"^\s*cdr .*$", page.read_text(), re.MULTILINE):
        asked = re.search(r"_elements=([\w,]+)", command)
        assert asked or "_summary=" in command, command
        assert not set(asked[1].split(",") if asked else ()) & {"for", "focus", "note", "statusReason", "text", "input"}


def test_the_index_lists_every_runbook_with_the_summary_of_its_alert() -> None:
    text = INDEX.read_text()
    for alert in ALERTS:
        assert re.search(
            rf"^\| \[{alert.name}\]\({alert.name}\.md\) \| .+ \| {re.escape(alert.said['annotations']['summary'])} \|$",
            text,
            re.MULTILINE,
        ), alert.name
