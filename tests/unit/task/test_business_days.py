"""Deadlines in business days, on calendars of two zones with holidays and changes of clocks."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.task.business_days import BusinessDays, Calendar

NEW_YORK = ZoneInfo("America/New_York")
UNITED_STATES = Calendar(NEW_YORK, holidays.country_holidays("US").__contains__)
# In Cairo clocks change on working days: at midnight, Thursday into Friday and back.
EGYPT = Calendar(ZoneInfo("Africa/Cairo"), holidays.country_holidays("EG").__contains__)
CALENDARS = st.sampled_from([UNITED_STATES, EGYPT])
START = int(datetime(2023, 1, 1, tzinfo=UTC).timestamp()) * 1000
TEN_YEARS = 3653 * 86_400_000
INSTANTS = st.integers(START, START + TEN_YEARS)
DAYS = st.integers(1, 12)


def at(text: str, zone: tzinfo = NEW_YORK) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def near_changes() -> st.SearchStrategy[int]:
    """Instants within two hours of a change of clocks in Cairo."""
    zone, hour = EGYPT.zone, 3_600_000
    hours = range(START, START + TEN_YEARS, hour)
    offsets = {each: (datetime.fromtimestamp(each / 1000, zone)).utcoffset() for each in hours}
    changes = [each for each in hours[1:] if offsets[each] != offsets[each - hour]]
    assert len(changes) == 20
    return st.builds(lambda change, away: change + away, st.sampled_from(changes), st.integers(-2 * hour, 2 * hour))


@pytest.mark.parametrize(
    ("days", "authored", "due"),
    [
        (1, "2026-11-20T17:00", "2026-11-23T17:00"),  # Friday to Monday: 72 hours
        (1, "2026-12-24T16:00", "2026-12-28T16:00"),  # over Christmas, a Friday, and the weekend
        (1, "2026-11-21T10:00", "2026-11-24T00:00"),  # Saturday counts from Monday, 00:00
        (1, "2026-12-25T10:00", "2026-12-29T00:00"),  # so does a holiday
        (2, "2026-11-25T09:00", "2026-11-30T09:00"),  # Wednesday, over Thanksgiving: Friday is the first day
        (1, "2026-07-02T12:00", "2026-07-06T12:00"),  # 4 July is a Saturday, so Friday is the holiday
        (1, "2026-03-06T12:00", "2026-03-09T12:00"),  # over the change to summer time: 71 hours, the same local time
    ],
)
def test_a_deadline_ends_at_the_local_time_of_the_request(days: int, authored: str, due: str) -> None:
    assert BusinessDays(days, UNITED_STATES).due(at(authored)) == at(due)


def test_friday_evening_is_due_after_72_hours() -> None:
    friday = at("2026-11-20T17:00")
    assert BusinessDays(1, UNITED_STATES).due(friday) - friday == 72 * 3_600_000


def test_company_days_are_no_business_days() -> None:
    closed = Calendar(NEW_YORK, lambda day: day == date(2026, 11, 23))
    assert BusinessDays(1, closed).due(at("2026-11-20T17:00")) == at("2026-11-24T17:00")


def test_a_time_that_clocks_skip_is_due_when_they_skip_it() -> None:
    zone = ZoneInfo("Africa/Cairo")  # 2026-04-24, a Friday, begins at 01:00
    due = BusinessDays(1, Calendar(zone)).due(at("2026-04-23T00:30", zone))
    assert due == at("2026-04-24T01:00", zone)


def test_a_time_that_clocks_show_twice_is_due_at_the_second() -> None:
    zone = ZoneInfo("Africa/Cairo")  # on Thursday, 2026-10-29, 23:30 comes twice
    due = BusinessDays(1, Calendar(zone)).due(at("2026-10-28T23:30", zone))
    assert due - at("2026-10-29T23:30", zone) == 3_600_000


def test_a_calendar_without_business_days_still_ends() -> None:
    never = BusinessDays(3, Calendar(UTC, lambda _day: True))
    assert never.due(START) > START
    assert never.cutoff(START) < START


@settings(deadline=None)
@given(CALENDARS, DAYS, INSTANTS | near_changes(), INSTANTS | near_changes())
def test_a_later_task_is_never_due_earlier(calendar: Calendar, days: int, one: int, other: int) -> None:
    deadline = BusinessDays(days, calendar)
    first, second = sorted((one, other))
    assert first <= deadline.due(first) <= deadline.due(second)


@settings(deadline=None)
@given(CALENDARS, DAYS, near_changes(), st.integers(0, 7_200_000))
def test_nor_within_hours_of_a_change_of_clocks(calendar: Calendar, days: int, one: int, later: int) -> None:
    deadline = BusinessDays(days, calendar)
    assert deadline.due(one) <= deadline.due(one + later)


@settings(deadline=None)
@given(CALENDARS, DAYS, INSTANTS | near_changes(), INSTANTS | near_changes())
def test_the_cutoff_is_the_inverse(calendar: Calendar, days: int, authored: int, now: int) -> None:
    deadline = BusinessDays(days, calendar)
    cutoff = deadline.cutoff(now)
    assert (authored < cutoff) == (deadline.due(authored) < now)
    assert deadline.due(cutoff) >= now > deadline.due(cutoff - 1)


@settings(deadline=None)
@given(CALENDARS, DAYS, INSTANTS)
def test_so_many_business_days_lie_between(calendar: Calendar, days: int, authored: int) -> None:
    arrived = calendar.wall_time(authored).date()
    due = calendar.wall_time(BusinessDays(days, calendar).due(authored)).date()
    between = (arrived + timedelta(n) for n in range(1, (due - arrived).days + 1))
    assert sum(map(calendar.is_business_day, between)) == days + (not calendar.is_business_day(arrived))
