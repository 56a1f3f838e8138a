"""The simulated network behind its FHIR server, as an ASGI application, and a web server for it.

What a Task does is decided in `network`, what a request is answered in `server`; this file joins the two.
Time passes when a request comes: each first advances the network to the clock.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hypercorn.asyncio import serve
from hypercorn.config import Config

from ..task.model import Instant
from .batch_jobs import AdminApi, jobs_at
from .network import advance, begin, fail_next, organizations
from .payers import NOTES, PAYERS
from .server import JSON, Request, Response, answer, outcome
from .store import Store

Message = MutableMapping[str, Any]  # ASGI 3.0 gives its messages no narrower type
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class Demo:
    """A running simulation. `clock` gives the server's time; `base` is the FHIR base URL, used in page links."""

    def __init__(self, clock: Callable[[], Instant], base: str, *, seed: int = 1, speed: float = 60.0) -> None:
        self.store = Store(clock, base)
        start = clock()
        for resource in organizations():
            self.store.put(resource, stamp=start)
        self.network = begin(seed, start, speed)
        self.admin = AdminApi(lambda: jobs_at(clock(), start, speed))
        self.catch_up()

    def catch_up(self) -> None:
        """Advance the network to the clock, and store what changed."""
        self.network, changes = advance(self.network, self.store.clock())
        for change in changes:
            self.store.put(change.resource, stamp=change.at)

    def fail_next(self, payer: str, reason: str = "export") -> None:
        """Let a new Task of the payer with this id or name fail. Raises KeyError for an unknown payer or reason."""
        payers = {key: each for each in PAYERS for key in (each.id, each.name)}
        if reason not in NOTES:
            raise KeyError(reason)
        self.network = fail_next(self.network, payers[payer], reason)

    def answer(self, request: Request) -> Response:
        """Answer as the FHIR server, and below `/admin` as the Admin API.

        In addition, `POST {base}/$demo-fail?payer=…&reason=…` injects a failure.
        """
        if request.method == "POST" and request.path == urlsplit(self.store.base).path + "/$demo-fail":
            return self._inject_failure(dict(request.query))
        if request.path.startswith("/admin/"):
            return self.admin.answer(request)
        self.catch_up()
        return answer(self.store, request)

    def _inject_failure(self, query: dict[str, str]) -> Response:
        try:
            self.fail_next(query.get("payer", ""), query.get("reason", "export"))
        except KeyError:
            payers, reasons = ", ".join(payer.id for payer in PAYERS), ", ".join(NOTES)
            diagnostics = f"payer is one of {payers}; reason is one of {reasons}"
            return Response(400, (("content-type", JSON),), outcome(diagnostics))
        self.catch_up()
        return Response(200, (("content-type", JSON),), json.dumps({"resourceType": "OperationOutcome"}).encode())


def asgi(respond: Callable[[Request], Response]) -> Application:
    """Make an ASGI application of an answering function, such as `Demo.answer`. Request bodies are not read."""

    async def application(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await _complete_lifespan(receive, send)
        elif scope["type"] == "http":
            await _send(send, respond(_request(scope)))

    return application


def serve_on_loopback(make: Callable[[str], Any]) -> str:
    """Serve the ASGI application that `make` builds for its own URL, in a thread, until the process ends.

    Returns the URL; the port is a free one.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    application, config = make(url), Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"

    async def run() -> None:
        await serve(application, config, shutdown_trigger=asyncio.Event().wait, mode="asgi")

    threading.Thread(target=lambda: asyncio.run(run()), name="demo-server", daemon=True).start()
    return url


def _request(scope: Message) -> Request:
    query = tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return Request(scope["method"], scope["path"], query, headers)


async def _send(send: Callable[[Message], Awaitable[None]], response: Response) -> None:
    # The web server adds its own Date header, and two would contradict each other.
    headers = [(name.encode(), value.encode()) for name, value in response.headers if name != "date"]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _complete_lifespan(
    receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Confirm startup and shutdown."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
