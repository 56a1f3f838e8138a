"""The HTTP server: Hypercorn in a thread, and the ASGI application that it runs. The only async file of the exporter.

Rule 1: a scrape holds no thread. It waits for a poll on the event loop, within its budget, and cancels nothing.
Rule 2: nothing that a client sends, or fails to do, costs more than a bounded time and a bounded number of connections.
Rule 3: what is answered is decided in `app`, and who gets an answer in `gate`.

See docs/design.md#http-endpoints, docs/design.md#slow-clients.
"""

import asyncio
import logging
import ssl
import threading
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import hypercorn.protocol
from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from ..logs import log_bug
from ..metrics.vocabulary import ScrapeAnswer
from ..reload import ReloadRequest
from .app import App, PendingScrape
from .backend import Backend
from .config_file import FixedWebConfig, NewestContext
from .connections import BACKLOG, DEFAULT_LIMITS, ConnectionLimiter, Limits, Listener, Peer, listen
from .gate import Gate, PendingPassword, refusal
from .messages import INTERNAL_ERROR, Request, Response, parse_request

logger = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 1.0
"""How long requests in progress may take once a stop is requested."""

CHECK_SECONDS = 1.0
"""How often idle connections are looked for, and, in a thread of its own, a new web configuration: to read a wrong file
of the largest size takes ten seconds."""

TLS_BUFFER_BYTES = 16 * 1024
"""What asyncio reads of a TLS connection at once: a whole record. It allocates as much for each connection, silent ones
included: with its own 256 KiB, 250 of them take 135 MB; with this, 30 MB."""

PASSWORD_SECONDS = 10.0
"""How long a request waits for its password to be checked, which goes on in any case, for the next request."""

PASSWORD_STOP_SECONDS = 0.7
"""How long the end waits for the check of a password: a bit more than one of cost 12 takes."""

Disconnected = asyncio.Task[None]
"""A task that ends when the client disconnects."""


class AsgiApplication:
    """Passes requests to the Gate and the App, waits for passwords and polls, and sends responses."""

    def __init__(self, app: App, gate: Gate, limiter: ConnectionLimiter) -> None:
        self._app = app
        self._gate = gate
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request, or take part in the server's lifespan."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _complete_lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": None})

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = parse_request(
            scope["method"], scope["path"], scope["headers"], scope["client"], scope["query_string"]
        )
        disconnected = asyncio.create_task(_until_disconnected(receive))
        try:
            with self._limiter.answering(request.peer):
                response = self._gate.add_headers(await self._respond(request, disconnected))
                response.on_sent(await self._send(response, request.peer, send, disconnected))
        finally:
            disconnected.cancel()

    async def _respond(self, request: Request, disconnected: Disconnected) -> Response:
        try:
            admitted = self._gate.admit(request)
            if isinstance(admitted, PendingPassword):
                with self._limiter.checking(request.peer):
                    admitted = refusal(right=await _wait_for_password(admitted, disconnected))
            if admitted is not None:
                return admitted
            response = self._app.handle(request)
            if isinstance(response, PendingScrape):
                response = response.respond(await _wait_for(response, disconnected))
        except Exception as error:  # noqa: BLE001 - a bug is answered and logged; its text could contain anything
            log_bug(logger, "answering a request failed", error)
            return INTERNAL_ERROR
        return response

    async def _send(self, response: Response, peer: Peer, send: ASGISendCallable, disconnected: Disconnected) -> bool:
        """Send in pieces, and drop a client that does not read; whether it was connected for all of them."""
        complete = False
        write_seconds = self._limiter.limits.write_seconds
        try:
            with self._limiter.sending(peer):
                async with asyncio.timeout(write_seconds):
                    await send(
                        {"type": "http.response.start", "status": response.status, "headers": response.raw_headers()}
                    )
                for piece, more in response.pieces():
                    complete = not disconnected.done()
                    async with asyncio.timeout(write_seconds):
                        await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            self._limiter.drop(peer)
            return False
        return complete


