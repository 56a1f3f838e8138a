"""Bugs of our own, addresses that cannot be used, and the end."""

import asyncio
import socket
import ssl
from concurrent.futures import Future
from contextlib import closing

import pytest

from exporter.errors import AddressUnusable
from exporter.metrics.vocabulary import ScrapeAnswer
from exporter.published import Scrape
from exporter.web.app import LAST_GOOD_SECONDS, App
from exporter.web.messages import SCRAPE_TIMEOUT_HEADER, Response, parse_request
from exporter.web.server import WebServer, _log_loop_error

from .fake_backend import FakeBackend, ask, ended, scrape, serving, wait_until


def test_a_bug_in_rendering_is_answered_with_the_last_good_exposition_and_counts_as_not_exposed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = FakeBackend()
    with serving(backend) as address:
        scrape(address)
        backend.broken = True
        response, body = ask(address, X_Prometheus_Scrape_Timeout_Seconds="10")
        assert [exposed for _, _, exposed in backend.wait_for_counted(2)] == [True, False]
    assert (response.status, body) == (200, b"TEXT one\n")
    assert any("rendering failed" in each.message for each in caplog.records)


def test_without_a_good_exposition_it_is_an_error_whose_text_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    with serving(FakeBackend(broken=True)) as address:
        answers = [ask(address), ask(address, "/")]
    assert [response.status for response, _ in answers] == [500, 500]
    assert not any(b"canary" in body for _, body in answers)
    assert "canary" not in caplog.text
    assert caplog.records


def test_the_last_good_exposition_is_not_served_for_ever() -> None:
    backend, now = FakeBackend(), [0.0]
    app = App(backend, 1.0, clock=lambda: now[0])
    assert exposition(app) == b"TEXT one\n"
    backend.generation, backend.broken = 2, True
    now[0] = LAST_GOOD_SECONDS
    assert exposition(app) == b"TEXT one\n"
    assert backend.counted == [(ScrapeAnswer.REUSED, "one", True), (ScrapeAnswer.REUSED, "two", False)]
    now[0] += 1
    with pytest.raises(ValueError, match="canary"):
        exposition(app)


def exposition(app: App) -> bytes:
    """Have Prometheus receive the whole answer to a scrape."""
    response = app.handle(parse_request("GET", "/metrics", [(SCRAPE_TIMEOUT_HEADER.encode(), b"10")], None))
    assert isinstance(response, Response)
    response.on_sent(True)
    return response.body


def test_broken_connections_are_not_logged_and_other_errors_are_without_their_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(asyncio.new_event_loop()) as loop:
        _log_loop_error(loop, {"message": "x", "exception": ConnectionResetError("canary")})
        _log_loop_error(loop, {"message": "x", "exception": ssl.SSLError("canary")})
        assert caplog.records == []
        _log_loop_error(loop, {"message": "x", "exception": ValueError("canary")})
    assert len(caplog.records) == 1
    assert "canary" not in caplog.text


def test_an_address_in_use_is_reported_before_anything_runs() -> None:
    with serving(FakeBackend()) as (host, port), pytest.raises(AddressUnusable, match=rf"{host}:{port}.*in use"):
        WebServer(FakeBackend(), 1.0).start(host, port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "x" * 70, "::ffff:192.0.2.1"])
def test_an_address_of_another_machine_is_reported(host: str) -> None:
    with pytest.raises(AddressUnusable, match=r"--web\.listen-address"):
        WebServer(FakeBackend(), 1.0).start(host, 0)


def test_it_stops_while_a_scrape_waits_and_clients_stay() -> None:
    backend = FakeBackend(Scrape(poll=Future()))
    server = WebServer(backend, 1.0)
    address = server.start("127.0.0.1", 0)
    with socket.create_connection(address) as waiting, socket.create_connection(address) as silent:
        waiting.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 100\r\n\r\n")
        wait_until(lambda: backend.scrapes)
        server.stop(4.0)
        assert not server.alive
        assert ended(waiting)
        assert ended(silent)


def test_stopping_a_server_that_never_started_is_no_error() -> None:
    WebServer(FakeBackend(), 1.0).stop(0.0)
