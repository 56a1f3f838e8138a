"""The exposition of Tasks is the specification: golden texts, and what holds of any snapshot.

`UPDATE_GOLDEN=1 pytest tests/unit/metrics` rewrites the texts; read the difference before you commit it.
"""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.metrics.catalogue import TASKS
from exporter.metrics.families import TaskText, families
from exporter.metrics.negotiation import Format
from exporter.task.model import (
    DOCUMENTED,
    DURATION_BUCKETS,
    LASTING,
    Anomaly,
    Gauges,
    Pair,
    PairStatus,
    Snapshot,
    Status,
)

from ...support.promtool import complaints
from .snapshots import EAST, NOON, SNAPSHOTS, WEST, busy, created, lasting

GOLDEN = Path(__file__).parent / "golden"

every_snapshot = pytest.mark.parametrize("name", SNAPSHOTS)


def text(snapshot: Snapshot) -> str:
    return TaskText().render(snapshot, Format.TEXT).decode()


def samples(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    """Index what is shown by metric name and label values, sorted by label name."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(snapshot)
        for sample in family.samples
    }


@every_snapshot
def test_a_snapshot_is_rendered_as_its_golden_text(name: str) -> None:
    golden = GOLDEN / f"{name}.prom"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text(SNAPSHOTS[name]), encoding="utf-8", newline="")
    assert text(SNAPSHOTS[name]) == golden.read_text(encoding="utf-8")


@every_snapshot
def test_promtool_finds_no_problem(name: str) -> None:
    assert complaints(TaskText().render(SNAPSHOTS[name], Format.TEXT)) == ""


@every_snapshot
def test_both_formats_read_back_as_the_same_families(name: str) -> None:
    stated = {family.name: as_read(family) for family in families(SNAPSHOTS[name])}
    openmetrics = TaskText().render(SNAPSHOTS[name], Format.OPENMETRICS).decode()
    read = {family.name: as_read(family) for family in parse_openmetrics(openmetrics)}  # type: ignore[no-untyped-call]
    assert read == stated
    assert {family.name: as_read(family) for family in parse_text(text(SNAPSHOTS[name]))} == stated


def as_read(family: Metric) -> tuple[str, str, set[tuple[str, frozenset[tuple[str, str]], float]]]:
    return family.type, family.documentation, {(s.name, frozenset(s.labels.items()), s.value) for s in family.samples}


@every_snapshot
def test_exactly_what_the_catalogue_lists_is_exposed(name: str) -> None:
    listed = {metric.name.removesuffix("_total"): metric for metric in TASKS}
    for family in families(SNAPSHOTS[name]):
        metric = listed[family.name]
        assert (family.type, family.documentation, family.unit) == (metric.kind, metric.help, metric.unit)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.label_names)
            for label in metric.labels:
                assert not label.closed or sample.labels[label.name] in label.values


@every_snapshot
def test_no_text_has_a_created_series(name: str) -> None:
    for form in Format:
        assert b"_created{" not in TaskText().render(SNAPSHOTS[name], form)


def test_before_the_baseline_there_are_only_anomalies_at_zero() -> None:
    assert samples(Snapshot()) == {("fhir_task_anomalies_total", kind): 0 for kind in Anomaly}


def test_a_pair_that_has_counted_nothing_shows_the_documented_statuses_at_zero() -> None:
    shown = samples(Snapshot(created(EAST), {}, Gauges()))
    for name in ("fhir_tasks", "fhir_task_transitions_total"):
        expected = {(name, EAST.requesting, EAST.source, status): 0 for status in DOCUMENTED}
        assert {key: value for key, value in shown.items() if key[0] == name} == expected
    counted = {key[-1] for key in shown if key[0] == "fhir_task_duration_seconds_count"}
    assert counted == {Status.COMPLETED, Status.FAILED}


def test_timestamps_are_seconds_and_absent_where_unknown() -> None:
    snapshot = Snapshot(created(EAST, WEST), {}, Gauges(next_due={EAST: NOON + 1}))
    shown = samples(snapshot)
    assert shown["fhir_task_next_due_timestamp_seconds", EAST.requesting, EAST.source] == NOON / 1000 + 0.001
    assert not [key for key in shown if key[0].endswith("timestamp_seconds") and WEST.source in key]


def test_lasting_anomalies_are_zero_with_gauges_and_absent_without() -> None:
    shown = samples(Snapshot({}, {}, Gauges(anomalous={Anomaly.FOREIGN: 3})))
    expected = {("fhir_tasks_anomalous", kind): 3.0 * (kind is Anomaly.FOREIGN) for kind in LASTING}
    assert {key: value for key, value in shown.items() if key[0] == "fhir_tasks_anomalous"} == expected
    assert not [key for key in samples(Snapshot(created(EAST))) if key[0] == "fhir_tasks_anomalous"]


def test_without_gauges_the_counters_stay() -> None:
    whole, counters = samples(busy()), samples(Snapshot(busy().counts, busy().durations, None))
    assert counters == {key: value for key, value in whole.items() if key in counters}
    assert {key[0] for key in whole} - {key[0] for key in counters} == {
        "fhir_tasks",
        "fhir_task_last_transition_timestamp_seconds",
        "fhir_tasks_stalled",
        "fhir_tasks_overdue",
        "fhir_tasks_anomalous",
    }


def test_the_order_of_a_snapshot_does_not_change_its_text() -> None:
    one = busy()
    other = Snapshot(dict(reversed(list(one.counts.items()))), dict(reversed(list(one.durations.items()))), one.gauges)
    assert text(one) == text(other)


def test_a_bound_belongs_to_its_bucket_and_is_written_as_prometheus_3_writes_it() -> None:
    snapshot = Snapshot(created(EAST), {PairStatus(EAST, Status.FAILED): lasting(300, 301, 1_209_600, 1_209_601)})
    lines = [line for line in text(snapshot).splitlines() if "_bucket" in line and 'status="failed"' in line]
    values = {line.split('le="')[1].split('"')[0]: float(line.rpartition(" ")[2]) for line in lines}
    assert values["300.0"] == 1
    assert values["900.0"] == values["604800.0"] == 2
    assert values["1.2096e+06"] == 3
    assert values["+Inf"] == 4


@given(st.lists(st.floats(0, 3_000_000), max_size=30))
def test_buckets_cumulate_to_the_count(seconds: list[float]) -> None:
    key = PairStatus(EAST, Status.COMPLETED)
    histogram = lasting(*seconds)
    shown = [s for f in families(Snapshot(created(EAST), {key: histogram})) for s in f.samples if f.type == "histogram"]
    mine = [s for s in shown if s.labels["status"] == Status.COMPLETED]
    buckets = [s.value for s in mine if s.name.endswith("_bucket")]
    assert all(lower <= upper for lower, upper in pairwise(buckets))
    assert buckets[:-1] == [sum(second <= bound for second in seconds) for bound in DURATION_BUCKETS]
    counted = next(s.value for s in mine if s.name.endswith("_count"))
    assert counted == buckets[-1] == sum(histogram.counts) == len(seconds)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(min_size=1, alphabet='\\"\n{}, =#'))
def test_any_name_of_a_payer_survives_both_formats(source: str, requesting: str) -> None:
    snapshot = Snapshot(created(Pair(source, requesting)))
    for form, parse in ((Format.TEXT, parse_text), (Format.OPENMETRICS, parse_openmetrics)):
        read = parse(TaskText().render(snapshot, form).decode())
        labels = [s.labels for family in read for s in family.samples if family.name == "fhir_task_created"]
        assert labels == [{"source_payer": source, "requesting_payer": requesting}]


def test_the_same_snapshot_is_rendered_once_for_each_format() -> None:
    tasks, snapshot = TaskText(), busy()
    first = {form: tasks.render(snapshot, form) for form in Format}
    assert all(tasks.render(snapshot, form) is first[form] for form in Format)


def test_a_new_snapshot_is_rendered_even_if_it_equals_the_last() -> None:
    tasks = TaskText()
    first = tasks.render(busy(), Format.TEXT)
    assert tasks.render(busy(), Format.TEXT) is not first
    assert tasks.render(Snapshot(), Format.TEXT) != first
