"""Instants as FHIR writes them, and the span of time that a search value means.

Nothing here knows resources or requests.
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
    """From `low`, included, to `high`, excluded."""

    low: Instant = -EVER
    high: Instant = EVER

    def within(self, other: "Span") -> "Span":
        """Keep what lies in both."""
        return Span(max(self.low, other.low), min(self.high, other.high))


ALWAYS = Span()


def written(at: Instant) -> str:
    """Write as HAPI does, to the millisecond, in UTC."""
    return (EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def meant(value: str) -> Span:
    """Read a FHIR date or dateTime as the span it covers at its precision (FHIR R4 search, §3.1.1.4.7).

    Raises ValueError; months and years alone are not taken, nor is a time without a zone.
    """
    moment = datetime.fromisoformat(value)
    if len(value) == _DAY:
        moment = moment.replace(tzinfo=UTC)
    low = (moment - EPOCH) // timedelta(milliseconds=1)  # TypeError without a zone
    return Span(low, low + _width(value))


def _width(value: str) -> int:
    clock = value.rstrip("Z").split("+")[0]
    clock = clock[:_DAY] + clock[_DAY:].split("-")[0]
    if "." in clock:
        return 1
    return {_DAY: 86_400_000, _MINUTE: 60_000, _SECOND: 1_000}.get(len(clock), 1)
