"""The exporter's metrics about itself.

Rule 1: metrics are created from the catalogue, each with every value of its closed labels at 0 from the start.
Rule 2: nothing here measures; callers pass in seconds and instants.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import product
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric

from ..errors import ErrorReason
from ..task.model import Instant
from .catalogue import CODES, OWN, Definition, MetricType
from .families import FamilyTexts
from .negotiation import Format
from .vocabulary import Comparison, ConfigFile, LedgerFigures, Outcome, ScrapeAnswer

ABSENT_UNTIL_SET = ("last_complete_poll", "watermark", "clock_skew", "token_expiry", "config_success")
"""Gauges without a sample until they are known: 0 would be the year 1970, or a clock that agrees."""


class OptionalGauges:
    """Gauges that have no sample until they are set, nor after they are set to None."""

    def __init__(self, definitions: Mapping[str, Definition], registry: CollectorRegistry) -> None:
        self._definitions = definitions
        self._values: dict[str, float | None] = dict.fromkeys(definitions)
        registry.register(self)

    def set(self, name: str, value: float | None) -> None:
        """Set a gauge by its name in the catalogue."""
        self._values[name] = value

    def describe(self) -> Iterator[Metric]:
        """List the families, so that the registry refuses a second metric of the same name."""
        return (self._family(name, None) for name in self._definitions)

    def collect(self) -> Iterator[Metric]:
        """List the gauges that have a value."""
        return (self._family(name, value) for name, value in self._values.items() if value is not None)

    def _family(self, name: str, value: float | None) -> Metric:
        definition = self._definitions[name]
        return GaugeMetricFamily(definition.name, definition.help, value, unit=definition.unit)


class Telemetry:
    """The exporter's metrics about itself, on one registry; any thread may set and any may render.

    The registry is public, so that the caller can add a ProcessCollector.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # The library has this switch for the whole process only; `_created` series would be half as many again.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or CollectorRegistry()
        self._counters = {name: self._counter(d) for name, d in OWN.items() if d.kind is MetricType.COUNTER}
        self._histograms = {name: self._histogram(d) for name, d in OWN.items() if d.kind is MetricType.HISTOGRAM}
        self._gauges = {
            name: Gauge(d.name, d.help, d.label_names, unit=d.unit, registry=self.registry)
            for name, d in OWN.items()
            if d.kind is MetricType.GAUGE and name not in ABSENT_UNTIL_SET
        }
        self._optional = OptionalGauges({name: OWN[name] for name in ABSENT_UNTIL_SET}, self.registry)
        self._broken_files: set[ConfigFile] = set()
        self._gauges["config_successful"].set(1)
        self._largest_lateness = 0.0
        self._lock = Lock()
        self._texts = FamilyTexts()

    def set_build_info(self, version: str, python_version: str) -> None:
        """Set the versions of the exporter and of Python."""
        self._gauges["build"].labels(version, python_version).set(1)

    def count_scrape(self, answer: ScrapeAnswer) -> None:
        """Count a request for /metrics."""
        self._counters["scrapes"].labels(answer).inc()

    def count_request(self, operation: StrEnum, status: int | None, seconds: float) -> None:
        """Count a request to the FHIR server; None and anything but 1xx to 5xx count as code `none`.

        `operation` is an Operation; another server has operations, and a Telemetry, of its own.
        """
        code = f"{status // 100}xx" if status is not None else "none"
        self._counters["requests"].labels(operation, code if code in CODES else "none").inc()
        self._histograms["request_duration"].labels(operation).observe(seconds)

    def count_received_bytes(self, count: int) -> None:
        """Count bytes as received from the FHIR server, before decompression."""
        self._counters["received"].inc(count)

    def set_up(self, value: bool) -> None:
        """Set whether the last page of a poll, baseline or catch-up was read and committed."""
        self._gauges["up"].set(value)

    def count_poll(self, outcome: Outcome, seconds: float) -> None:
        """Count a poll, baseline or catch-up that ended."""
        self._counters["polls"].labels(outcome).inc()
        self._histograms["poll_duration"].observe(seconds)

    def count_error(self, reason: ErrorReason) -> None:
        """Count an error by its reason."""
        self._counters["errors"].labels(reason).inc()

    def count_comparison(self, comparison: Comparison, outcome: Outcome) -> None:
        """Count a comparison that ended."""
        self._counters["reconciles"].labels(comparison, outcome).inc()

    def count_corrections(self, comparison: Comparison, count: int) -> None:
        """Count Tasks that a comparison found to differ from the ledger."""
        self._counters["reconcile_corrections"].labels(comparison).inc(count)

    def set_baseline_progress(self, ratio: float) -> None:
        """Set the fraction of Tasks read by the baseline, 0 to 1."""
        self._gauges["baseline_progress"].set(ratio)

    def observe_lateness(self, seconds: float) -> None:
        """Keep the largest value seen since the start."""
        with self._lock:
            self._largest_lateness = max(self._largest_lateness, seconds)
            self._gauges["largest_lateness"].set(self._largest_lateness)

    def set_clock_skew(self, seconds: float) -> None:
        """Set the FHIR server's clock minus the local clock."""
        self._optional.set("clock_skew", seconds)

    def set_token_expiry(self, expiry: Instant) -> None:
        """Set when the access token for the FHIR server expires."""
        self._optional.set("token_expiry", _seconds(expiry))

    def set_config_read(self, file: ConfigFile, now: Instant) -> None:
        """Take note that a configuration file was read, and is in force."""
        with self._lock:
            self._broken_files.discard(file)
            self._gauges["config_successful"].set(not self._broken_files)
            self._optional.set("config_success", _seconds(now))

    def set_config_broken(self, file: ConfigFile) -> None:
        """Take note that a configuration file cannot be used; what it held before stays in force."""
        with self._lock:
            self._broken_files.add(file)
            self._gauges["config_successful"].set(0)

    def set_ledger_figures(self, figures: LedgerFigures) -> None:
        """Set every gauge that is read from the ledger.

        A baseline that ended before a restart reports no progress of its own, so it is set to 1 here.
        """
        self._gauges["tracked_tasks"].set(figures.tracked)
        self._gauges["pairs"].set(figures.pairs)
        self._gauges["pairs_capped"].set(figures.pairs_capped)
        self._gauges["ledger"].set(figures.bytes)
        self._gauges["baseline_complete"].set(figures.baseline_complete)
        if figures.baseline_complete:
            self.set_baseline_progress(1.0)
        self._optional.set("watermark", _seconds(figures.watermark))
        self._optional.set("last_complete_poll", _seconds(figures.last_complete))

    def render(self, form: Format) -> bytes:
        """Write a complete exposition of the registry."""
        return self._texts.render(self.registry, form)

    def _counter(self, definition: Definition) -> Counter:
        d = definition
        counter = Counter(d.name, d.help, d.label_names, unit=d.unit, registry=self.registry)
        for values in _combinations(definition):
            counter.labels(*values)
        return counter

    def _histogram(self, definition: Definition) -> Histogram:
        d = definition
        histogram = Histogram(d.name, d.help, d.label_names, unit=d.unit, registry=self.registry, buckets=d.buckets)
        for values in _combinations(definition):
            histogram.labels(*values)
        return histogram


def _combinations(definition: Definition) -> Iterator[tuple[str, ...]]:
    """List every combination of closed label values; none for a metric without labels."""
    return product(*(label.values for label in definition.labels)) if definition.labels else iter(())


def _seconds(instant: Instant | None) -> float | None:
    return None if instant is None else instant / 1000
