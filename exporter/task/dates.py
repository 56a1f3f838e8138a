"""Dates as FHIR writes them, to and from whole milliseconds.

Only the shapes of FHIR's own regular expressions are read (R4, datatypes: instant, dateTime). Nothing here knows what
time it is, and nothing here guesses: a date without a time or a zone is no instant.

See docs/fhir-quirks.md#task-fields, docs/fhir-quirks.md#q19.
"""

import re
from datetime import date
from functools import lru_cache

from .model import Instant

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_EPOCH = date(1970, 1, 1).toordinal()
_LAST = (date(2201, 1, 1).toordinal() - _EPOCH) * _DAY
"""Years outside 1970 to 2200 are faults of entry (0001, 9999): no duration or deadline should come of them."""

_DAYS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HOURS = {f"T{hour:02}:": hour * _HOUR for hour in range(24)}
_MINUTES = {f"{minute:02}": minute * _MINUTE for minute in range(60)}
_SECONDS = {f":{second:02}": min(second, 59) * _SECOND for second in range(61)}
_TAIL = re.compile(r"(?:\.([0-9]+))?(?:Z|([+-])(?:(0[0-9]|1[0-3]):([0-5][0-9])|(14):(00)))")
_SHORT = 16
"""Characters of a fraction and a zone as servers write them; only such are remembered, so that memory is bounded."""


def parse_instant(text: str) -> Instant | None:
    """Read an `instant`, or a `dateTime` that holds one; None where it is partial, without zone, or out of range.

    Second 60 is read as 59 (a leap second has no number of its own); digits past the millisecond are cut off.
    """
    try:
        clock = _HOURS[text[10:14]] + _MINUTES[text[14:16]] + _SECONDS[text[16:19]]
    except KeyError:
        return None
    midnight, tail = _midnight(text[:10]), text[19:]
    shift = _short_tail(tail) if len(tail) <= _SHORT else _read_tail(tail)
    if midnight is None or shift is None:
        return None
    instant = midnight + clock + shift
    return instant if 0 <= instant < _LAST else None


def format_instant(instant: Instant) -> str:
    """Write in UTC, as a search parameter takes it: a `+` would have to be escaped."""
    days, rest = divmod(instant, _DAY)
    minutes, rest = divmod(rest, _MINUTE)
    seconds, milliseconds = divmod(rest, _SECOND)
    day = date.fromordinal(_EPOCH + days).isoformat()
    return f"{day}T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{milliseconds:03}Z"


@lru_cache(maxsize=4096)
def _midnight(day: str) -> int | None:
    """Give the start of the day in UTC; None for a day that no calendar has. Tasks share few days: hence the cache."""
    try:
        return (date.fromisoformat(day).toordinal() - _EPOCH) * _DAY if _DAYS.fullmatch(day) else None
    except ValueError:
        return None


def _read_tail(tail: str) -> int | None:
    """Give what follows the second, fraction and zone, in milliseconds to add for UTC."""
    found = _TAIL.fullmatch(tail)
    if found is None:
        return None
    fraction, sign, *offset = found.groups()
    hours, minutes = [int(part) for part in offset if part] or (0, 0)
    distance = hours * _HOUR + minutes * _MINUTE
    return (int(fraction[:3].ljust(3, "0")) if fraction else 0) + (distance if sign == "-" else -distance)


_short_tail = lru_cache(maxsize=4096)(_read_tail)
