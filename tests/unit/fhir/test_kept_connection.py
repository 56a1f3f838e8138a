"""A connection that outlives its session: used again, replaced when it ended, cut like any other."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.config import FhirSettings
from exporter.errors import ServerError, TimedOut, Truncated, Unreachable
from exporter.fhir import http as under_test
from exporter.fhir.auth import BearerFile
from exporter.fhir.http import Http, Reply
from exporter.metrics.vocabulary import Operation

from ...support.hostile import Listener, Play, drips, head, read_request, sends, silent

GOOD = sends(head("Content-Length: 2"), b"{}")
BYE = sends(head("Content-Length: 2", "Connection: close"), b"{}")


class Turns:
    """Plays one after the other, a request each, on one connection; then closes it. The last may go on for ever."""

    def __init__(self, *plays: Play, forever: bool = False) -> None:
        self.plays = plays
        self.forever = forever
        self.requests: list[bytes] = []
        self.closed = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        self.plays[0](connection)
        place = 0
        while self.forever or place < len(self.plays) - 1:
            place = min(place + 1, len(self.plays) - 1)
            request = read_request(connection)
            if not request:
                break
            self.requests.append(request)
            self.plays[place](connection)
        connection.shutdown(socket.SHUT_RDWR)
        self.closed.set()


def ask(http: Http, seconds: float = 5.0) -> Reply:
    """Ask once, in a session of its own: as a poll in which nothing changed does."""
    with http.session(seconds) as session:
        return session.get(f"{http.base}/Task", Operation.SEARCH)


@contextlib.contextmanager
def client(server: Listener, timeout: float = 5.0) -> Iterator[Http]:
    with contextlib.closing(Http(FhirSettings(url=server.base, timeout=timeout))) as http:
        yield http


def test_one_connection_serves_session_after_session() -> None:
    with Listener(Turns(GOOD, forever=True)) as server, client(server) as http:
        for _ in range(20):
            assert ask(http).body == b"{}"
        assert server.connections == 1


def test_sessions_that_overlap_have_a_connection_each() -> None:
    with Listener(Turns(GOOD, forever=True)) as server, client(server) as http:
        for _ in range(3):
            with http.session(5) as session:
                session.get(f"{http.base}/Task", Operation.PAGE)
                ask(http)
                session.get(f"{http.base}/Task", Operation.PAGE)
        assert server.connections <= 4  # one is kept of the two


def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    turns = Turns(GOOD)
    with Listener(turns) as server, client(server) as http:
        for number in range(1, 4):
            assert ask(http).body == b"{}"
            assert turns.closed.wait(2)
            turns.closed.clear()
            assert server.connections == number


DYING: dict[str, Play] = {
    "closed": lambda connection: connection.shutdown(socket.SHUT_RDWR),
    "reset": lambda connection: connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("dies", DYING.values(), ids=DYING)
def test_a_kept_connection_that_dies_without_an_answer_is_asked_anew_once(dies: Play) -> None:
    with Listener(Turns(GOOD, dies)) as server, client(server) as http:
        assert ask(http).body == b"{}"
        assert ask(http).body == b"{}"
        assert server.connections == 2


def test_a_new_connection_that_dies_is_not_asked_again() -> None:
    with Listener(sends()) as server, client(server) as http:
        with pytest.raises(Unreachable):
            ask(http)
        assert server.connections == 1


def test_an_answer_that_had_begun_is_not_asked_for_again() -> None:
    cut = sends(head("Content-Length: 100"), b"{")
    with Listener(Turns(GOOD, cut)) as server, client(server) as http:
        ask(http)
        with pytest.raises(Truncated):
            ask(http)
        assert server.connections == 1


def test_a_server_that_lets_every_kept_connection_die_costs_two_connections_and_no_more() -> None:
    plays: Iterator[Play] = iter([Turns(GOOD, sends()), sends()])

    def play(connection: socket.socket) -> None:
        next(plays)(connection)

    with Listener(play) as server, client(server) as http:
        ask(http)
        with pytest.raises(Unreachable):
            ask(http)
        assert server.connections == 2


BAD: dict[str, Play] = {
    "an error": sends(head("Content-Length: 2", status="500 Oops"), b"{}"),
    "cut": sends(head("Content-Length: 100"), b"{"),
    "no JSON": sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_after_an_error_the_next_session_has_a_fresh_connection(bad: Play) -> None:
    with Listener(Turns(bad, GOOD)) as server, client(server, timeout=0.3) as http:
        with pytest.raises(ServerError):
            ask(http)
        with pytest.raises(ServerError):
            ask(http)
        assert server.connections == 2


@pytest.mark.parametrize("slow", [drips(head(), b" "), drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), silent])
@pytest.mark.parametrize(("seconds", "timeout"), [(0.3, 30.0), (30.0, 0.3)], ids=["window", "request"])
def test_a_kept_connection_is_cut_when_time_is_up(slow: Play, seconds: float, timeout: float) -> None:
    with Listener(Turns(GOOD, slow)) as server, client(server, timeout) as http:
        ask(http)
        started = time.monotonic()
        with pytest.raises(TimedOut):
            ask(http, seconds)
        assert 0.2 < time.monotonic() - started < 1.3
        assert server.connections == 1
        ask(http)
        assert server.connections == 2


def test_a_connection_that_is_kept_is_not_cut_by_the_limit_it_came_from() -> None:
    with Listener(Turns(GOOD, forever=True)) as server, client(server) as http:
        ask(http, 0.2)
        time.sleep(0.4)
        ask(http)
        assert server.connections == 1


def test_a_server_that_says_close_gets_its_close_at_once() -> None:
    ended = threading.Event()

    def play(connection: socket.socket) -> None:
        BYE(connection)
        connection.recv(1)
        ended.set()

    with Listener(play) as server, client(server) as http:
        ask(http)
        assert ended.wait(2)


@pytest.mark.parametrize(("name", "value"), [("LONGEST_IDLE_SECONDS", 0.0), ("LONGEST_LIFE_SECONDS", 0.0)])
def test_what_was_unused_for_long_or_is_old_is_replaced(
    name: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, name, value)
    with Listener(Turns(GOOD, forever=True)) as server, client(server) as http:
        for _ in range(2):
            ask(http)
            time.sleep(0.01)
        assert server.connections == 2


def test_cookies_do_not_outlive_a_session_though_the_connection_does() -> None:
    turns = Turns(sends(head("Content-Length: 2", "Set-Cookie: a=b"), b"{}"), forever=True)
    with Listener(turns) as server, client(server) as http:
        ask(http)
        ask(http)
        assert server.connections == 1
        assert len(turns.requests) == 1
        assert b"ookie" not in turns.requests[0]


def test_a_token_that_changed_between_two_polls_is_sent(tmp_path: Path) -> None:
    file, turns = tmp_path / "token", Turns(GOOD, forever=True)
    file.write_text("first")
    with Listener(turns) as server:
        with contextlib.closing(Http(FhirSettings(url=server.base), BearerFile(file))) as http:
            ask(http)
            file.write_text("second-one")
            ask(http)
        assert server.connections == 1
        assert b"Bearer first" in server.seen[0]
        assert b"Bearer second-one" in turns.requests[0]


def test_descriptors_do_not_pile_up_however_often_a_connection_is_replaced() -> None:
    with Listener(BYE) as server, client(server) as http, http.session(30) as session:
        session.get(f"{http.base}/Task", Operation.PAGE)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(40):
            session.get(f"{http.base}/Task", Operation.PAGE)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 5
