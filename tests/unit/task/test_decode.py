"""What of a server's answer becomes a Task, and what never does."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import NotFhir, ServerError, WrongResource
from exporter.task.bundle import decode_count, decode_organization, decode_page
from exporter.task.model import UNCLASSIFIED, Anomaly, Coding, Page, Party, Selection, Status, Task
from tests.support import builders as make

from .pages import ALL, CLOCK_AT, OURS, UPDATED_AT, decoded, entry, quiet, read, searchset, stored

SAMPLES = Path(__file__).parents[2] / "support" / "samples" / "hl7"
OTHER = Coding("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED")
FOREIGN_CODE = make.concept(Coding("http://example.org", "refill"))
AUTHORED_AT = 1_795_172_400_000
"""An hour before the builders' START."""


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


# The whole of one Task


def test_a_task_is_read_whole() -> None:
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


def test_a_page_tells_its_clock_and_the_way_on() -> None:
    links = [{"relation": "self", "url": "http://x/a"}, {"relation": "next", "url": "http://x/b?_getpages=1"}]
    page = decoded(entry(stored(make.task("a"))), entry(stored(make.task("b"))), link=links)
    assert [task.id for task in page.tasks] == ["a", "b"]
    assert (page.matches, page.next, page.clock) == (2, "http://x/b?_getpages=1", CLOCK_AT)


@pytest.mark.parametrize("elements", [{"meta": None}, {"meta": {}}, {"meta": {"lastUpdated": "yesterday"}}])
def test_a_page_may_have_no_clock(elements: dict[str, Any]) -> None:
    assert decoded(**elements).clock is None


@pytest.mark.parametrize("body", [b'{"resourceType":"Bundle","type":"searchset"}', searchset(), searchset(entry=None)])
def test_an_empty_page_is_a_page(body: bytes) -> None:
    page = decode_page(body, OURS, quiet)
    assert (page.tasks, page.next, page.matches) == ((), None, 0)


# Which entries are answers


def outcome(severity: str = "warning") -> make.Resource:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "diagnostics": "John Doe"}]}


@pytest.mark.parametrize(
    ("odd", "matches"),
    [
        (entry(stored(make.task("b")), "match"), 1),
        (entry(stored(make.task("b")), None), 1),
        ({"resource": stored(make.task("b")), "search": {}}, 1),
        (entry(stored(make.task("b")), "include"), 0),
        (entry(stored(make.task("b")), "outcome"), 0),
        (entry(make.organization(), "include"), 0),
        (entry(make.organization(), None), 0),
        (entry({"resourceType": "Organization", "contact": [], "code": 5, "status": 7}, "include"), 0),
        (entry(outcome(), "outcome"), 0),
        (entry(outcome(), None), 0),
        ({"fullUrl": "http://x"}, 0),
        ({}, 0),
        (entry(make.organization(), "match"), 1),
        ({"search": {"mode": "match"}}, 1),
    ],
)
def test_only_answers_to_the_search_are_counted(odd: Any, matches: int) -> None:
    page = decoded(entry(stored(make.task("a"))), odd)
    assert page.matches == len(page.tasks) == 1 + matches


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_a_search_that_says_it_failed_is_no_answer(severity: str) -> None:
    with pytest.raises(WrongResource) as caught:
        decoded(entry(stored(make.task())), entry(outcome(severity), "outcome"))
    assert "John" not in str(caught.value)


# One odd Task costs one anomaly

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


def test_what_can_be_saved_is_saved() -> None:
    assert read(stored(make.task("odd", status=None)) | {"status": 5}) == Task(
        "odd", "4", UPDATED_AT, Status.UNKNOWN, anomalies=frozenset({Anomaly.UNPARSABLE})
    )


@pytest.mark.parametrize("bad", [None, 5, "", "a/b", "a b", "..", "x" * 65, "a\n", "é"])
def test_without_an_id_the_same_bytes_have_the_same_key(bad: Any) -> None:
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
def test_without_a_stamp_it_stands_at_the_pages_clock(stamp: Any) -> None:
    resource = stored(make.task("odd"), lastUpdated=stamp)
    task = read(resource)
    assert (task.id, task.version, task.updated) == ("odd", "4", CLOCK_AT)
    assert task.anomalies == {Anomaly.UNPARSABLE}
    (timeless,) = decoded(entry(resource), meta=None).tasks
    assert timeless.updated == 0


