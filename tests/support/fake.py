"""The simulated FHIR server behind httpx, and a clock that only tests move."""

import threading
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

import httpx

from exporter.demo.server import Request, Response, answer
from exporter.demo.store import Store
from exporter.task.model import Instant

Answer = Callable[[Request], Response]

BASE = "http://fhir.example/fhir"
START: Instant = 1_795_176_000_000
"""The instant at which every test begins: 2026-11-20T12:00:00Z, a Friday."""


class HandClock:
    """The time, the server's and ours, which a test moves by hand; it is a `Clock` and a store's clock."""

    def __init__(self, at: Instant = START) -> None:
        self.at = at
        self.ticked = 0.0

    def __call__(self) -> Instant:
        return self.at

    def wall(self) -> Instant:
        return self.at

    def monotonic(self) -> float:
        return self.ticked

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.at += round(seconds * 1000)
        self.ticked += seconds

    def set(self, at: Instant) -> None:
        """Jump, as wall clocks do; the monotonic one does not."""
        self.at = at


def store(clock: Callable[[], Instant] | None = None) -> Store:
    """Make an empty server whose time stays at START unless `clock` is given."""
    return Store(clock or HandClock(), BASE)


class _Stream(httpx.SyncByteStream):
    """Hands out the body unread, so that `iter_raw` works as it does on a socket."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        yield from (self.body[i : i + 65536] for i in range(0, len(self.body), 65536))


class RecordingTransport(httpx.MockTransport):
    """Answers from `answer` and keeps every request, in order; one thread at a time, as the store wants it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(self._respond)
        self.answer = answer
        self.requests: list[Request] = []
        self.urls: list[str] = []
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        return len(self.requests)

    def searches(self) -> list[Request]:
        """Return the first pages of searches asked for, counts included."""
        return [request for request in self.requests if request.path.endswith("/Task")]

    def _respond(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            asked = received(request)
            self.requests.append(asked)
            self.urls.append(str(request.url))
            status, headers, body = self.answer(asked)
        return httpx.Response(status, headers=list(headers), stream=_Stream(body))


def received(request: httpx.Request) -> Request:
    """Read an httpx request as the simulated server sees it."""
    query = tuple(parse_qsl(request.url.query.decode("ascii"), keep_blank_values=True))
    headers = tuple((name.lower(), value) for name, value in request.headers.items())
    return Request(request.method, request.url.path, query, headers)


def transport(source: Store | Answer) -> RecordingTransport:
    """Put a store, or an answer wrapped in quirks, behind httpx."""
    if isinstance(source, Store):
        return RecordingTransport(honest(source))
    return RecordingTransport(source)


def honest(source: Store) -> Answer:
    """Return the answer of a server without quirks."""
    return lambda request: answer(source, request)


def get(source: Store | Answer, path: str, *query: tuple[str, str], headers: dict[str, str] | None = None) -> Response:
    """Ask without httpx: `get(store, "/Task", ("status", "failed"))`; the path is below the base."""
    respond = honest(source) if isinstance(source, Store) else source
    return respond(Request("GET", "/fhir" + path, query, tuple((headers or {}).items())))


def is_count(request: Request) -> bool:
    """Recognize a search that asks for the number of matches alone."""
    return ("_summary", "count") in request.query


def is_open_search(request: Request) -> bool:
    """Recognize a search of the comparison of open Tasks: by status, or by id."""
    return any(name in {"status:not", "_id"} for name, _ in request.query)
