"""`watch Task/<id>`: statuses, time and deadline, notes as reasons, and never a note where it may be kept."""

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from exporter.config import DeadlineLength, FhirSettings, Settings
from exporter.demo.server import Request, Response
from exporter.demo.store import Store
from exporter.watch.run import NOTES_WARNING
from tests.support.builders import completed, failed, meta, note, organization, task
from tests.support.canaries import hits
from tests.support.fake import BASE, HandClock, honest
from tests.support.watching import Watching, in_turn, on_terminal

CANARY = "Jane-Canary-77"
NOTE = f"Member match failed for {CANARY}"
TARGET = "Task/p2p-task-1"


class Exchange:
    """A Task on a simulated server, its history to come, and a command that follows it."""

    def __init__(self, capsys: Any, *versions: dict[str, Any] | Callable[[Store], None]) -> None:
        self.clock = HandClock()
        self.store = Store(self.clock, BASE)
        self.store.put(organization())
        self.watch = Watching(honest(self.store), self.clock, capsys)
        self.watch.meanwhile = lambda _: self.next()
        self._versions = list(versions)
        self.next()

    def next(self) -> None:
        """Write the next version, if there is one."""
        if self._versions:
            version = self._versions.pop(0)
            version(self.store) if callable(version) else self.store.put(version)

    def lines(self) -> list[str]:
        """What was printed on stdout, without times."""
        return [re.sub(r"^\S+Z ", "", line) for line in self.watch.printed()[0]]


def test_a_task_is_followed_through_its_statuses(capsys: Any) -> None:
    exchange = Exchange(capsys, task(), task(), task(status="in-progress"), completed(documents=2))
    assert exchange.watch(TARGET) == 0
    assert exchange.lines() == [
        "requested, elapsed 1h, due in 23h, source payer Old Payer, requesting payer unknown",
        "in-progress, elapsed 1h, due in 22h59m, source payer Old Payer, requesting payer unknown",
        "completed, after 1h, source payer Old Payer, requesting payer unknown, before its deadline, 2 documents",
    ]
    assert exchange.watch.pauses == [5, 5, 5]
    assert set(exchange.watch.methods) == {"GET"}


@pytest.mark.parametrize("status", ["failed", "cancelled", "rejected", "entered-in-error"])
def test_another_end_exits_1(capsys: Any, status: str) -> None:
    exchange = Exchange(capsys, task(), task(status=status))
    assert exchange.watch(TARGET) == 1
    assert exchange.lines()[-1].startswith(f"{status}, after 1h")


@pytest.mark.parametrize(
    ("remove", "said"),
    [
        (lambda store: store.delete("p2p-task-1"), ["deleted", "The Task was deleted."]),
        (
            lambda store: store.expunge("p2p-task-1"),
            ["gone", "The server has no such Task: it was removed, or the id is wrong."],
        ),
    ],
)
def test_a_task_that_is_deleted_or_removed_exits_1(
    capsys: Any, remove: Callable[[Store], None], said: list[str]
) -> None:
    exchange = Exchange(capsys, task(), remove)
    assert exchange.watch(TARGET) == 1
    assert exchange.lines()[1:] == said


def test_an_open_task_past_its_deadline_is_overdue_and_gets_a_line_when_it_becomes_so(capsys: Any) -> None:
    exchange = Exchange(capsys, task(), task(), task(), completed())
    settings = Settings(fhir=FhirSettings(url=BASE), deadline=DeadlineLength(seconds=3603.0))
    assert exchange.watch(TARGET, settings) == 0
    first, second, last = exchange.lines()
    assert "due in 3s" in first
    assert "overdue by 2s" in second
    assert "overdue by 12s" in last


def test_a_payer_with_a_deadline_of_its_own_has_that(capsys: Any) -> None:
    exchange = Exchange(capsys, completed())
    own = MappingProxyType({"Old Payer": DeadlineLength(seconds=60.0)})
    settings = Settings(fhir=FhirSettings(url=BASE), payer_deadlines=own)
    exchange.watch(TARGET, settings)
    assert "overdue by 59m" in exchange.lines()[0]


def test_a_deadline_of_business_days_counts_them(capsys: Any) -> None:
    """START is Friday noon in UTC, and the Task an hour older: one business day later is Monday 11:00."""
    exchange = Exchange(capsys, task(), completed())
    settings = Settings(fhir=FhirSettings(url=BASE), deadline=DeadlineLength(business_days=1))
    exchange.watch(TARGET, settings)
    assert "due in 2d23h" in exchange.lines()[0]


def test_a_task_without_a_date_has_no_deadline(capsys: Any) -> None:
    exchange = Exchange(capsys, task(authoredOn=None), completed(authoredOn=None))
    assert exchange.watch(TARGET) == 0
    assert exchange.lines()[0] == "requested, source payer Old Payer, requesting payer unknown"


def test_a_task_of_another_tag_and_code_is_followed_too(capsys: Any) -> None:
    exchange = Exchange(capsys, task(meta=meta(), code=None), completed(meta=meta(), code=None))
    assert exchange.watch(TARGET) == 0
    assert exchange.lines()[-1].startswith("completed, after 1h")