@pytest.mark.parametrize("version", [None, "", "a/b", "x" * 65])
def test_without_a_version_a_task_is_read_all_the_same(version: str | None) -> None:
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


def test_bad_utf8_in_one_task_costs_that_task_alone() -> None:
    body = searchset(entry(stored(make.task("a", status="MARK"))), entry(stored(make.task("b"))))
    one, other = decode_page(body.replace(b"MARK", b"\xff\xfe"), OURS, quiet).tasks
    assert one.anomalies == {Anomaly.UNPARSABLE}
    assert one.id == "a"
    assert other.usable


@pytest.mark.parametrize("elements", [{"note": 5}, {"note": [5]}, {"statusReason": []}, {"contained": {}}])
def test_odd_texts_do_not_cost_a_task(elements: dict[str, Any]) -> None:
    task = read(stored(make.failed(**elements)))
    assert task.status is Status.FAILED
    assert task.reason == UNCLASSIFIED
    assert task.usable


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


@pytest.mark.parametrize(
    ("tag", "tagged"), [([make.coding(make.TAG)], True), ([make.coding(OTHER)], False), ({}, True), ("x", True)]
)
def test_an_unparsable_task_is_ours_unless_its_tags_say_otherwise(tag: Any, tagged: bool) -> None:
    assert read(stored(make.task(), tag=tag) | {"status": 5}).tagged is tagged


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


def test_authored_on_may_stand_under_meta_and_counts_less_there() -> None:
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
def test_a_span_is_negative_only_where_one_is_measured(status: str, authored_on: str, negative: bool) -> None:
    task = read(stored(make.task(status=status, authoredOn=authored_on)))
    assert (Anomaly.NEGATIVE_DURATION in task.anomalies) is negative
    assert task.authored is not None


# Payers


@pytest.mark.parametrize(
    ("owner", "party"),
    [
        (make.reference("Organization/7"), Party("Organization/7", "Organization")),
        (make.reference("Organization/7/_history/2"), Party("Organization/7", "Organization")),
        (make.reference("http://x/fhir/Organization/7"), Party("http://x/fhir/Organization/7", "Organization")),
        (make.reference("urn:uuid:7", type="Organization"), Party("urn:uuid:7", "Organization")),
        (make.by_identifier("99", "http://npi"), Party(identifier="http://npi|99")),
        ({"identifier": {"value": "99"}}, Party(identifier="|99")),
        (make.by_display(" Old Payer "), Party(display="Old Payer")),
        (make.reference("Practitioner/7", display="Dr A", identifier={"value": "9"}), Party(kind="Practitioner")),
        (make.reference("http://x/PractitionerRole/7/_history/1"), Party(kind="PractitionerRole")),
        (make.reference("Patient?identifier=123"), Party(kind="Patient")),
        ({"type": "RelatedPerson", "display": "Jane"}, Party(kind="RelatedPerson")),
        ({"type": "http://hl7.org/fhir/StructureDefinition/Person", "display": "Jane"}, Party(kind="Person")),
        (make.reference("Patient/7", type="Organization"), Party(kind="Patient")),
        (make.by_display("x" * 2000), Party(display="x" * 512)),
    ],
)
def test_a_reference_becomes_a_party(owner: Any, party: Party) -> None:
    task = read(stored(make.task(owner=owner, requester=owner)))
    assert task.owner == task.requester == party
    assert task.anomalies == frozenset()


@pytest.mark.parametrize(
    "nobody",
    [
        *(None, {}, {"reference": ""}, {"reference": None, "display": " "}, {"identifier": {"system": "http://npi"}}),
        *({"type": "Organization"}, {"_reference": {"extension": []}}, {"extension": [{"url": "x"}]}),
    ],
)
def test_a_reference_without_content_is_missing(nobody: Any) -> None:
    task = read(stored(make.task(owner=nobody, requester=nobody)))
    assert (task.owner, task.requester) == (None, None)
    assert task.anomalies == {Anomaly.MISSING_OWNER, Anomaly.MISSING_REQUESTER}


