"""Instants as FHIR writes them, and the time span that a search value covers.

The exporter has date functions of its own. The simulated server does not share them on purpose: tests could not see a
fault that is the same on both sides.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..task.model import Instant

EVER = 2**62
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = len("2026-11-20")
_MINUTE = len("2026-11-20T14:03")
_SECOND = len("2026-11-20T14:03:11")


class Span(NamedTuple):
    """From `low` (inclusive) to `high` (exclusive)."""

    low: Instant = -EVER
    high: Instant = EVER

    def intersect(self, other: "Span") -> "Span":
        """Return what lies in both."""
        return Span(max(self.low, other.low), min(self.high, other.high))


ALWAYS = Span()


def format_stamp(at: Instant) -> str:
    """Format as HAPI does: to the millisecond, in UTC."""
    return (EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_span(value: str) -> Span:
    """Parse a FHIR date or dateTime as the span that it covers at its precision (FHIR R4 search, §3.1.1.4.7).

    Years and months are not supported. Raises ValueError, or TypeError for a time without a zone.
    """
    moment = datetime.fromisoformat(value)
    if len(value) == _DAY:
        moment = moment.replace(tzinfo=UTC)
    low = (moment - EPOCH) // timedelta(milliseconds=1)
    return Span(low, low + _precision_ms(value))


def _precision_ms(value: str) -> int:
    clock = value.rstrip("Z").split("+")[0]
    clock = clock[:_DAY] + clock[_DAY:].split("-")[0]
    if "." in clock:
        return 1
    return {_DAY: 86_400_000, _MINUTE: 60_000, _SECOND: 1_000}.get(len(clock), 1)
