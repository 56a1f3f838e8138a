"""The order of versions: edits, versions that go back, Tasks created again, and restored backups.

See docs/design.md#version-order.
"""

import pytest

from exporter.config import ReconcileSettings
from exporter.task.model import Anomaly, Event

from ..support import quirk_tasks
from ..support.builders import completed, failed, meta, task
from ..support.exposition import observed, tasks, totals
from ..support.rig import Rig, filled, settled

# --- Q15, Q17: what a Task goes through


def test_q15_without_histories_what_happens_between_two_polls_is_one_transition() -> None:
    rig = settled(task("known"), history=False)
    quirk_tasks.hurry(rig.store, "known", "in-progress", "completed")
    quirk_tasks.hurry(rig.store, "new", "requested", "in-progress", "failed")
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1, "failed": 1}
    assert totals(rig, Event.CREATED) == {"": 1}


def test_q15_an_update_in_the_same_status_is_no_transition() -> None:
    rig = settled(completed("a"))
    quirk_tasks.touch(rig.store, completed("a"))
    rig.scrape()
    quirk_tasks.rewrite(rig.store, "a", output=None)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {}
    assert observed(rig) == 0


def test_q17_a_task_that_fails_opens_and_fails_again_is_two_failures_and_one_reopening() -> None:
    rig = settled(task("a"))
    for status in ("failed", "in-progress", "failed"):
        rig.store.put(task("a", status))
        rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 2, "in-progress": 1}
    assert totals(rig, Event.REOPENED) == {"": 1}
    assert totals(rig, Event.FAILURE) == {"unclassified": 2}


def test_q17_a_newer_version_with_an_older_stamp_is_newer() -> None:
    rig = settled(task("a"))
    rig.store.put(task("a", "in-progress"))
    rig.scrape()
    quirk_tasks.put_back_in_time(rig.store, completed("a"))
    rig.scrape()
    assert tasks(rig) == {"completed": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "completed": 1}
    assert totals(rig, Event.ANOMALY) == {}


# --- Q33: ids and versions are opaque


@pytest.mark.parametrize("identifier", quirk_tasks.IDS)
def test_q33_ids_are_opaque(identifier: str) -> None:
    rig = settled(task(identifier))
    rig.store.put(task(identifier, "in-progress"))
    rig.scrape()
    assert tasks(rig) == {"in-progress": 1}
    rig.store.delete(identifier)
    rig.compare()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q33_versions_that_are_uuids_go_by_their_stamps() -> None:
    rig = Rig()
    quirk_tasks.put_with_uuid(rig.store, task("a"), 900)
    rig.start().settle()
    for number, status in ((3, "in-progress"), (700, "failed"), (20, "in-progress")):
        rig.clock.advance(1)
        quirk_tasks.put_with_uuid(rig.store, task("a", status), number)
        rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 2, "failed": 1}
    assert totals(rig, Event.REOPENED) == {"": 1}
    assert totals(rig, Event.ANOMALY) == {}


def test_q33_opaque_versions_within_one_millisecond_are_both_counted() -> None:
    rig = Rig()
    rig.start().settle()
    quirk_tasks.put_with_uuid(rig.store, task("a"), 1)
    rig.clock.advance(0)
    stamp = rig.clock.at
    rig.scrape()
    rig.store.put(completed("a"), version="f0e1d2c3-0000-0000-0000-000000000000", stamp=stamp)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"requested": 1, "completed": 1}


def test_a_version_that_could_not_be_read_once_hides_none_that_follow() -> None:
    rig = settled(task("a"))
    rig.clock.advance(60)
    rig.store.put(task("a", "in-progress"), version="")
    rig.scrape()
    rig.store.put(completed("a"), version="3")
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "completed": 1}


# --- Q16, Q34: created again, or restored


def test_q16_an_id_expunged_and_made_again_at_version_one_is_a_new_task() -> None:
    rig = settled(task("a"))
    quirk_tasks.expunge_and_make_anew(rig.store, completed("a"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert totals(rig, Event.ANOMALY) == {}


def test_an_expunged_task_created_again_is_a_new_task() -> None:
    rig = filled(2).start().settle()
    rig.store.expunge("p2p-task-000000")
    rig.store.put(task("p2p-task-000000", "in-progress"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert tasks(rig) == {"requested": 1, "in-progress": 1}


def test_q34_a_restored_backup_counts_nothing_twice_and_shows() -> None:
    rig = settled(task("a"), task("b"), comparisons=ReconcileSettings(lookback=3_600))
    backup = quirk_tasks.Backup(rig.store)
    rig.store.put(task("a", "in-progress"))
    rig.scrape()
    rig.store.put(failed("a"))
    rig.store.put(completed("c"))
    rig.scrape()
    backup.restore(rig.store)
    rig.compare_all()
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "failed": 1, "completed": 1}
    assert totals(rig, Event.ANOMALY) == {Anomaly.WENT_BACK: 1}
    for status in ("in-progress", "failed", "in-progress"):
        rig.store.put(task("a", status))
        rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 2, "failed": 1, "completed": 1}


def test_a_server_restored_from_an_old_backup_counts_nothing_twice() -> None:
    rig = filled(2).start().settle()
    rig.store.put(failed("p2p-task-000000"))
    rig.scrape()
    rig.store.put(task("p2p-task-000000"), version="1", stamp=rig.clock.at - 80_000)
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert totals(rig, Event.ANOMALY) == {Anomaly.WENT_BACK: 1}
    rig.store.put(failed("p2p-task-000000"), version="2", stamp=rig.clock.at)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert tasks(rig) == {"requested": 1, "failed": 1}


def test_q34_a_task_that_was_untagged_in_the_backup_leaves_the_gauges() -> None:
    rig = settled(task("a"), task("b"))
    rig.store.put(task("b", "in-progress"))
    rig.scrape()
    rig.store.put(task("b", meta=meta()), version="1", stamp=rig.clock.at - 100_000)
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}
