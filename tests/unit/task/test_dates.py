"""What of FHIR's dates is an instant, and that it is the right one."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.task.dates import format_instant, parse_instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
ZONES = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 12, 30), timezones=ZONES)  # noqa: DTZ001 - drawn with a zone

FHIR_INSTANT = re.compile(  # R4, datatypes: instant
    r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
)


@given(MOMENTS)
def test_an_instant_is_what_datetime_says_cut_to_the_millisecond(moment: datetime) -> None:
    text = moment.isoformat()
    assert FHIR_INSTANT.fullmatch(text)
    assert parse_instant(text) == (moment - EPOCH) // MILLISECOND


@given(st.integers(0, 231 * 365 * 86_400_000))
def test_what_is_written_is_read_again(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant
    assert len(format_instant(instant)) == len("2026-11-20T14:03:11.482Z")


@given(st.from_regex(FHIR_INSTANT, fullmatch=True))
def test_whatever_fhir_allows_is_read_if_the_calendar_has_it(text: str) -> None:
    day = text.partition("T")[0]
    try:
        known = 1971 <= datetime.fromisoformat(day).year <= 2200
    except ValueError:
        known = False
    assert (parse_instant(text) is not None) == known or day.startswith(("1970", "1969", "2201"))


@given(st.text(alphabet="0123456789-+:.TZtz \u0661", max_size=40) | st.from_regex(FHIR_INSTANT))
@example("2026-11-20T14:03:11Z\n")
@example("2026-11-20T14:03:11.\u0663Z")
def test_what_fhir_does_not_allow_is_no_instant(text: str) -> None:
    if FHIR_INSTANT.fullmatch(text) is None or not text.isascii():
        assert parse_instant(text) is None


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-06-30T23:59:60Z", "2026-06-30T23:59:59Z"),
        ("2026-06-30T23:59:60.7Z", "2026-06-30T23:59:59.700Z"),
        ("2026-11-20T14:03:11.5+14:00", "2026-11-20T00:03:11.500Z"),
        ("2026-11-20T14:03:11-14:00", "2026-11-21T04:03:11Z"),
        ("2026-11-20T14:03:11.4829999999999999999999Z", "2026-11-20T14:03:11.482Z"),
        ("2026-11-20T14:03:11." + "9" * 5000 + "+00:00", "2026-11-20T14:03:11.999Z"),
        ("2200-12-31T23:59:59.999Z", "2200-12-31T23:59:59.999Z"),
    ],
)
def test_odd_but_legal_shapes_are_read(text: str, same: str) -> None:
    assert parse_instant(text) is not None
    assert parse_instant(text) == parse_instant(same)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026", "2026-11", "2026-11-19", "2026-11-19T09:15Z", "2026-11-19T09:15:00", "2026-11-19T24:00:00Z"),
        *("2026-11-19t09:15:00Z", "2026-11-19T09:15:00z", "2026-11-19 09:15:00Z", "2026-11-19T09:15:00+14:01"),
        *("2026-11-19T09:15:00+0500", "2026-11-19T09:15:00.Z", "2026-11-19T09:15:61Z", "20261119T091500Z"),
        *("2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-W01-1T00:00:00Z", "0001-01-01T00:00:00Z"),
        *("1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2201-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        *("2026-11-19T09:15:00Z ", " 2026-11-19T09:15:00Z", "2026-11-19T09:15:00Z\n", "2026-11-19T0\uff19:15:00Z"),
    ],
)
def test_no_instant(text: str) -> None:
    assert parse_instant(text) is None
