"""Time is the subject here, so these tests wait: for some tenths of a second at most."""

import socket
import time

import pytest

from exporter.edge.deadline import Deadline


class Stream:
    """A connection as httpcore hands it to a trace."""

    def __init__(self, held: socket.socket) -> None:
        self.held = held

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self.held


def wait_for(deadline: Deadline) -> None:
    while not deadline.over:
        time.sleep(0.005)


def connected(deadline: Deadline, ours: socket.socket) -> None:
    deadline.watch("connection.connect_tcp.complete", {"return_value": Stream(ours)})


@pytest.mark.parametrize("early", [True, False], ids=["connected before", "connected after"])
def test_whatever_is_connected_is_cut_when_time_is_up(early: bool) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(2)
    with ours, theirs, Deadline(0.05, 10) as deadline:
        if early:
            connected(deadline, ours)
        wait_for(deadline)
        time.sleep(0.05)
        if not early:
            connected(deadline, ours)
        assert theirs.recv(1) == b""
        assert ours.fileno() > 0


def test_nothing_is_cut_before() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with Deadline(10, 10) as deadline:
            connected(deadline, ours)
            assert not deadline.over
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


def test_other_events_are_nothing_to_it() -> None:
    with Deadline(10, 10) as deadline:
        deadline.watch("http11.send_request_headers.started", {})


def test_a_request_that_begins_late_still_has_its_time() -> None:
    with Deadline(10, 0.2) as deadline:
        time.sleep(0.15)
        with deadline.request():
            time.sleep(0.15)
            assert not deadline.over
            wait_for(deadline)
        assert deadline.over


def test_a_time_that_is_up_stays_up() -> None:
    with Deadline(10, 0.05) as deadline:
        with deadline.request():
            time.sleep(0.15)
        assert deadline.over
        with deadline.request():
            assert deadline.over
