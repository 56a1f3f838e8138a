"""Time is the subject here, so these tests wait: for some tenths of a second at most."""

import socket
import time

import pytest

from exporter.fhir.time_limit import TimeLimit


class Stream:
    """A connection as httpcore hands it to a trace."""

    def __init__(self, held: socket.socket) -> None:
        self.held = held

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self.held


def wait_for(limit: TimeLimit) -> None:
    while not limit.over:
        time.sleep(0.005)


def connected(limit: TimeLimit, ours: socket.socket) -> None:
    limit.watch("connection.connect_tcp.complete", {"return_value": Stream(ours)})


@pytest.mark.parametrize("early", [True, False], ids=["connected before", "connected after"])
def test_whatever_is_connected_is_cut_when_time_is_up(early: bool) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(2)
    with ours, theirs, TimeLimit(0.05, 10) as limit:
        if early:
            connected(limit, ours)
        wait_for(limit)
        time.sleep(0.05)
        if not early:
            connected(limit, ours)
        assert theirs.recv(1) == b""
        assert ours.fileno() > 0


def test_nothing_is_cut_before() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with TimeLimit(10, 10) as limit:
            connected(limit, ours)
            assert not limit.over
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


def test_other_events_are_nothing_to_it() -> None:
    with TimeLimit(10, 10) as limit:
        limit.watch("http11.send_request_headers.started", {})


def test_a_request_that_begins_late_still_has_its_time() -> None:
    with TimeLimit(10, 0.2) as limit:
        time.sleep(0.15)
        with limit.request():
            time.sleep(0.15)
            assert not limit.over
            wait_for(limit)
        assert limit.over


def test_a_time_that_is_up_stays_up() -> None:
    with TimeLimit(10, 0.05) as limit:
        with limit.request():
            time.sleep(0.15)
        assert limit.over
        with limit.request():
            assert limit.over


def test_a_request_that_took_too_long_is_not_forgotten_though_no_thread_woke_in_time() -> None:
    limit = TimeLimit(seconds=30, each=0.01)  # not entered: its thread does not run
    with limit.request():
        time.sleep(0.02)
    assert limit.over
