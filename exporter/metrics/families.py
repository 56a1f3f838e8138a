"""The metrics of Tasks: a Snapshot as metric families, and families as text.

Rule 1: the result depends on the Snapshot alone, not on the time, the server or the ledger.
Rule 2: only the label values that tables list (FIRST_SHOWN, and those of the gauges below) are exposed at 0; all others
appear with their first value.

See docs/design.md#absent-and-zero.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, product
from typing import NamedTuple, TypeVar

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.exposition import ALLOWUTF8
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as SampleExemplar
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from ..task.model import (
    DOCUMENTED,
    DURATION_BUCKETS,
    FIRST_SHOWN,
    LASTING,
    Anomaly,
    Event,
    Exemplar,
    ExemplarKey,
    Gauges,
    Histogram,
    Instant,
    Pair,
    PairStatus,
    Series,
    Snapshot,
    Status,
)
from .catalogue import EVENTS, EXEMPLAR_LABEL, GAUGES
from .negotiation import Format, join

Labels = tuple[str, ...]
"""The values of a sample's labels, in the order of its definition."""
Samples = dict[Labels, float]
Key = TypeVar("Key")

NO_LABEL = ("",)
"""In place of labels: metrics that have none but the pair's."""

NO_PAIR = (None,)
"""In place of pairs: anomalies are counted without one."""

STALLED_AT_ZERO = (Status.REQUESTED, Status.IN_PROGRESS)

BUCKET_BOUNDS = (*(floatToGoString(bound) for bound in DURATION_BUCKETS), "+Inf")  # type: ignore[no-untyped-call]
"""As prometheus-client writes and Prometheus 3 normalizes them: `300.0`, `1.2096e+06`."""

NO_DURATIONS = Histogram((0,) * len(BUCKET_BOUNDS), 0.0)


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """List the families of a snapshot that have samples, each sorted by its label values."""
    pairs = {series.pair for series in snapshot.counts if series.pair is not None}
    if snapshot.gauges is not None:
        yield from _gauges(snapshot.gauges, pairs)
    yield from _counters(snapshot, pairs)
    yield from _durations(snapshot, pairs)


def _gauges(gauges: Gauges, pairs: Iterable[Pair]) -> Iterator[Metric]:
    for name, samples in (
        ("tasks", _zeros(pairs, DOCUMENTED) | _by_status(gauges.tasks)),
        ("oldest_authored", _by_status(_seconds(gauges.oldest_authored))),
        ("oldest_updated", _by_status(_seconds(gauges.oldest_updated))),
        ("last_transition", _by_status(_seconds(gauges.last_transition))),
        ("stalled", _zeros(pairs, STALLED_AT_ZERO) | _by_status(gauges.stalled)),
        ("next_due", _by_pair(_seconds(gauges.next_due))),
        ("overdue", _zeros(pairs, NO_LABEL) | _by_pair(gauges.overdue)),
        ("anomalous", _zeros(NO_PAIR, LASTING) | _by_kind(gauges.anomalous)),
    ):
        definition = GAUGES[name]
        family = GaugeMetricFamily(
            definition.name, definition.help, labels=definition.label_names, unit=definition.unit
        )
        yield from _with_samples(family, samples)


def _counters(snapshot: Snapshot, pairs: Iterable[Pair]) -> Iterator[Metric]:
    by_event: dict[Event, Samples] = {
        event: _zeros(pairs, _labels_at_zero(event)) for event in Event if event is not Event.DURATION
    }
    by_event[Event.ANOMALY] = _zeros(NO_PAIR, Anomaly)
    for series, count in snapshot.counts.items():
        by_event[series.event][_labels(series.pair, series.label)] = count
    for event, samples in by_event.items():
        definition = EVENTS[event]
        family = CounterMetricFamily(definition.name, definition.help, labels=definition.label_names)
        exemplars = {
            _labels(key.series.pair, key.series.label): _sample_exemplar(exemplar)
            for key, exemplar in snapshot.exemplars.items()
            if key.series.event is event
        }
        for labels, value in sorted(samples.items()):
            family.add_metric(labels, value, exemplar=exemplars.get(labels))
        if samples:
            yield family


