"""Hostile resources: Tasks, their histories, Organizations and their names, clocks that jump, and very many of each."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from exporter.clock import SystemClock
from exporter.demo.dates import format_stamp

from ...support import hostile, loaded
from ...support.builders import CODE, TAG, coding
from ...support.canaries import canary
from ..judge import Case
from ..plays import (
    TEXT,
    answers,
    bombs,
    bundle,
    changed,
    entries,
    hangs,
    is_history,
    is_organization,
    is_search,
    json_text,
    only,
    resets,
    sends,
)
from ..subject import Kind
from ..wire import Exchange, Play, good
from ..world import AT_FIRST, World

DAY_MS = 86_400_000
UNREAD = {"anomalies unparsable": 1}


def now(ahead_ms: int = 0) -> str:
    """Write this moment, or another, as FHIR does."""
    return format_stamp(SystemClock().wall() + ahead_ms)


def entry(id_: object, **elements: Any) -> bytes:
    """Make the entry of a Task, born now, with a version of its own."""
    resource = loaded.task("x", "requested", now(-1000)) | {"id": id_}
    resource["meta"] |= {"versionId": "1", "lastUpdated": now()}
    resource = {name: value for name, value in (resource | elements).items() if value is not None}
    return json_text({"resource": resource, "search": {"mode": "match"}})


def matched(id_: object, **elements: Any) -> Play:
    """Put such a Task in front of the others of each search; it is made once, since each version counts once."""
    return only(is_search, entries(lambda: entry(id_, **elements)))


# A Task that cannot be used, or counts in spite of all

CREATED = {"created": 1, "transitions requested": 1, "tasks requested": 1}


def tasks() -> Iterator[tuple[str, Play, dict[str, int]]]:
    """Yield odd Tasks, and what each lets the exporter count."""
    yield "an id of 10,000 characters", matched("x" * 10_000), UNREAD
    yield "an id of 1 MiB", matched("x" * (1 << 20)), UNREAD
    yield "an id of control characters", matched("x\0\x1b[2J\r\n"), UNREAD
    yield "an id that is a path", matched("../../etc/passwd"), UNREAD
    yield "an id of SQL", matched("x'; DROP TABLE task; --"), UNREAD
    yield "an id that is a number", matched(7), UNREAD
    yield "an id that is null", matched(None), UNREAD
    yield "an id that is empty", matched(""), UNREAD
    yield "no meta", matched("odd-meta", meta=None), {}
    yield "a meta that is a text", matched("odd-meta-text", meta=TEXT), UNREAD
    yield "no resourceType", matched("odd-type", resourceType=None), UNREAD
    yield "a status of 1 MiB", matched("odd-status", status="x" * (1 << 20)), _unknown("unknown_status")
    yield (
        "a status that is a canary",
        matched("odd-status-word", status=canary("Task.status")),
        _unknown("unknown_status"),
    )
    yield "no status", matched("odd-status-none", status=None), _unknown("missing_status")
    yield "a status that is a list", matched("odd-status-list", status=[TEXT]), UNREAD
    yield (
        "an authoredOn of the year 9999",
        matched("odd-9999", authoredOn="9999-12-31T23:59:59Z"),
        CREATED | {"anomalies partial_authored_on": 1},
    )
    yield (
        "an authoredOn of the year 1",
        matched("odd-0001", authoredOn="0001-01-01T00:00:00Z"),
        CREATED | {"anomalies partial_authored_on": 1},
    )
    yield (
        "an authoredOn that is a canary",
        matched("odd-authored", authoredOn=canary("Task.authoredOn")),
        CREATED | {"anomalies partial_authored_on": 1},
    )
    yield "an authoredOn that is a list", matched("odd-authored-list", authoredOn=[TEXT]), UNREAD
    yield "notes that are a text", matched("odd-note", note=TEXT), CREATED
    yield "10,000 notes", matched("odd-notes", note=[loaded.annotation("Task.note")] * 10_000), CREATED
    yield "a note of 8 MiB", matched("odd-long", status="failed", note=[{"text": "a" * (8 << 20)}]), _failed()
    yield (
        "notes that a pattern would choke on",
        matched("odd-regex", status="failed", note=[{"text": "a" * 50_000 + "!"}] * 50),
        _failed(),
    )
    yield "100,000 outputs", matched("odd-outputs", output=[{}] * 100_000), CREATED
    yield "100,000 tags", matched("odd-tags", meta=_meta(100_000)), CREATED
    yield "an owner that is a text", matched("odd-owner", owner=TEXT), UNREAD
    yield "an owner of an absolute URL elsewhere", _elsewhere(), CREATED | {"tasks requested": 1}
    yield "a version that is no number", matched("odd-version", meta=_meta(0, versionId="seventh")), CREATED
    yield "a version of 400 digits", matched("odd-version-long", meta=_meta(0, versionId="9" * 400)), CREATED
    yield "a version of 19 digits", matched("odd-version-19", meta=_meta(0, versionId="9" * 19)), CREATED
    yield (
        "a stamp a day ahead",
        matched("odd-ahead", meta=_meta(0, lastUpdated=now(DAY_MS))),
        CREATED | {"anomalies future_stamp": 1},
    )
    yield "a stamp a day ago", matched("odd-ago", meta=_meta(0, lastUpdated=now(-DAY_MS))), CREATED
    yield "a stamp of the year 9999", matched("odd-stamp", meta=_meta(0, lastUpdated="9999-12-31T23:59:59Z")), UNREAD
    yield "a stamp that is none", matched("odd-stamp-none", meta=_meta(0, lastUpdated=TEXT)), UNREAD


def _meta(tags: int, **elements: str) -> dict[str, Any]:
    tag = [*loaded.task("x", "requested", now())["meta"]["tag"], *({"code": f"t{n}"} for n in range(tags))]
    return {"versionId": "1", "lastUpdated": now(), "tag": tag} | elements


def _unknown(anomaly: str) -> dict[str, int]:
    return {"created": 1, "transitions unknown": 1, "tasks unknown": 1, f"anomalies {anomaly}": 1}


def _failed() -> dict[str, int]:
    return {"created": 1, "transitions failed": 1, "tasks failed": 1, "failures": 1, "durations failed": 1}


def _elsewhere() -> Play:
    def play(exchange: Exchange) -> bool | None:
        owner = {"reference": f"http://127.0.0.1:{exchange.front.elsewhere}/fhir/Organization/1"}
        return matched("odd-elsewhere", owner=owner)(exchange)

    return play


# Names of payers

NAMES = {
    "line breaks and quotes": 'a"} 1\nfhir_task_up 7\n{x="',
    "backslashes": "\\" * 50,
    "control characters": "".join(map(chr, range(32))),
    "colors of a terminal": "\x1b[31mred\x1b]0;title\x07",
    "letters from right to left": "\u202eevil\u202c\u2066x\u2069",
    "line separators": "a\u2028b\u2029c\x85d",
    "letters without width": "\u200b\u200d\ufeff" * 20,
    "marks on marks": "a" + "\u0301" * 5000,
    "letters past 16 bits": "\U0001f600\U000e0001" * 40,
    "letters that are none": "\ufffe\uffff\ufdd0",
    "1 MiB": "x" * (1 << 20),
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "a template": "{{ $labels.x }}${jndi:ldap://evil}%s%n",
    "blanks": " \t\u00a0\u3000 ",
    "the word for the rest": "other",
}


def named(name: object) -> Play:
    """Give every Organization that is read this name."""

    def change(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | {"name": name}).encode()

    return only(is_organization, changed(change))


def organizations() -> Iterator[Case]:
    for does, name in NAMES.items():
        yield organization(f"a name of {does}", named(name))
    odd: dict[str, object] = {
        "a name that is a number": 7,
        "a name that is a list": [TEXT],
        "no name": None,
        "an empty name": "",
    }
    for does, value in odd.items():
        yield organization(does, named(value))
    surrogate = changed(lambda body: body.replace(b'"name":"', b'"name":"\\ud800'))
    yield organization("a lone surrogate in a name", surrogate)
    for does, play, reason in reads():
        # An answer that is no name is as good as none; only one that may come later fails the page.
        yield organization(does, play, reason if reason in {"timeout", "unreachable", "truncated"} else None)
    for status, counted in {
        400: None,
        401: "auth",
        403: "auth",
        404: None,
        405: None,
        410: None,
        429: "throttled",
        500: "server_error",
        302: "redirect",
    }.items():
        yield organization(f"{status}", answers(status), counted)


def organization(does: str, play: Play, reason: str | None = None) -> Case:
    """Make a case of the read of an Organization that nobody has read before."""
    return Case(
        group="payer",
        does=does,
        play=only(is_organization, play),
        reason=reason,
        event=lambda world: world.happens(new_payer=True),
        silences=reason == "throttled",
    )


def reads() -> Iterator[tuple[str, Play, str]]:
    """Yield hostile answers to the read of one resource, and their reasons."""
    yield "silence", hangs(), "timeout"
    yield "reset", resets(), "unreachable"
    yield "cut", sends(hostile.head("Content-Length: 9"), b"{"), "truncated"
    yield "not JSON", answers(200, TEXT), "not_fhir"
    yield "a page to sign in", answers(200, f"<p>{TEXT}", kind="text/html"), "not_fhir"
    yield (
        "another resource",
        answers(200, json_text({"resourceType": "Patient", "name": [{"family": TEXT}]})),
        "wrong_resource",
    )
    yield "an outcome", answers(200), "wrong_resource"
    yield "null", answers(200, b"null"), "wrong_resource"
    yield "a bomb", bombs(64), "too_large"


# Histories


def histories() -> Iterator[Case]:
    for does, play, reason in reads():
        yield history(does, play, reason)
    yield history("500", answers(500), "server_error")
    yield history("404", answers(404), None)
    yield history("a searchset", answers(200, b'{"resourceType":"Bundle","type":"searchset"}'), "wrong_resource")


def history(does: str, play: Play, reason: str | None) -> Case:
    """Make a case of the read of the history of a Task that moved there and back: what is not read is not counted."""
    return Case(
        group="history",
        does=does,
        play=only(is_history, play),
        reason=reason,
        event=lambda world: world.happens(hurries=True),
        alone=True,  # after three failures in a row it asks for none
        adds={"transitions requested": -1, "transitions in-progress": -1},
    )


# Clocks


def clocks() -> Iterator[Case]:
    missed, future = {"missed": AT_FIRST}, {"anomalies future_stamp": 2}
    for does, ahead, adds in (
        ("a day ahead", DAY_MS, missed),
        ("a day back", -DAY_MS, future),
        ("ten years ahead", 3650 * DAY_MS, missed),
    ):
        event = _jumps(ahead)
        yield Case(
            group="clock", does=f"the server's clock jumps {does}", event=event, reason=None, adds=adds, alone=True
        )
    for does, date in {
        "a day ahead": now(DAY_MS),
        "the year 1": "0001-01-01T00:00:00Z",
        "9999": "9999-12-31T23:59:59Z",
    }.items():
        change = bundle(meta={"lastUpdated": date})
        adds = missed if "day" in does else {}
        yield Case(
            group="clock",
            does=f"Bundle.meta alone says {does}",
            play=only(is_search, changed(change)),
            reason=None,
            adds=adds,
            alone=True,
        )
    for text in ("Sat, 01 Jan 2095 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", TEXT, "", "9" * 5000):
        play = changed(bundle(meta=None), ("date", text), drops="date")
        adds = missed if "2095" in text else future if "1970" in text else {}
        yield Case(
            group="clock",
            does=f"Date alone, {text[:16] or 'empty'}",
            play=only(is_search, play),
            reason=None,
            adds=adds,
            alone=True,
        )


def _jumps(ahead: int) -> Callable[[World], None]:
    def event(world: World) -> None:
        world.happens()
        world.clock_ahead_ms = ahead

    return event


# Very many


def crowds() -> Iterator[Case]:
    """Bundles of as many parts as fit, and pages of Tasks each with payers of its own."""
    for count, part in ((3_000_000, b"0"), (1_000_000, b"null"), (100_000, b"null")):
        play = only(is_search, entries(lambda count=count, part=part: b",".join([part] * count)))  # type: ignore[misc] # defaults
        does = f"{count:,} entries of {part.decode()}"
        yield Case(group="many", does=does, play=play, reason="too_large")
    few = only(is_search, entries(lambda: b",".join([b"[9]"] * 9_000)))
    yield Case(group="many", does="9,000 entries of an array", play=few, reason=None, adds=UNREAD, kind=Kind.ODD)
    page = _crowd(20_000)
    yield Case(group="many", does="20,000 Tasks in a page", play=page, reason="too_large")
    adds = {key: 6_000 * n for key, n in CREATED.items()}
    page = _crowd(6_000)
    yield Case(group="many", does="12,000 payers in a page", play=page, reason=None, adds=adds, alone=True)


def _crowd(size: int) -> Play:
    """Add so many Tasks, each with two payers of its own, to the first search."""
    first = iter([True])
    crowd = entries(lambda: b",".join(_stranger().replace(b"@", b"%d" % number) for number in range(size)))
    return lambda exchange: (crowd if is_search(exchange.request) and next(first, False) else good)(exchange)


@cache
def _stranger() -> bytes:
    """Make the entry of a small Task."""
    resource = {
        "resourceType": "Task",
        "id": "crowd-@",
        "meta": {"versionId": "1", "lastUpdated": now(), "tag": [coding(TAG)]},
        "status": "requested",
        "code": {"coding": [coding(CODE)]},
        "owner": {"display": "Payer of a crowd @"},
        "requester": {"display": "Other payer @"},
        "authoredOn": now(-1000),
        "focus": {"display": "x"},
        "for": {"display": "y"},
    }
    return json_text({"resource": resource})


def cases() -> Iterator[Case]:
    for does, play, adds in tasks():
        yield Case(group="task", does=does, play=play, reason=None, adds=adds, kind=Kind.ODD)
    yield from organizations()
    yield from histories()
    yield from clocks()
    yield from crowds()
