"""Pages, counts and Organizations: which answers are accepted, and which entries count."""

from typing import Any

import pytest

from exporter.errors import NotFhir, ServerError, TooLarge, WrongResource
from exporter.task.bundle import MOST_ENTRIES, decode_count, decode_history, decode_organization, decode_page
from exporter.task.model import Anomaly, Page
from tests.support import builders as make

from .pages import CLOCK_AT, OURS, SAMPLES, decoded, entry, outcome, quiet, sample, searchset, stored


def test_a_page_has_its_time_and_the_next_link() -> None:
    links = [{"relation": "self", "url": "http://x/a"}, {"relation": "next", "url": "http://x/b?_getpages=1"}]
    page = decoded(entry(stored(make.task("a"))), entry(stored(make.task("b"))), link=links)
    assert [task.id for task in page.tasks] == ["a", "b"]
    assert (page.matches, page.next, page.clock) == (2, "http://x/b?_getpages=1", CLOCK_AT)


@pytest.mark.parametrize("elements", [{"meta": None}, {"meta": {}}, {"meta": {"lastUpdated": "yesterday"}}])
def test_a_page_may_have_no_time(elements: dict[str, Any]) -> None:
    assert decoded(**elements).clock is None


@pytest.mark.parametrize("body", [b'{"resourceType":"Bundle","type":"searchset"}', searchset(), searchset(entry=None)])
def test_an_empty_page_is_a_page(body: bytes) -> None:
    page = decode_page(body, OURS, quiet)
    assert (page.tasks, page.next, page.matches) == ((), None, 0)


# Which entries match the search


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


def test_a_page_of_far_more_entries_than_were_asked_for_is_too_large() -> None:
    assert decoded(*[None] * MOST_ENTRIES).matches == MOST_ENTRIES
    with pytest.raises(TooLarge):
        decoded(*[None] * (MOST_ENTRIES + 1))


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_a_search_that_says_it_failed_is_no_answer(severity: str) -> None:
    with pytest.raises(WrongResource) as caught:
        decoded(entry(stored(make.task())), entry(outcome(severity), "outcome"))
    assert "John" not in str(caught.value)


def test_nothing_of_the_official_warning_is_kept() -> None:
    page = decode_page(sample("Bundle-bundle-search-warning"), OURS, quiet)
    assert page == Page((), None, 1_489_440_210_000, 0)


def test_the_official_search_has_one_match_which_is_no_task() -> None:
    page = decode_page(sample("Bundle-bundle-example"), OURS, quiet)
    (task,) = page.tasks
    assert task.anomalies == {Anomaly.UNPARSABLE}
    assert task.id.startswith("?")
    assert page.next is not None
    assert page.next.endswith("page=2")


# Answers that are not a page

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
def test_no_error_repeats_a_text_of_the_server(body: bytes) -> None:
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


# Histories


def test_a_history_has_every_version_but_no_deletion() -> None:
    versions = [stored(make.task("a"), versionId=number) for number in ("5", "4", "3")]
    entries = [
        {"resource": versions[0], "request": {"method": "PUT", "url": "Task/a"}},
        {"request": {"method": "DELETE", "url": "Task/a"}},
        {"resource": versions[1], "request": {"method": "DELETE", "url": "Task/a"}},
        {"resource": versions[2], "request": "POST"},
    ]
    links = [{"relation": "next", "url": "http://x/b"}]
    page = decode_history(searchset(*entries, type="history", link=links), OURS, quiet)
    assert [task.version for task in page.tasks] == ["5", "3"]
    assert page.next == "http://x/b"


@pytest.mark.parametrize("kind", ["searchset", "collection", None])
def test_a_history_is_a_bundle_of_its_type(kind: str | None) -> None:
    with pytest.raises(WrongResource):
        decode_history(searchset(type=kind), OURS, quiet)


def test_a_page_of_a_search_is_no_history() -> None:
    with pytest.raises(WrongResource):
        decode_page(searchset(type="history"), OURS, quiet)
