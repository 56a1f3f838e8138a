import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import httpx
import pytest

from exporter.config import FhirSettings
from exporter.errors import (
    AuthFailed,
    Cached,
    ClientFault,
    CursorExpired,
    Forbidden,
    LinkCycle,
    LinkRefused,
    NotFhir,
    ServerFault,
    WrongResource,
)
from exporter.fhir.auth import Anonymous
from exporter.fhir.client import ELEMENTS, FhirServer, FhirWindow, SearchOptions
from exporter.fhir.http import Http
from exporter.task.capability import Capability
from exporter.task.model import UNCLASSIFIED, Coding, Page, Selection
from exporter.task.search import Bound, Search
from tests.support import fake
from tests.support.builders import CODE, TAG, organization, task

BASE = fake.BASE
OURS = Selection(TAG, CODE)
Answer = tuple[int, Any]
T = TypeVar("T")


class Script:
    """A server that answers by path and query, and keeps what it was asked."""

    def __init__(self, answer: Callable[[httpx.URL], Answer], **headers: str) -> None:
        self.answer = answer
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.headers = {"Content-Type": "application/fhir+json"} | given
        self.asked: list[httpx.URL] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        status, content = self.answer(request.url)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return httpx.Response(status, headers=self.headers, stream=httpx.ByteStream(body))

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.asked[-1].query.decode())


def unclassified(texts: Iterable[str]) -> str:
    return UNCLASSIFIED


OPTIONS = SearchOptions(unclassified, window_seconds=60)


def server_of(
    script: Script, selection: Selection = OURS, *, page_size: int = 200, rewrite: bool = False
) -> FhirServer:
    settings = replace(settings_of(selection), page_size=page_size, rewrite_links=rewrite)
    http = Http(settings, Anonymous(), transport=httpx.MockTransport(script))
    return FhirServer(http, settings, OPTIONS)


def settings_of(selection: Selection) -> FhirSettings:
    """What an operator writes to select these Tasks."""
    return FhirSettings(url=BASE, tag=selection.tag, code=selection.code, search=selection.search)


def ask(script: Script, question: Callable[[FhirWindow], T]) -> T:
    with server_of(script).window() as window:
        return question(window)


def bundle(*resources: dict[str, Any], link: str | None = None, **elements: Any) -> dict[str, Any]:
    links = [{"relation": "next", "url": link}] if link else []
    entries = [{"resource": each, "search": {"mode": "match"}} for each in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **elements}


def says(content: Any, status: int = 200, **headers: str) -> Script:
    return Script(lambda _: (status, content), **headers)


def stamped(identifier: str) -> dict[str, Any]:
    tag = {"system": TAG.system, "code": TAG.code}
    return task(identifier, meta={"versionId": "1", "lastUpdated": "2026-11-20T12:00:00.000Z", "tag": [tag]})


def by_query(url: httpx.URL) -> Answer:
    """Refuse `_tag`, as a server does whose search parameter is retired."""
    return (400, {"resourceType": "OperationOutcome"}) if "_tag" in url.params else (200, bundle())


def test_a_search_is_by_tag_and_time_and_names_the_elements_it_wants() -> None:
    script = says(bundle())
    selection = Selection(TAG, CODE, (("owner", "Organization/a b+c"),))
    search = Search(Bound("ge", fake.START), fake.START + 1, (("status:not", "completed,failed"),))
    with server_of(script, selection, page_size=50).window() as window:
        window.first(search)
    assert script.asked[0].path == "/fhir/Task"
    assert script.query == [
        ("_tag", f"{TAG.system}|{TAG.code}"),
        ("_lastUpdated", "ge2026-11-20T12:00:00.000Z"),
        ("_lastUpdated", "lt2026-11-20T12:00:00.001Z"),
        ("status:not", "completed,failed"),
        ("owner", "Organization/a b+c"),
        ("_sort", "_lastUpdated,_id"),
        ("_count", "50"),
        ("_elements", ELEMENTS),
    ]
    assert b"|" not in script.asked[0].query
    assert b"+" not in script.asked[0].query


