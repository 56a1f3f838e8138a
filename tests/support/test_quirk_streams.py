"""That each stream of raw bytes (Q29) is really sent."""

import gzip
import socket
from collections.abc import Callable

import pytest

from tests.support import quirk_streams as streams


def read_raw(server: streams.Loopback, most: int = 200_000) -> bytes:
    """Read until the end, or until `most` bytes or a pause show that there is none."""
    port = int(server.url.split(":")[2].split("/")[0])
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=0.3) as connection:
        connection.sendall(b"GET /fhir HTTP/1.1\r\nhost: x\r\n\r\n")
        try:
            while len(received) < most and (data := connection.recv(65536)):
                received += data
        except TimeoutError:
            return received + b"<pause>"
        except ConnectionResetError:
            return received + b"<reset>"
    return received


BODY = b'{"resourceType":"Bundle"}'


@pytest.mark.parametrize(
    ("stream", "holds"),
    [
        (lambda: streams.whole(BODY), b'Bundle"}'),
        (lambda: streams.cut_with_length(BODY), b"content-length: 25\r\n\r\n" + BODY[:12]),
        (lambda: streams.cut_without_length(BODY), b"close\r\n\r\n" + BODY[:12]),
        (lambda: streams.cut_in_a_chunk(BODY), b"19\r\n" + BODY[:12]),
        (streams.silent, b"<pause>"),
        (lambda: streams.slow_body(BODY), b"{<pause>"),
        (lambda: streams.slow_headers(1), b"200 OK\r\nx<pause>"),
        (streams.endless_headers, b"x-header-150: y"),
        (lambda: streams.endless_information(0), b"103 Early Hints"),
        (streams.endless_body, b"x" * 150_000),
        (streams.not_http, b"SSH"),
    ],
)
def test_q29_streams_send_what_they_are_named_for(stream: Callable[[], streams.Stream], holds: bytes) -> None:
    with streams.Loopback(stream) as server:
        assert holds in read_raw(server)
        assert server.connections == 1


def test_q29_a_connection_is_reset() -> None:
    with streams.Loopback(lambda: streams.reset(BODY), resets=True) as server:
        assert read_raw(server).endswith(b"<reset>")


def test_q29_compressed_bodies_burst_end_early_or_come_twice() -> None:
    def body(stream: streams.Stream) -> bytes:
        return next(stream).data.split(b"\r\n\r\n", 1)[1]

    bomb = body(streams.gzip_bomb(4, layers=2))
    assert len(bomb) < 1000
    assert len(gzip.decompress(gzip.decompress(bomb))) == 4 * 1024 * 1024
    with pytest.raises(EOFError):
        gzip.decompress(body(streams.cut_gzip(BODY)))
    assert gzip.decompress(body(streams.two_gzip_members(BODY))) == BODY + b"{}"
