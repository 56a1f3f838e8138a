import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from exporter.web.connections import ACCEPTED_AT_ONCE, DEFAULT_LIMITS, ConnectionLimiter, Limits, listen

SMALL = Limits(max_connections=3, max_sending=2, idle_seconds=8.0)


class Clients:
    """A limiter for three connections, a clock that is set by hand, and both ends of every connection."""

    def __init__(self, ends: ExitStack) -> None:
        self.now = 0.0
        self.limiter = ConnectionLimiter(SMALL, clock=lambda: self.now)
        self._ends = ends
        self._theirs: dict[tuple[str, int], socket.socket] = {}

    def connect(self, port: int) -> bool:
        ours, theirs = (self._ends.enter_context(end) for end in socket.socketpair())
        theirs.setblocking(False)
        self._theirs["peer", port] = theirs
        return self.limiter.admit(("peer", port), ours)

    def dropped(self) -> list[int]:
        return [port for (_, port), theirs in self._theirs.items() if self._is_ended(theirs)]

    @staticmethod
    def _is_ended(theirs: socket.socket) -> bool:
        try:
            return theirs.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def clients() -> Iterator[Clients]:
    with ExitStack() as ends:
        yield Clients(ends)


def test_the_connection_idle_longest_is_dropped_for_a_new_one(clients: Clients) -> None:
    for port in (1, 2, 3):
        assert clients.connect(port)
    with clients.limiter.answering(("peer", 1)):
        pass
    assert clients.connect(4)
    assert clients.dropped() == [2]


def test_a_connection_that_waits_for_its_answer_is_never_dropped_for_new_ones(clients: Clients) -> None:
    clients.connect(1)
    with clients.limiter.answering(("peer", 1)):
        for port in range(2, 50):
            assert clients.connect(port)
        assert 1 not in clients.dropped()


def test_when_all_are_being_answered_the_slowest_reader_is_dropped(clients: Clients) -> None:
    limiter = clients.limiter
    for port in (1, 2, 3):
        clients.connect(port)
    with limiter.answering(("peer", 1)), limiter.answering(("peer", 2)), limiter.answering(("peer", 3)):
        with limiter.sending(("peer", 2)), limiter.sending(("peer", 3)):
            assert clients.connect(4)
        assert clients.dropped() == [2]


def test_a_new_connection_is_refused_when_all_wait_for_an_answer(clients: Clients) -> None:
    limiter = clients.limiter
    for port in (1, 2, 3):
        clients.connect(port)
    with limiter.answering(("peer", 1)), limiter.answering(("peer", 2)), limiter.answering(("peer", 3)):
        assert not clients.connect(4)
    assert clients.dropped() == []


def test_clients_whose_passwords_are_checked_make_room_oldest_first(clients: Clients) -> None:
    for port in (1, 2, 3):
        clients.connect(port)
    with ExitStack() as requests:
        for port in (1, 2, 3):
            requests.enter_context(clients.limiter.answering(("peer", port)))
        for port in (2, 3):
            requests.enter_context(clients.limiter.checking(("peer", port)))
        assert clients.connect(4)
        assert clients.dropped() == [2]
        with clients.limiter.answering(("peer", 4)):
            assert clients.connect(5)
            assert clients.dropped() == [2, 3]


def test_with_one_response_too_many_the_slowest_reader_is_dropped(clients: Clients) -> None:
    limiter = clients.limiter
    for port in (1, 2, 3):
        clients.connect(port)
    with limiter.sending(("peer", 2)), limiter.sending(("peer", 1)), limiter.sending(("peer", 3)):
        assert clients.dropped() == [2]


def test_closed_connections_do_not_count(clients: Clients) -> None:
    with socket.socket() as closed:
        clients.limiter.admit(("peer", 9), closed)
    for port in (1, 2, 3):
        clients.connect(port)
    assert clients.dropped() == []


def test_idle_time_is_counted_from_the_last_answer(clients: Clients) -> None:
    clients.connect(1)
    clients.connect(2)
    clients.connect(3)
    with clients.limiter.answering(("peer", 3)):
        clients.now = 8.0
        with clients.limiter.answering(("peer", 1)):
            pass
        clients.now = 8.1
        clients.limiter.close_idle()
    assert clients.dropped() == [2]


def test_dropping_twice_or_an_unknown_peer_is_no_error(clients: Clients) -> None:
    clients.connect(1)
    for _ in range(2):
        clients.limiter.drop(("peer", 1))
    clients.limiter.drop(("peer", 2))
    assert clients.dropped() == [1]


def test_accepted_connections_have_tcp_nodelay() -> None:
    with (
        listen("127.0.0.1", 0, ConnectionLimiter(DEFAULT_LIMITS)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        listener.setblocking(True)
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_refused_connection_is_closed() -> None:
    none = ConnectionLimiter(Limits(max_connections=0))
    with listen("127.0.0.1", 0, none) as listener, socket.create_connection(listener.getsockname(), 30) as client:
        listener.setblocking(True)
        with pytest.raises(ConnectionAbortedError):
            listener.accept()
        assert client.recv(1) == b""


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6 on this machine")
def test_few_are_accepted_in_one_turn_of_the_event_loop() -> None:
    with listen("127.0.0.1", 0, ConnectionLimiter(DEFAULT_LIMITS)) as listener, ExitStack() as ends:
        for _ in range(ACCEPTED_AT_ONCE + 1):
            ends.enter_context(socket.create_connection(listener.getsockname()))
        for _ in range(ACCEPTED_AT_ONCE):
            ends.enter_context(listener.accept()[0])
        with pytest.raises(BlockingIOError):
            listener.accept()
        ends.enter_context(listener.accept()[0])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_no_host_means_every_address_of_both_kinds(host: str) -> None:
    with (
        listen("", 0, ConnectionLimiter(DEFAULT_LIMITS)) as listener,
        socket.create_connection((host, listener.getsockname()[1]), 30) as client,
    ):
        assert client.getpeername()[0] == host
