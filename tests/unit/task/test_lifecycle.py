"""What a change of a Task means: the table of verdicts row by row, and the rules of counting.

A test says what was known, what is seen now, and what is counted; nothing here knows a server or a ledger.
"""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.task.deadline import Deadline
from exporter.task.lifecycle import LONGEST_DURATION, Changes, Observation, bucket_index, compare, vanish
from exporter.task.model import (
    DURATION_BUCKETS,
    LASTING,
    NO_PAIR,
    OPEN,
    TERMINAL,
    TIMED,
    Anomaly,
    Event,
    Instant,
    Pair,
    PairStatus,
    Series,
    Status,
    Task,
)
from exporter.task.rows import ANOMALY_BITS, Removal, Row, pack_anomalies, unpack_anomalies
from exporter.task.versions import Verdict, verdict, version_number, version_rank

NOW: Instant = 1_795_176_000_000
HOUR = 3_600_000
DEADLINE = Deadline(24 * HOUR)
PAIR = Pair("Old Payer", "New Payer")
OTHER = Pair("Third Payer", "New Payer")
UUIDS = ("f0e1d2c3-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")


def at(minutes: float) -> Instant:
    return NOW + round(minutes * 60_000)


def version(number_: str = "1", minutes: float = -10, status: Status = Status.REQUESTED, **more: object) -> Task:
    """Make a version of the Task `t`, authored an hour ago, stamped so many minutes from now."""
    return Task("t", number_, at(minutes), status, **({"authored": NOW - HOUR} | more))  # type: ignore[arg-type]


def observation(counting: bool = True, joining: Instant | None = None, now: Instant = NOW) -> Observation:
    return Observation(now, DEADLINE, counting, joining)


def see(row: Row | None, *tasks: Task, pair: Pair = PAIR, on: Observation | None = None) -> Changes:
    """Let these versions stand on one page."""
    known = {} if row is None else {row.id: row}
    placed = [(task, pair if task.tagged and task.usable else NO_PAIR) for task in tasks]
    return compare(known, placed, on or observation())


def known(*tasks: Task, counting: bool = True) -> Row:
    """The row after these versions, each seen at its own time."""
    row = None
    for task in tasks:
        row = see(row, task, on=observation(counting)).rows.get("t", row)
    assert row is not None
    return row


def counted(changes: Changes) -> dict[tuple[Event, str], int]:
    return {(series.event, series.label): n for series, n in changes.counts.items() if n}


def moved(changes: Changes) -> dict[Status, int]:
    return {key.status: n for key, n in changes.tasks.items() if n}


# --- The table of verdicts (docs/design.md#version-order)

KNOWN, NEWER, RECREATED, STALE = Verdict.KNOWN, Verdict.NEWER, Verdict.RECREATED, Verdict.STALE

TABLE = [
    ("4", "5", +1, NEWER),
    ("4", "5", 0, NEWER),
    ("4", "5", -1, NEWER),
    ("9", "10", +1, NEWER),
    ("4", "4", 0, KNOWN),
    ("4", "4", +1, RECREATED),
    ("4", "4", -1, STALE),
    ("4", "1", +1, RECREATED),
    ("10", "9", 0, STALE),
    ("4", "1", 0, STALE),
    ("4", "1", -1, STALE),
    (UUIDS[0], UUIDS[1], +1, NEWER),
    (UUIDS[0], UUIDS[1], 0, NEWER),
    (UUIDS[0], UUIDS[1], -1, STALE),
    (UUIDS[0], UUIDS[0], 0, KNOWN),
    (UUIDS[0], "5", +1, NEWER),
    ("5", UUIDS[0], +1, NEWER),
    ("5", UUIDS[0], -1, STALE),
    ("", "", 0, KNOWN),
    ("", "", +1, NEWER),
]


@pytest.mark.parametrize(("before", "after", "minutes", "expected"), TABLE)
def test_version_and_stamp_together_decide_the_verdict(
    before: str, after: str, minutes: int, expected: Verdict
) -> None:
    assert verdict(known(version(before)), version(after, -10 + minutes)) is expected


def test_a_task_never_seen_is_new() -> None:
    assert verdict(None, version()) is Verdict.NEW


@pytest.mark.parametrize("text", ["", "-1", "1.0", "٣", "0x10", "9" * 19, "1e3", " 1"])
def test_what_is_no_plain_number_is_an_opaque_version(text: str) -> None:
    assert version_number(text) is None
    assert version_rank(text, 77) == 77


# --- What is counted


def test_a_new_task_counts_as_created_and_as_entering_its_status() -> None:
    for status in Status:
        changes = see(None, version(status=status))
        assert changes.counts[Series(Event.CREATED, PAIR)] == 1
        assert changes.counts[Series(Event.TRANSITION, PAIR, status)] == 1
        assert moved(changes) == {status: 1}


def test_a_baseline_moves_gauges_and_counts_nothing() -> None:
    tasks = [version(status=status)._replace(id=status.value) for status in Status]
    changes = compare({}, [(task, PAIR) for task in tasks], observation(counting=False))
    assert counted(changes) == {}
    assert changes.durations == []
    assert moved(changes) == dict.fromkeys(Status, 1)


