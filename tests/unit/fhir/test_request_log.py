"""Level debug writes one line a request: what was asked and what it cost, and nothing that was asked for."""

import logging
from collections.abc import Callable, Iterator

import pytest

from exporter.demo.server import Request, Response
from exporter.errors import ServerError
from exporter.fhir.client import FhirWindow
from exporter.task.search import Search
from tests.support import fake, quirks
from tests.support.builders import organization, task
from tests.support.rig import Rig

Fields = dict[str, object]
CANARY = "phi-canary-77"


class Lines(logging.Handler):
    """The fields of each line about a request."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[Fields] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "request":
            self.fields.append(vars(record)["fields"])


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("exporter.fhir")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    for n in range(5):
        rig.store.put(task(f"{CANARY}-{n}"))
    rig.store.put(organization("one", "One"))
    return rig.start().ask_for_pages(3)


def ask(rig: Rig, question: Callable[[FhirWindow], object]) -> None:
    with rig.context.server.window() as window:
        question(window)


def pages(window: FhirWindow) -> None:
    link = window.first(Search()).next
    assert link is not None
    window.follow(link)


def short(fields: Fields) -> tuple[object, ...]:
    return tuple(fields.get(name) for name in ("operation", "status", "tasks"))


def test_each_page_has_one_line_with_its_cost_and_its_number_of_tasks(rig: Rig, lines: Lines) -> None:
    ask(rig, pages)
    assert [short(fields) for fields in lines.fields] == [("search", 200, 3), ("page", 200, 2)]
    for fields in lines.fields:
        assert set(fields) == {"operation", "status", "seconds", "bytes", "tasks"}
        assert isinstance(fields["bytes"], int)
        assert fields["bytes"] > 100
        assert isinstance(fields["seconds"], float)


OTHERS: dict[str, tuple[Callable[[FhirWindow], object], tuple[object, ...]]] = {
    "count": (lambda window: window.count(Search()), ("count", 200, None)),
    "organization": (lambda window: window.organization("Organization/one"), ("organization", 200, None)),
    "no organization": (lambda window: window.organization(f"Organization/{CANARY}"), ("organization", 404, None)),
    "metadata": (lambda window: window.capability(), ("metadata", 200, None)),
    "read of a status": (lambda window: window.status_of(f"{CANARY}-1"), ("read", 200, None)),
    "read": (lambda window: window.read([f"{CANARY}-1", f"{CANARY}-2"]), ("read", 200, 2)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_each_other_request_has_one_line(rig: Rig, lines: Lines, name: str) -> None:
    question, expected = OTHERS[name]
    ask(rig, question)
    assert [short(fields) for fields in lines.fields] == [expected]


def cut(_: Request) -> Response:
    return Response(200, (("content-type", "application/fhir+json"), ("content-encoding", "gzip")), b"no gzip")


FAILURES: dict[str, tuple[fake.Answer, object]] = {
    "refused": (quirks.always(quirks.FORBIDDEN)(lambda _: quirks.FORBIDDEN), 403),
    "not FHIR": (quirks.login_page(lambda _: quirks.FORBIDDEN), 200),
    "broken": (cut, 200),
    "another resource": (quirks.outcome_told(200, CANARY)(lambda _: quirks.FORBIDDEN), 200),
    "no answer": (quirks.down(lambda _: quirks.FORBIDDEN), None),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_request_that_fails_has_one_line_too(rig: Rig, lines: Lines, name: str) -> None:
    rig.transport.answer, status = FAILURES[name]
    with pytest.raises(ServerError):
        ask(rig, lambda window: window.first(Search()))
    assert [short(fields) for fields in lines.fields] == [("search", status, None)]


def test_a_line_holds_no_address_no_query_and_no_id(rig: Rig, lines: Lines) -> None:
    for question, _ in OTHERS.values():
        ask(rig, question)
    ask(rig, pages)
    told = repr(lines.fields)
    assert not [each for each in (CANARY, "http", "?", "/", "_tag", "one") if each in told]


def test_nothing_is_written_at_level_info(rig: Rig, lines: Lines) -> None:
    logging.getLogger("exporter.fhir").setLevel(logging.INFO)
    ask(rig, pages)
    assert lines.fields == []


def test_there_are_as_many_lines_as_counted_requests(rig: Rig, lines: Lines) -> None:
    rig.settle()
    rig.compare_all()
    assert len(lines.fields) == rig.transport.count > 5
