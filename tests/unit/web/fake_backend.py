"""A backend with made-up figures, the real web server on loopback in front of it, and the clients of the tests."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse

from exporter.metrics.negotiation import Format
from exporter.metrics.vocabulary import ScrapeAnswer
from exporter.probe import Probe
from exporter.published import PublishedSnapshot, Scrape
from exporter.task.model import Snapshot
from exporter.web.backend import Backend
from exporter.web.connections import DEFAULT_LIMITS, Limits
from exporter.web.landing import Landing
from exporter.web.server import WebServer

HANGS = 30.0
"""Seconds after which a test says that something hangs; nothing here takes so long by itself."""

WORDS = ("zero", "one", "two")
"""What a snapshot is rendered as, by its generation."""


@dataclass
class FakeBackend(Backend):
    """A backend without an exporter. It counts the calls of `scrape`, and remembers those of `count_scrape`."""

    given: Scrape = field(default_factory=lambda: Scrape(ScrapeAnswer.REUSED))
    generation: int = 1
    body: bytes | None = None
    unready: str | None = None
    broken: bool = False
    scrapes: int = 0
    probed: Probe | Exception = field(default_factory=Probe)
    targets: list[str] = field(default_factory=list)
    counted: list[tuple[ScrapeAnswer, str, bool]] = field(default_factory=list)

    def scrape(self) -> Scrape:
        self.scrapes += 1
        return self.given

    def probe(self, target: str) -> Probe:
        self.targets.append(target)
        if isinstance(self.probed, Exception):
            raise self.probed
        return self.probed

    def published(self) -> PublishedSnapshot:
        return PublishedSnapshot(Snapshot(), self.generation)

    def count_scrape(self, answer: ScrapeAnswer, published: PublishedSnapshot, exposed: bool) -> None:
        self.counted.append((answer, WORDS[published.generation], exposed))

    def render(self, published: PublishedSnapshot, form: Format) -> bytes:
        if self.broken:
            message = "canary-in-the-message"
            raise ValueError(message)
        return self.body if self.body is not None else f"{form.name} {WORDS[published.generation]}\n".encode()

    def unready_reason(self) -> str | None:
        return self.unready

    def landing(self) -> Landing:
        if self.broken:
            raise KeyError(self)
        return Landing(version="1.2.3", server="cdr.example:443")

    def finish(self, poll: "Future[bool]", generation: int) -> None:
        """Once a scrape waits, publish a snapshot and end its poll."""
        wait_until(lambda: self.scrapes)
        self.generation = generation
        poll.set_result(True)

    def wait_for_counted(self, count: int) -> list[tuple[ScrapeAnswer, str, bool]]:
        """Wait until so many scrapes are counted: the client has its answer a moment earlier."""
        wait_until(lambda: len(self.counted) >= count)
        return self.counted


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        threading.Event().wait(0.01)


@contextmanager
def serving(backend: FakeBackend, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[str, int]]:
    server = WebServer(backend, 1.0, limits)
    try:
        yield server.start("127.0.0.1", 0)
    finally:
        server.stop(HANGS)
        assert not server.alive


def ask(
    address: tuple[str, int], path: str = "/metrics", method: str = "GET", **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(*address, timeout=HANGS)
    with closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return response, response.read()


def scrape(address: tuple[str, int], seconds: str = "10") -> bytes:
    return ask(address, X_Prometheus_Scrape_Timeout_Seconds=seconds)[1]


def read_all(connection: socket.socket) -> bytes:
    """Everything that the server sends before it ends the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def ended(connection: socket.socket) -> bool:
    """Whether the server ends the connection, whatever it sends before."""
    connection.settimeout(HANGS)
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True