def test_without_a_tag_or_bounds_nothing_is_asked_of_them() -> None:
    script = says(bundle())
    with server_of(script, Selection(None, CODE)).window() as window:
        window.first(Search())
    assert [name for name, _ in script.query] == ["_sort", "_count", "_elements"]


def test_a_page_tells_its_tasks_and_the_servers_clock() -> None:
    script = says(
        bundle(stamped("a"), meta={"lastUpdated": "2026-11-20T12:00:00.123Z"}), Date="Thu, 01 Jan 1970 00:00:09 GMT"
    )
    page = ask(script, lambda window: window.first(Search()))
    assert ([each.id for each in page.tasks], page.matches, page.clock) == (["a"], 1, fake.START + 123)


def test_where_the_bundle_tells_no_time_the_date_header_does() -> None:
    script = says(bundle(), Date="Fri, 20 Nov 2026 12:00:00 GMT")
    assert ask(script, lambda window: window.first(Search())).clock == fake.START


def test_where_neither_tells_the_time_it_is_unknown() -> None:
    assert ask(says(bundle()), lambda window: window.first(Search())).clock is None


@pytest.mark.parametrize(
    "question",
    [
        lambda window: window.first(Search()),
        lambda window: window.read(["a"]),
        lambda window: window.count(Search()),
    ],
)
def test_an_answer_out_of_a_cache_is_refused(question: Callable[[FhirWindow], object]) -> None:
    with pytest.raises(Cached):
        ask(says(bundle(total=1), X_Cache="HIT from https://cdr.example"), question)


def test_a_further_page_may_come_out_of_a_cache() -> None:
    assert ask(says(bundle(), X_Cache="HIT"), lambda window: window.follow("?p=1")).tasks == ()


def test_an_empty_page_with_a_further_one_is_no_end() -> None:
    page = ask(says(bundle(link=f"{BASE}?p=2")), lambda window: window.first(Search()))
    assert (page.matches, page.next) == (0, f"{BASE}?p=2")


def test_a_link_is_followed_verbatim() -> None:
    script = says(bundle())
    ask(script, lambda window: window.follow(f"{BASE}?_getpages=a-b&x=%7C%2B|&_bundletype=searchset"))
    assert str(script.asked[0]) == f"{BASE}?_getpages=a-b&x=%7C%2B|&_bundletype=searchset"


def test_a_link_elsewhere_is_refused_and_rewritten_only_when_told_so() -> None:
    link = "http://internal:8080/fhir?p=1"
    script = says(bundle())
    with server_of(script).window() as window, pytest.raises(LinkRefused):
        window.follow(link)
    assert script.asked == []
    with server_of(script, rewrite=True).window() as window:
        window.follow(link)
    assert str(script.asked[0]) == f"{BASE}?p=1"


def test_links_that_come_back_are_a_cycle() -> None:
    def question(window: FhirWindow) -> None:
        window.first(Search())
        window.follow("?p=a")
        window.read(["x"])
        window.follow("?p=b")
        with pytest.raises(LinkCycle):
            window.follow(f"{BASE}?p=a#again")

    ask(says(bundle()), question)


def test_a_new_search_may_be_given_the_links_of_the_last_one() -> None:
    def question(window: FhirWindow) -> Page:
        for _ in range(2):
            window.first(Search())
            page = window.follow("?p=a")
        return page

    assert ask(says(bundle()), question).next is None


def test_links_without_end_are_a_cycle() -> None:
    script = Script(lambda url: (200, bundle(link=f"{BASE}?p={int(url.params.get('p', 0)) + 1}")))
    settings = settings_of(OURS)
    http = Http(settings, transport=httpx.MockTransport(script))
    with FhirServer(http, settings, replace(OPTIONS, max_pages=20)).window() as window:
        page = window.first(Search())
        for _ in range(20):
            page = window.follow(page.next or "")
        with pytest.raises(LinkCycle):
            window.follow(page.next or "")
    assert len(script.asked) == 21


