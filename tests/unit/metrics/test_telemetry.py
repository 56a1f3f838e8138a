"""The exporter's metrics about itself: there from the start, absent while unknown, and set by their methods."""

from itertools import product

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.errors import ErrorReason
from exporter.metrics.catalogue import CODES, OWN, PROCESS
from exporter.metrics.families import encode
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import ABSENT_UNTIL_SET, OptionalGauges, Telemetry
from exporter.metrics.vocabulary import Comparison, ConfigFile, LedgerFigures, Operation, Outcome, ScrapeAnswer

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


def read(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"{PREFIX}{name}", labels)


def everything_set() -> Telemetry:
    telemetry = Telemetry()
    telemetry.set_build_info("1.2.3", "3.11.2")
    telemetry.set_clock_skew(-1.5)
    telemetry.set_token_expiry(1_700_000_300_000)
    telemetry.set_config_read(ConfigFile.CONFIG, 1_700_000_000_000)
    telemetry.set_ledger_figures(RUNNING)
    return telemetry


def test_exactly_the_metrics_of_the_catalogue_are_exposed_once_all_are_set() -> None:
    shown = {family.name: family for family in everything_set().registry.collect()}
    assert shown.keys() == {metric.name.removesuffix("_total") for metric in OWN.values()}
    for metric in OWN.values():
        family = shown[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation, family.unit) == (metric.kind, metric.help, metric.unit)
        assert family.samples


def test_gauges_without_a_value_are_absent_and_the_rest_is_exposed() -> None:
    absent = {OWN[name].name for name in ABSENT_UNTIL_SET}
    shown = {family.name for family in Telemetry().registry.collect() if family.samples}
    everything = {metric.name.removesuffix("_total") for metric in OWN.values()}
    assert everything - shown == absent | {f"{PREFIX}build_info"}


def test_one_broken_file_is_shown_until_that_file_is_read_again() -> None:
    telemetry = Telemetry()
    assert read(telemetry, "config_last_reload_successful") == 1
    telemetry.set_config_broken(ConfigFile.WEB)
    telemetry.set_config_read(ConfigFile.CONFIG, 1_700_000_000_000)
    assert read(telemetry, "config_last_reload_successful") == 0
    assert read(telemetry, "config_last_reload_success_timestamp_seconds") == 1_700_000_000
    telemetry.set_config_read(ConfigFile.WEB, 1_700_000_060_000)
    assert read(telemetry, "config_last_reload_successful") == 1
    assert read(telemetry, "config_last_reload_success_timestamp_seconds") == 1_700_000_060


def test_up_is_zero_until_set() -> None:
    telemetry = Telemetry()
    assert telemetry.registry.get_sample_value("fhir_task_up") == 0
    telemetry.set_up(True)
    assert telemetry.registry.get_sample_value("fhir_task_up") == 1


def test_every_closed_label_is_at_zero_from_the_start() -> None:
    telemetry = Telemetry()
    assert all(read(telemetry, "polls_total", outcome=outcome) == 0 for outcome in Outcome)
    assert all(read(telemetry, "scrapes_total", answer=answer) == 0 for answer in ScrapeAnswer)
    assert all(read(telemetry, "errors_total", reason=reason) == 0 for reason in ErrorReason)
    assert all(read(telemetry, "reconcile_corrections_total", sweep=sweep) == 0 for sweep in Comparison)
    assert all(read(telemetry, "reconciles_total", sweep=s, outcome=o) == 0 for s, o in product(Comparison, Outcome))
    assert all(read(telemetry, "requests_total", operation=o, code=c) == 0 for o, c in product(Operation, CODES))
    assert all(read(telemetry, "request_duration_seconds_count", operation=operation) == 0 for operation in Operation)


@pytest.mark.parametrize(
    ("status", "code"), [(100, "1xx"), (200, "2xx"), (304, "3xx"), (429, "4xx"), (503, "5xx"), (None, "none")]
)
def test_a_request_counts_under_the_class_of_its_status(status: int | None, code: str) -> None:
    telemetry = Telemetry()
    telemetry.count_request(Operation.PAGE, status, 0.2)
    assert {c: read(telemetry, "requests_total", operation="page", code=c) for c in CODES} == {
        c: c == code for c in CODES
    }
    assert read(telemetry, "request_duration_seconds_sum", operation="page") == 0.2