def test_an_odd_task_is_followed_as_far_as_it_can_be_read(capsys: Any) -> None:
    exchange = Exchange(capsys, task(focus=[1]), completed(focus=[1]))
    assert exchange.watch(TARGET) == 0
    assert exchange.lines() == [
        "requested, cannot be read completely",
        "completed, cannot be read completely, 0 documents",
    ]


def test_the_address_of_a_task_will_do(capsys: Any) -> None:
    assert Exchange(capsys, completed()).watch(f"{BASE}/{TARGET}") == 0


def test_notes_are_matched_to_reasons_and_not_printed(capsys: Any) -> None:
    exchange = Exchange(capsys, task(note=note(f"Hello {CANARY}")), failed(note_text=NOTE))
    assert exchange.watch(TARGET) == 1
    out, errors = exchange.watch.printed()
    assert out[0].endswith(", 1 note")
    assert out[1].endswith(", before its deadline, reason member_match, 1 note (member_match 1)")
    assert hits("\n".join(out + errors), CANARY, "p2p-task-1", "patient-1", "consent-1") == []


def test_the_operators_own_reasons_come_first(capsys: Any) -> None:
    exchange = Exchange(capsys, failed(note_text=NOTE))
    reasons = (("own", re.compile("Canary")),)
    exchange.watch(TARGET, Settings(fhir=FhirSettings(url=BASE), reasons=reasons))
    assert "reason own, 1 note (own 1)" in exchange.lines()[0]


def test_json_has_reasons_and_no_note_id_or_member(capsys: Any) -> None:
    exchange = Exchange(capsys, task(), failed(note_text=NOTE))
    assert exchange.watch(TARGET, output="json") == 1
    out, errors = exchange.watch.printed()
    assert hits("\n".join(out + errors), CANARY, "p2p-task-1", "patient-1", "consent-1") == []
    again = Exchange(capsys, failed(note_text=NOTE))
    again.watch(TARGET, output="json")
    status, end = again.watch.objects()
    assert status == {
        "time": "2026-11-20T12:00:00.000Z",
        "event": "status",
        "kind": "task",
        "state": "failed",
        "elapsed_seconds": 3600.0,
        "source_payer": "Old Payer",
        "requesting_payer": "unknown",
        "authored_on": "2026-11-20T11:00:00.000Z",
        "last_updated": "2026-11-20T12:00:00.000Z",
        "due": "2026-11-21T11:00:00.000Z",
        "overdue": False,
        "reason": "member_match",
        "note_reasons": ["member_match"],
    }
    assert {"outcome": "failed", "exit_code": 1}.items() <= end.items()


def test_a_terminal_shows_notes_after_a_warning_if_asked(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    exchange = Exchange(capsys, task(), failed(note_text=f"{NOTE}\x1b[31m\nsecond line {'x' * 1000}"))
    exchange.watch(TARGET, show_notes=True)
    out, errors = exchange.watch.printed()
    assert NOTES_WARNING in errors[0]
    (shown,) = [line for line in out if "note 1" in line]
    assert shown.startswith(f"  note 1 (member_match): {NOTE} [31m second line xxx")
    assert len(shown) < 550


def test_a_terminal_shows_no_note_unasked(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    exchange = Exchange(capsys, failed(note_text=NOTE))
    exchange.watch(TARGET)
    out, errors = exchange.watch.printed()
    assert hits("\n".join(out + errors), CANARY) == []


def test_the_terminal_counts_on_between_polls(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    exchange = Exchange(capsys, task())
    exchange.watch.interrupt_after = 19
    settings = Settings(fhir=FhirSettings(url=BASE), deadline=DeadlineLength(seconds=3602.0))
    assert exchange.watch(TARGET, settings) == 130
    drawn, _ = exchange.watch.printed()
    text = "\n".join(drawn)
    assert "elapsed 1h, due in 2s, next poll in 5s" in text
    assert "elapsed 1h, overdue by 2s, next poll in 1s" in text


def test_an_organization_that_cannot_be_read_costs_its_name_only(capsys: Any) -> None:
    exchange = Exchange(capsys, completed())
    own = honest(exchange.store)

    def answer(request: Request) -> Response:
        return Response(500, (), b"") if "Organization" in request.path else own(request)

    exchange.watch.transport.answer = answer
    assert exchange.watch(TARGET) == 0
    assert exchange.lines() == ["completed, after 1h, before its deadline, 1 document"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"[]", "not_fhir"),
        (200, b"{", "not_fhir"),
        (200, b'{"resourceType":"Patient","id":"1"}', "wrong_resource"),
        (403, b"", "auth"),
    ],
)
def test_another_answer_is_no_task(capsys: Any, status: int, body: bytes, reason: str) -> None:
    watch = Watching(in_turn(Response(status, (("content-type", "application/json"),), body)), HandClock(), capsys)
    assert watch(TARGET, output="json") == 1
    assert watch.objects()[0]["reason"] == reason
