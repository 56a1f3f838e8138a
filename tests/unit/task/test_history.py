"""Which versions of a Task no search has shown, and which of a history fill the gap."""

from typing import Any

import pytest

from exporter.task.deadline import Deadlines, FixedTime
from exporter.task.history import Gap, find_gaps, reaches, unseen, with_unseen
from exporter.task.lifecycle import Observation, compare
from exporter.task.model import Anomaly, Pair, Status, Task
from exporter.task.rows import Removal, Row

NOW = 1_000_000
BASELINE = 1_000
POLL = Observation(NOW, Deadlines(FixedTime(10**9)))


def seen(version: int | str, updated: int = 5_000, **elements: Any) -> Task:
    task = Task("a", str(version), updated, Status.REQUESTED)
    return task._replace(**elements) if elements else task


def row(version: int | str, updated: int = 5_000, **elements: Any) -> Row:
    made = compare({}, [(seen(version, updated), Pair("s", "r"))], POLL).rows["a"]
    return made._replace(**elements) if elements else made


def gap(known: Row | None, task: Task, observation: Observation = POLL) -> Gap | None:
    return find_gaps({} if known is None else {"a": known}, [task], observation, BASELINE).get("a")


@pytest.mark.parametrize(
    ("known", "task", "expected"),
    [
        (None, seen(1), None),
        (None, seen(4), Gap(0, 4, BASELINE)),
        (row(3), seen(3), None),
        (row(3), seen(4, 6_000), None),
        (row(3), seen(5, 6_000), Gap(3, 5, 0)),
        (row(3), seen(5, 4_000), Gap(3, 5, 0)),
        (row(3, max_version_counted=7), seen(8, 6_000), None),
        (row(3, max_version_counted=7), seen(9, 6_000), Gap(7, 9, 0)),
        (row(3), seen(2, 4_000), None),
        (row(5), seen(3, 6_000), Gap(0, 3, 5_001)),
        (row(3, removal=Removal.DELETED, removed_at=8_000), seen(6, 9_000), Gap(3, 6, 8_000)),
        (row("x"), seen("y", 6_000), None),
        (row("x"), seen(9, 6_000), None),
        (None, seen("9x"), None),
        (None, seen(4, tagged=False), None),
        (None, seen(4, id="?digest"), None),
        (None, seen(4, anomalies=frozenset({Anomaly.UNPARSABLE})), None),
        (None, seen(4, anomalies=frozenset({Anomaly.FOREIGN})), None),
    ],
)
def test_a_gap_is_where_the_number_is_not_the_next_one(known: Row | None, task: Task, expected: Gap | None) -> None:
    assert gap(known, task) == expected


def test_the_baseline_has_no_gaps_and_what_joins_it_neither() -> None:
    assert gap(None, seen(4), Observation(NOW, POLL.deadlines, counting=False)) is None
    joining = Observation(NOW, POLL.deadlines, joining=6_000)
    assert gap(None, seen(4, 5_999), joining) is None
    assert gap(None, seen(4, 6_000), joining) == Gap(0, 4, BASELINE)


def test_of_a_task_that_is_twice_on_a_page_the_first_decides() -> None:
    page = [seen(2), seen(9)]
    assert find_gaps({"a": row(1)}, page, POLL, BASELINE) == {}
    assert with_unseen([seen(3), seen(5)], {"a": (seen(2),)}) == [seen(2), seen(3), seen(5)]


def test_what_fills_a_gap_is_between_its_ends_in_the_order_of_numbers() -> None:
    versions = [seen(number, 20_000 - number) for number in (12, 5, 4, 11, 10, 3, 9, 10)]
    assert [task.version for task in unseen(Gap(4, 12, 0), "a", versions)] == ["5", "9", "10", "11"]


@pytest.mark.parametrize(
    "odd",
    [
        seen(3, id="b"),
        seen(3, tagged=False),
        seen(3, 99),
        seen(3, anomalies=frozenset({Anomaly.UNPARSABLE})),
        seen("three"),
        seen(""),
    ],
)
def test_what_is_not_a_readable_version_of_it_fills_nothing(odd: Task) -> None:
    assert unseen(Gap(1, 5, 100), "a", [seen(4), odd, seen(2)]) == (seen(2), seen(4))


def test_a_history_is_read_back_to_the_version_that_was_seen() -> None:
    assert not reaches(Gap(2, 9, 0), [])
    assert not reaches(Gap(2, 9, 0), [seen(8), seen("x"), seen(4)])
    assert reaches(Gap(2, 9, 0), [seen(3)])
    assert reaches(Gap(2, 9, 0), [seen(2)])
