"""Which of two texts a client gets, and how two texts become one.

Rule 1: two formats and no others, whatever is asked for: a Content-Type is never made of what a client sent.
Rule 2: no request is refused for its headers (never 406): what cannot be read is passed over.

See docs/design.md#exposition-formats.
"""

import math
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple


class Format(StrEnum):
    """The two formats; each value is the Content-Type that Prometheus 3 insists on."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


EOF = b"# EOF\n"
"""What ends an OpenMetrics exposition, once."""

NAMES = {
    Format.TEXT: ("text/plain", "0.0.4"),
    Format.OPENMETRICS: ("application/openmetrics-text", "1.0.0"),
}


class Range(NamedTuple):
    """One member of an Accept header (RFC 9110, 12.5): a media range, or a coding, and its weight from 0 to 1."""

    name: str
    version: str | None
    weight: float


class Fit(NamedTuple):
    """How well a format answers: its weight, and how closely it was named (0: by `*/*`, 3: with its version)."""

    weight: float
    closeness: int


UNASKED = Fit(0.0, -1)


def negotiate(accept: str | None) -> Format:
    """Choose by weight; of two equal weights OpenMetrics, but only where it was asked for by name.

    No header, nothing that we have, or nothing that can be read: text 0.0.4.
    """
    ranges = list(_ranges(accept or ""))
    text, openmetrics = _fit(Format.TEXT, ranges), _fit(Format.OPENMETRICS, ranges)
    if openmetrics.weight > text.weight:
        return Format.OPENMETRICS
    named = openmetrics.closeness >= 2 and openmetrics.weight > 0  # noqa: PLR2004 - by its name, not by a wildcard
    return Format.OPENMETRICS if named and openmetrics.weight == text.weight else Format.TEXT


def accepts_gzip(header: str | None) -> bool:
    """Read an Accept-Encoding header: `gzip` by its name, else by `*`; a weight of 0 refuses it (RFC 9110, 12.5.3)."""
    weights = {each.name: each.weight for each in _ranges(header or "")}
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def join(parts: Iterable[bytes], form: Format) -> bytes:
    """Make one exposition of several, each whole in itself; no family may be in two of them."""
    if form is Format.TEXT:
        return b"".join(parts)
    return b"".join([*(part.removesuffix(EOF) for part in parts), EOF])


def _fit(form: Format, ranges: Iterable[Range]) -> Fit:
    """Find the closest range that the format falls under: it alone decides (RFC 9110, 12.5.1)."""
    fits = (Fit(each.weight, closeness) for each in ranges if (closeness := _closeness(form, each)) >= 0)
    return max(fits, key=lambda fit: (fit.closeness, fit.weight), default=UNASKED)


def _closeness(form: Format, asked: Range) -> int:
    """0 for `*/*`, 1 for its type, 2 for its name, 3 with its version; -1 for anything else."""
    name, version = NAMES[form]
    if asked.name == name:
        return 2 if asked.version is None else 3 if asked.version == version else -1
    return {"*/*": 0, f"{name.partition('/')[0]}/*": 1}.get(asked.name, -1)


def _ranges(header: str) -> Iterator[Range]:
    """Take a header apart; members whose weight is no number are left out."""
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
