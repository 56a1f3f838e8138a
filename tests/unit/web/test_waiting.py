"""When a scrape is answered: at once, after a poll, or when its budget is spent."""

import socket
import threading
from concurrent.futures import Future
from contextlib import ExitStack

import pytest

from exporter.metrics.vocabulary import ScrapeAnswer
from exporter.published import Scrape

from .fake_backend import HANGS, FakeBackend, ask, read_all, scrape, serving, wait_until


def test_a_scrape_is_answered_with_the_snapshot_of_its_poll() -> None:
    backend, poll = FakeBackend(), Future[bool]()
    backend.given = Scrape(poll=poll)
    with serving(backend) as address:
        finish = threading.Thread(target=lambda: backend.finish(poll, 2))
        finish.start()
        assert scrape(address) == b"TEXT two\n"
        assert backend.wait_for_counted(1) == [(ScrapeAnswer.FRESH, "two", True)]
        finish.join()


def failed() -> "Future[bool]":
    poll: Future[bool] = Future()
    poll.set_result(False)
    return poll


def raised() -> "Future[bool]":
    poll: Future[bool] = Future()
    poll.set_exception(RuntimeError())
    return poll


def cancelled() -> "Future[bool]":
    poll: Future[bool] = Future()
    poll.cancel()
    return poll


@pytest.mark.parametrize("poll", [failed(), raised(), cancelled(), None])
def test_a_poll_that_fails_in_any_way_is_answered_with_the_last_snapshot(poll: "Future[bool] | None") -> None:
    backend = FakeBackend(Scrape(poll=poll))
    with serving(backend) as address:
        assert scrape(address) == b"TEXT one\n"
        assert backend.wait_for_counted(1) == [(ScrapeAnswer.STALE, "one", True)]


def test_a_poll_that_takes_too_long_goes_on_and_the_last_snapshot_is_served() -> None:
    poll: Future[bool] = Future()
    backend = FakeBackend(Scrape(poll=poll))
    with serving(backend) as address:
        assert scrape(address, seconds="0.2") == b"TEXT one\n"
        assert backend.wait_for_counted(1) == [(ScrapeAnswer.LATE, "one", True)]
        assert not poll.cancelled()
        poll.set_exception(RuntimeError())


def test_many_scrapes_wait_for_one_poll_without_a_thread_each() -> None:
    before = threading.active_count()  # threads of other tests, such as those that check passwords
    poll: Future[bool] = Future()
    backend = FakeBackend(Scrape(poll=poll))
    with serving(backend) as address, ExitStack() as open_sockets:
        clients = [open_sockets.enter_context(socket.create_connection(address, HANGS)) for _ in range(100)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wait_until(lambda: backend.scrapes == 100)
        assert threading.active_count() < before + 20
        poll.set_result(True)
        for client in clients:
            assert read_all(client).endswith(b"TEXT one\n")


def test_a_client_that_disconnects_frees_its_place_and_counts_as_not_exposed() -> None:
    backend = FakeBackend(Scrape(poll=Future()))
    with serving(backend) as address:
        with socket.create_connection(address) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 100\r\n\r\n")
            wait_until(lambda: backend.scrapes)
        assert backend.wait_for_counted(1) == [(ScrapeAnswer.LATE, "one", False)]


def test_only_a_request_with_the_scrape_header_counts_as_exposed() -> None:
    backend = FakeBackend()
    with serving(backend) as address:
        ask(address)
        scrape(address)
        assert [exposed for _, _, exposed in backend.wait_for_counted(2)] == [False, True]
    assert backend.scrapes == 2


def test_a_client_that_ends_its_own_side_first_is_answered() -> None:
    with serving(FakeBackend()) as address, socket.create_connection(address, HANGS) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b"TEXT one\n")