def test_the_same_version_again_changes_nothing() -> None:
    row = known(version())
    changes = see(row, version(), version())
    assert changes.rows == {}
    assert counted(changes) == {}
    assert changes.seen_ids == ["t", "t"]


def test_two_versions_on_one_page_are_compared_in_order() -> None:
    changes = see(None, version("1"), version("2", -5, Status.FAILED), version("2", -5, Status.FAILED))
    assert counted(changes) == {
        (Event.CREATED, ""): 1,
        (Event.TRANSITION, "requested"): 1,
        (Event.TRANSITION, "failed"): 1,
        (Event.FAILURE, "unclassified"): 1,
    }
    assert moved(changes) == {Status.FAILED: 1}


@pytest.mark.parametrize("before", sorted(TERMINAL))
@pytest.mark.parametrize("after", sorted(OPEN))
def test_terminal_to_open_is_a_reopening(before: Status, after: Status) -> None:
    changes = see(known(version("1", -10, before)), version("2", -5, after))
    assert changes.counts[Series(Event.REOPENED, PAIR)] == 1
    assert changes.counts[Series(Event.TRANSITION, PAIR, after)] == 1


@pytest.mark.parametrize(("before", "after"), [("completed", "failed"), ("requested", "on-hold"), ("failed", "failed")])
def test_other_moves_are_no_reopening(before: str, after: str) -> None:
    changes = see(known(version("1", -10, Status(before))), version("2", -5, Status(after)))
    assert changes.counts[Series(Event.REOPENED, PAIR)] == 0


def test_an_edit_in_the_same_status_counts_nothing() -> None:
    changes = see(known(version("1", -10, Status.FAILED)), version("2", -5, Status.FAILED, reason="auth"))
    assert counted(changes) == {}
    assert moved(changes) == {}


def test_failures_of_all_reasons_are_the_transitions_to_failed() -> None:
    row, transitions, failures = None, 0, 0
    for n, reason in enumerate(["auth", "", "timeout", "my own"], start=1):
        for step, status in enumerate((Status.FAILED, Status.IN_PROGRESS)):
            changes = see(row, version(str(2 * n + step), n, status, reason=reason or "unclassified"))
            row = changes.rows["t"]
            transitions += changes.counts[Series(Event.TRANSITION, PAIR, "failed")]
            failures += sum(n for series, n in changes.counts.items() if series.event is Event.FAILURE)
    assert transitions == failures == 4


def test_an_event_is_counted_for_the_pair_of_its_version_and_never_moved() -> None:
    row = known(version("1", -10, Status.FAILED))
    changes = see(row, version("2", -5, Status.FAILED), pair=OTHER)
    assert counted(changes) == {}
    assert changes.tasks == {PairStatus(PAIR, Status.FAILED): -1, PairStatus(OTHER, Status.FAILED): 1}
    after = see(changes.rows["t"], version("3", -4, Status.COMPLETED), pair=OTHER)
    assert after.counts[Series(Event.TRANSITION, OTHER, "completed")] == 1


def test_a_known_version_under_another_name_moves_gauges_only() -> None:
    changes = see(known(version()), version(), pair=OTHER)
    assert counted(changes) == {}
    assert changes.rows["t"].pair == OTHER


def test_documents_and_empty_results_count_with_the_entry_into_completed_only() -> None:
    row = known(version("1"))
    first = see(row, version("2", -5, Status.COMPLETED, documents=3, outputs=4))
    assert first.counts[Series(Event.ARCHIVED_DOCUMENT, PAIR)] == 3
    assert first.counts[Series(Event.COMPLETED_EMPTY, PAIR)] == 0
    again = see(first.rows["t"], version("3", -4, Status.COMPLETED, documents=9, outputs=9))
    assert counted(again) == {}
    empty = see(row, version("2", -5, Status.COMPLETED))
    assert empty.counts[Series(Event.COMPLETED_EMPTY, PAIR)] == 1
    others = see(row, version("2", -5, Status.FAILED, documents=3, outputs=3))
    assert others.counts[Series(Event.ARCHIVED_DOCUMENT, PAIR)] == 0


# --- Versions that come late, go back, or are created again


def test_a_late_version_below_the_highest_counted_is_not_counted() -> None:
    row = known(version("1"), version("5", -5, Status.COMPLETED))
    back = see(row, version("3", -7, Status.IN_PROGRESS))
    assert counted(back) == {(Event.ANOMALY, "went_back"): 1}
    assert moved(back) == {Status.COMPLETED: -1, Status.IN_PROGRESS: 1}
    assert back.rows["t"].max_version_counted == 5
    climbing = see(back.rows["t"], version("4", -3, Status.FAILED), version("5", -2, Status.COMPLETED))
    assert counted(climbing) == {}
    assert moved(climbing) == {Status.IN_PROGRESS: -1, Status.COMPLETED: 1}
    above = see(climbing.rows["t"], version("6", -1, Status.FAILED))
    assert above.counts[Series(Event.TRANSITION, PAIR, "failed")] == 1


