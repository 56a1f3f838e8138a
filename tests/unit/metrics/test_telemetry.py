"""Our own metrics: there from the start, absent while unknown, and told by the ports."""

from itertools import product

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.errors import ErrorReason
from exporter.metrics.catalogue import CODES, OWN, PROCESS
from exporter.metrics.families import encode
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import UNKNOWN_AT_FIRST, Known, Telemetry
from exporter.metrics.vocabulary import Answer, LedgerFigures, Operation, Outcome, Sweep

from ...support.promtool import complaints

PREFIX = "fhir_task_exporter_"
EMPTY = LedgerFigures(0, 0, 0, 4096, None, None, baseline_complete=False)
RUNNING = LedgerFigures(
    tracked=1000,
    pairs=12,
    pairs_capped=3,
    bytes=65536,
    watermark=1_700_000_000_500,
    last_complete=1_700_000_030_000,
    baseline_complete=True,
)


def read(own: Telemetry, name: str, **labels: str) -> float | None:
    return own.registry.get_sample_value(f"{PREFIX}{name}", labels)


def everything_told() -> Telemetry:
    own = Telemetry()
    own.built("1.2.3", "3.11.2")
    own.skewed(-1.5)
    own.ledger(RUNNING)
    return own


def test_every_metric_of_the_catalogue_is_shown_once_known_and_nothing_else() -> None:
    shown = {family.name: family for family in everything_told().registry.collect()}
    assert shown.keys() == {metric.name.removesuffix("_total") for metric in OWN.values()}
    for metric in OWN.values():
        family = shown[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation, family.unit) == (metric.kind, metric.help, metric.unit)
        assert family.samples


def test_what_is_unknown_at_first_is_absent_and_the_rest_is_there() -> None:
    absent = {f"{PREFIX}{name}" for name in ("last_complete_poll_timestamp_seconds", "watermark_timestamp_seconds")}
    shown = {family.name for family in Telemetry().registry.collect() if family.samples}
    everything = {metric.name.removesuffix("_total") for metric in OWN.values()}
    assert everything - shown == absent | {f"{PREFIX}clock_skew_seconds", f"{PREFIX}build_info"}


def test_up_is_zero_until_told() -> None:
    own = Telemetry()
    assert own.registry.get_sample_value("fhir_task_up") == 0
    own.up(True)
    assert own.registry.get_sample_value("fhir_task_up") == 1


def test_every_closed_label_is_at_zero_from_the_start() -> None:
    own = Telemetry()
    assert all(read(own, "polls_total", outcome=outcome) == 0 for outcome in Outcome)
    assert all(read(own, "scrapes_total", answer=answer) == 0 for answer in Answer)
    assert all(read(own, "errors_total", reason=reason) == 0 for reason in ErrorReason)
    assert all(read(own, "reconcile_corrections_total", sweep=sweep) == 0 for sweep in Sweep)
    assert all(read(own, "reconciles_total", sweep=s, outcome=o) == 0 for s, o in product(Sweep, Outcome))
    assert all(read(own, "requests_total", operation=o, code=c) == 0 for o, c in product(Operation, CODES))
    assert all(read(own, "request_duration_seconds_count", operation=operation) == 0 for operation in Operation)


@pytest.mark.parametrize(
    ("status", "code"), [(100, "1xx"), (200, "2xx"), (304, "3xx"), (429, "4xx"), (503, "5xx"), (None, "none")]
)
def test_a_request_counts_under_the_class_of_its_status(status: int | None, code: str) -> None:
    own = Telemetry()
    own.requested(Operation.PAGE, status, 0.2)
    assert {c: read(own, "requests_total", operation="page", code=c) for c in CODES} == {c: c == code for c in CODES}
    assert read(own, "request_duration_seconds_sum", operation="page") == 0.2


