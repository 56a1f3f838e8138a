"""The committed dashboard as the tests read it, and what they know of the metrics it may name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exporter.metrics.catalogue import CATALOGUE, PROBE, Definition, MetricType

from .judge import RENAMED

ROOT = Path(__file__).parents[3]
PATH = ROOT / "grafana" / "dashboards" / "p2p-exchanges.json"
BOARD: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))

TARGET_LABELS = frozenset({"job", "instance", "fhir_source"})
"""Set by Prometheus, not by us."""
FOREIGN = {"up": TARGET_LABELS, "ALERTS": TARGET_LABELS | {"alertname", "alertstate"}}
"""Series of Prometheus' own that may be named."""
VALUES = {"$__rate_interval": "5m", "$__range": "1d", "$__interval": "1m"}


class Exposed(NamedTuple):
    """A series name that can be selected."""

    counter: bool
    labels: frozenset[str]
    definition: Definition | None = None


def _series() -> Iterator[tuple[str, Exposed]]:
    for definition in (*CATALOGUE, *PROBE.values()):
        labels = TARGET_LABELS | {RENAMED.get(name, name) for name in definition.label_names}
        if definition.kind is not MetricType.HISTOGRAM:
            yield definition.name, Exposed(definition.kind is MetricType.COUNTER, labels, definition)
            continue
        yield f"{definition.name}_bucket", Exposed(counter=True, labels=labels | {"le"}, definition=definition)
        for end in ("_count", "_sum"):
            yield f"{definition.name}{end}", Exposed(counter=True, labels=labels, definition=definition)
    for name, foreign in FOREIGN.items():
        yield name, Exposed(counter=False, labels=foreign)


SERIES = dict(_series())


def panels(board: dict[str, Any] = BOARD) -> list[dict[str, Any]]:
    """List panels and rows, those inside folded rows too."""
    return [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]


def shown(board: dict[str, Any] = BOARD) -> list[dict[str, Any]]:
    """List what is no row."""
    return [panel for panel in panels(board) if panel["type"] != "row"]


class Asked(NamedTuple):
    """A query, where it stands, and how its answers are called."""

    where: str
    expr: str
    legend: str = ""


def asked(board: dict[str, Any] = BOARD) -> list[Asked]:
    """List the queries of all panels and annotations."""
    found = [
        Asked(f"{PATH.name}, panel {panel['title']}, query {target['refId']}", target["expr"], target["legendFormat"])
        for panel in shown(board)
        for target in panel["targets"]
    ]
    return found + [
        Asked(f"{PATH.name}, annotation {note['name']}", note["target"]["expr"])
        for note in board["annotations"]["list"]
    ]


def filled(expr: str, values: dict[str, str] = VALUES) -> str:
    """Put values in the place of Grafana's variables, as it does when All is chosen."""
    for name, value in values.items():
        expr = expr.replace(name, value)
    for variable in BOARD["templating"]["list"]:
        if "allValue" in variable:
            expr = expr.replace(f"${variable['name']}", variable["allValue"])
    return expr
