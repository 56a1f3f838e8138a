"""Versions that come late, go back, or are created again; Tasks that vanish and return."""

from exporter.task.lifecycle import vanish
from exporter.task.model import Event, Series, Status
from exporter.task.rows import Removal

from .sightings import NOW, PAIR, counted, known, moved, observation, see, version


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
