"""The HTTP server: `/metrics` for Prometheus, a page for people, two words for probes. The only async file.

Rule 1: a scrape holds no thread. It waits for a poll on the loop, as long as its budget lets it, and cancels nothing.
Rule 2: nothing that a client sends, or leaves undone, costs more than a bounded time and a bounded place.
Rule 3: what is served is the Source's business; here is only how.

See docs/design.md#http-endpoints, docs/design.md#slow-clients.
"""

import asyncio
import gzip
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic, time
from typing import Any, Generic, NamedTuple

from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from ..logs import event, traceback_summary
from ..metrics.negotiation import Format, accepts_gzip, negotiate
from ..metrics.vocabulary import Answer
from . import landing as page
from .connections import BACKLOG, STANDARD, ConnectionLimiter, Limits, Listener, Peer, listen
from .reply import BROKEN, HEALTHY, HTML, NOT_ALLOWED, NOT_FOUND, READY, Reply, unready
from .request import Request, read
from .source import P, Source

logger = logging.getLogger(__name__)

LAST_GOOD_SECONDS = 300.0
"""How long bytes may be served again where rendering fails; older ones would be stale numbers."""

GRACE_SECONDS = 1.0
"""How long requests may go on once a stop is asked for."""

ROUND_SECONDS = 1.0
"""How often silent connections are looked for."""


class Good(NamedTuple):
    """An exposition that was rendered, and when (monotonic seconds)."""

    body: bytes
    at: float


class App(Generic[P]):
    """The ASGI application. `offset` is `--web.scrape-timeout-offset` in seconds."""

    def __init__(
        self, source: Source[P], crowd: ConnectionLimiter, offset: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._source = source
        self._crowd = crowd
        self._offset = offset
        self._clock = clock
        self._good: dict[Format, Good] = {}
        self._routes = {
            "/metrics": self._metrics,
            "/": self._landing,
            "/-/healthy": self._healthy,
            "/-/ready": self._ready,
        }

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request, or follow the life of the server."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": None})

    async def _answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = read(scope["method"], scope["path"], scope["headers"], scope["client"])
        gone = asyncio.create_task(_until_gone(receive))
        try:
            with self._crowd.answering(request.peer):
                reply = await self._reply(request, gone)
                reply.told(await self._send(reply, request.peer, send, gone))
        finally:
            gone.cancel()

    async def _reply(self, request: Request, gone: "asyncio.Task[None]") -> Reply:
        handle = self._routes.get(request.path)
        if handle is None:
            return NOT_FOUND
        if request.method not in {"GET", "HEAD"}:
            return NOT_ALLOWED
        try:
            return await handle(request, gone)
        except Exception as error:  # noqa: BLE001 - a bug is answered and logged; its text could hold anything
            _log_bug("answering a request failed", error)
            return BROKEN

    async def _metrics(self, request: Request, gone: "asyncio.Task[None]") -> Reply:
        scrape = self._source.scrape(request.scrapes)
        answer = scrape.immediate or await _wait(scrape.poll, request.budget(self._offset), gone)
        picture = self._source.picture()
        form = negotiate(request.headers.get("accept"))
        body, current = self._render(picture, form)
        counts = request.scrapes and current
        headers: tuple[tuple[str, str], ...] = (("vary", "Accept, Accept-Encoding"),)
        if accepts_gzip(request.headers.get("accept-encoding")):
            # Level 1: 9 ms where level 9 takes 110, for a few percent of size.
            body, headers = gzip.compress(body, 1, mtime=0), (*headers, ("content-encoding", "gzip"))
        return Reply(200, form, body, headers, lambda whole: self._source.answered(answer, picture, counts and whole))

    def _render(self, picture: P, form: Format) -> tuple[bytes, bool]:
        """Give the exposition, and whether it is the picture's own: a bug costs the newest before it costs all."""
        try:
            body = self._source.render(picture, form)
        except Exception as error:
            good = self._good.get(form)
            if good is None or self._clock() - good.at > LAST_GOOD_SECONDS:
                raise
            _log_bug("rendering failed; the last good exposition is served", error)
            return good.body, False
        self._good[form] = Good(body, self._clock())
        return body, True

    async def _landing(self, _request: Request, _gone: "asyncio.Task[None]") -> Reply:
        return Reply(200, HTML, page.render(self._source.landing(), int(time() * 1000)))

    async def _healthy(self, _request: Request, _gone: "asyncio.Task[None]") -> Reply:
        return HEALTHY

    async def _ready(self, _request: Request, _gone: "asyncio.Task[None]") -> Reply:
        missing = self._source.ready()
        return READY if missing is None else unready(missing)

    async def _send(self, reply: Reply, peer: Peer, send: ASGISendCallable, gone: "asyncio.Task[None]") -> bool:
        """Send in pieces, and give up a client that does not read; whether it was there for all of them."""
        whole = False
        try:
            with self._crowd.sending(peer):
                async with asyncio.timeout(self._crowd.limits.piece):
                    await send({"type": "http.response.start", "status": reply.status, "headers": reply.head()})
                for piece, more in reply.pieces():
                    whole = not gone.done()
                    async with asyncio.timeout(self._crowd.limits.piece):
                        await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            self._crowd.drop(peer)
            return False
        return whole


