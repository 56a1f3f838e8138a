"""What is said of Tasks: a Snapshot as metric families, and those as text.

Rule 1: a pure function of the Snapshot; the time, the server and the ledger are unknown here.
Rule 2: nothing is guessed: 0 is said only of what tables list (FIRST_SHOWN, and the gauges' below), the rest once met.

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
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from ..task.model import (
    DOCUMENTED,
    DURATION_BUCKETS,
    FIRST_SHOWN,
    LASTING,
    Anomaly,
    Event,
    Gauges,
    Histogram,
    Instant,
    Pair,
    PairStatus,
    Series,
    Snapshot,
    Status,
)
from .catalogue import EVENTS, GAUGES
from .negotiation import Format, join

Labels = tuple[str, ...]
"""The values of a sample's labels, in the order of its definition."""
Samples = dict[Labels, float]
Key = TypeVar("Key")

ALONE = ("",)
"""No label but the pair."""

NO_PAYERS = (None,)
"""In the place of pairs: of anomalies only."""

FIRST_STALLED = (Status.REQUESTED, Status.IN_PROGRESS)

BOUNDS = (*(floatToGoString(bound) for bound in DURATION_BUCKETS), "+Inf")  # type: ignore[no-untyped-call]
"""As prometheus-client writes them, and Prometheus 3 normalises them: `300.0`, `1.2096e+06`."""

NO_DURATIONS = Histogram((0,) * len(BOUNDS), 0.0)


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """State the picture, samples sorted by their label values; a family that has none is left out."""
    pairs = {series.pair for series in snapshot.counts if series.pair is not None}
    if snapshot.gauges is not None:
        yield from _gauges(snapshot.gauges, pairs)
    yield from _counters(snapshot.counts, pairs)
    yield from _durations(snapshot.durations, pairs)


def _gauges(gauges: Gauges, pairs: Iterable[Pair]) -> Iterator[Metric]:
    for name, samples in (
        ("tasks", _zeros(pairs, DOCUMENTED) | _by_status(gauges.tasks)),
        ("oldest_authored", _by_status(_seconds(gauges.oldest_authored))),
        ("oldest_updated", _by_status(_seconds(gauges.oldest_updated))),
        ("last_transition", _by_status(_seconds(gauges.last_transition))),
        ("stalled", _zeros(pairs, FIRST_STALLED) | _by_status(gauges.stalled)),
        ("next_due", _by_pair(_seconds(gauges.next_due))),
        ("overdue", _zeros(pairs, ALONE) | _by_pair(gauges.overdue)),
        ("anomalous", _zeros(NO_PAYERS, LASTING) | _by_kind(gauges.anomalous)),
    ):
        definition = GAUGES[name]
        family = GaugeMetricFamily(
            definition.name, definition.help, labels=definition.label_names, unit=definition.unit
        )
        yield from _filled(family, samples)


def _counters(counts: Mapping[Series, int], pairs: Iterable[Pair]) -> Iterator[Metric]:
    shown: dict[Event, Samples] = {
        event: _zeros(pairs, _first(event)) for event in Event if event is not Event.DURATION
    }
    shown[Event.ANOMALY] = _zeros(NO_PAYERS, Anomaly)
    for series, count in counts.items():
        shown[series.event][_labels(series.pair, series.label)] = count
    for event, samples in shown.items():
        definition = EVENTS[event]
        yield from _filled(
            CounterMetricFamily(definition.name, definition.help, labels=definition.label_names), samples
        )


def _durations(durations: Mapping[PairStatus, Histogram], pairs: Iterable[Pair]) -> Iterator[Metric]:
    first = product(pairs, map(Status, _first(Event.DURATION)))
    shown = {PairStatus(*key): NO_DURATIONS for key in first} | dict(durations)
    definition = EVENTS[Event.DURATION]
    family = HistogramMetricFamily(definition.name, definition.help, labels=definition.label_names, unit="seconds")
    for (pair, status), histogram in sorted(shown.items()):
        buckets = list(zip(BOUNDS, accumulate(histogram.counts), strict=True))
        family.add_metric(_labels(pair, status), buckets, histogram.sum)
    if family.samples:
        yield family


def _first(event: Event) -> tuple[str, ...]:
    """List the labels with which every pair has an event at 0."""
    return tuple(label for each, label in FIRST_SHOWN if each is event)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, samples: Samples) -> Iterator[Metric]:
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


class _Listed(NamedTuple):
    """What the library's encoders take for a registry."""

    families: tuple[Metric, ...]

    def collect(self) -> tuple[Metric, ...]:
        return self.families


def encode(source: Collector, form: Format) -> bytes:
    """Write one whole exposition, `# EOF` included where the format has it.

    The escaping scheme is the one that takes names as they are, which ours allow: the others spell each name anew for
    every sample, letter by letter.
    """
    if form is Format.OPENMETRICS:
        text: bytes = generate_openmetrics(source, escaping=ALLOWUTF8)  # type: ignore[no-untyped-call]
        return text
    return generate_latest(source, escaping=ALLOWUTF8)


class TaskText:
    """The picture as text, kept for as long as the picture is the same object: at rest nothing is rendered."""

    def __init__(self) -> None:
        self._kept: dict[Format, tuple[Snapshot, bytes]] = {}

    def render(self, snapshot: Snapshot, form: Format) -> bytes:
        """Write one whole exposition of the Task metrics."""
        kept = self._kept.get(form)
        if kept is None or kept[0] is not snapshot:
            kept = (snapshot, encode(_Listed(tuple(families(snapshot))), form))
            self._kept[form] = kept
        return kept[1]


class FamilyTexts:
    """Families as text, each written anew only where a sample of it has changed: most of our own never do."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Format, str], tuple[list[Sample], bytes]] = {}

    def render(self, source: Collector, form: Format) -> bytes:
        """Write one whole exposition; the source names each family once."""
        return join((self._text(family, form) for family in source.collect()), form)

    def _text(self, family: Metric, form: Format) -> bytes:
        kept = self._kept.get((form, family.name))
        if kept is None or kept[0] != family.samples:
            kept = (family.samples, encode(_Listed((family,)), form))
            self._kept[form, family.name] = kept
        return kept[1]