def test_a_version_that_went_back_is_an_anomaly_once() -> None:
    row = known(version("5"))
    changes = see(row, version("3", -20), version("3", -20))
    assert counted(changes) == {(Event.ANOMALY, "went_back"): 1}


def test_nothing_goes_back_in_the_baseline() -> None:
    changes = see(known(version("5"), counting=False), version("3", -20), on=observation(counting=False))
    assert counted(changes) == {}


def test_a_task_recreated_has_vanished_and_is_created() -> None:
    changes = see(known(version("4", -10, Status.FAILED)), version("1", -5))
    assert counted(changes) == {(Event.VANISHED, ""): 1, (Event.CREATED, ""): 1, (Event.TRANSITION, "requested"): 1}
    assert moved(changes) == {Status.FAILED: -1, Status.REQUESTED: 1}
    assert changes.rows["t"].max_version_counted == 1


def test_a_deleted_task_that_returns_is_new_and_an_untagged_one_goes_on() -> None:
    row = known(version("3"))
    deleted = vanish([row], NOW).rows["t"]
    assert (deleted.removal, deleted.removed_at) == (Removal.DELETED, NOW)
    assert see(deleted, version("6", 1)).counts[Series(Event.CREATED, PAIR)] == 1
    untagged = see(row, version("4", -5, tagged=False)).rows["t"]
    assert untagged.removal is Removal.UNTAGGED
    changes = see(untagged, version("5", 1, Status.COMPLETED))
    assert counted(changes)[Event.TRANSITION, "completed"] == 1
    assert (Event.CREATED, "") not in counted(changes)


def test_a_task_found_again_in_the_very_version_that_was_missed_goes_on() -> None:
    gone = vanish([known(version("3"))], NOW).rows["t"]
    changes = see(gone, version("3"))
    assert counted(changes) == {}
    assert moved(changes) == {Status.REQUESTED: 1}


def test_what_vanishes_counts_once_and_lowers_the_gauge() -> None:
    row = known(version())
    changes = vanish([row], NOW)
    assert counted(changes) == {(Event.VANISHED, ""): 1}
    assert moved(changes) == {Status.REQUESTED: -1}
    again = see(changes.rows["t"], version("2", -5, tagged=False))
    assert counted(again) == {}


def test_an_untagged_task_never_known_is_ignored() -> None:
    changes = see(None, version(tagged=False))
    assert changes.rows == {}
    assert counted(changes) == {}
    assert changes.seen_ids == ["t"]


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


# --- Anomalies


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


# --- Durations and deadlines


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
        (NOW - LONGEST_DURATION * 1000, [float(LONGEST_DURATION)]),
        (NOW - LONGEST_DURATION * 1000 - 1, []),
    ],
)
def test_no_duration_is_negative_or_absurd(authored: Instant | None, expected: list[float]) -> None:
    changes = see(None, version("1", 0, Status.COMPLETED, authored=authored))
    assert [seconds for _, seconds in changes.durations] == expected


@pytest.mark.parametrize("bound", DURATION_BUCKETS)
def test_a_bound_is_in_its_own_bucket(bound: int) -> None:
    place = DURATION_BUCKETS.index(bound)
    assert (bucket_index(bound), bucket_index(bound + 0.001), bucket_index(bound - 0.001)) == (place, place + 1, place)


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


def test_what_is_overdue_in_the_baseline_is_never_counted_as_missed() -> None:
    overdue = version("1", -10, authored=NOW - 48 * HOUR)
    row = known(overdue, counting=False)
    assert row.deadline_missed
    assert missed(see(row, version("2", 0, Status.COMPLETED, authored=NOW - 48 * HOUR))) == 0


def test_what_was_open_in_the_baseline_counts_when_it_ends_late() -> None:
    row = known(version("1"), counting=False)
    assert not row.deadline_missed
    assert missed(see(row, version("2", 60 * 24, Status.FAILED), on=observation(now=at(60 * 24)))) == 1


# --- Everything at once


VERSIONS = st.lists(
    st.builds(
        version,
        st.integers(1, 9).map(str),
        st.integers(-100, 0),
        st.sampled_from(Status),
        tagged=st.booleans(),
        anomalies=st.sets(st.sampled_from(sorted(LASTING))).map(frozenset),
    ),
    max_size=12,
)


@given(VERSIONS)
def test_gauges_never_fall_below_zero_and_failures_are_failures(tasks: Iterable[Task]) -> None:
    row, gauge, transitions, failures = None, 0, 0, 0
    for task in tasks:
        changes = see(row, task)
        row = changes.rows.get("t", row)
        gauge += sum(changes.tasks.values())
        transitions += changes.counts[Series(Event.TRANSITION, PAIR, "failed")]
        failures += sum(n for series, n in changes.counts.items() if series.event is Event.FAILURE)
        assert gauge == (row is not None and row.present)
        assert transitions == failures
        assert all(n >= 0 for n in changes.counts.values())