async def _wait(poll: "Future[bool] | None", seconds: float, gone: "asyncio.Task[None]") -> Answer:
    """Wait for a poll, but no longer than the client does; the poll goes on whatever becomes of us."""
    if poll is None:
        return Answer.STALE
    result = asyncio.wrap_future(poll)
    result.add_done_callback(_succeeded)  # so that nobody is told of an exception that nobody fetched
    waited: set[asyncio.Future[Any]] = {result, gone}
    await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if not result.done():
        return Answer.LATE
    return Answer.FRESH if _succeeded(result) else Answer.STALE


def _succeeded(result: "asyncio.Future[bool]") -> bool:
    return not result.cancelled() and result.exception() is None and result.result()


async def _until_gone(receive: ASGIReceiveCallable) -> None:
    """Read until the client is gone, and throw a body away: left alone it would fill Hypercorn's queue for good."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _live(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Say yes to the server's start and end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _log_bug(what: str, error: BaseException) -> None:
    """Log a bug by its class and traceback_summary: its message could hold anything."""
    event(logger, logging.ERROR, what, error=type(error).__name__, where=traceback_summary(error))


class HypercornSettings(Config):
    """How Hypercorn behaves."""

    ssl_handshake_timeout = 5.0
    graceful_timeout = 2.0
    alpn_protocols = ["http/1.1"]  # noqa: RUF012 - Hypercorn's own class attribute
    h2_max_concurrent_streams = 4  # HTTP/2 can still be asked for in clear text; it is not worth more
    backlog = BACKLOG
    include_server_header = False
    errorlog = logging.getLogger("hypercorn.error")
    workers = 1

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.keep_alive_timeout = listener.crowd.limits.head

    def create_sockets(self) -> Sockets:
        """Serve on the socket that is open already: a taken address was told to the person who started us."""
        return Sockets([], [self._listener], [])


class Web(Generic[P]):
    """The server in its daemon thread, which leaves signals to the main thread."""

    def __init__(self, source: Source[P], offset: float, limits: Limits = STANDARD) -> None:
        self._crowd = ConnectionLimiter(limits)
        self._app = App(source, self._crowd, offset)
        self._stopped: Future[None] = Future()
        self._thread = threading.Thread(name="web", daemon=True)

    def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen and answer from now on; gives where, for port 0 is any. Raises AddressUnusable."""
        listener = listen(host, port, self._crowd)
        address: tuple[str, int] = listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._run, args=(listener,), name="web", daemon=True)
        self._thread.start()
        return address

    def stop(self, seconds: float) -> None:
        """Take no more requests, end those under way, and wait for that at most so long."""
        if not self._stopped.done():
            self._stopped.set_result(None)
        if self.alive:
            self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Whether requests are answered."""
        return self._thread.is_alive()

    def _run(self, listener: Listener) -> None:
        try:
            asyncio.run(self._serve(listener))
        except asyncio.CancelledError:
            return  # Hypercorn's way to say that it waited for its graceful time-out
        except Exception as error:  # noqa: BLE001 - the thread's end is the top; its text could hold anything
            _log_bug("the web server ended", error)

    async def _serve(self, listener: Listener) -> None:
        asyncio.get_running_loop().set_exception_handler(_note)
        rounds = asyncio.create_task(self._make_rounds())
        await serve(self._app, HypercornSettings(listener), shutdown_trigger=self._until_stopped, mode="asgi")
        rounds.cancel()

    async def _make_rounds(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            self._crowd.close_idle()

    async def _until_stopped(self) -> None:
        await asyncio.wrap_future(self._stopped)
        # From Python 3.12 on, asyncio waits for every connection before Hypercorn's graceful time-out begins.
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._crowd.drop_all)


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio could hand to nobody; broken connections are the clients' business."""
    error = context.get("exception")
    if isinstance(error, Exception) and not isinstance(error, OSError):
        _log_bug("the web server met an unexpected error", error)
