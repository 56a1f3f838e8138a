"""What is known of the batch jobs as metric families.

Rule: the result depends on the report alone. A name that is listed has every status, at 0 where it has no job.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product

from prometheus_client.core import GaugeMetricFamily, Metric

from .catalogue import BATCH_JOBS
from .families import Labels
from .vocabulary import BatchJobFigures, BatchJobsReport, BatchJobStatus


class BatchJobsCollector:
    """Gauges of the batch jobs, for a registry. `report` is asked at each scrape."""

    def __init__(self, report: Callable[[], BatchJobsReport]) -> None:
        self._report = report

    def describe(self) -> Iterator[Metric]:
        """List the families, so that the registry refuses a second metric of the same name."""
        return (_family(name, {}) for name in BATCH_JOBS)

    def collect(self) -> Iterator[Metric]:
        """List the families that have samples."""
        report = self._report()
        yield _family("up", {(): float(report.up)})
        if report.figures is not None:
            yield from _figures(report.figures)


def _figures(found: BatchJobFigures) -> Iterator[Metric]:
    jobs: dict[Labels, float] = dict.fromkeys(product(found.errors, BatchJobStatus), 0)
    families: Mapping[str, Mapping[Labels, float]] = {
        "jobs": jobs | dict(found.jobs),
        "oldest_unfinished": {(name,): instant / 1000 for name, instant in found.oldest_unfinished.items()},
        "errors": {(name,): count for name, count in found.errors.items()},
        "last_end": {key: instant / 1000 for key, instant in found.last_end.items()},
        "truncated": {(): float(not found.complete)},
    }
    yield from (_family(name, samples) for name, samples in families.items() if samples)


def _family(name: str, samples: Mapping[Labels, float]) -> GaugeMetricFamily:
    definition = BATCH_JOBS[name]
    family = GaugeMetricFamily(definition.name, definition.help, labels=definition.label_names, unit=definition.unit)
    for labels, value in sorted(samples.items()):
        family.add_metric(labels, value)
    return family
