"""A whole answer: the metrics of Tasks, of the exporter and of the process in one text."""

from prometheus_client import ProcessCollector
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.metrics.batch_jobs import BatchJobsCollector
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format, join
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import BatchJobFigures, BatchJobsReport, BatchJobStatus, ConfigFile, LedgerFigures
from tools.sample_snapshot import EVERYTHING, sample_snapshot

from ...support.promtool import complaints

FAILED = ("BULK_EXPORT", BatchJobStatus.FAILED)
JOBS = BatchJobFigures(
    jobs={FAILED: 1},
    oldest_unfinished={"BULK_EXPORT": 1_700_000_000_000},
    errors={"BULK_EXPORT": 3},
    last_end={FAILED: 1_700_000_000_000},
    complete=True,
)


def page(form: Format) -> bytes:
    telemetry = Telemetry()
    ProcessCollector(registry=telemetry.registry)
    telemetry.set_build_info("1.2.3", "3.11.2")
    telemetry.set_clock_skew(0.5)
    telemetry.set_token_expiry(1_700_000_300_000)
    telemetry.set_config_read(ConfigFile.CONFIG, 1_700_000_000_000)
    telemetry.set_ledger_figures(
        LedgerFigures(1, 1, 0, 4096, 1_700_000_000_000, 1_700_000_000_000, baseline_complete=True)
    )
    telemetry.registry.register(BatchJobsCollector(lambda: BatchJobsReport(up=True, figures=JOBS)))
    return join([TaskText().render(sample_snapshot(2, EVERYTHING), form), telemetry.render(form)], form)


def test_a_whole_page_names_every_metric_of_the_catalogue_once() -> None:
    families = list(parse_openmetrics(page(Format.OPENMETRICS).decode()))  # type: ignore[no-untyped-call]
    assert sorted(family.name for family in families) == sorted(m.name.removesuffix("_total") for m in CATALOGUE)


def test_a_whole_page_is_within_the_limits_that_a_prometheus_may_set() -> None:
    for family in parse_openmetrics(page(Format.OPENMETRICS).decode()):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            assert len(sample.name) <= 63
            assert len(sample.labels) <= 15
            assert all(len(name) <= 60 for name in sample.labels)


def test_promtool_finds_no_problem_in_a_whole_page() -> None:
    assert complaints(page(Format.TEXT)) == ""
