"""The simulated network behind its FHIR server, as a plain ASGI application.

Nothing here decides what a Task does (network) or what a request is answered (server): it joins the two.
Time passes when somebody asks: each request first brings the network up to its clock.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..task.model import Instant
from .network import advance, begin, fail_next, organizations
from .payers import NOTES, PAYERS
from .server import JSON, Request, Response, answer, outcome
from .store import Store

Message = MutableMapping[str, Any]  # ASGI 3.0 gives its messages no narrower type
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class Demo:
    """A running simulation. `clock` gives the server's time; `base` is the FHIR address that page links show."""

    def __init__(self, clock: Callable[[], Instant], base: str, *, seed: int = 1, speed: float = 60.0) -> None:
        self.store = Store(clock, base)
        start = clock()
        for resource in organizations():
            self.store.put(resource, stamp=start)
        self.network = begin(seed, start, speed)
        self.catch_up()

    def catch_up(self) -> None:
        """Put into the store what happened since the last time."""
        self.network, changes = advance(self.network, self.store.clock())
        for change in changes:
            self.store.put(change.resource, stamp=change.at)

    def fail_next(self, payer: str, reason: str = "export") -> None:
        """Have a Task of the payer with this id or name fail at once. Raises KeyError on an unknown payer or reason."""
        known = {word: each for each in PAYERS for word in (each.id, each.name)}
        if reason not in NOTES:
            raise KeyError(reason)
        self.network = fail_next(self.network, known[payer], reason)

    def answer(self, request: Request) -> Response:
        """Answer as the FHIR server does; beside it `POST {base}/$demo-fail?payer=…&reason=…` injects a failure."""
        if request.method == "POST" and request.path == urlsplit(self.store.base).path + "/$demo-fail":
            return self._failure_asked(dict(request.query))
        self.catch_up()
        return answer(self.store, request)

    def _failure_asked(self, query: dict[str, str]) -> Response:
        try:
            self.fail_next(query.get("payer", ""), query.get("reason", "export"))
        except KeyError:
            payers, reasons = ", ".join(payer.id for payer in PAYERS), ", ".join(NOTES)
            diagnostics = f"payer is one of {payers}; reason is one of {reasons}"
            return Response(400, (("content-type", JSON),), outcome(diagnostics))
        self.catch_up()
        return Response(200, (("content-type", JSON),), json.dumps({"resourceType": "OperationOutcome"}).encode())


def asgi(respond: Callable[[Request], Response]) -> Application:
    """Serve an answer, `Demo.answer` say, by any ASGI server; request bodies are not read."""

    async def application(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await _send(send, respond(_request(scope)))

    return application


def _request(scope: Message) -> Request:
    query = tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return Request(scope["method"], scope["path"], query, headers)


async def _send(send: Callable[[Message], Awaitable[None]], response: Response) -> None:
    # The web server sends a Date of its own, and two would contradict each other.
    headers = [(name.encode(), value.encode()) for name, value in response.headers if name != "date"]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _live(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """Say yes to start-up and to shutdown."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