def _durations(snapshot: Snapshot, pairs: Iterable[Pair]) -> Iterator[Metric]:
    at_zero = product(pairs, map(Status, _labels_at_zero(Event.DURATION)))
    histograms = {PairStatus(*key): NO_DURATIONS for key in at_zero} | dict(snapshot.durations)
    definition = EVENTS[Event.DURATION]
    family = HistogramMetricFamily(definition.name, definition.help, labels=definition.label_names, unit="seconds")
    for (pair, status), histogram in sorted(histograms.items()):
        buckets = list(_buckets(Series(Event.DURATION, pair, status), histogram, snapshot.exemplars))
        family.add_metric(_labels(pair, status), buckets, histogram.sum)
    if family.samples:
        yield family


def _buckets(
    series: Series, histogram: Histogram, exemplars: Mapping[ExemplarKey, Exemplar]
) -> Iterator[tuple[str, float] | tuple[str, float, SampleExemplar]]:
    """List the buckets, each with its exemplar where it has one."""
    for place, (bound, count) in enumerate(zip(BUCKET_BOUNDS, accumulate(histogram.counts), strict=True)):
        exemplar = exemplars.get(ExemplarKey(series, place))
        yield (bound, count) if exemplar is None else (bound, count, _sample_exemplar(exemplar))


def _sample_exemplar(exemplar: Exemplar) -> SampleExemplar:
    return SampleExemplar({EXEMPLAR_LABEL: exemplar.task_id}, exemplar.value, exemplar.shown_at / 1000)


def _labels_at_zero(event: Event) -> tuple[str, ...]:
    """List the labels with which every pair exposes an event at 0."""
    return tuple(label for each, label in FIRST_SHOWN if each is event)


def _with_samples(family: GaugeMetricFamily, samples: Samples) -> Iterator[Metric]:
    for labels, value in sorted(samples.items()):
        family.add_metric(labels, value)
    if samples:
        yield family


def _labels(pair: Pair | None, label: str) -> Labels:
    return (*(pair or ()), *((label,) if label else ()))


def _zeros(pairs: Iterable[Pair | None], labels: Iterable[str]) -> Samples:
    return {_labels(pair, label): 0.0 for pair, label in product(pairs, labels)}


def _by_status(values: Mapping[PairStatus, float]) -> Samples:
    return {_labels(pair, status): value for (pair, status), value in values.items()}


def _by_kind(values: Mapping[Anomaly, float]) -> Samples:
    return {_labels(None, kind): value for kind, value in values.items()}


def _by_pair(values: Mapping[Pair, float]) -> Samples:
    return {tuple(pair): value for pair, value in values.items()}


def _seconds(instants: Mapping[Key, Instant]) -> dict[Key, float]:
    return {key: instant / 1000 for key, instant in instants.items()}


class _FamilyList(NamedTuple):
    """Families in the place of a registry, for the library's encoders."""

    families: tuple[Metric, ...]

    def collect(self) -> tuple[Metric, ...]:
        return self.families


def encode(source: Collector, form: Format) -> bytes:
    """Write a complete exposition, in OpenMetrics with `# EOF`.

    Our names need no escaping, so it is switched off: the other schemes check every name letter by letter per sample.
    """
    if form is Format.OPENMETRICS:
        text: bytes = generate_openmetrics(source, escaping=ALLOWUTF8)  # type: ignore[no-untyped-call]
        return text
    return generate_latest(source, escaping=ALLOWUTF8)


def encode_families(families: Iterable[Metric], form: Format) -> bytes:
    """Write families as a complete exposition."""
    return encode(_FamilyList(tuple(families)), form)


class TaskText:
    """A snapshot as text, cached while it is the same object: a snapshot is rendered once per format."""

    def __init__(self) -> None:
        self._cache: dict[Format, tuple[Snapshot, bytes]] = {}

    def render(self, snapshot: Snapshot, form: Format) -> bytes:
        """Write a complete exposition of the Task metrics."""
        cached = self._cache.get(form)
        if cached is None or cached[0] is not snapshot:
            cached = (snapshot, encode_families(families(snapshot), form))
            self._cache[form] = cached
        return cached[1]


class FamilyTexts:
    """Families as text, each cached until one of its samples changes: most of the exporter's own never do."""

    def __init__(self) -> None:
        self._cache: dict[tuple[Format, str], tuple[list[Sample], bytes]] = {}

    def render(self, source: Collector, form: Format) -> bytes:
        """Write a complete exposition of a source that has each family once."""
        return join((self._text(family, form) for family in source.collect()), form)

    def _text(self, family: Metric, form: Format) -> bytes:
        cached = self._cache.get((form, family.name))
        if cached is None or cached[0] != family.samples:
            cached = (family.samples, encode_families((family,), form))
            self._cache[form, family.name] = cached
        return cached[1]
