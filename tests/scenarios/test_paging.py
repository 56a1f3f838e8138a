"""Windows: long walks, equal stamps, and edits while a window is walked.

See docs/design.md#windows.
"""

import pytest

from exporter.demo.server import Request, Response
from exporter.task.model import Event
from exporter.task.search import Bound
from exporter.walk import next_bound

from ..support import fake, quirk_tasks, quirks
from ..support.builders import task
from ..support.exposition import own_value, tasks, totals
from ..support.rig import Rig, filled


@pytest.mark.parametrize("same_stamp", [False, True])
def test_a_baseline_longer_than_a_window_finds_every_task(same_stamp: bool) -> None:
    rig = filled(5_300, seconds_apart=0 if same_stamp else 0.001).start().settle()
    assert tasks(rig) == {"requested": 5_300}


def test_no_window_follows_the_link_that_starts_at_two_thousand() -> None:
    rig = filled(5_300).start().settle()
    offsets = [
        int(value) for request in rig.transport.requests for name, value in request.query if name == "_getpagesoffset"
    ]
    assert max(offsets) == 1_800


def test_a_scrape_at_rest_is_one_request() -> None:
    rig = filled(2_500).start().settle()
    rig.scrape(60)
    before = rig.transport.count
    rig.scrape(60)
    assert rig.transport.count == before + 1


@pytest.mark.parametrize("page", [1_001, 1_500, 2_500])
def test_a_server_that_ignores_count_is_walked_to_its_end(page: int) -> None:
    rig = filled(6_000, seconds_apart=0.01)

    rig.store.page_limit = page
    rig.play(quirks.asking(lambda query: [(name, str(page) if name == "_count" else value) for name, value in query]))
    rig.start().settle()
    assert tasks(rig) == {"requested": 6_000}
    assert rig.transport.count < 40


def test_a_server_that_never_stamps_its_tasks_is_walked_to_its_end() -> None:
    """A proxy strips the meta: nothing can be known of a Task, yet the walk must end."""

    def stampless(bundle: dict[str, object], _: Request) -> None:
        for entry in bundle.get("entry", []):  # type: ignore[attr-defined]
            entry["resource"]["meta"].pop("lastUpdated")

    rig = filled(2_450, quirks=[quirks.editing(stampless)]).start()
    rig.run(60)
    assert not rig.worker.busy
    assert own_value(rig, "fhir_task_exporter_tracked_tasks") == 2_450


def test_q13_only_stamps_in_the_future_still_let_a_baseline_end() -> None:
    rig = Rig()
    for n in range(2_100):
        quirk_tasks.put_in_the_future(rig.store, task(f"t{n:04}"), 5 + n / 3_600_000)
    rig.start().settle()
    assert tasks(rig) == {"requested": 2_100}


@pytest.mark.parametrize("size", [3, 200])
def test_q11_equal_stamps_across_borders_of_pages_and_windows_lose_nothing(size: int) -> None:
    count = 2_450 if size == 200 else 50
    rig = Rig()
    quirk_tasks.put_together(rig.store, (task(f"t{n:04}") for n in range(count)))
    rig.clock.advance(60)
    rig.start().ask_for_pages(size).settle()
    assert tasks(rig) == {"requested": count}


@pytest.mark.parametrize(
    ("cursor", "low", "largest", "following"),
    [
        (None, 5, 6, Bound("ge", 5)),
        (None, None, 9, Bound("ge", 9)),
        (None, None, None, None),
        (Bound("ge", 3), 5, 6, Bound("ge", 5)),
        (Bound("ge", 5), 5, 5, Bound("eq", 5)),
        (Bound("ge", 5), 5, 6, Bound("ge", 6)),
        (Bound("ge", 5), None, 9, Bound("ge", 9)),
        (Bound("ge", 5), None, 5, Bound("eq", 5)),
        (Bound("ge", 5), None, None, Bound("ge", 5)),
        (Bound("eq", 5), 5, 5, Bound("gt", 5)),
        (Bound("gt", 5), 7, 7, Bound("ge", 7)),
        (Bound("gt", 5), None, 9, Bound("ge", 9)),
        (Bound("gt", 5), 3, 4, Bound("gt", 5)),
    ],
)
def test_the_next_window_begins_at_the_smallest_stamp_or_behind_an_instant_it_cannot_pass(
    cursor: Bound | None, low: int | None, largest: int | None, following: Bound | None
) -> None:
    assert next_bound(cursor, low, largest) == following


# --- Edits while a window is walked


def test_tasks_edited_while_a_window_is_walked_hide_none_of_the_others() -> None:
    rig = filled(4_000)
    edits = iter(range(0, 4_000, 7))

    def editing(request: Request) -> Response:
        rig.clock.advance(0.01)
        rig.store.put(task(f"p2p-task-{next(edits):06}", "in-progress"))
        return fake.honest(rig.store)(request)

    rig.transport.answer = editing
    rig.start().settle()
    rig.play()
    rig.scrape()
    assert sum(tasks(rig).values()) == 4_000
    assert tasks(rig)["in-progress"] == next(edits) // 7


@pytest.mark.parametrize("edited", [200, 1_000, 1_800, 2_000])
def test_a_bulk_edit_begun_before_the_search_hides_no_task(edited: int) -> None:
    rig = filled(6_000)

    def edit() -> None:
        stamp = rig.clock.at - 5_000
        for number in range(2_000 - edited, 2_000):
            rig.store.put(task(f"p2p-task-{number:06}", "in-progress"), stamp=stamp)

    pages = iter(range(10_000))
    last_untouched = max(1, (2_000 - edited) // 200)

    def meanwhile(request: Request) -> Response:
        if next(pages) == last_untouched:
            edit()
        return fake.honest(rig.store)(request)

    rig.transport.answer = meanwhile
    rig.start().settle()
    rig.scrape()
    assert sum(tasks(rig).values()) == 6_000
    assert totals(rig, Event.CREATED) == {}
    assert rig.transport.count < 120


def test_a_burst_younger_than_the_overlap_is_walked_without_repeating_it_all() -> None:
    rig = filled(5).start().settle()
    rig.burst(6_000, seconds_apart=0.004)
    before = rig.transport.count
    rig.worker.scrape()
    rig.run()
    rig.scrape()
    rig.run()
    assert totals(rig, Event.CREATED) == {"": 6_000}
    assert rig.transport.count - before < 120
