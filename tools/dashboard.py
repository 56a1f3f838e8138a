"""grafana/dashboards/p2p-exchanges.json: the panels of grafana/board put together.

Grafana reads the JSON. This code needs grafana-foundation-sdk 0.0.21, and corrects its output where that differs from
what Grafana 10 to 13 expects.
"""

import json
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from grafana.board import batch_jobs, deadlines, exports, failures, flow, health, overview, payers, variables
from grafana.board.kinds import Ready

SCHEMA = 39
"""Grafana migrates older schemas by itself and refuses newer ones than it knows: 39 works with 10 to 13."""

ROWS: tuple[tuple[str, tuple[Ready, ...]], ...] = (
    ("Overview", overview.panels()),
    ("Deadlines", deadlines.panels()),
    ("Flow", flow.panels()),
    ("Failures", failures.panels()),
    ("Latency", failures.latency()),
    ("Payers", payers.panels()),
)
FOLDED: tuple[tuple[str, tuple[Ready, ...]], ...] = (
    ("Export jobs", exports.panels()),
    ("Batch jobs", batch_jobs.panels()),
    ("Exporter health", health.panels()),
)


def board() -> build.Dashboard:
    """Build the dashboard from its rows."""
    made = _head()
    for variable in variables.variables():
        made = made.with_variable(variable)
    for note in variables.annotations():
        made = made.annotation(note)
    for link in variables.links():
        made = made.link(link)
    for title, panels in ROWS:
        made = made.with_row(build.Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    for title, panels in FOLDED:
        row = build.Row(title).collapsed(True)
        for panel in panels:
            row = row.with_panel(panel)
        made = made.with_row(row)
    return made


def _head() -> build.Dashboard:
    return (
        build.Dashboard("Payer-to-payer exchanges")
        .uid("p2p-exchanges")
        .description(
            "Exchanges between payers as fhir-task-exporter sees them: Tasks of a FHIR server, never a member. "
            "Each panel says what it counts, what to do, and which alert looks at the same numbers."
        )
        .tags([variables.TAG, "fhir", "prometheus"])
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .refresh("1m")
        .time("now-24h", "now")
        .timezone("browser")
    )


def model() -> dict[str, Any]:
    """Make the JSON model that Grafana reads."""
    made: dict[str, Any] = json.loads(JSONEncoder().encode(board().build()))
    made["schemaVersion"] = SCHEMA
    for number, panel in enumerate(_panels(made), start=1):
        panel["id"] = number
        _correct(panel)
    for thing in (*made["links"], *made["annotations"]["list"], *made["templating"]["list"]):
        _drop(thing, "placement", "auto", "auto_count", "auto_min")
    return made


def _correct(panel: dict[str, Any]) -> None:
    """Drop fields that the library adds and Grafana's own files do not have."""
    _drop(panel, "repeatDirection")
    _drop(panel.get("options", {}), "footer" if panel["type"] == "table" else "")
    for link in panel.get("links", ()):
        _drop(link, "placement")


def _drop(thing: dict[str, Any], *names: str) -> None:
    for name in names:
        thing.pop(name, None)


def _panels(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in made["panels"]:
        yield panel
        yield from panel.get("panels", ())


def text() -> str:
    """Return the JSON, formatted so that a diff of two versions is readable."""
    return json.dumps(model(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
