"""FHIR dates to and from whole milliseconds since 1970.

Only the shapes of FHIR R4's `instant` are read. A date without a time of day or a time zone is not an instant, and
nothing here guesses the rest of it or reads a clock.

See docs/fhir-quirks.md#task-fields, docs/fhir-quirks.md#q19.
"""

import re
from datetime import UTC, datetime, timedelta

from .model import Instant

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_END_MS = (datetime(2201, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
"""Years outside 1970 to 2200 are typing errors (0001, 9999): no duration or deadline may come from them."""

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
)


def parse_instant(text: str | None) -> Instant | None:
    """Read an `instant`, or a `dateTime` that holds one; None if it is absent, partial, out of range, or has no zone.

    Second 60 is read as 59, since `datetime` has no leap second. Digits past the millisecond are cut off.
    """
    if text is None or _INSTANT.fullmatch(text) is None:
        return None
    if text[17:19] == "60":
        text = f"{text[:17]}59{text[19:]}"
    try:
        instant = (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND
    except ValueError:  # February 30
        return None
    return instant if 0 <= instant < _END_MS else None


def format_instant(instant: Instant) -> str:
    """Write in UTC with a `Z`, for search parameters: a `+` would have to be escaped there."""
    return (_EPOCH + instant * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
