"""Judges expressions by the catalogue: each finding names the file, the rule, and what does not exist or is misused."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from exporter.metrics.catalogue import CATALOGUE, PROBE, Definition, MetricType

from .promql import Matcher, Selector, groupings, selectors
from .shipped import RECORDED, Rule

TARGET = frozenset({"job", "instance", "fhir_source", "pod"})
"""What Prometheus and the scrape configuration add to every series."""

RENAMED = {"job": "exported_job"}
"""Labels of ours that Prometheus' own take the name of."""

RATES = {"rate", "increase", "irate", "resets"}


class Series(NamedTuple):
    """A name that a query may ask for, the labels it has, and the values of the closed ones."""

    labels: frozenset[str]
    counts: bool = False
    values: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def _exposed(definition: Definition) -> Iterator[tuple[str, Series]]:
    labels = TARGET | {RENAMED.get(name, name) for name in definition.label_names}
    closed = {label.name: label.values for label in definition.labels if label.closed}
    if definition.kind is not MetricType.HISTOGRAM:
        yield definition.name, Series(labels, definition.kind is MetricType.COUNTER, closed)
        return
    bounds = tuple(str(float(bound)) for bound in definition.buckets)
    yield f"{definition.name}_bucket", Series(labels | {"le"}, counts=True, values={**closed, "le": (*bounds, "+Inf")})
    yield f"{definition.name}_count", Series(labels, counts=True, values=closed)
    yield f"{definition.name}_sum", Series(labels, counts=True, values=closed)


def _recorded(rule: Rule) -> Series:
    """What a recorded series is called by: the labels that the outermost aggregations of its expression leave."""
    kept = [labels for word, labels in groupings(rule.expression) if word == "by"]
    return Series(frozenset(kept[0]) if kept else frozenset())


KNOWN: dict[str, Series] = {
    "up": Series(TARGET),
    "ALERTS": Series(TARGET | {"alertname", "alertstate", "severity", "component"}),
    **dict(pair for definition in (*CATALOGUE, *PROBE.values()) for pair in _exposed(definition)),
    **{rule.name: _recorded(rule) for rule in RECORDED},
}


def findings(file: str, name: str, expression: str) -> list[str]:
    """List what is wrong with the names that an expression uses; empty when all exist."""
    return [
        f"{file}: {name}: {finding}" for finding in (*_of_selectors(selectors(expression)), *_of_groupings(expression))
    ]


def _of_selectors(found: Iterable[Selector]) -> Iterator[str]:
    for selector in found:
        series = KNOWN.get(selector.metric)
        if series is None:
            yield f"there is no metric {selector.metric}"
            continue
        yield from (flaw for matcher in selector.matchers for flaw in _of_matcher(selector.metric, series, matcher))
        rated = bool(RATES & set(selector.calls))
        if series.counts and not rated:
            yield f"the counter {selector.metric} stands outside rate() and increase()"
        if rated and not series.counts:
            yield f"{selector.metric} is no counter, but inside rate() or increase()"


def _of_matcher(metric: str, series: Series, matcher: Matcher) -> Iterator[str]:
    if matcher.label not in series.labels:
        yield f"{metric} has no label {matcher.label}"
    values = series.values.get(matcher.label)
    for value in _alternatives(matcher):
        if values is not None and value not in values:
            yield f"{matcher.label} of {metric} is never {value}"


def _alternatives(matcher: Matcher) -> list[str]:
    """Split a regular expression that is a list of words; a variable of Grafana or a pattern is no word."""
    words = [matcher.value] if matcher.operator in {"=", "!="} else matcher.value.split("|")
    return [word for word in words if re.fullmatch(r"[\w.+-]+", word) and not word.startswith("$") and word != ".+"]


def _of_groupings(expression: str) -> Iterator[str]:
    asked = [KNOWN[selector.metric].labels for selector in selectors(expression) if selector.metric in KNOWN]
    there = frozenset().union(*asked)
    for _, labels in groupings(expression):
        yield from (f"no series in it has the label {label}" for label in labels if label not in there)
