"""What of an entry becomes a Task, and which anomalies a Task shows by itself."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from exporter.task.bundle import decode_page
from exporter.task.model import UNCLASSIFIED, Anomaly, Coding, Party, Selection, Status, Task
from tests.support import builders as make

from .pages import (
    ALL,
    OTHER,
    OURS,
    SAMPLES,
    UPDATED_AT,
    entry,
    read,
    searchset,
    stored,
)

FOREIGN_CODE = make.concept(Coding("http://example.org", "refill"))


AUTHORED_AT = 1_795_172_400_000
"""An hour before the builders' START."""


def test_all_of_a_task_is_read() -> None:
    resource = stored(make.completed("p2p-task-ab123", documents=2), make.TAG, OTHER)
    assert read(resource) == Task(
        id="p2p-task-ab123",
        version="4",
        updated=UPDATED_AT,
        status=Status.COMPLETED,
        tagged=True,
        authored=AUTHORED_AT,
        owner=Party("Organization/old-payer", "Organization"),
        requester=Party("Organization/new-payer", "Organization"),
        reason=UNCLASSIFIED,
        documents=2,
        outputs=2,
        anomalies=frozenset(),
    )


@pytest.mark.parametrize("version", [None, "", "a/b", "x" * 65])
def test_without_a_version_a_task_is_still_read(version: str | None) -> None:
    task = read(stored(make.task(), versionId=version))
    assert task.version == ""
    assert task.usable


@pytest.mark.parametrize(
    "name", ["1", "p2p-task-ab123", "A.b-9", "x" * 64, "00000000-0000-0000-0000-000000000000", "..a"]
)
def test_ids_and_versions_are_opaque(name: str) -> None:
    task = read(stored(make.task(name), versionId=name))
    assert (task.id, task.version) == (name, name)
    assert task.usable


@pytest.mark.parametrize("elements", [{"note": 5}, {"note": [5]}, {"statusReason": []}, {"contained": {}}])
def test_odd_texts_do_not_cost_a_task(elements: dict[str, Any]) -> None:
    task = read(stored(make.failed(**elements)))
    assert task.status is Status.FAILED
    assert task.reason == UNCLASSIFIED
    assert task.usable


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("Task-*.json")), ids=lambda path: path.stem)
def test_the_official_tasks_are_read(path: Path) -> None:
    resource = json.loads(path.read_bytes())
    task = read(stored(resource), Selection(tag=make.TAG))
    assert task.id == resource["id"]
    assert task.status == resource["status"]
    assert task.usable
    assert (task.owner is None) == ("owner" not in resource)
    assert task.outputs == len(resource.get("output", []))
    assert (task.authored is None) == ("T" not in resource.get("authoredOn", ""))
    assert "Careful" not in repr(task)


# Whose Task it is


@pytest.mark.parametrize(
    ("selection", "tags", "code", "tagged", "usable"),
    [
        (OURS, [make.TAG], make.concept(make.CODE), True, True),
        (OURS, [OTHER, make.TAG], make.concept(OTHER, make.CODE, text="x"), True, True),
        (OURS, [make.TAG], FOREIGN_CODE, True, False),
        (OURS, [make.TAG], make.concept(text="data-request"), True, False),
        (OURS, [make.TAG], None, True, False),
        (OURS, [OTHER], make.concept(make.CODE), False, True),
        (OURS, [], make.concept(make.CODE), False, True),
        (OURS, [Coding("", "CDR_MANAGED")], make.concept(make.CODE), False, True),
        (OURS, [Coding(make.TAG.system, "cdr_managed")], make.concept(make.CODE), False, True),
        (Selection(tag=make.TAG), [make.TAG], FOREIGN_CODE, True, True),
        (Selection(code=make.CODE), [], make.concept(make.CODE), True, True),
        (Selection(code=make.CODE), [make.TAG], FOREIGN_CODE, False, True),
        (ALL, [], None, True, True),
    ],
)
def test_tag_decides_and_code_confirms(
    selection: Selection, tags: list[Coding], code: Any, tagged: bool, usable: bool
) -> None:
    resource = stored(make.task(code=code)) | {
        "meta": make.meta(*tags, versionId="4", lastUpdated="2026-11-20T14:03:11Z")
    }
    task = read(resource, selection)
    assert (task.tagged, task.usable) == (tagged, usable)
    assert (Anomaly.FOREIGN in task.anomalies) == (not usable)


@pytest.mark.parametrize(("tags", "code"), [((OTHER,), make.concept(make.CODE)), ((make.TAG,), FOREIGN_CODE)])
def test_of_a_task_that_is_not_ours_nothing_is_kept(tags: tuple[Coding, ...], code: Any) -> None:
    task = read(stored(make.failed(code=code, focus=None, authoredOn=None), *tags))
    assert (task.owner, task.requester, task.authored) == (None, None, None)
    assert task.anomalies <= {Anomaly.FOREIGN}


# Status


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.UNKNOWN])
def test_all_twelve_statuses_of_fhir_are_known(status: Status) -> None:
    task = read(stored(make.task(status=status.value)))
    assert task.status is status
    assert task.anomalies == frozenset()


@pytest.mark.parametrize("word", ["unknown", "canceled", "in progress", "FAILED", "COMPLETED ", "PHI"])
def test_any_other_status_is_unknown(word: str) -> None:
    task = read(stored(make.task(status=word)))
    assert task.status is Status.UNKNOWN
    assert task.anomalies == {Anomaly.UNKNOWN_STATUS}