@pytest.mark.parametrize(
    ("contained", "party"),
    [
        ([make.organization("payer", "Inside")], Party("#payer", "Organization", contained="Inside")),
        (
            [make.organization("x", "No"), make.organization("payer", "Inside")],
            Party("#payer", "Organization", None, None, "Inside"),
        ),
        ([make.organization("payer", None)], Party("#payer", "Organization")),
        ([make.organization("other", "Inside")], Party("#payer")),
        (
            [{"resourceType": "Practitioner", "id": "payer", "name": [{"family": "Careful"}]}],
            Party(kind="Practitioner"),
        ),
        ([{"resourceType": "Location", "id": "payer", "name": "Ward"}], Party("#payer")),
        ([{"resourceType": "Organization", "id": "payer", "name": ["x"]}], Party("#payer", "Organization")),
        (None, Party("#payer")),
        ([None], Party("#payer")),
    ],
)
def test_a_contained_payer_is_found_if_it_came_along(contained: Any, party: Party) -> None:
    assert read(stored(make.task(owner=make.reference("#payer"), contained=contained))).owner == party


def test_the_same_contained_id_in_two_tasks_means_two_payers() -> None:
    one, other = (stored(make.task(**make.contained(name))) for name in ("One", "Other"))
    assert [task.owner.contained for task in decoded(entry(one), entry(other)).tasks if task.owner] == ["One", "Other"]


# Member, consent, outputs, reasons


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


def texts_of(resource: make.Resource) -> list[str]:
    """Tell what the classifier is shown."""
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
def test_only_failed_tasks_are_looked_into(status: str) -> None:
    assert texts_of(make.task(status=status, note=make.note("n"), statusReason={"text": "t"})) == []


def test_long_texts_are_cut_and_of_many_notes_the_last_count() -> None:
    seen = texts_of(make.failed(note=make.note(*(f"{number} " + "x" * 9000 for number in range(80)))))
    assert len(seen) == 50
    assert {len(text) for text in seen} == {4096}
    assert seen[-1].startswith("79 ")


# Answers that are no page

NOT_FHIR = (
    *(b"", b" ", b"<html><body>Log in</body></html>", b"\xef\xbb\xbf{}", b'{"resourceType":"Bundle"', b"{} {}", b"NaN"),
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"resourceType":"\xff"}', b'{"resourceType":5'),
    *(b'{"resourceType":"Bundle","type":"searchset","entry":[{"a":"\\x"}]}', b"[1, 2", b"{'a': 1}"),
)
WRONG_RESOURCE = (
    *(b"{}", b"[]", b"null", b"5", b'"Bundle"', b'{"resourceType":"Bundle"}', b'{"resourceType":"Patient","id":"x"}'),
    *(b'{"resourceType":"Bundle","type":"history"}', b'{"resourceType":5}', searchset(entry={}), searchset(link=[5])),
    *(searchset(link=[{"relation": "next"}]), searchset(link=[{"relation": "next", "url": ""}])),
    *(sample(path.stem) for path in sorted(SAMPLES.glob("OperationOutcome-*.json"))),
    *(sample(name) for name in ("Organization-hl7", "Task-example1", "Bundle-bundle-response")),
)


@pytest.mark.parametrize("body", NOT_FHIR, ids=range(len(NOT_FHIR)))
def test_what_is_no_json_is_not_fhir(body: bytes) -> None:
    for decode in (
        lambda: decode_page(body, OURS, quiet),
        lambda: decode_count(body),
        lambda: decode_organization(body),
    ):
        with pytest.raises(NotFhir):
            decode()


@pytest.mark.parametrize("body", WRONG_RESOURCE, ids=range(len(WRONG_RESOURCE)))
def test_what_is_no_searchset_is_the_wrong_resource(body: bytes) -> None:
    with pytest.raises(WrongResource):
        decode_page(body, OURS, quiet)


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"CANARY"}',
        b'{"resourceType":"Bundle","type":["CANARY"]}',
        b'{"resourceType":"OperationOutcome","issue":[{"diagnostics":"CANARY"}]}',
        b'{"resourceType":"Bundle","type":"searchset","link":"CANARY"}',
        b"CANARY",
        b'{"CANARY',
    ],
)
def test_no_error_repeats_what_the_server_said(body: bytes) -> None:
    with pytest.raises(ServerError) as caught:
        decode_page(body, OURS, quiet)
    error: BaseException | None = caught.value
    while error is not None:
        assert "CANARY" not in str(error)
        error = error.__cause__ or error.__context__


# Counts and Organizations


