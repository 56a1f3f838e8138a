"""The catalogue keeps the naming rules of Prometheus and OpenMetrics, and docs/design.md#vocabularies."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from exporter.metrics.catalogue import (
    BATCH_JOBS,
    CATALOGUE,
    EVENTS,
    GAUGES,
    OWN,
    PROBE,
    PROCESS,
    TASKS,
    Definition,
    MetricType,
)
from exporter.task.model import Event, Gauges

FORBIDDEN_LABELS = {"type", "owner", "customer", "stage", "service", "env", "job", "instance", "le", "quantile"}
RESERVED_ENDS = ("_total", "_sum", "_count", "_bucket", "_created")
every_metric = pytest.mark.parametrize("metric", [*CATALOGUE, *PROBE.values()], ids=lambda metric: metric.name)


@every_metric
def test_a_name_is_legal_and_short_enough_for_label_limits(metric: Definition) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", metric.name)
    assert len(metric.name) <= 63  # label_value_length_limit covers names too


@every_metric
def test_only_counters_end_in_total(metric: Definition) -> None:
    assert metric.name.endswith("_total") == (metric.kind is MetricType.COUNTER)
    if metric.kind is not MetricType.COUNTER:
        assert not metric.name.endswith(RESERVED_ENDS)


@every_metric
def test_a_unit_is_the_end_of_the_name_and_a_base_unit(metric: Definition) -> None:
    named = metric.name.removesuffix("_total").rpartition("_")[2]
    assert metric.unit == (named if named in {"seconds", "bytes", "ratio"} else "")


@every_metric
def test_a_help_text_is_one_line_that_ends_with_a_full_stop(metric: Definition) -> None:
    assert metric.help.endswith(".")
    assert "\n" not in metric.help


@every_metric
def test_labels_are_legal_and_say_nothing_that_prometheus_sets(metric: Definition) -> None:
    fixed = {"type"} if metric in PROBE.values() else set()  # the contract names the label of files
    renamed = {"job"} if metric in BATCH_JOBS.values() else set()  # docs/decisions/0031: exported_job in Prometheus
    assert not (FORBIDDEN_LABELS - fixed - renamed) & set(metric.label_names)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in metric.label_names)
    assert len(set(metric.label_names)) == len(metric.label_names)


@every_metric
def test_a_closed_label_lists_words_once(metric: Definition) -> None:
    for label in metric.labels:
        assert bool(label.values) or not label.closed
        assert len(set(label.values)) == len(label.values)


@every_metric
def test_buckets_rise_and_belong_to_histograms(metric: Definition) -> None:
    assert bool(metric.buckets) == (metric.kind is MetricType.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_each_name_is_there_once() -> None:
    every = (*CATALOGUE, *PROBE.values())
    assert len({metric.name for metric in every}) == len(every)


def test_every_fact_and_every_gauge_of_the_model_has_a_metric() -> None:
    assert set(EVENTS) == set(Event)
    assert set(GAUGES) == {field.name for field in fields(Gauges)}


def test_own_metrics_have_our_prefix_and_task_metrics_another() -> None:
    assert all(m.name.startswith("smilecdr_batch_jobs") for m in BATCH_JOBS.values())
    assert {m.name for m in OWN.values() if not m.name.startswith("fhir_task_exporter_")} == {"fhir_task_up"}
    assert not [m.name for m in TASKS if m.name.startswith("fhir_task_exporter_")]


def test_gauges_say_how_old_they_are() -> None:
    assert all("as of the last complete poll" in metric.help for metric in GAUGES.values())


def test_the_page_of_the_metrics_says_that_counters_lag_by_the_hold() -> None:
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    rules = page.partition("## How to read them")[2].partition("\n## ")[0]
    assert "--series.hold" in rules
    assert "increase()" in rules


def test_the_duration_says_that_it_is_an_upper_bound() -> None:
    assert (
        "authoredOn to lastUpdated of the version first seen in that status: an upper bound"
        in EVENTS[Event.DURATION].help
    )


def test_process_metrics_are_those_of_the_library() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    exposed = {(f.name + "_total" * (f.type == "counter"), f.type, f.documentation) for f in registry.collect()}
    assert exposed == {(m.name, m.kind.value, m.help) for m in PROCESS}