def test_an_expired_page_is_not_any_fault() -> None:
    with pytest.raises(CursorExpired):
        ask(says({"resourceType": "OperationOutcome"}, 410), lambda window: window.follow("?p=1"))


def test_a_refused_tag_is_left_out_from_then_on_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(by_query)
    server = server_of(script)
    for _ in range(3):
        with server.window() as window:
            window.first(Search())
    assert ["_tag" in url.params for url in script.asked] == [True, False, False, False]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    with server.window() as window, pytest.raises(WrongResource):
        window.count(Search())
    assert len(script.asked) == 4


def test_a_refused_tag_is_tried_again_when_told_so() -> None:
    script = Script(by_query)
    server = server_of(script)
    with server.window() as window:
        window.first(Search())
    server.ask_tag_again()
    script.answer = lambda _: (200, bundle(total=3))
    with server.window() as window:
        window.first(Search())
        assert window.count(Search()) == 3
    assert "_tag" in script.asked[-1].params
    assert not server.tag_refused


def test_a_search_that_fails_without_the_tag_too_blames_no_tag() -> None:
    script = says({"resourceType": "OperationOutcome"}, 400)
    server = server_of(script)
    with server.window() as window, pytest.raises(ClientFault):
        window.first(Search())
    assert (len(script.asked), server.tag_refused) == (2, False)


@pytest.mark.parametrize("status", [404, 405, 422])
def test_only_a_400_may_be_about_the_tag(status: int) -> None:
    script = says({}, status)
    with pytest.raises(ClientFault):
        ask(script, lambda window: window.first(Search()))
    assert len(script.asked) == 1


def test_without_a_tag_a_400_is_final() -> None:
    script = says({}, 400)
    with server_of(script, Selection()).window() as window, pytest.raises(ClientFault):
        window.first(Search())
    assert len(script.asked) == 1


def test_tasks_are_read_by_id_in_batches_untagged_and_every_page_of_them() -> None:
    def answer(url: httpx.URL) -> Answer:
        if "page" in url.params:
            return 200, bundle(stamped("z"))
        first = url.params["_id"].split(",")[0]
        return 200, bundle(stamped(first), link="?page=2" if first == "t-0" else None)

    script = Script(answer)
    page = ask(script, lambda window: window.read([f"t-{number}" for number in range(120)]))
    batches = [url.params["_id"].split(",") for url in script.asked if "_id" in url.params]
    assert [len(batch) for batch in batches] == [50, 50, 20]
    assert [each.id for each in page.tasks] == ["t-0", "z", "t-50", "t-100"]
    assert (page.matches, page.next) == (4, None)
    assert not any("_tag" in url.params for url in script.asked)


def test_reading_nothing_asks_nothing() -> None:
    script = says(bundle())
    assert ask(script, lambda window: window.read([])) == Page(())
    assert script.asked == []


def test_a_read_whose_pages_go_in_circles_ends() -> None:
    with pytest.raises(LinkCycle):
        ask(says(bundle(link="?p=1")), lambda window: window.read(["a"]))


def test_a_count_is_asked_for_as_a_count() -> None:
    script = says(bundle(total=17))
    search = Search(Bound("ge", fake.START), filters=(("status", "failed"),))
    assert ask(script, lambda window: window.count(search)) == 17
    assert [name for name, _ in script.query] == ["_tag", "_lastUpdated", "status", "_summary"]


def test_no_count_is_not_zero() -> None:
    with pytest.raises(WrongResource):
        ask(says(bundle()), lambda window: window.count(Search()))


@pytest.mark.parametrize(
    "reference", ["Organization/old-payer", "Organization/old-payer/_history/2", f"{BASE}/Organization/old-payer"]
)
def test_an_organization_is_asked_for_its_name_only(reference: str) -> None:
    script = says(organization(name="Old Payer"))
    assert ask(script, lambda window: window.organization(reference)) == "Old Payer"
    assert str(script.asked[0]) == f"{BASE}/Organization/old-payer?_elements=name"