@pytest.mark.parametrize(
    ("total", "count"), [(0, 0), (41, 41), (1_000_000, 1_000_000), (None, None), (-1, None), (10**400, None)]
)
def test_a_count_is_the_bundles_total(total: int | None, count: int | None) -> None:
    assert decode_count(searchset(total=total)) == count


def test_an_answer_that_is_no_count_is_refused() -> None:
    with pytest.raises(WrongResource):
        decode_count(sample("OperationOutcome-exception"))


@pytest.mark.parametrize("total", ["5", True, 5.5, None, -1, 2**53, [5]])
def test_a_total_that_is_no_number_of_tasks_is_no_count(total: object) -> None:
    assert decode_count(searchset(total=total)) is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (sample("Organization-hl7"), "Health Level Seven International"),
        (sample("Organization-f001"), "Burgers University Medical Center"),
        (b'{"resourceType":"Organization"}', None),
        (b'{"resourceType":"Organization","name":" "}', None),
        (b'{"resourceType":"Organization","name":["x"]}', None),
        (b'{"resourceType":"Organization","name":null}', None),
        (b'{"resourceType":"Organization","name":"' + b"x" * 9000 + b'"}', "x" * 512),
    ],
)
def test_an_organization_is_its_name(body: bytes, name: str | None) -> None:
    assert decode_organization(body) == name


@pytest.mark.parametrize("body", [sample("OperationOutcome-exception"), sample("Task-example1"), b"[]", searchset()])
def test_another_resource_is_no_organization(body: bytes) -> None:
    with pytest.raises(WrongResource):
        decode_organization(body)


# Official examples


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


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("Task-*.json")), ids=lambda path: path.stem)
def test_the_official_tasks_as_they_are_have_no_stamp(path: Path) -> None:
    task = read(json.loads(path.read_bytes()), ALL)
    assert task.id == json.loads(path.read_bytes())["id"]
    assert task.anomalies == {Anomaly.UNPARSABLE}
    assert read(json.loads(path.read_bytes())).tagged is False


def test_the_record_number_in_the_official_warning_goes_nowhere() -> None:
    page = decode_page(sample("Bundle-bundle-search-warning"), OURS, quiet)
    assert page == Page((), None, 1_489_440_210_000, 0)


def test_the_official_search_has_one_match_which_is_no_task() -> None:
    page = decode_page(sample("Bundle-bundle-example"), OURS, quiet)
    (task,) = page.tasks
    assert task.anomalies == {Anomaly.UNPARSABLE}
    assert task.id.startswith("?")
    assert page.next is not None
    assert page.next.endswith("page=2")


# Leaks

SHOWN = {"resourceType", "id", "versionId", "lastUpdated", "authoredOn", "status", "tag", "code"}
"""Elements that keep their content in a page of canaries, or nothing of it would be read at all."""


def canaried(value: Any, shown: frozenset[str]) -> Any:
    """Replace every text but those of the elements `shown`."""
    if isinstance(value, dict):
        return {name: part if name in shown else canaried(part, shown) for name, part in value.items()}
    if isinstance(value, list):
        return [canaried(part, shown) for part in value]
    return f"CANARY {value}" if isinstance(value, str) else value


def everything(owner: Any, status: str) -> make.Resource:
    """Make a Task with texts in every element that could hold one."""
    return stored(
        make.task(
            status=status,
            owner=owner,
            output=make.output(2, 1),
            note=[{"text": "note", "authorString": "author", "authorReference": make.reference("Practitioner/1")}],
            statusReason=make.concept(OTHER, text="reason"),
            businessStatus=make.concept(OTHER, text="business"),
            description="description",
            input=[{"type": {"text": "input"}, "valueString": "value"}],
            groupIdentifier={"system": "s", "value": "v"},
            encounter=make.reference("Encounter/1", display="encounter"),
            contained=[
                {"resourceType": "Patient", "id": "payer", "name": [{"family": "family"}], "text": {"div": "d"}}
            ],
            extension=[{"url": "u", "valueString": "extension"}],
            focus=make.reference("Consent/1", display="consent", identifier={"value": "v"}),
            for_=make.reference("Patient/1", display="patient", identifier={"value": "v"}),
        ),
        source="source",
        security=[make.coding(OTHER)],
        profile=["profile"],
    )


