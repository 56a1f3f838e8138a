"""Faults on the wire, Q29: a server on loopback that breaks HTTP."""

from collections.abc import Callable

import pytest

from ..support import quirk_streams
from ..support.exposition import errors, is_up
from ..support.rig import Rig

GOOD = b'{"resourceType":"Bundle","type":"searchset","meta":{"lastUpdated":"2026-11-20T12:00:00Z"},"link":[]}'


STREAMS: dict[str, tuple[Callable[[], quirk_streams.Stream], str]] = {
    "whole": (lambda: quirk_streams.whole(GOOD), ""),
    "cut with length": (lambda: quirk_streams.cut_with_length(GOOD), "truncated"),
    "cut without length": (lambda: quirk_streams.cut_without_length(GOOD), "not_fhir"),
    "cut in a chunk": (lambda: quirk_streams.cut_in_a_chunk(GOOD), "truncated"),
    "silent": (quirk_streams.silent, "timeout"),
    "slow body": (lambda: quirk_streams.slow_body(GOOD, 0.05), "timeout"),
    "slow headers": (lambda: quirk_streams.slow_headers(0.01), "timeout"),
    "endless headers": (quirk_streams.endless_headers, "unreachable"),
    "endless information": (lambda: quirk_streams.endless_information(0.001), "timeout"),
    "endless body": (quirk_streams.endless_body, "too_large"),
    "gzip bomb": (lambda: quirk_streams.gzip_bomb(64), "too_large"),
    "double gzip bomb": (lambda: quirk_streams.gzip_bomb(16, 2), "not_fhir"),
    "cut gzip": (lambda: quirk_streams.cut_gzip(GOOD), "truncated"),
    "two gzips": (lambda: quirk_streams.two_gzip_members(GOOD), "not_fhir"),
    "no HTTP": (quirk_streams.not_http, "unreachable"),
}


def wired(url: str, seconds: float) -> Rig:
    """Put an exporter on a real socket."""
    return Rig(fhir={"url": url, "timeout": seconds}, real_network=True).start()


@pytest.mark.parametrize("name", STREAMS)
def test_q29_wire_faults_have_their_class_and_an_end(name: str) -> None:
    stream, reason = STREAMS[name]
    with quirk_streams.Loopback(stream) as server:
        rig = wired(server.url, 0.6 if reason == "timeout" else 10)
        rig.run(1)
    assert errors(rig) == ({reason: 1} if reason else {})


def test_q29_a_reset_connection_is_no_answer() -> None:
    with quirk_streams.Loopback(lambda: quirk_streams.reset(GOOD), resets=True) as server:
        rig = wired(server.url, 1)
        rig.run(1)
    assert errors(rig) in ({"truncated": 1}, {"unreachable": 1})
    assert not is_up(rig)
