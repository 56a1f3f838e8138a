import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from exporter.web.connections import STANDARD, ConnectionLimiter, Limits, listen

SMALL = Limits(connections=3, readers=2, silence=8.0)


class Room:
    """A Crowd of three, a clock that is set by hand, and both ends of every connection."""

    def __init__(self, ends: ExitStack) -> None:
        self.now = 0.0
        self.crowd = ConnectionLimiter(SMALL, clock=lambda: self.now)
        self._ends = ends
        self._theirs: dict[tuple[str, int], socket.socket] = {}

    def enter(self, port: int) -> bool:
        ours, theirs = (self._ends.enter_context(end) for end in socket.socketpair())
        theirs.setblocking(False)
        self._theirs["peer", port] = theirs
        return self.crowd.admit(("peer", port), ours)

    def dropped(self) -> list[int]:
        return [port for (_, port), theirs in self._theirs.items() if self._hears_the_end(theirs)]

    @staticmethod
    def _hears_the_end(theirs: socket.socket) -> bool:
        try:
            return theirs.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def room() -> Iterator[Room]:
    with ExitStack() as ends:
        yield Room(ends)


def test_who_was_silent_longest_makes_room(room: Room) -> None:
    for port in (1, 2, 3):
        assert room.enter(port)
    with room.crowd.answering(("peer", 1)):
        pass
    assert room.enter(4)
    assert room.dropped() == [2]


def test_a_request_that_waits_keeps_its_place_against_any_number(room: Room) -> None:
    room.enter(1)
    with room.crowd.answering(("peer", 1)):
        for port in range(2, 50):
            assert room.enter(port)
        assert 1 not in room.dropped()


def test_when_all_are_answered_the_slowest_reader_makes_room(room: Room) -> None:
    crowd = room.crowd
    for port in (1, 2, 3):
        room.enter(port)
    with crowd.answering(("peer", 1)), crowd.answering(("peer", 2)), crowd.answering(("peer", 3)):
        with crowd.sending(("peer", 2)), crowd.sending(("peer", 3)):
            assert room.enter(4)
        assert room.dropped() == [2]


def test_a_newcomer_is_refused_when_all_wait_for_an_answer(room: Room) -> None:
    crowd = room.crowd
    for port in (1, 2, 3):
        room.enter(port)
    with crowd.answering(("peer", 1)), crowd.answering(("peer", 2)), crowd.answering(("peer", 3)):
        assert not room.enter(4)
    assert room.dropped() == []


def test_one_body_too_many_costs_the_slowest_reader_its_place(room: Room) -> None:
    crowd = room.crowd
    for port in (1, 2, 3):
        room.enter(port)
    with crowd.sending(("peer", 2)), crowd.sending(("peer", 1)), crowd.sending(("peer", 3)):
        assert room.dropped() == [2]


def test_closed_connections_take_no_place(room: Room) -> None:
    with socket.socket() as closed:
        room.crowd.admit(("peer", 9), closed)
    for port in (1, 2, 3):
        room.enter(port)
    assert room.dropped() == []


def test_silence_is_counted_from_the_last_answer(room: Room) -> None:
    room.enter(1)
    room.enter(2)
    room.enter(3)
    with room.crowd.answering(("peer", 3)):
        room.now = 8.0
        with room.crowd.answering(("peer", 1)):
            pass
        room.now = 8.1
        room.crowd.close_idle()
    assert room.dropped() == [2]


def test_dropping_twice_or_a_stranger_is_no_error(room: Room) -> None:
    room.enter(1)
    for _ in range(2):
        room.crowd.drop(("peer", 1))
    room.crowd.drop(("peer", 2))
    assert room.dropped() == [1]


def test_what_it_accepts_does_not_wait_to_fill_packets() -> None:
    with (
        listen("127.0.0.1", 0, ConnectionLimiter(STANDARD)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        listener.setblocking(True)
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_refused_client_is_closed_and_passed_over() -> None:
    nobody = ConnectionLimiter(Limits(connections=0))
    with listen("127.0.0.1", 0, nobody) as listener, socket.create_connection(listener.getsockname(), 30) as client:
        listener.setblocking(True)
        with pytest.raises(ConnectionAbortedError):
            listener.accept()
        assert client.recv(1) == b""
