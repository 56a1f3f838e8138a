import asyncio
import json
from typing import Any

import pytest

from exporter.demo.app import Demo, asgi
from exporter.demo.dates import format_stamp
from exporter.demo.server import Request, Response
from tests.support.fake import BASE, START, HandClock, get

FAILED = (("status", "failed"), ("_summary", "count"))


def total(demo: Demo, *query: tuple[str, str]) -> int:
    count: int = json.loads(get(demo.answer, "/Task", *query).body)["total"]
    return count


def post(demo: Demo, *query: tuple[str, str]) -> Response:
    return demo.answer(Request("POST", "/fhir/$demo-fail", query))


def test_tasks_change_with_time() -> None:
    clock = HandClock()
    demo = Demo(clock, BASE)
    changed = (("_lastUpdated", "gt" + format_stamp(START)), ("_summary", "count"))
    assert total(demo, *changed) == 0
    clock.advance(600)
    assert total(demo, *changed) > 20


def test_no_version_is_stamped_in_the_future() -> None:
    clock = HandClock()
    demo = Demo(clock, BASE)
    clock.advance(60)
    assert total(demo, ("_lastUpdated", "gt" + format_stamp(clock.at)), ("_summary", "count")) == 0


@pytest.mark.parametrize("payer", ["larkspan", "Larkspan Health Cooperative"])
def test_a_failure_can_be_injected_over_http(payer: str) -> None:
    clock = HandClock()
    demo = Demo(clock, BASE, speed=0.001)
    before = total(demo, *FAILED)
    clock.advance(1)
    assert post(demo, ("payer", payer), ("reason", "auth")).status == 200
    assert total(demo, *FAILED) == before + 1


@pytest.mark.parametrize("query", [(("payer", "nobody"),), (("payer", "larkspan"), ("reason", "boredom")), ()])
def test_an_unknown_payer_or_reason_is_refused_with_a_list_of_the_known_ones(
    query: tuple[tuple[str, str], ...],
) -> None:
    response = post(Demo(HandClock(), BASE), *query)
    assert response.status == 400
    assert b"larkspan" in response.body


def test_every_owner_by_reference_and_every_requester_can_be_read() -> None:
    demo = Demo(HandClock(), BASE)
    tasks = [json.loads(record.data) for each in demo.store.ids() if (record := demo.store.get("Task", each))]
    parties = {
        task[role]["reference"] for task in tasks for role in ("owner", "requester") if "reference" in task[role]
    }
    assert len(parties) > 5
    assert {get(demo.answer, f"/{party}").status for party in parties if not party.startswith("#")} == {200}


def test_asgi_carries_query_headers_status_and_body() -> None:
    seen: list[Request] = []

    def respond(request: Request) -> Response:
        seen.append(request)
        return Response(418, (("content-type", "text/plain"), ("date", "never")), b"short")

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/fhir/Task",
        "query_string": b"_tag=a%7Cb&empty=",
        "headers": [(b"accept", b"x")],
    }
    start, body = exchanged(asgi(respond), scope)
    assert seen == [Request("GET", "/fhir/Task", (("_tag", "a|b"), ("empty", "")), (("accept", "x"),))]
    assert start["status"] == 418
    assert start["headers"] == [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    assert body["body"] == b"short"


def test_asgi_confirms_startup_and_shutdown() -> None:
    demo = Demo(HandClock(), BASE)
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = exchanged(asgi(demo.answer), {"type": "lifespan"}, *messages)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def exchanged(application: Any, scope: dict[str, Any], *messages: dict[str, Any]) -> list[dict[str, Any]]:
    incoming, sent = iter(messages), list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    return sent
