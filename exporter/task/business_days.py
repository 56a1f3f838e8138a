"""Deadlines in business days: the n-th next business day, at the local time of the request.

Rule 1: what arrives on a weekend or holiday counts from 00:00 of the next business day.
Rule 2: a due date never goes back as `authoredOn` goes on, also where clocks are changed: `cutoff` relies on it.

42 CFR 422.121(b)(5) says "one business day" and defines no calendar, so the calendar is the operator's.
See docs/design.md#business-days.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from .model import DAY, Instant

_DAY = timedelta(days=1)
_DAY_MS = DAY * 1000
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_BREAK_DAYS = 60
"""After so many days in a row without a business day the calendar is taken for a mistake, and any day counts."""

IsHoliday = Callable[[date], bool]


def no_holidays(_day: date) -> bool:
    """Know no holiday."""
    return False


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are business days, and the time zone in which a day begins and ends."""

    zone: tzinfo = UTC
    is_holiday: IsHoliday = no_holidays

    def is_business_day(self, day: date) -> bool:
        """Whether a day is neither Saturday, Sunday nor a holiday."""
        return day.weekday() < 5 and not self.is_holiday(day)  # noqa: PLR2004 - Monday is 0

    def following(self, day: date) -> date:
        """Return the first business day after a day."""
        days = (day + distance * _DAY for distance in range(1, _LONGEST_BREAK_DAYS))
        return next(filter(self.is_business_day, days), day + _DAY)

    def wall_time(self, at: Instant) -> datetime:
        """Return what clocks on the wall show, or rather the latest that they have shown: it never goes back.

        In the hour that is repeated when clocks are set back, it is the time at which they are set back.
        """
        moment = self._moment(at)
        if moment.fold:
            before = moment.replace(fold=0)
            change = self._offset_change(_instant(before), at)
            moment = before + (change - _instant(before)) * _MILLISECOND
        return moment.replace(tzinfo=None, fold=0)

    def instant(self, wall: datetime) -> Instant:
        """Return when clocks show a time: the second time if they do twice, and if they skip it, when they do."""
        first, second = (_instant(wall.replace(tzinfo=self.zone, fold=fold)) for fold in (0, 1))
        return second if first <= second else self._offset_change(second, first)

    def _moment(self, at: Instant) -> datetime:
        return (_EPOCH + at * _MILLISECOND).astimezone(self.zone)

    def _offset_change(self, low: Instant, high: Instant) -> Instant:
        """Find the first instant after `low`, and up to `high`, at which clocks were changed."""
        before = self._moment(low).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._moment(middle).utcoffset() == before else (low, middle)
        return high


def _instant(moment: datetime) -> Instant:
    return (moment - _EPOCH) // _MILLISECOND


class BusinessDays:
    """A deadline of so many business days."""

    def __init__(self, days: int, calendar: Calendar) -> None:
        self._days = days
        self._calendar = calendar
        self._due_day = lru_cache(4096)(self._count_days)
        """Tasks of one day share it."""

    def due(self, authored: Instant) -> Instant:
        """Return the last instant that is still in time."""
        wall = self._calendar.wall_time(authored)
        due_day, from_midnight = self._due_day(wall.date())
        return self._calendar.instant(datetime.combine(due_day, time() if from_midnight else wall.time()))

    def _count_days(self, day: date) -> tuple[date, bool]:
        """Return the day on which what arrives on `day` is due, and whether it counts from 00:00."""
        calendar = self._calendar
        from_midnight = not calendar.is_business_day(day)
        due_day = calendar.following(day) if from_midnight else day
        for _ in range(self._days):
            due_day = calendar.following(due_day)
        return due_day, from_midnight

    def cutoff(self, now: Instant) -> Instant:
        """Return the earliest authored instant that is not past due: Tasks authored before it were due before `now`."""
        low, high = now - _DAY_MS, now
        while self.due(low) >= now:
            low, high = low - 2 * (high - low), low
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.due(middle) < now else (low, middle)
        return high