@pytest.mark.parametrize("status", [0, 99, 600, 999, -1])
def test_a_status_outside_http_counts_as_none(status: int) -> None:
    telemetry = Telemetry()
    telemetry.count_request(Operation.SEARCH, status, 0.0)
    assert read(telemetry, "requests_total", operation="search", code="none") == 1


def test_each_method_changes_its_metric() -> None:
    telemetry = Telemetry()
    telemetry.count_poll(Outcome.PARTIAL, 3.0)
    telemetry.count_scrape(ScrapeAnswer.LATE)
    telemetry.count_error(ErrorReason.TLS)
    telemetry.count_comparison(Comparison.FULL, Outcome.COMPLETE)
    telemetry.count_corrections(Comparison.OPEN, 7)
    telemetry.count_received_bytes(1024)
    telemetry.set_baseline_progress(0.25)
    assert read(telemetry, "polls_total", outcome="partial") == 1
    assert read(telemetry, "poll_duration_seconds_sum") == 3.0
    assert read(telemetry, "scrapes_total", answer="late") == 1
    assert read(telemetry, "errors_total", reason="tls") == 1
    assert read(telemetry, "reconciles_total", sweep="full", outcome="complete") == 1
    assert read(telemetry, "reconcile_corrections_total", sweep="open") == 7
    assert read(telemetry, "received_bytes_total") == 1024
    assert read(telemetry, "baseline_progress_ratio") == 0.25


def test_ledger_figures_are_exposed_in_seconds_and_bytes() -> None:
    telemetry = everything_set()
    assert read(telemetry, "tracked_tasks") == 1000
    assert (read(telemetry, "pairs"), read(telemetry, "pairs_capped")) == (12, 3)
    assert read(telemetry, "ledger_bytes") == 65536
    assert read(telemetry, "watermark_timestamp_seconds") == 1_700_000_000.5
    assert read(telemetry, "last_complete_poll_timestamp_seconds") == 1_700_000_030
    assert read(telemetry, "clock_skew_seconds") == -1.5


def test_a_baseline_that_ended_before_a_restart_has_progress_1() -> None:
    telemetry = Telemetry()
    telemetry.set_ledger_figures(EMPTY)
    assert (read(telemetry, "baseline_complete"), read(telemetry, "baseline_progress_ratio")) == (0, 0)
    telemetry.set_ledger_figures(RUNNING)
    assert (read(telemetry, "baseline_complete"), read(telemetry, "baseline_progress_ratio")) == (1, 1)


def test_an_empty_ledger_has_no_timestamps() -> None:
    telemetry = Telemetry()
    telemetry.set_ledger_figures(EMPTY)
    assert read(telemetry, "watermark_timestamp_seconds") is None
    assert read(telemetry, "last_complete_poll_timestamp_seconds") is None


def test_the_largest_lateness_is_kept() -> None:
    telemetry = Telemetry()
    for seconds in (2.0, 28.0, 3.0):
        telemetry.observe_lateness(seconds)
    assert read(telemetry, "largest_lateness_seconds") == 28.0


def test_a_metric_name_can_be_registered_once() -> None:
    registry = CollectorRegistry()
    Telemetry(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Telemetry(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        OptionalGauges({name: OWN[name] for name in ABSENT_UNTIL_SET}, registry)


def test_openmetrics_reads_back_with_the_process_and_without_created_series() -> None:
    telemetry = everything_set()
    ProcessCollector(registry=telemetry.registry)
    telemetry.count_request(Operation.SEARCH, 200, 0.3)
    text = telemetry.render(Format.OPENMETRICS).decode()
    assert text.endswith("# EOF\n")
    names = {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    assert names == {metric.name.removesuffix("_total") for metric in (*OWN.values(), *PROCESS)}
    assert "_created" not in text


@pytest.mark.parametrize("form", Format)
def test_cached_family_texts_are_rendered_again_after_a_change(form: Format) -> None:
    rendered_before, fresh = Telemetry(), Telemetry()
    rendered_before.render(form)
    for telemetry in (rendered_before, fresh):
        telemetry.set_up(True)
        telemetry.count_scrape(ScrapeAnswer.FRESH)
        telemetry.count_request(Operation.SEARCH, 200, 0.3)
    assert rendered_before.render(form) == encode(fresh.registry, form)


def test_promtool_finds_no_problem() -> None:
    assert complaints(everything_set().render(Format.TEXT)) == ""
