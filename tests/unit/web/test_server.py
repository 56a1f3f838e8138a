"""Real sockets on loopback against a server that serves made-up figures."""

import asyncio
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse

import pytest

from exporter.errors import AddressUnusable
from exporter.metrics.negotiation import Format
from exporter.metrics.vocabulary import Answer
from exporter.published import Scrape
from exporter.web import server as web_module
from exporter.web.connections import STANDARD, ConnectionLimiter, Limits
from exporter.web.landing import Landing
from exporter.web.server import App, Web

SCRAPE = {"X-Prometheus-Scrape-Timeout-Seconds": "10"}
HANGS = 30.0
"""Seconds after which a test says that something hangs; nothing here takes so long by itself."""


@dataclass
class Figures:
    """A Source whose picture is a word, and which remembers what it was told."""

    given: Scrape = field(default_factory=lambda: Scrape(Answer.REUSED))
    text: str = "one"
    body: bytes | None = None
    missing: str | None = None
    page: Landing = field(default_factory=lambda: Landing(version="1.2.3"))
    broken: bool = False
    asked: list[bool] = field(default_factory=list)
    told: list[tuple[Answer, str, bool]] = field(default_factory=list)

    def scrape(self, counts: bool) -> Scrape:
        self.asked.append(counts)
        return self.given

    def picture(self) -> str:
        return self.text

    def answered(self, answer: Answer, picture: str, counts: bool) -> None:
        self.told.append((answer, picture, counts))

    def render(self, picture: str, form: Format) -> bytes:
        if self.broken:
            message = "canary-in-the-message"
            raise ValueError(message)
        return self.body if self.body is not None else f"{form.name} {picture}\n".encode()

    def ready(self) -> str | None:
        return self.missing

    def landing(self) -> Landing:
        if self.broken:
            raise KeyError(self)
        return self.page

    def finish(self, poll: "Future[bool]", text: str) -> None:
        """Once a scrape waits, publish a picture and end its poll."""
        until(lambda: self.asked)
        self.text = text
        poll.set_result(True)

    def hear(self, count: int) -> list[tuple[Answer, str, bool]]:
        """Wait until it was told so much: the client has its answer a moment earlier."""
        until(lambda: len(self.told) >= count)
        return self.told


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < deadline, "it never became true"
        threading.Event().wait(0.01)


@contextmanager
def serving(figures: Figures, limits: Limits = STANDARD) -> Iterator[tuple[str, int]]:
    server = Web(figures, 1.0, limits)
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