@pytest.mark.parametrize("status", [status.value for status in Status])
@pytest.mark.parametrize(
    "person",
    [
        make.reference("Practitioner/1", display="Dr Adam Careful", identifier={"system": "npi", "value": "1"}),
        make.reference("#payer", display="Jane"),
    ],
)
def test_no_text_of_a_page_comes_through(status: str, person: Any) -> None:
    shown = frozenset(SHOWN)
    resource = canaried(everything(person, status), shown) | {"requester": person | {"display": "CANARY"}}
    resource["owner"] = person | {"display": "CANARY"}
    odd = resource | {"id": "odd", "status": ["CANARY"]}
    untagged = resource | {"meta": {"versionId": "1", "lastUpdated": "2026-11-20T14:03:11Z"}}
    page = decoded(
        entry(resource),
        entry(odd),
        entry(untagged),
        entry(canaried(make.organization(), shown), "include"),
        entry(canaried(outcome(), frozenset({"resourceType", "severity"})), "outcome"),
        link=[{"relation": "self", "url": "http://x/?name=CANARY"}],
    )
    assert [task.usable for task in page.tasks] == [True, False, True]
    assert "CANARY" not in repr(page)
    assert "Careful" not in repr(page)
    assert "Jane" not in repr(page)


def test_an_organizations_name_is_all_that_comes_through() -> None:
    resource = canaried(everything(make.reference("Organization/7", display="x"), "failed"), frozenset(SHOWN))
    resource["owner"] = {"reference": "Organization/7", "display": "CANARY Payer"}
    resource["requester"] = make.reference("Organization/8")
    (task,) = decoded(entry(resource)).tasks
    assert task.owner == Party("Organization/7", "Organization", None, "CANARY Payer")
    assert repr(task).count("CANARY") == 1


# Whatever comes

NAMES = st.sampled_from(
    [
        *(
            "resourceType",
            "type",
            "meta",
            "lastUpdated",
            "versionId",
            "tag",
            "link",
            "entry",
            "resource",
            "search",
            "mode",
        ),
        *(
            "id",
            "status",
            "statusReason",
            "code",
            "coding",
            "system",
            "text",
            "focus",
            "for",
            "authoredOn",
            "requester",
        ),
        *(
            "owner",
            "reference",
            "identifier",
            "display",
            "note",
            "output",
            "valueReference",
            "contained",
            "name",
            "issue",
        ),
        *("total", "relation", "url", "severity", "concept", "value"),
    ]
)
WORDS = st.sampled_from(
    [
        "Bundle",
        "searchset",
        "Task",
        "match",
        "next",
        "failed",
        "#a",
        "a",
        "2026-11-20T14:03:11Z",
        "OperationOutcome",
        "error",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(NAMES, part, max_size=8),
    max_leaves=30,
)
GOOD = searchset(*(entry(everything(make.reference("#payer"), status)) for status in ("failed", "completed")))


def survives(body: bytes) -> Iterator[Page]:
    """Decode, and let pass the two errors that are meant to be raised."""
    for selection in (OURS, ALL):
        with suppress(NotFhir, WrongResource):
            yield decode_page(body, selection, quiet)
    for decode in (decode_count, decode_organization):
        with suppress(NotFhir, WrongResource):
            decode(body)


@given(JSON)
@settings(deadline=None)
def test_no_json_breaks_the_decoder(value: Any) -> None:
    list(survives(json.dumps(value).encode()))


@given(st.lists(JSON, max_size=5), JSON)
@settings(deadline=None)
def test_a_page_of_anything_gives_as_many_tasks_as_matches(entries: list[Any], resource: Any) -> None:
    for page in survives(searchset(*entries, entry(resource), entry(stored(make.task("good"))))):
        assert page.matches == len(page.tasks)
        assert page.tasks[-1].id == "good"
        assert all(task.updated >= 0 < len(task.id) for task in page.tasks)


@given(st.dictionaries(NAMES, JSON, max_size=4))
@settings(deadline=None)
def test_a_task_with_odd_elements_is_still_one_task(elements: dict[str, Any]) -> None:
    resource = stored(make.failed()) | elements | {"resourceType": "Task"}
    assert decoded(entry(resource)).matches == 1


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 30), st.binary(max_size=6))
@settings(deadline=None)
def test_damaged_bytes_do_not_break_the_decoder(at: int, gone: int, put: bytes) -> None:
    list(survives(GOOD[:at] + put + GOOD[at + gone :]))


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_bytes_do_not_break_the_decoder(body: bytes) -> None:
    list(survives(body))
