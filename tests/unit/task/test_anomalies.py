"""Anomalies, and what cannot be used as a Task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.task.lifecycle import vanish
from exporter.task.model import LASTING, Anomaly, Event, Series, Status
from exporter.task.rows import ANOMALY_BITS, pack_anomalies, unpack_anomalies

from .sightings import NOW, PAIR, at, counted, known, moved, observation, see, version

# --- What cannot be used


@pytest.mark.parametrize("kind", [Anomaly.FOREIGN, Anomaly.UNPARSABLE])
def test_what_cannot_be_used_is_an_anomaly_and_no_task(kind: Anomaly) -> None:
    changes = see(None, version(anomalies=frozenset({kind})))
    assert counted(changes) == {(Event.ANOMALY, kind): 1}
    assert moved(changes) == {}
    assert changes.anomalous == {kind: 1}
    assert vanish(changes.rows.values(), NOW).anomalous[kind] == -1
    assert counted(vanish(changes.rows.values(), NOW)) == {}


@pytest.mark.parametrize("kind", [Anomaly.FOREIGN, Anomaly.UNPARSABLE])
def test_what_becomes_usable_for_the_first_time_is_created(kind: Anomaly) -> None:
    row = known(version("1", anomalies=frozenset({kind})))
    changes = see(row, version("2", -5))
    assert changes.counts[Series(Event.CREATED, PAIR)] == 1
    assert changes.anomalous[kind] == -1


def test_a_task_unreadable_for_one_version_is_not_created_again_and_enters_no_status_twice() -> None:
    row = known(version("1"))
    odd = see(row, version("2", -5, Status.UNKNOWN, anomalies=frozenset({Anomaly.UNPARSABLE})))
    assert moved(odd) == {Status.REQUESTED: -1}
    same = see(odd.rows["t"], version("3", -4))
    assert counted(same) == {}
    assert moved(same) == {Status.REQUESTED: 1}
    ended = see(odd.rows["t"], version("3", -4, Status.COMPLETED, outputs=1))
    assert counted(ended) == {(Event.TRANSITION, "completed"): 1}


# --- Anomalies that last


@pytest.mark.parametrize("kind", sorted(LASTING - {Anomaly.FUTURE_STAMP, Anomaly.FOREIGN, Anomaly.UNPARSABLE}))
def test_anomalies_count_once_a_version_and_show_while_they_last(kind: Anomaly) -> None:
    odd = frozenset({kind})
    first = see(None, version(anomalies=odd), version(anomalies=odd))
    assert counted(first)[Event.ANOMALY, kind] == 1
    assert first.anomalous == {kind: 1}
    second = see(first.rows["t"], version("2", -5, anomalies=odd))
    assert counted(second)[Event.ANOMALY, kind] == 1
    assert not +second.anomalous
    corrected = see(second.rows["t"], version("3", -4))
    assert corrected.anomalous == {kind: -1}


def test_a_stamp_ahead_of_the_servers_clock_is_an_anomaly_until_its_time_comes() -> None:
    near = see(None, version("1", 0.5))
    assert counted(near)[Event.CREATED, ""] == 1
    assert (Event.ANOMALY, Anomaly.FUTURE_STAMP) not in counted(near)
    ahead = see(None, version("1", 90))
    assert counted(ahead)[Event.ANOMALY, Anomaly.FUTURE_STAMP] == 1
    later = see(ahead.rows["t"], version("1", 90), on=observation(now=at(100)))
    assert later.anomalous == {Anomaly.FUTURE_STAMP: -1}
    assert counted(later) == {}


def test_a_late_find_of_a_full_comparison_joins_the_baseline() -> None:
    joining = observation(joining=at(0))
    old = see(None, version("3", -1, Status.COMPLETED), on=joining)
    assert counted(old) == {(Event.ANOMALY, "late_old"): 1}
    assert moved(old) == {Status.COMPLETED: 1}
    assert old.durations == []
    young = see(None, version("3", 0, Status.COMPLETED), on=joining)
    assert counted(young)[Event.CREATED, ""] == 1
    known_one = see(known(version("2")), version("3", -1, Status.COMPLETED), on=joining)
    assert counted(known_one)[Event.TRANSITION, "completed"] == 1


@given(st.sets(st.sampled_from(sorted(Anomaly))))
def test_anomalies_fit_into_one_integer_and_back(kinds: set[Anomaly]) -> None:
    assert set(unpack_anomalies(pack_anomalies(kinds))) == kinds & LASTING


def test_the_bits_of_anomalies_are_those_that_ledgers_hold() -> None:
    assert ANOMALY_BITS[Anomaly.MISSING_AUTHORED_ON] == 1
    assert ANOMALY_BITS[Anomaly.MISSING_FOR] == 512
    assert ANOMALY_BITS[Anomaly.UNPARSABLE] == 8192
