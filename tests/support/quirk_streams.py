"""Q29: answers that only raw bytes can play, and a loopback server that sends them.

A *stream* is an iterator of pieces; after each piece the server waits as long as the piece says, and at the end it
closes the connection, or resets it. Streams that go on for ever end when the client goes away.
"""

import gzip
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple, Self

JSON = b"content-type: application/fhir+json\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


class Piece(NamedTuple):
    """Bytes, and the seconds to wait after them."""

    data: bytes
    pause: float = 0.0


Stream = Iterator[Piece]


def whole(body: bytes) -> Stream:
    """Send a good answer, to compare with."""
    yield Piece(OK + JSON + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)


def cut_with_length(body: bytes) -> Stream:
    """Promise the whole body by Content-Length and send half of it."""
    yield Piece(OK + JSON + b"content-length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])


def cut_without_length(body: bytes) -> Stream:
    """Promise nothing and send half of the body: to HTTP this is a whole answer."""
    yield Piece(OK + JSON + b"connection: close\r\n\r\n" + body[: len(body) // 2])


def cut_in_a_chunk(body: bytes) -> Stream:
    """End inside a chunk of a chunked body."""
    yield Piece(OK + JSON + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(body) + body[: len(body) // 2])


def reset(body: bytes) -> Stream:
    """Send half of the body; `Loopback(…, resets=True)` then resets the connection."""
    yield from cut_with_length(body)


def silent() -> Stream:
    """Take the request and say nothing."""
    for _ in count():
        yield Piece(b"", 0.05)


def slow_body(body: bytes, pause: float = 1.0) -> Stream:
    """Send one byte at a time."""
    yield Piece(OK + JSON + b"content-length: %d\r\n\r\n" % len(body))
    for byte in body:
        yield Piece(bytes([byte]), pause)


def slow_headers(pause: float = 0.2) -> Stream:
    """Send headers one byte at a time, without end: no part of a body ever comes."""
    yield Piece(OK)
    for n in count():
        for byte in b"x-slow-%d: y\r\n" % n:
            yield Piece(bytes([byte]), pause)


def endless_headers() -> Stream:
    """Send headers as fast as they are read, without end."""
    yield Piece(OK)
    for n in count():
        yield Piece(b"x-header-%d: %s\r\n" % (n, b"y" * 1000))


def endless_information(pause: float = 0.05) -> Stream:
    """Send `103 Early Hints` for ever: each is a whole answer, and none is the last."""
    for _ in count():
        yield Piece(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", pause)


def endless_body() -> Stream:
    """Send a JSON string without end."""
    yield Piece(OK + JSON + b'\r\n{"resourceType":"')
    for _ in count():
        yield Piece(b"x" * 65536)


def gzip_bomb(mebibytes: int = 512, layers: int = 1) -> Stream:
    """Send a body that inflates a thousandfold; `layers` of 2 says `gzip, gzip`, a millionfold."""
    body = _zeros(mebibytes)
    for _ in range(layers - 1):
        body = gzip.compress(body)
    coding = b", ".join([b"gzip"] * layers)
    yield Piece(OK + JSON + b"content-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (coding, len(body)) + body)


def cut_gzip(body: bytes) -> Stream:
    """End a compressed body early, but as long as Content-Length says."""
    half = gzip.compress(body)[:-12]
    yield Piece(OK + JSON + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(half) + half)


def two_gzip_members(body: bytes) -> Stream:
    """Append a second compressed body to the first."""
    twice = gzip.compress(body) + gzip.compress(b"{}")
    yield Piece(OK + JSON + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(twice) + twice)


def not_http() -> Stream:
    """Speak another protocol."""
    yield Piece(b"SSH-2.0-OpenSSH_9.2\r\n")


def _zeros(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1024 * 1024)
    return b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()


class Loopback:
    """A server on 127.0.0.1 that answers each connection by a stream: `with Loopback(silent) as server: server.url`."""

    def __init__(self, stream: Callable[[], Stream], *, resets: bool = False) -> None:
        self.stream = stream
        self.resets = resets
        self.connections = 0
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/fhir"

    def __enter__(self) -> Self:
        self._listener.settimeout(0.05)
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.2)
            try:
                self._converse(connection)
            except OSError:
                return  # the client has gone, which is how endless streams end
            if self.resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _converse(self, connection: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received and not self._over.is_set():
            try:
                received += connection.recv(65536)
            except TimeoutError:
                continue
            if not received:
                return
        for piece in self.stream():
            connection.sendall(piece.data)
            if self._over.wait(piece.pause):
                return
