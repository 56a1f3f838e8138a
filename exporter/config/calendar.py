"""The operator's calendar: a time zone, public holidays by the library `holidays`, and days that the company adds.

`holidays` and its data are loaded only when asked for: they take 16 MB.
"""

import re
from collections.abc import Container
from datetime import UTC, date, tzinfo
from importlib import import_module
from importlib.util import find_spec
from zoneinfo import ZoneInfo

from ..task.business_days import Calendar
from .values import InvalidValue

_PLACE = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,4}))?")
_EVERY_YEAR = re.compile(r"[0-9]{2}-[0-9]{2}")
_INSTALL = "needs the library holidays: pip install '.[holidays]' in a clone, or fhir-task-exporter[holidays]"


ClosedDay = date | tuple[int, int]
"""A day of one year, or month and day of every year."""
ClosedDays = frozenset[ClosedDay]


def timezone(text: str) -> tzinfo:
    """Parse the name of an IANA time zone."""
    if text == "UTC":  # also where there is no database of time zones
        return UTC
    try:
        return ZoneInfo(text)
    except (ValueError, KeyError, OSError):
        raise InvalidValue("must be an IANA time zone such as America/New_York") from None


def holidays(text: str) -> str:
    """Parse the code of a country, or of a state in it, whose public holidays are known."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidValue("must be a country, or country and state, such as US or US-NY")
    if find_spec("holidays") is None:
        raise InvalidValue(_INSTALL)
    try:
        _load(text)
    except NotImplementedError:
        raise InvalidValue("is not a country or state whose holidays are known") from None
    return text


def _load(place: str) -> Container[date]:
    """Return the holidays of a place; a year is computed when it is first asked about."""
    country, _, state = place.partition("-")
    made: Container[date] = import_module("holidays").country_holidays(country, subdiv=state or None)
    return made


def closed_day(text: str) -> ClosedDay:
    """Parse a day of one year, `2026-11-27`, or of every year, `12-24`."""
    try:
        if _EVERY_YEAR.fullmatch(text):
            leap = date.fromisoformat(f"2000-{text}")
            return leap.month, leap.day
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidValue("must be a day such as 2026-11-27, or 12-24 for every year") from None


def make_calendar(zone: tzinfo, place: str | None, closed: ClosedDays) -> Calendar:
    """Put a calendar together."""
    public: Container[date] = _load(place) if place else ()

    def is_holiday(day: date) -> bool:
        return day in closed or (day.month, day.day) in closed or day in public

    return Calendar(zone, is_holiday)
