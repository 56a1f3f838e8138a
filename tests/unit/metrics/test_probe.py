"""The exposition of a probe is the specification: golden texts, and what holds of every one.

`UPDATE_GOLDEN=1 pytest tests/unit/metrics` rewrites the texts; read the difference before you commit it.
"""

import os
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.metrics.catalogue import PROBE
from exporter.metrics.negotiation import Format
from exporter.metrics.probe import ProbeResult, families, render
from exporter.task.export_job import ExportJob, ExportState
from exporter.task.export_manifest import Manifest

from ...support.promtool import complaints

GOLDEN = Path(__file__).parent / "golden"
COMPLETED = ExportJob(
    ExportState.COMPLETED,
    expires=1_700_007_200_000,
    manifest=Manifest(1_700_000_000_000, {"Task": 5, "Organization": 1, "unknown": 1}, {}, {"OperationOutcome": 1}),
)
RUNNING = ExportJob(ExportState.IN_PROGRESS, progress_ratio=0.3, words="in progress (30%)", retry_after_seconds=120.0)
RESULTS = {
    "probe_running": ProbeResult(0.25, RUNNING, 61.5, 120.0),
    "probe_completed": ProbeResult(0.25, COMPLETED, 180.0),
    "probe_not_read": ProbeResult(10.0, retry_after_seconds=7.0),
}
EVERYTHING = ProbeResult(0.25, ExportJob(ExportState.QUEUED, 0.5, expires=2000, manifest=COMPLETED.manifest), 1.0, 2.0)


@pytest.mark.parametrize("name", RESULTS)
def test_a_probe_is_rendered_as_its_golden_text(name: str) -> None:
    golden, text = GOLDEN / f"{name}.prom", render(RESULTS[name], Format.TEXT).decode()
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8", newline="")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("state", ExportState)
def test_exactly_one_state_is_1(state: ExportState) -> None:
    (family,) = (each for each in families(ProbeResult(0.1, ExportJob(state))) if each.name == "fhir_export_job_state")
    assert {sample.labels["state"]: sample.value for sample in family.samples} == {
        each.value: float(each is state) for each in ExportState
    }


def test_every_metric_of_the_catalogue_is_there_once_all_is_known() -> None:
    found = list(parse_openmetrics(render(EVERYTHING, Format.OPENMETRICS).decode()))  # type: ignore[no-untyped-call]
    assert sorted(family.name for family in found) == sorted(metric.name for metric in PROBE.values())


@pytest.mark.parametrize("result", [*RESULTS.values(), EVERYTHING])
def test_promtool_finds_no_problem(result: ProbeResult) -> None:
    assert complaints(render(result, Format.TEXT)) == ""


def test_the_servers_words_are_not_shown() -> None:
    assert b"(30%)" not in render(RESULTS["probe_running"], Format.TEXT)
