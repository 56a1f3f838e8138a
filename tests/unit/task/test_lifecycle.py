"""What a change of a Task counts. Nothing here knows a server or a ledger."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.task.lifecycle import compare
from exporter.task.model import LASTING, OPEN, TERMINAL, Event, PairStatus, Series, Status, Task

from .sightings import OTHER, PAIR, counted, known, moved, observation, see, version


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