async def _wait_for_password(pending: PendingPassword, disconnected: Disconnected) -> bool | None:
    """Wait until a password is checked, but no longer than the client does; None if it took too long."""
    check = asyncio.wrap_future(pending.right)
    waited: set[asyncio.Future[Any]] = {check, disconnected}
    await asyncio.wait(waited, timeout=PASSWORD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    return check.result() if check.done() and not check.cancelled() else None


async def _wait_for(pending: PendingScrape, disconnected: Disconnected) -> ScrapeAnswer:
    """Wait for a poll within the budget, but no longer than the client does; the poll goes on in any case."""
    poll = asyncio.wrap_future(pending.poll)
    poll.add_done_callback(_succeeded)  # retrieves the exception: asyncio logs one that nobody retrieved
    waited: set[asyncio.Future[Any]] = {poll, disconnected}
    await asyncio.wait(waited, timeout=pending.budget_seconds, return_when=asyncio.FIRST_COMPLETED)
    if not poll.done():
        return ScrapeAnswer.LATE
    return ScrapeAnswer.FRESH if _succeeded(poll) else ScrapeAnswer.STALE


def _succeeded(poll: "asyncio.Future[bool]") -> bool:
    return not poll.cancelled() and poll.exception() is None and poll.result()


async def _until_disconnected(receive: ASGIReceiveCallable) -> None:
    """Read and discard the request body: unread, it would fill Hypercorn's queue for good."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _complete_lifespan(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


class Http1Only(H11Protocol):
    """HTTP/1.1 and nothing else: Hypercorn has no setting that keeps a client from changing to HTTP/2.

    A few connections that open and reset its streams would take all of the event loop, before any password.
    """

    async def _check_protocol(self, event: object) -> None:
        """Change to nothing: a request to do so is answered like any other."""


class HypercornSettings(Config):
    """Hypercorn's configuration, for a socket that is listening already."""

    ssl_handshake_timeout = 5.0
    graceful_timeout = 2.0
    alpn_protocols = ["http/1.1"]  # noqa: RUF012 - Hypercorn's own class attribute
    backlog = BACKLOG
    include_server_header = False
    errorlog = logging.getLogger("hypercorn.error")
    workers = 1

    def __init__(self, listener: Listener, limits: Limits, context: ssl.SSLContext | None) -> None:
        self._listener = listener
        self._context = context
        self.keep_alive_timeout = limits.request_head_seconds

    def create_sockets(self) -> Sockets:
        """Return our listener: it was opened at the start, where a taken address can still be reported."""
        return Sockets([self._listener], [], []) if self._context else Sockets([], [self._listener], [])

    @property
    def ssl_enabled(self) -> bool:
        """Whether TLS is spoken."""
        return self._context is not None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """Return our context, in the place of one that Hypercorn would make of files."""
        return self._context


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask, and for what. `hosts` are those of Gate; `reload` is None unless `--web.enable-lifecycle`."""

    config: FixedWebConfig = field(default_factory=FixedWebConfig)
    hosts: Collection[str] = ()
    reload: Callable[[], ReloadRequest] | None = None


ANYBODY = Access()


class WebServer:
    """The server in a daemon thread, which leaves signals to the main thread.

    `config` says who gets an answer; whether TLS is spoken is decided at the start.
    """

    def __init__(
        self,
        backend: Backend,
        scrape_timeout_offset_seconds: float,
        limits: Limits = DEFAULT_LIMITS,
        access: Access = ANYBODY,
    ) -> None:
        self._limiter = ConnectionLimiter(limits)
        self._config = access.config
        app = App(backend, scrape_timeout_offset_seconds, reload=access.reload)
        self._gate = Gate(self._config.current, access.hosts)
        self._application = AsgiApplication(app, self._gate, self._limiter)
        self._stop_requested: Future[None] = Future()
        self._thread = threading.Thread(name="web", daemon=True)
        self._ended = threading.Event()

    def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen and start to answer. Returns the address, since port 0 means any. Raises AddressUnusable."""
        listener = listen(host, port, self._limiter)
        address: tuple[str, int] = listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._run, args=(listener,), name="web", daemon=True)
        self._thread.start()
        return address

    def stop(self, timeout_seconds: float) -> None:
        """Stop accepting requests, finish those in progress, and wait for the thread for at most so long."""
        if not self._stop_requested.done():
            self._stop_requested.set_result(None)
        self._gate.stop(PASSWORD_STOP_SECONDS)
        if self.alive:
            self._thread.join(timeout_seconds)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self, listener: Listener) -> None:
        if self._config.changes:
            threading.Thread(target=self._watch_config, name="web-config", daemon=True).start()
        try:
            asyncio.run(self._serve(listener))
        except asyncio.CancelledError:
            return  # how Hypercorn ends after its graceful timeout
        except Exception as error:  # noqa: BLE001 - nobody above catches it; its text could contain anything
            if not (isinstance(error, OSError) and self._stop_requested.done()):  # a TLS client broke off at the end
                log_bug(logger, "the web server ended", error)
        finally:
            self._ended.set()

    def _watch_config(self) -> None:
        while not self._ended.wait(CHECK_SECONDS):
            try:
                self._config.look()
            except Exception as error:  # noqa: BLE001 - a bug must not end the checks
                log_bug(logger, "reading the web configuration again failed", error)

    async def _serve(self, listener: Listener) -> None:
        asyncio.get_running_loop().set_exception_handler(_log_loop_error)
        checks = asyncio.create_task(self._close_idle_each_second())
        context = NewestContext(self._config.current) if self._config.current().tls else None
        SSLProtocol.max_size = TLS_BUFFER_BYTES
        hypercorn.protocol.H11Protocol = Http1Only  # type: ignore[attr-defined]
        settings = HypercornSettings(listener, self._limiter.limits, context)
        await serve(self._application, settings, shutdown_trigger=self._until_stopped, mode="asgi")
        checks.cancel()

    async def _close_idle_each_second(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self._limiter.close_idle()

    async def _until_stopped(self) -> None:
        await asyncio.wrap_future(self._stop_requested)
        # From Python 3.12 on, asyncio waits for every connection before Hypercorn's graceful timeout begins.
        asyncio.get_running_loop().call_later(STOP_GRACE_SECONDS, self._limiter.drop_all)


def _log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio could raise nowhere, except broken connections: those are caused by clients."""
    error = context.get("exception")
    if isinstance(error, Exception) and not isinstance(error, OSError):
        log_bug(logger, "unexpected error in the web server", error)
