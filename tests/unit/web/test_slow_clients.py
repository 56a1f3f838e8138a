"""Hostile and broken clients: slow, silent, or talking nonsense."""

import socket
import time
from contextlib import ExitStack, suppress

import pytest

from exporter.web.connections import Limits
from exporter.web.server import WebServer

from .fake_backend import HANGS, FakeBackend, ended, scrape, serving, wait_until

WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
HALF_A_HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: "


def test_500_half_open_connections_do_not_stop_a_scrape() -> None:
    with serving(FakeBackend()) as address, ExitStack() as open_sockets:
        for number in range(500):
            client = open_sockets.enter_context(socket.create_connection(address, HANGS))
            client.sendall(HALF_A_HEAD[: number % len(HALF_A_HEAD)])
        began = time.monotonic()
        assert scrape(address) == b"TEXT one\n"
        assert time.monotonic() - began < 5


def test_a_dripped_request_head_is_ended_and_scrapes_are_answered_meanwhile() -> None:
    with serving(FakeBackend(), Limits(request_head_seconds=1.0)) as address, ExitStack() as open_sockets:
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


def test_a_request_body_is_discarded_and_blocks_nothing() -> None:
    chunks = b"1\r\nx\r\n" * 1000
    with serving(FakeBackend()) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert ended(client)
        assert scrape(address) == b"TEXT one\n"


def test_a_request_body_that_never_comes_is_not_waited_for() -> None:
    with serving(FakeBackend()) as address, socket.create_connection(address, HANGS) as client:
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
def test_nonsense_is_ended_and_breaks_nothing(nonsense: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with serving(FakeBackend(), Limits(request_head_seconds=0.5, idle_seconds=1.0)) as address:
        with socket.create_connection(address, HANGS) as client:
            with suppress(ConnectionError):
                client.sendall(nonsense)
            assert ended(client)
        assert scrape(address) == b"TEXT one\n"
    assert not [each for each in caplog.records if each.exc_info]


@pytest.mark.parametrize(
    "first", [b"", HALF_A_HEAD, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_a_client_that_falls_silent_is_ended_whatever_it_sent_before(first: bytes) -> None:
    limits = Limits(request_head_seconds=0.5, idle_seconds=1.0)
    with serving(FakeBackend(), limits) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(first)
        assert ended(client)


def test_a_client_that_does_not_read_is_ended() -> None:
    server = WebServer(
        FakeBackend(body=b"x" * 20_000_000),
        1.0,
        Limits(write_seconds=0.5, request_head_seconds=1000.0, idle_seconds=1000.0),
    )
    address = server.start("127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: server._limiter._open)
        wait_until(lambda: not server._limiter._open)
    server.stop(HANGS)


def test_clients_that_do_not_read_lose_their_place_to_those_who_do() -> None:
    backend = FakeBackend(body=b"x" * 20_000_000)
    with serving(backend, Limits(write_seconds=0.5)) as address, ExitStack() as open_sockets:
        for _ in range(60):
            client = open_sockets.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n")
        assert len(backend.wait_for_counted(60)) == 60
        assert not any(exposed for _, _, exposed in backend.counted)
        backend.body = b"short"
        assert scrape(address) == b"short"


@pytest.mark.parametrize(
    "asked",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        (
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        ),
    ],
)
def test_http2_is_not_spoken(asked: bytes) -> None:
    with serving(FakeBackend()) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(asked)
        answer = b""
        while piece := client.recv(4096):
            answer += piece
        assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
