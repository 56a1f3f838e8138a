"""Every metric that people are told of is in the catalogue, and all that is in the catalogue is told and looked at.

Whether the catalogue is what a running exporter exposes: tests/e2e/test_alerting.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.metrics.catalogue import CATALOGUE, PROBE, TASKS, Definition

from .board import asked
from .judge import KNOWN
from .promql import selectors
from .shipped import ALL, GRAFANA, ROOT

FILES = sorted(
    [
        *(GRAFANA / "dashboards").glob("*.json"),
        *(GRAFANA / "rules").glob("*.yaml"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *ROOT.glob("*.md"),
    ]
)
EVERY = (*CATALOGUE, *PROBE.values())
EXISTING = frozenset({*KNOWN, *(definition.name for definition in EVERY)})
"""Documents may also say a histogram's own name, which no query can ask for: tests/monitoring/judge.py sees to that."""

NAME = re.compile(r"(?<![\w:])(?:job\w*:\w+:\w+|fhir_task\w*|(?:process|smilecdr|probe|fhir_export)_\w+)")
"""What looks like a recorded series or like a metric of ours, and is not part of another word."""

PACKAGE = "fhir_task_exporter"
"""What the wheel installs; it is named in documents as well."""

NOT_LOOKED_AT = {
    "probe_duration_seconds": "as of every probe; fhir_task_exporter_request_duration_seconds has the same requests",
    "fhir_export_job_progress_ratio": "HAPI and Smile CDR give no percentage",
    "fhir_export_job_retry_after_seconds": "for people who look at one probe",
    "fhir_export_job_transaction_timestamp_seconds": "for rules of people's own, such as the age of the newest export",
    "fhir_export_job_expires_timestamp_seconds": "HAPI gives none; for rules of people's own where a server does",
    "fhir_task_oldest_updated_timestamp_seconds": "for rules of people's own with other limits: fhir_tasks_stalled "
    "judges it already, by --stalled-after",
}
"""Task metrics that no panel and no rule asks for, with the reason."""


def strangers(file: str, text: str) -> Iterator[str]:
    """Yield what names no metric. A beginning, as in `fhir_task_…`, ends in an underline, dots or an asterisk."""
    for found in NAME.finditer(text):
        name, follower = found[0], text[found.end() : found.end() + 1]
        begins = name.endswith("_") or follower in {"…", "*"}
        if name not in {*EXISTING, PACKAGE} and not (begins and any(each.startswith(name) for each in EXISTING)):
            yield f"{file}: there is no metric {name}"


def looked_at() -> set[str]:
    """List the series that panels, annotations and rules ask for."""
    expressions = [query.expr for query in asked()] + [rule.expression for rule in ALL]
    return {selector.metric for expression in expressions for selector in selectors(expression)}


def series_of(definition: Definition) -> set[str]:
    return {definition.name} | {f"{definition.name}_{end}" for end in ("bucket", "count", "sum") if definition.buckets}


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_metric_that_is_named_exists(file: Path) -> None:
    assert list(strangers(str(file.relative_to(ROOT)), file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "`fhir_task_late`",
        "sum(fhir_taskss) > 0",
        "job:fhir_tasks_closed:sum > 0",
        "the `fhir_task_left…` metrics",
        "grep fhir_task_exporters_",
        "process_memory",
        "fhir_task_created",
    ],
)
def test_a_name_of_nothing_is_found_with_its_file(text: str) -> None:
    (finding,) = strangers("README.md", text)
    assert finding.startswith("README.md: there is no metric ")
    assert finding.rpartition(" ")[2] in text


def test_documents_and_rules_are_really_read() -> None:
    text = "".join(file.read_text("utf-8") for file in FILES)
    assert EXISTING - {"up", "ALERTS"} - set(NAME.findall(text)) <= {
        f"{definition.name}_{end}" for definition in EVERY for end in ("bucket", "count", "sum")
    }


@pytest.mark.parametrize("definition", EVERY, ids=lambda definition: definition.name)
def test_every_metric_has_its_row_in_the_documents(definition: Definition) -> None:
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert f"\n| `{definition.name}` | {definition.kind} |" in text


def test_somebody_looks_at_every_metric_of_tasks_and_jobs_or_the_reason_stands_here() -> None:
    asked_for = looked_at()
    unseen = {definition.name for definition in (*TASKS, *PROBE.values()) if not series_of(definition) & asked_for}
    assert unseen == NOT_LOOKED_AT.keys()
