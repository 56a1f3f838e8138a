"""Durations, and deadlines that are missed."""

import pytest

from exporter.task.lifecycle import LONGEST_DURATION_SECONDS, Changes, bucket_index
from exporter.task.model import DURATION_BUCKETS, TERMINAL, TIMED, Event, Instant, PairStatus, Series, Status

from .sightings import HOUR, NOW, PAIR, at, known, observation, see, version

# --- Durations


@pytest.mark.parametrize("status", sorted(Status))
def test_durations_are_of_the_four_ends_that_mean_one(status: Status) -> None:
    durations = see(known(version("1", -10, Status.READY)), version("2", 0, status)).durations
    if status in TIMED:
        assert durations == [(PairStatus(PAIR, status), 3600.0)]
    else:
        assert durations == []


def test_a_duration_freezes_at_the_version_first_seen_there() -> None:
    row = known(version("1"), version("2", -5, Status.COMPLETED))
    assert see(row, version("3", 600, Status.COMPLETED)).durations == []


def test_a_status_reached_again_after_a_reopening_is_timed_again() -> None:
    row = known(version("1", -10, Status.FAILED), version("2", -8))
    assert see(row, version("3", -5, Status.FAILED)).durations == [(PairStatus(PAIR, Status.FAILED), 3300.0)]


@pytest.mark.parametrize(
    ("authored", "expected"),
    [
        (None, []),
        (NOW, [0.0]),
        (NOW + 1, []),
        (NOW - 1, [0.001]),
        (NOW - LONGEST_DURATION_SECONDS * 1000, [float(LONGEST_DURATION_SECONDS)]),
        (NOW - LONGEST_DURATION_SECONDS * 1000 - 1, []),
    ],
)
def test_no_duration_is_negative_or_absurd(authored: Instant | None, expected: list[float]) -> None:
    changes = see(None, version("1", 0, Status.COMPLETED, authored=authored))
    assert [seconds for _, seconds in changes.durations] == expected


@pytest.mark.parametrize("bound", DURATION_BUCKETS)
def test_a_bound_is_in_its_own_bucket(bound: int) -> None:
    place = DURATION_BUCKETS.index(bound)
    assert (bucket_index(bound), bucket_index(bound + 0.001), bucket_index(bound - 0.001)) == (place, place + 1, place)


# --- Deadlines


def missed(changes: Changes) -> int:
    return changes.counts[Series(Event.DEADLINE_MISSED, PAIR)]


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_task_that_ended_past_its_deadline_missed_it_once(status: Status) -> None:
    late = version("1", 0, status, authored=NOW - 24 * HOUR - 1)
    changes = see(None, late)
    assert missed(changes) == 1
    again = see(changes.rows["t"], late._replace(version="2", status=Status.READY), late._replace(version="3"))
    assert missed(again) == 0


def test_a_deadline_met_to_the_millisecond_is_met() -> None:
    assert missed(see(None, version("1", 0, Status.COMPLETED, authored=NOW - 24 * HOUR))) == 0


def test_an_edit_after_the_end_misses_no_deadline() -> None:
    row = known(version("1", 0, Status.COMPLETED))
    assert missed(see(row, version("2", 60 * 24 * 3, Status.COMPLETED))) == 0


def test_without_authored_on_the_deadline_runs_from_first_sight() -> None:
    row = known(version("1", -10, authored=None))
    in_time = version("2", 60 * 24 - 1, Status.COMPLETED, authored=None)
    late = version("2", 60 * 24 + 1, Status.COMPLETED, authored=None)
    assert missed(see(row, in_time, on=observation(now=at(60 * 24)))) == 0
    assert missed(see(row, late, on=observation(now=at(60 * 25)))) == 1


@pytest.mark.parametrize("authored", [NOW - 48 * HOUR, 1, 0])
def test_what_is_overdue_in_the_baseline_is_never_counted_as_missed(authored: Instant) -> None:
    overdue = version("1", -10, authored=authored)
    row = known(overdue, counting=False)
    assert row.deadline_missed
    assert missed(see(row, version("2", 0, Status.COMPLETED, authored=authored))) == 0


def test_what_was_open_in_the_baseline_counts_when_it_ends_late() -> None:
    row = known(version("1"), counting=False)
    assert not row.deadline_missed
    assert missed(see(row, version("2", 60 * 24, Status.FAILED), on=observation(now=at(60 * 24)))) == 1
