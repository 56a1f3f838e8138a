"""One odd Task costs one anomaly, and the other Tasks of its page are read."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.task.bundle import decode_page
from exporter.task.model import Anomaly, Status, Task
from tests.support import builders as make

from .pages import (
    ALL,
    CLOCK_AT,
    OTHER,
    OURS,
    SAMPLES,
    UPDATED_AT,
    decoded,
    entry,
    quiet,
    read,
    searchset,
    stored,
)

ODD_ELEMENTS: tuple[dict[str, Any], ...] = (
    *({"status": 5}, {"status": ["failed"]}, {"status": {"a": 1}}, {"owner": "Organization/1"}, {"owner": [[]]}),
    *({"code": []}, {"code": {"coding": {}}}, {"meta": []}, {"authoredOn": 2026}, {"output": {}}, {"output": [None]}),
    *({"focus": "x"}, {"for_": 1}, {"requester": {"identifier": {"value": 7}}}, {"owner": {"reference": {}}}),
)


@pytest.mark.parametrize("elements", ODD_ELEMENTS)
def test_a_task_of_wrong_types_is_one_anomaly_and_the_others_stay(elements: dict[str, Any]) -> None:
    odd = stored(make.task("odd")) | {name.rstrip("_"): value for name, value in elements.items()}
    first, second, third = decoded(*map(entry, (stored(make.task("a")), odd, stored(make.task("c"))))).tasks
    assert (first.id, third.id) == ("a", "c")
    assert first.anomalies == third.anomalies == frozenset()
    assert second.anomalies == {Anomaly.UNPARSABLE}
    assert second.status is (Status.UNKNOWN if "status" in elements else Status.REQUESTED)
    assert second.id == "odd"
    assert not second.usable


@pytest.mark.parametrize("odd", [None, 5, "x", [], [[]], {"resource": 5}, {"resource": None, "search": 5}])
def test_an_entry_that_is_no_entry_is_counted_unless_it_is_clearly_no_answer(odd: Any) -> None:
    tasks = decoded(entry(stored(make.task("a"))), odd).tasks
    assert all(task.anomalies == {Anomaly.UNPARSABLE} and task.id.startswith("?") for task in tasks[1:])
    assert len(tasks) == (1 if odd == {"resource": None, "search": 5} else 2)


def test_the_readable_parts_of_an_odd_task_are_kept() -> None:
    assert read(stored(make.task("odd", status=None)) | {"status": 5}) == Task(
        "odd", "4", UPDATED_AT, Status.UNKNOWN, anomalies=frozenset({Anomaly.UNPARSABLE})
    )


@pytest.mark.parametrize("bad", [None, 5, "", "a/b", "a b", "..", "x" * 65, "a\n", "é"])
def test_without_an_id_the_same_bytes_have_the_same_digest(bad: Any) -> None:
    resource = stored(make.task()) | {"id": bad}
    one, other = decoded(entry(resource), entry(resource)).tasks
    changed = read(resource | {"status": "failed"})
    assert one == other
    assert one.id.startswith("?")
    assert len(one.id) == 33
    assert one.anomalies == {Anomaly.UNPARSABLE}
    assert one.updated == UPDATED_AT
    assert changed.id != one.id


@pytest.mark.parametrize("stamp", [None, 5, "", "2026-11-20", "2026-11-20T14:03:11", "0001-01-01T00:00:00Z"])
def test_without_a_date_a_task_has_the_time_of_its_page(stamp: Any) -> None:
    resource = stored(make.task("odd"), lastUpdated=stamp)
    task = read(resource)
    assert (task.id, task.version, task.updated) == ("odd", "4", CLOCK_AT)
    assert task.anomalies == {Anomaly.UNPARSABLE}
    (timeless,) = decoded(entry(resource), meta=None).tasks
    assert timeless.updated == 0


def test_bad_utf8_in_one_task_costs_that_task_alone() -> None:
    body = searchset(entry(stored(make.task("a", status="MARK"))), entry(stored(make.task("b"))))
    one, other = decode_page(body.replace(b"MARK", b"\xff\xfe"), OURS, quiet).tasks
    assert one.anomalies == {Anomaly.UNPARSABLE}
    assert one.id == "a"
    assert other.usable


@pytest.mark.parametrize(
    ("tag", "tagged"), [([make.coding(make.TAG)], True), ([make.coding(OTHER)], False), ({}, True), ("x", True)]
)
def test_an_unparsable_task_is_ours_unless_its_tags_say_otherwise(tag: Any, tagged: bool) -> None:
    assert read(stored(make.task(), tag=tag) | {"status": 5}).tagged is tagged


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("Task-*.json")), ids=lambda path: path.stem)
def test_the_official_tasks_as_they_are_have_no_stamp(path: Path) -> None:
    task = read(json.loads(path.read_bytes()), ALL)
    assert task.id == json.loads(path.read_bytes())["id"]
    assert task.anomalies == {Anomaly.UNPARSABLE}
    assert read(json.loads(path.read_bytes())).tagged is False