@pytest.mark.parametrize(
    "reference",
    [
        "http://evil.example/fhir/Organization/1",
        "//evil.example/Organization/1",
        f"{BASE}x/Organization/1",
        f"{BASE}/../Organization/1",
        "Practitioner/1",
        "Organization/..",
        "Organization/.",
        "Organization/../Patient",
        "Organization/1?x=y",
        "Organization/1#x",
        "Organization/%2e%2e",
        "Organization/",
        "Organization/1\n",
        "Organization/" + "x" * 65,
        "#contained",
        "urn:uuid:1",
        "",
    ],
)
def test_no_other_reference_is_ever_fetched(reference: str) -> None:
    script = says(organization())
    assert ask(script, lambda window: window.organization(reference)) is None
    assert script.asked == []


@pytest.mark.parametrize("status", [400, 404, 405, 410])
def test_an_organization_that_cannot_be_read_has_no_name(status: int) -> None:
    assert ask(says({}, status), lambda window: window.organization("Organization/1")) is None


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthFailed), (403, Forbidden), (500, ServerFault), (503, ServerFault)]
)
def test_trouble_is_not_taken_for_a_missing_name(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(says({}, status), lambda window: window.organization("Organization/1"))


@pytest.mark.parametrize(
    "question", [lambda window: window.try_organization("Organization/1"), FhirWindow.search_organizations]
)
@pytest.mark.parametrize("status", [401, 403])
def test_it_can_be_asked_whether_organizations_may_be_read(
    question: Callable[[FhirWindow], object], status: int
) -> None:
    with pytest.raises(AuthFailed):
        ask(says({}, status), question)


def test_a_search_for_organizations_gives_its_status() -> None:
    script = says({}, 404)
    assert ask(script, FhirWindow.search_organizations) == 404
    assert script.asked[0].path == "/fhir/Organization"
    assert script.query == [("_count", "1"), ("_elements", "name")]


STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "software": {"name": "Smile\x1b[31m CDR", "version": "2026.11"},
    "rest": [
        {"mode": "server"},
        {
            "resource": [
                {"type": "Patient", "searchParam": [{"name": "birthdate"}]},
                {"type": "Task", "searchParam": [{"name": "_lastUpdated"}, {"name": "_tag"}, {}]},
                {"type": "Task"},
            ]
        },
    ],
}


def test_a_server_says_what_it_is() -> None:
    script = says(STATEMENT)
    capability = ask(script, lambda window: window.capability())
    assert capability == Capability("Smile[31m CDR 2026.11", "4.0.1")
    assert script.asked[0].path == "/fhir/metadata"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<html>", NotFhir),
        (b"", NotFhir),
        (b"[" * 100_000, NotFhir),
        (b'{"resourceType":"CapabilityStatement","software":[]}', NotFhir),
        ({"resourceType": "Patient"}, WrongResource),
        ({}, WrongResource),
    ],
)
def test_what_is_no_capability_statement_is_refused(content: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(says(content), lambda window: window.capability())


def test_an_empty_capability_statement_says_nothing() -> None:
    script = says({"resourceType": "CapabilityStatement"})
    assert ask(script, lambda window: window.capability()) == Capability("", "")


def test_the_simulated_server_is_walked_to_its_end() -> None:
    store = fake.store()
    for number in range(7):
        store.put(task(f"t-{number}"))
    settings = replace(settings_of(Selection(Coding(TAG.system, TAG.code), CODE)), page_size=3)
    server = FhirServer(Http(settings, transport=fake.transport(store)), settings, OPTIONS)
    with server.window() as window:
        page = window.first(Search(Bound("ge", fake.START - 1)))
        found = [each.id for each in page.tasks]
        while page.next:
            page = window.follow(page.next)
            found += [each.id for each in page.tasks]
        assert found == [f"t-{number}" for number in range(7)]
        assert window.count(Search()) == 7
        assert [each.id for each in window.read(["t-3", "absent"]).tasks] == ["t-3"]
