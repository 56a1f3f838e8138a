"""`/-/reload`: off unless it is allowed, by POST or PUT only, and answered when the reload has ended."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from exporter.reload import ReloadRequest
from exporter.web import app
from exporter.web.server import Access, WebServer

from .fake_backend import HANGS, FakeBackend, ask, read_all, serving


@contextmanager
def reloading(reload: Callable[[], ReloadRequest]) -> Iterator[tuple[str, int]]:
    server = WebServer(FakeBackend(), 1.0, access=Access(reload=reload))
    try:
        yield server.start("127.0.0.1", 0)
    finally:
        server.stop(HANGS)


def ended(complete: bool, *said: str) -> Callable[[], ReloadRequest]:
    def reload() -> ReloadRequest:
        request = ReloadRequest(said=said)
        request.done.set_result(complete)
        return request

    return reload


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_it_is_off_in_the_words_of_prometheus(method: str) -> None:
    with serving(FakeBackend()) as address:
        response, body = ask(address, "/-/reload", method)
    assert (response.status, body) == (403, b"Lifecycle API is not enabled.\n")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_other_methods_are_refused_and_reload_nothing(method: str) -> None:
    with reloading(_never) as address:
        response, _ = ask(address, "/-/reload", method)
    assert (response.status, response.headers["Allow"]) == (405, "POST, PUT")


def _never() -> ReloadRequest:
    raise AssertionError


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_came_of_it_is_the_answer(method: str) -> None:
    with reloading(ended(True, "Reloaded: payers.", "More.")) as address:
        response, body = ask(address, "/-/reload", method)
    assert (response.status, body) == (200, b"Reloaded: payers.\nMore.\n")


def test_a_file_that_cannot_be_used_is_a_500_with_every_problem() -> None:
    with reloading(ended(False, "--config.file line 3: is wrong", "And more.")) as address:
        response, body = ask(address, "/-/reload", "POST")
    assert (response.status, body) == (500, b"--config.file line 3: is wrong\nAnd more.\n")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_it_waits_for_a_bounded_time_and_the_reload_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "RELOAD_SECONDS", 0.2)
    request = ReloadRequest()
    with reloading(lambda: request) as address:
        response, body = ask(address, "/-/reload", "POST")
        assert ask(address, "/-/healthy")[0].status == 200
    assert (response.status, request.done.cancelled()) == (202, False)
    assert body.startswith(b"The configuration is still being read")


def test_a_body_is_discarded() -> None:
    with reloading(ended(True, "Done.")) as address, socket.create_connection(address, HANGS) as client:
        head = b"POST /-/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n"
        client.sendall(head + b"x" * 1_000_000)
        assert read_all(client).endswith(b"\r\n\r\nDone.\n")