def heard(connection: socket.socket) -> bytes:
    """Everything that the server says before it ends the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def ended(connection: socket.socket) -> bool:
    """Whether the server ends the connection, whatever it says before."""
    connection.settimeout(HANGS)
    with suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


# What is where.


def test_metrics_are_text_unless_openmetrics_is_asked_for() -> None:
    with serving(Figures()) as address:
        plain, text = ask(address)
        asked, openmetrics = ask(address, Accept="application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert (plain.status, plain.headers["Content-Type"], text) == (200, Format.TEXT.value, b"TEXT one\n")
    assert (asked.status, asked.headers["Content-Type"]) == (200, Format.OPENMETRICS.value)
    assert openmetrics == b"OPENMETRICS one\n"


def test_metrics_are_compressed_only_where_that_is_accepted() -> None:
    with serving(Figures()) as address:
        packed, body = ask(address, Accept_Encoding="gzip")
        plain, text = ask(address, Accept_Encoding="gzip;q=0")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == text == b"TEXT one\n"
    assert plain.headers["Content-Encoding"] is None


def test_nothing_is_stored_by_caches_and_the_server_keeps_its_make_to_itself() -> None:
    with serving(Figures()) as address:
        for path in ("/metrics", "/", "/-/ready", "/nothing"):
            response, _ = ask(address, path)
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Content-Security-Policy"].startswith("default-src 'none';")
            assert response.headers["Server"] is None


@pytest.mark.parametrize(
    "path", ["/metrics/", "/favicon.ico", "/-/", "//", "/metricsx", "/-/reload", "/%2e%2e/metrics"]
)
def test_every_other_path_is_not_found(path: str) -> None:
    with serving(Figures()) as address:
        assert ask(address, path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_and_head_are_allowed(method: str) -> None:
    figures = Figures()
    with serving(figures) as address:
        response, _ = ask(address, method=method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert figures.asked == []


def test_a_head_gets_the_headers_of_its_get_and_counts_as_no_scrape() -> None:
    figures = Figures()
    with serving(figures) as address:
        head, nothing = ask(address, method="HEAD", **{"X-Prometheus-Scrape-Timeout-Seconds": "10"})
        get, body = ask(address)
        told = figures.hear(2)
    assert nothing == b""
    assert int(head.headers["Content-Length"]) == len(body)
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert told[0] == (Answer.REUSED, "one", False)


def test_a_query_changes_nothing() -> None:
    with serving(Figures()) as address:
        assert ask(address, "/metrics?name[]=up")[1] == b"TEXT one\n"


def test_healthy_while_it_answers_and_ready_when_nothing_is_missing() -> None:
    figures = Figures(missing="The ledger is not open.")
    with serving(figures) as address:
        assert ask(address, "/-/healthy")[0].status == 200
        refused, sentence = ask(address, "/-/ready")
        figures.missing = None
        assert ask(address, "/-/ready")[0].status == 200
    assert (refused.status, sentence) == (503, b"The ledger is not open.\n")


def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 4099
    with serving(Figures(body=body)) as address:
        assert ask(address)[1] == body


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072])
def test_no_size_of_body_is_cut_or_left_open(size: int) -> None:
    with serving(Figures(body=b"x" * size)) as address:
        assert ask(address)[1] == b"x" * size


# When.


def test_a_scrape_is_answered_with_what_its_poll_found() -> None:
    figures, poll = Figures(), Future[bool]()
    figures.given = Scrape(poll=poll)
    with serving(figures) as address:
        finish = threading.Thread(target=lambda: figures.finish(poll, "two"))
        finish.start()
        assert scrape(address) == b"TEXT two\n"
        assert figures.hear(1) == [(Answer.FRESH, "two", True)]
        finish.join()


def failed() -> "Future[bool]":
    poll: Future[bool] = Future()
    poll.set_result(False)
    return poll


def burst() -> "Future[bool]":
    poll: Future[bool] = Future()
    poll.set_exception(RuntimeError())
    return poll


def cancelled() -> "Future[bool]":
    poll: Future[bool] = Future()
    poll.cancel()
    return poll


@pytest.mark.parametrize("poll", [failed(), burst(), cancelled(), None])
def test_a_poll_that_fails_in_any_way_is_answered_with_the_last_picture(poll: "Future[bool] | None") -> None:
    figures = Figures(Scrape(poll=poll))
    with serving(figures) as address:
        assert scrape(address) == b"TEXT one\n"
        assert figures.hear(1) == [(Answer.STALE, "one", True)]


def test_a_poll_that_takes_too_long_goes_on_and_the_last_picture_is_served() -> None:
    poll: Future[bool] = Future()
    figures = Figures(Scrape(poll=poll))
    with serving(figures) as address:
        assert scrape(address, seconds="0.2") == b"TEXT one\n"
        assert figures.hear(1) == [(Answer.LATE, "one", True)]
        assert not poll.cancelled()
        poll.set_exception(RuntimeError())


def test_many_scrapes_wait_for_one_poll_without_a_thread_each() -> None:
    poll: Future[bool] = Future()
    figures = Figures(Scrape(poll=poll))
    with serving(figures) as address, ExitStack() as open_sockets:
        clients = [open_sockets.enter_context(socket.create_connection(address, HANGS)) for _ in range(100)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        until(lambda: len(figures.asked) == 100)
        assert threading.active_count() < 20
        poll.set_result(True)
        for client in clients:
            assert heard(client).endswith(b"TEXT one\n")


def test_a_client_that_hangs_up_frees_its_place_and_counts_as_no_scrape() -> None:
    figures = Figures(Scrape(poll=Future()))
    with serving(figures) as address:
        with socket.create_connection(address) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 100\r\n\r\n")
            until(lambda: figures.asked)
        assert figures.hear(1) == [(Answer.LATE, "one", False)]


def test_only_a_request_with_the_scrape_header_counts() -> None:
    figures = Figures()
    with serving(figures) as address:
        ask(address)
        scrape(address)
        assert [counts for _, _, counts in figures.hear(2)] == [False, True]
    assert figures.asked == [False, True]


def test_a_client_that_ends_its_own_side_first_is_answered() -> None:
    with serving(Figures()) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert heard(client).endswith(b"TEXT one\n")


# When we are at fault.


def test_a_bug_in_rendering_is_answered_with_the_last_good_bytes_which_count_as_not_seen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    figures = Figures()
    with serving(figures) as address:
        scrape(address)
        figures.broken = True
        response, body = ask(address, X_Prometheus_Scrape_Timeout_Seconds="10")
        assert [counts for _, _, counts in figures.hear(2)] == [True, False]
    assert (response.status, body) == (200, b"TEXT one\n")
    assert any("rendering failed" in each.message for each in caplog.records)


def test_without_good_bytes_it_is_an_error_whose_text_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Figures(broken=True)) as address:
        answers = [ask(address), ask(address, "/")]
    assert [response.status for response, _ in answers] == [500, 500]
    assert not any(b"canary" in body for _, body in answers)
    assert "canary" not in caplog.text
    assert caplog.records


def test_good_bytes_are_not_served_for_ever() -> None:
    figures, now = Figures(), [0.0]
    app = App(figures, ConnectionLimiter(STANDARD), 1.0, clock=lambda: now[0])
    assert app._render("one", Format.TEXT) == (b"TEXT one\n", True)
    figures.broken = True
    now[0] = web_module.LAST_GOOD_SECONDS
    assert app._render("two", Format.TEXT) == (b"TEXT one\n", False)
    now[0] += 1
    with pytest.raises(ValueError, match="canary"):
        app._render("two", Format.TEXT)


def test_broken_connections_are_not_logged_and_anything_else_is_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(asyncio.new_event_loop()) as loop:
        web_module._note(loop, {"message": "x", "exception": ConnectionResetError("canary")})
        web_module._note(loop, {"message": "x", "exception": ssl.SSLError("canary")})
        assert caplog.records == []
        web_module._note(loop, {"message": "x", "exception": ValueError("canary")})
    assert len(caplog.records) == 1
    assert "canary" not in caplog.text


def test_an_address_in_use_is_told_in_a_sentence_before_anything_runs() -> None:
    with serving(Figures()) as (host, port), pytest.raises(AddressUnusable, match=rf"{host}:{port}.*in use"):
        Web(Figures(), 1.0).start(host, port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "x" * 70, "::ffff:192.0.2.1"])
def test_an_address_that_is_not_ours_is_told_in_a_sentence(host: str) -> None:
    with pytest.raises(AddressUnusable, match=r"--web\.listen-address"):
        Web(Figures(), 1.0).start(host, 0)


def test_it_stops_while_a_scrape_waits_and_clients_stay() -> None:
    figures = Figures(Scrape(poll=Future()))
    server = Web(figures, 1.0)
    address = server.start("127.0.0.1", 0)
    with socket.create_connection(address) as waiting, socket.create_connection(address) as silent:
        waiting.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 100\r\n\r\n")
        until(lambda: figures.asked)
        server.stop(4.0)
        assert not server.alive
        assert ended(waiting)
        assert ended(silent)


def test_stopping_what_never_started_is_no_error() -> None:
    Web(Figures(), 1.0).stop(0.0)


# Hostile clients.


WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
HALF_A_HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: "


def test_500_half_open_connections_do_not_stop_a_scrape() -> None:
    with serving(Figures()) as address, ExitStack() as open_sockets:
        for number in range(500):
            client = open_sockets.enter_context(socket.create_connection(address, HANGS))
            client.sendall(HALF_A_HEAD[: number % len(HALF_A_HEAD)])
        began = time.monotonic()
        assert scrape(address) == b"TEXT one\n"
        assert time.monotonic() - began < 5


def test_a_dripped_request_head_is_ended_and_scrapes_go_on_meanwhile() -> None:
    with serving(Figures(), Limits(head=1.0)) as address, ExitStack() as open_sockets:
        clients = [open_sockets.enter_context(socket.create_connection(address, HANGS)) for _ in range(50)]
        for client in clients:
            client.sendall(HALF_A_HEAD)
        deadline = time.monotonic() + HANGS
        while clients:
            assert time.monotonic() < deadline, f"{len(clients)} dripping connections are still open"
            assert scrape(address) == b"TEXT one\n"
            clients = [client for client in clients if drips(client)]


def drips(client: socket.socket) -> bool:
    """Send one more byte; whether the connection is still open a while after."""
    try:
        client.sendall(b"x")
        client.settimeout(0.01)
        return client.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def test_a_body_that_nobody_asked_for_is_thrown_away_and_holds_nothing() -> None:
    chunks = b"1\r\nx\r\n" * 1000
    with serving(Figures()) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert ended(client)
        assert scrape(address) == b"TEXT one\n"


def test_a_promised_body_that_never_comes_is_not_waited_for() -> None:
    with serving(Figures()) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert ended(client)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        WEBSOCKET,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
    ],
)
def test_nonsense_is_ended_and_spoils_nothing(nonsense: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with serving(Figures(), Limits(head=0.5, silence=1.0)) as address:
        with socket.create_connection(address, HANGS) as client:
            with suppress(ConnectionError):
                client.sendall(nonsense)
            assert ended(client)
        assert scrape(address) == b"TEXT one\n"
    assert not [each for each in caplog.records if each.exc_info]


@pytest.mark.parametrize(
    "first", [b"", HALF_A_HEAD, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_whatever_a_client_begins_with_its_silence_is_ended(first: bytes) -> None:
    limits = Limits(head=0.5, silence=1.0)
    with serving(Figures(), limits) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(first)
        assert ended(client)


def test_a_client_that_does_not_read_is_ended_and_not_left_to_take_its_time() -> None:
    server = Web(Figures(body=b"x" * 20_000_000), 1.0, Limits(piece=0.5, head=1000.0, silence=1000.0))
    address = server.start("127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: server._crowd._open)
        until(lambda: not server._crowd._open)
    server.stop(HANGS)


def test_clients_that_do_not_read_lose_their_place_to_those_who_do() -> None:
    figures = Figures(body=b"x" * 20_000_000)
    with serving(figures, Limits(piece=0.5)) as address, ExitStack() as open_sockets:
        for _ in range(60):
            client = open_sockets.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n")
        assert len(figures.hear(60)) == 60
        assert not any(counts for _, _, counts in figures.told)
        figures.body = b"short"
        assert scrape(address) == b"short"