@pytest.mark.parametrize("elements", [{}, {"_status": {"extension": [{"url": "x", "valueCode": "masked"}]}}])
def test_a_missing_status_is_an_anomaly_of_its_own(elements: dict[str, Any]) -> None:
    task = read(stored(make.task(status=None, **elements)))
    assert task.status is Status.UNKNOWN
    assert task.anomalies == {Anomaly.MISSING_STATUS}


# Dates


@pytest.mark.parametrize(
    ("authored_on", "anomaly"),
    [
        (None, Anomaly.MISSING_AUTHORED_ON),
        ("", Anomaly.MISSING_AUTHORED_ON),
        ("2026", Anomaly.PARTIAL_AUTHORED_ON),
        ("2026-11", Anomaly.PARTIAL_AUTHORED_ON),
        ("2026-11-19", Anomaly.PARTIAL_AUTHORED_ON),
        ("2026-11-19T09:15:00", Anomaly.PARTIAL_AUTHORED_ON),
        ("0001-01-01T00:00:00Z", Anomaly.PARTIAL_AUTHORED_ON),
        ("soon", Anomaly.PARTIAL_AUTHORED_ON),
    ],
)
def test_a_date_that_is_no_instant_gives_no_instant(authored_on: str | None, anomaly: Anomaly) -> None:
    task = read(stored(make.task(authoredOn=authored_on)))
    assert task.authored is None
    assert task.anomalies == {anomaly}


def test_authored_on_under_meta_is_used_if_there_is_no_other() -> None:
    elsewhere = "2026-11-19T09:15:00-05:00"
    assert read(stored(make.task(authoredOn=None), authoredOn=elsewhere)).authored == 1_795_097_700_000
    assert read(stored(make.task(), authoredOn=elsewhere)).authored == AUTHORED_AT


@pytest.mark.parametrize(
    ("status", "authored_on", "negative"),
    [
        ("completed", "2026-11-20T14:03:11.483-05:00", True),
        ("completed", "2026-11-20T14:03:11.482-05:00", False),
        ("rejected", "2026-11-21T14:03:11Z", True),
        ("entered-in-error", "2026-11-21T14:03:11Z", False),
        ("requested", "2026-11-21T14:03:11Z", False),
    ],
)
def test_a_duration_is_negative_only_where_one_is_measured(status: str, authored_on: str, negative: bool) -> None:
    task = read(stored(make.task(status=status, authoredOn=authored_on)))
    assert (Anomaly.NEGATIVE_DURATION in task.anomalies) is negative
    assert task.authored is not None


# Member, consent and outputs


@pytest.mark.parametrize(("element", "kind"), [("focus", Anomaly.MISSING_FOCUS), ("for", Anomaly.MISSING_FOR)])
@pytest.mark.parametrize(
    ("value", "missing"),
    [
        (None, True),
        ({}, True),
        ({"reference": None}, True),
        ({"reference": ""}, True),
        ({"_reference": {"extension": []}}, True),
        (make.reference("X/1"), False),
        (make.by_identifier("1"), False),
        (make.by_display("Jane"), False),
    ],
)
def test_of_member_and_consent_only_the_presence_is_known(
    element: str, kind: Anomaly, value: Any, missing: bool
) -> None:
    assert read(stored(make.task()) | {element: value}).anomalies == ({kind} if missing else set())


@pytest.mark.parametrize(
    ("output", "documents", "outputs"),
    [
        (None, 0, 0),
        ([], 0, 0),
        (make.output(3, others=2), 3, 5),
        ([{"type": {"coding": [{"code": "DocumentReference"}]}, "valueString": "x"}], 1, 1),
        ([{"type": {"text": "x"}, "valueReference": {"reference": "http://x/DocumentReference/1"}}], 1, 1),
        ([{"valueReference": {"display": "x"}}, {"type": None}, {}], 0, 3),
    ],
)
def test_archived_documents_are_counted(output: Any, documents: int, outputs: int) -> None:
    task = read(stored(make.task(output=output)))
    assert (task.documents, task.outputs) == (documents, outputs)


# Texts of failures


def texts_of(resource: make.Resource) -> list[str]:
    """Collect what the classifier receives."""
    seen: list[str] = []

    def classify(texts: Iterable[str]) -> str:
        seen.extend(texts)
        return "export"

    (task,) = decode_page(searchset(entry(stored(resource))), OURS, classify).tasks
    assert task.reason == ("export" if task.status is Status.FAILED else UNCLASSIFIED)
    return seen


def test_a_failure_is_classified_by_its_reason_and_notes() -> None:
    concept = {"coding": [{"code": "c", "display": "d"}, {}], "text": "t"}
    assert texts_of(make.failed(statusReason=concept, note=[{"text": "n"}, {"time": "x"}])) == ["t", "d", "c", "n"]


def test_the_reason_is_read_in_the_shape_of_r5_too() -> None:
    reason = {"concept": {"text": "t"}, "reference": {"reference": "X/1"}}
    assert texts_of(make.failed(statusReason=reason, note=None)) == ["t"]


@pytest.mark.parametrize("status", [status.value for status in Status if status is not Status.FAILED])
def test_only_failed_tasks_are_classified(status: str) -> None:
    assert texts_of(make.task(status=status, note=make.note("n"), statusReason={"text": "t"})) == []


def test_long_texts_are_cut_and_only_the_last_notes_are_read() -> None:
    seen = texts_of(make.failed(note=make.note(*(f"{number} " + "x" * 9000 for number in range(80)))))
    assert len(seen) == 50
    assert {len(text) for text in seen} == {4096}
    assert seen[-1].startswith("79 ")
