"""Every generated document, and the code that writes it. A new one needs a module here and a line in `DOCUMENTS`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from . import configuration, dashboard, metrics, prometheus_rule
from .markdown import replace_tables

ROOT = Path(__file__).parent.parent

DOCUMENTS: Mapping[str, Callable[[str], str]] = {
    "docs/configuration.md": lambda page: replace_tables(page, configuration.tables()),
    "docs/metrics.md": lambda page: replace_tables(page, metrics.tables()),
    "grafana/dashboards/p2p-exchanges.json": lambda _: dashboard.text(),
    "deploy/monitoring/prometheusrule.yaml": lambda _: prometheus_rule.text(),
}
"""By path below the root. In a page, only the marked tables are generated; the text around them is written by hand."""


def generate(path: str, current: str) -> str:
    """Return what the document should hold, given what it holds now."""
    return DOCUMENTS[path](current)


def is_stale(path: str) -> bool:
    """Whether the committed document differs from what the code would write."""
    current = (ROOT / path).read_text("utf-8")
    return generate(path, current) != current
