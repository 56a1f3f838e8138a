"""The exporter's metrics about itself.

Rule 1: instruments are made from the catalogue, each with every value of its closed labels at 0 from the start.
Rule 2: nothing here measures; seconds and instants come from those who do.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric

from ..errors import ErrorReason
from ..task.model import Instant
from .catalogue import CODES, OWN, Definition, MetricType
from .families import FamilyTexts
from .negotiation import Format
from .vocabulary import Answer, LedgerFigures, Operation, Outcome, Sweep

UNKNOWN_AT_FIRST = ("last_complete_poll", "watermark", "clock_skew")
"""Gauges that are absent until they are known: 0 would be the year 1970, or a clock that agrees."""


class Known:
    """Gauges of which each appears with its first value; None takes it away again."""

    def __init__(self, definitions: Mapping[str, Definition], registry: CollectorRegistry) -> None:
        self._definitions = definitions
        self._values: dict[str, float | None] = dict.fromkeys(definitions)
        registry.register(self)

    def set(self, name: str, value: float | None) -> None:
        """Show this value from now on."""
        self._values[name] = value

    def describe(self) -> Iterator[Metric]:
        """Tell the registry which names are taken."""
        return (self._family(name, None) for name in self._definitions)

    def collect(self) -> Iterator[Metric]:
        """State what is known."""
        return (self._family(name, value) for name, value in self._values.items() if value is not None)

    def _family(self, name: str, value: float | None) -> Metric:
        definition = self._definitions[name]
        return GaugeMetricFamily(definition.name, definition.help, value, unit=definition.unit)


class Telemetry:
    """The exporter's metrics about itself, on one registry.

    Any thread may tell and any may render. The registry is open: the caller adds a ProcessCollector.
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
            if d.kind is MetricType.GAUGE and name not in UNKNOWN_AT_FIRST
        }
        self._known = Known({name: OWN[name] for name in UNKNOWN_AT_FIRST}, self.registry)
        self._largest_lateness = 0.0
        self._lock = Lock()
        self._texts = FamilyTexts()

    def built(self, version: str, python_version: str) -> None:
        """Say which programme this is."""
        self._gauges["build"].labels(version, python_version).set(1)

    def scraped(self, answer: Answer) -> None:
        """Count a request for /metrics."""
        self._counters["scrapes"].labels(answer).inc()

    def requested(self, operation: Operation, status: int | None, seconds: float) -> None:
        """Count a request; a status outside 1xx to 5xx is no HTTP, so `none`."""
        code = f"{status // 100}xx" if status is not None else "none"
        self._counters["requests"].labels(operation, code if code in CODES else "none").inc()
        self._histograms["request_duration"].labels(operation).observe(seconds)

    def received(self, count: int) -> None:
        """Count bytes on the wire."""
        self._counters["received"].inc(count)

    def up(self, value: bool) -> None:
        """Say whether the last page of a poll, baseline or catch-up succeeded and was committed."""
        self._gauges["up"].set(value)

    def polled(self, outcome: Outcome, seconds: float) -> None:
        """Count a poll."""
        self._counters["polls"].labels(outcome).inc()
        self._histograms["poll_duration"].observe(seconds)

    def count_error(self, reason: ErrorReason) -> None:
        """Count an error."""
        self._counters["errors"].labels(reason).inc()

    def reconciled(self, sweep: Sweep, outcome: Outcome) -> None:
        """Count a finished sweep."""
        self._counters["reconciles"].labels(sweep, outcome).inc()

    def corrected(self, sweep: Sweep, count: int) -> None:
        """Count Tasks that a sweep found to differ."""
        self._counters["reconcile_corrections"].labels(sweep).inc(count)

    def progressed(self, ratio: float) -> None:
        """Show how far the baseline is."""
        self._gauges["baseline_progress"].set(ratio)

    def late(self, seconds: float) -> None:
        """Keep the longest."""
        with self._lock:
            self._largest_lateness = max(self._largest_lateness, seconds)
            self._gauges["largest_lateness"].set(self._largest_lateness)

    def skewed(self, seconds: float) -> None:
        """Show the server's clock minus ours."""
        self._known.set("clock_skew", seconds)

    def ledger(self, state: LedgerFigures) -> None:
        """Show the ledger's figures; a baseline that ended before a restart is wholly done."""
        self._gauges["tracked_tasks"].set(state.tracked)
        self._gauges["pairs"].set(state.pairs)
        self._gauges["pairs_capped"].set(state.pairs_capped)
        self._gauges["ledger"].set(state.bytes)
        self._gauges["baseline_complete"].set(state.baseline_complete)
        if state.baseline_complete:
            self.progressed(1.0)
        self._known.set("watermark", _seconds(state.watermark))
        self._known.set("last_complete_poll", _seconds(state.last_complete))

    def render(self, form: Format) -> bytes:
        """Write one whole exposition of what is on the registry."""
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
    """Each combination of closed label values; none where there is no label."""
    return product(*(label.values for label in definition.labels)) if definition.labels else iter(())


def _seconds(instant: Instant | None) -> float | None:
    return None if instant is None else instant / 1000
