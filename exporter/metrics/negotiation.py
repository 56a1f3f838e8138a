"""Content negotiation: the exposition format and compression that a client accepts; and joining of expositions.

Rule 1: there are two formats, whatever is asked for: a Content-Type is never built from what a client sent.
Rule 2: no request is refused for its headers (never 406): what cannot be parsed is ignored.

See docs/design.md#exposition-formats.
"""

import math
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple


class Format(StrEnum):
    """The two formats; each value is the Content-Type, without which Prometheus 3 fails the scrape."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


EOF = b"# EOF\n"
"""The last line of an OpenMetrics exposition, and only the last."""

MEDIA_TYPES = {
    Format.TEXT: ("text/plain", "0.0.4"),
    Format.OPENMETRICS: ("application/openmetrics-text", "1.0.0"),
}


class Range(NamedTuple):
    """A member of an Accept or Accept-Encoding header (RFC 9110, 12.5). Weights are from 0 to 1."""

    name: str
    version: str | None
    weight: float


class Preference(NamedTuple):
    """How much a client wants a format: the weight of the range that matched, and how specific that range was."""

    weight: float
    specificity: int


NO_MATCH = Preference(0.0, -1)
BY_NAME = 2
"""The specificity of a range that names the media type itself, without wildcards."""


def negotiate(accept: str | None) -> Format:
    """Choose the format with the higher weight; of equal weights OpenMetrics, if it was requested by name.

    Text 0.0.4 where there is no header, no match, or nothing that can be parsed.
    """
    ranges = list(_ranges(accept or ""))
    text, openmetrics = _preference(Format.TEXT, ranges), _preference(Format.OPENMETRICS, ranges)
    if openmetrics.weight > text.weight:
        return Format.OPENMETRICS
    named = openmetrics.specificity >= BY_NAME and openmetrics.weight > 0
    return Format.OPENMETRICS if named and openmetrics.weight == text.weight else Format.TEXT


def accepts_gzip(header: str | None) -> bool:
    """Parse an Accept-Encoding header: `gzip` by name, else `*`; a weight of 0 refuses it (RFC 9110, 12.5.3)."""
    weights = {each.name: each.weight for each in _ranges(header or "")}
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def join(parts: Iterable[bytes], form: Format) -> bytes:
    """Join complete expositions into one; no metric family may be in two of them."""
    if form is Format.TEXT:
        return b"".join(parts)
    return b"".join([*(part.removesuffix(EOF) for part in parts), EOF])


def _preference(form: Format, ranges: Iterable[Range]) -> Preference:
    """Take the most specific range that matches: it alone sets the weight (RFC 9110, 12.5.1)."""
    matches = (Preference(each.weight, rank) for each in ranges if (rank := _specificity(form, each)) >= 0)
    return max(matches, key=lambda match: (match.specificity, match.weight), default=NO_MATCH)


def _specificity(form: Format, requested: Range) -> int:
    """Rank a match: 0 for `*/*`, 1 for `type/*`, 2 for the media type, 3 with its version; -1 for no match."""
    name, version = MEDIA_TYPES[form]
    if requested.name == name:
        return BY_NAME if requested.version is None else BY_NAME + 1 if requested.version == version else -1
    return {"*/*": 0, f"{name.partition('/')[0]}/*": 1}.get(requested.name, -1)


def _ranges(header: str) -> Iterator[Range]:
    """Parse a header; members whose weight is not a number are ignored."""
    for member in header.lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        values = dict(_parameter(each) for each in parameters)
        weight = _weight(values.get("q", "1"))
        if weight is not None:
            yield Range(name, values.get("version"), weight)


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


def _weight(text: str) -> float | None:
    try:
        weight = float(text)
    except ValueError:
        return None
    return min(weight, 1.0) if math.isfinite(weight) and weight >= 0 else None
