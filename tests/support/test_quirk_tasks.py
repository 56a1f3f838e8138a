"""That each quirk of what a server holds is really there: stamps, versions, odd Tasks."""

import json

import httpx
import pytest

from exporter.demo.dates import format_stamp
from exporter.demo.store import Store
from exporter.task.model import Status
from tests.support import quirk_tasks as tasks
from tests.support import quirks
from tests.support.builders import TAG, completed, task
from tests.support.fake import BASE, START, HandClock, get, store, transport
from tests.support.questions import holding, ids, search, version

TOKEN = f"{TAG.system}|{TAG.code}"


# --- Q10 to Q13: stamps and clocks


def test_q10_a_version_shows_up_late_with_an_old_stamp() -> None:
    made = holding("a")
    tasks.put_late(made, task("b"), 120)
    assert ids(search(quirks.played(made))) == ["b", "a"]


def test_q11_many_tasks_share_a_stamp() -> None:
    made = store()
    tasks.put_together(made, (task(f"t{n}") for n in range(5)))
    stamps = {entry["resource"]["meta"]["lastUpdated"] for entry in search(quirks.played(made))["entry"]}
    assert stamps == {format_stamp(START)}


def test_q13_the_servers_clock_is_off_wrong_or_silent() -> None:
    clock = HandClock()
    made = Store(tasks.skewed(clock, 3), BASE)
    made.put(task("a"))
    bundle = search(quirks.played(made))
    assert bundle["meta"]["lastUpdated"] == format_stamp(START + 3 * 3_600_000)
    tasks.put_in_the_future(made, task("b"), 1)
    assert ids(search(quirks.played(made), ("_lastUpdated", "gt" + bundle["meta"]["lastUpdated"]))) == ["b"]
    assert search(quirks.played(made, quirks.clock_told(clock)))["meta"]["lastUpdated"] == format_stamp(START)
    silent = get(quirks.played(made, quirks.without_clock), "/Task")
    assert "meta" not in json.loads(silent.body)
    assert "date" not in dict(silent.headers)


# --- Q15 to Q17: what happens to Tasks


def test_q15_statuses_are_hurried_through_and_a_touch_makes_no_version() -> None:
    made = store()
    tasks.hurry(made, "a", "requested", "in-progress", "completed")
    assert version(made) == "3"
    tasks.touch(made, task("a", "completed"))
    assert version(made) == "3"
    tasks.rewrite(made, "a")
    assert version(made) == "4"
    assert search(quirks.played(made))["entry"][0]["resource"]["status"] == "completed"


def test_q16_tasks_are_deleted_expunged_untagged_and_purged() -> None:
    made = holding("a", "b")
    tasks.rewrite(made, "a")
    tasks.expunge_and_make_anew(made, task("a"))
    assert version(made) == "1"
    tasks.untag(made, "b")
    assert ids(search(quirks.played(made), ("_tag", TOKEN))) == ["a"]
    assert version(made, "b") == "1"
    made.put(completed("c"))
    tasks.purge(made)
    assert sorted(made.ids()) == ["a", "b"]
    assert get(made, "/Task/c").status == 410


def test_q17_tasks_are_reopened_and_versions_go_back_in_time() -> None:
    made = holding("a")
    tasks.reopen(made, "a")
    assert version(made) == "4"
    before = made.get("Task", "a")
    tasks.put_back_in_time(made, task("a", "completed"))
    after = made.get("Task", "a")
    assert before
    assert after
    assert (after.version, after.stamp) == ("5", before.stamp - 250)


# --- Q18 to Q22: odd Tasks


def test_q18_every_status_and_none_are_there() -> None:
    words = [resource.get("status") for resource in tasks.of_each_status()]
    assert set(Status) - {Status.UNKNOWN} < set(words)
    assert None in words
    assert len(words) == 14


def test_q18_to_q22_odd_tasks_can_be_stored_and_come_back_as_they_are() -> None:
    owners = [task(f"owner-{n}", **elements) for n, elements in enumerate(tasks.OWNERS.values())]
    odd = [*tasks.of_each_status(), *tasks.dated(), *owners, *tasks.foreign(), *tasks.many_owners(7)]
    made = store()
    made.page_limit = 1000
    tasks.put_together(made, odd)
    shown = {
        each["resource"]["id"]: each["resource"] for each in search(quirks.played(made), ("_count", "999"))["entry"]
    }
    assert len(shown) == len(odd)
    assert all(shown[each["id"]].get("authoredOn") == each.get("authoredOn") for each in odd)
    assert all(shown[each["id"]].get("owner") == each.get("owner") for each in odd)


def test_q22_a_search_by_tag_finds_tasks_of_another_code_too() -> None:
    made = store()
    tasks.put_together(made, tasks.foreign())
    found = ids(search(quirks.played(made), ("_tag", TOKEN)))
    assert found == ["ours-among-others", "tag-and-other-code", "tag-without-code"]


# --- Q33 to Q35


def test_q33_ids_and_versions_are_any_text() -> None:
    made = holding(*tasks.IDS)
    tasks.put_with_uuid(made, task("7", "failed"), 1)
    assert sorted(ids(search(quirks.played(made)))) == sorted(tasks.IDS)
    assert version(made, "7") == "00000000-0000-0000-0000-000000000001"


def test_q34_the_server_is_down_and_comes_back_with_an_old_backup() -> None:
    made = holding("a")
    backup = tasks.Backup(made)
    tasks.rewrite(made, "a")
    made.put(task("b"))
    made.delete("a")
    backup.restore(made)
    assert version(made) == "1"
    assert ids(search(quirks.played(made))) == ["a"]
    made.put(task("c"))
    backup.restore(made)
    assert ids(search(quirks.played(made))) == ["a"], "a backup can be restored twice"
    with (
        httpx.Client(transport=transport(quirks.played(made, quirks.down))) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get(BASE + "/Task")


def test_q35_old_tasks_are_spread_over_the_past() -> None:
    made = store()
    tasks.load(made, 1000)
    count = ("_summary", "count")
    assert search(quirks.played(made), count)["total"] == 1000
    assert search(quirks.played(made), count, ("status", "failed"))["total"] == 100
    half = ("_lastUpdated", "lt" + format_stamp(START - 365 * 43_200_000))
    assert search(quirks.played(made), count, half)["total"] == 500