@pytest.mark.parametrize("status", [0, 99, 600, 999, -1])
def test_a_status_that_is_no_http_makes_no_new_label(status: int) -> None:
    own = Telemetry()
    own.requested(Operation.SEARCH, status, 0.0)
    assert read(own, "requests_total", operation="search", code="none") == 1


def test_what_is_told_is_counted() -> None:
    own = Telemetry()
    own.polled(Outcome.PARTIAL, 3.0)
    own.scraped(Answer.LATE)
    own.count_error(ErrorReason.TLS)
    own.reconciled(Sweep.FULL, Outcome.COMPLETE)
    own.corrected(Sweep.OPEN, 7)
    own.received(1024)
    own.progressed(0.25)
    assert read(own, "polls_total", outcome="partial") == 1
    assert read(own, "poll_duration_seconds_sum") == 3.0
    assert read(own, "scrapes_total", answer="late") == 1
    assert read(own, "errors_total", reason="tls") == 1
    assert read(own, "reconciles_total", sweep="full", outcome="complete") == 1
    assert read(own, "reconcile_corrections_total", sweep="open") == 7
    assert read(own, "received_bytes_total") == 1024
    assert read(own, "baseline_progress_ratio") == 0.25


def test_the_ledger_tells_its_figures_in_seconds_and_bytes() -> None:
    own = everything_told()
    assert read(own, "tracked_tasks") == 1000
    assert (read(own, "pairs"), read(own, "pairs_capped")) == (12, 3)
    assert read(own, "ledger_bytes") == 65536
    assert read(own, "watermark_timestamp_seconds") == 1_700_000_000.5
    assert read(own, "last_complete_poll_timestamp_seconds") == 1_700_000_030
    assert read(own, "clock_skew_seconds") == -1.5


def test_a_baseline_that_ended_before_a_restart_is_wholly_done() -> None:
    own = Telemetry()
    own.ledger(EMPTY)
    assert (read(own, "baseline_complete"), read(own, "baseline_progress_ratio")) == (0, 0)
    own.ledger(RUNNING)
    assert (read(own, "baseline_complete"), read(own, "baseline_progress_ratio")) == (1, 1)


def test_an_empty_ledger_leaves_its_instants_absent() -> None:
    own = Telemetry()
    own.ledger(EMPTY)
    assert read(own, "watermark_timestamp_seconds") is None
    assert read(own, "last_complete_poll_timestamp_seconds") is None


def test_the_largest_lateness_is_kept() -> None:
    own = Telemetry()
    for seconds in (2.0, 28.0, 3.0):
        own.late(seconds)
    assert read(own, "largest_lateness_seconds") == 28.0


def test_the_ports_are_kept() -> None:
    own = Telemetry()
    telemetry: Telemetry = own
    log: Telemetry = own
    assert isinstance(telemetry, Telemetry)
    assert isinstance(log, Telemetry)


def test_a_name_can_be_taken_once() -> None:
    registry = CollectorRegistry()
    Telemetry(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Telemetry(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Known({name: OWN[name] for name in UNKNOWN_AT_FIRST}, registry)


def test_openmetrics_reads_back_with_the_process_and_without_created_series() -> None:
    own = everything_told()
    ProcessCollector(registry=own.registry)
    own.requested(Operation.SEARCH, 200, 0.3)
    text = own.render(Format.OPENMETRICS).decode()
    assert text.endswith("# EOF\n")
    names = {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert names == {metric.name.removesuffix("_total") for metric in (*OWN.values(), *PROCESS)}
    assert "_created" not in text


@pytest.mark.parametrize("form", Format)
def test_what_changed_is_written_anew_and_what_did_not_stays(form: Format) -> None:
    told, fresh = Telemetry(), Telemetry()
    told.render(form)
    for own in (told, fresh):
        own.up(True)
        own.scraped(Answer.FRESH)
        own.requested(Operation.SEARCH, 200, 0.3)
    assert told.render(form) == encode(fresh.registry, form)


def test_promtool_finds_nothing_to_say() -> None:
    assert complaints(everything_told().render(Format.TEXT)) == ""
