"""A server on loopback that misbehaves on the socket: what `httpx.MockTransport` cannot play."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

Play = Callable[[socket.socket], None]


class Listener:
    """Accepts connections and hands each to `play`, in its own thread. `seen` holds what was sent to it."""

    def __init__(self, play: Play, *, reads: bool = True) -> None:
        self.play = play
        self.reads = reads
        self.seen: list[bytes] = []
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self._open: list[socket.socket] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/fhir"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._socket.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._socket.accept()
                connection.settimeout(10)
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=[connection]))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if self.reads:
                self.seen.append(read_request(connection))
            self.play(connection)


def read_request(connection: socket.socket) -> bytes:
    """Read to the end of the headers."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Write a status line and headers."""
    return "\r\n".join((f"HTTP/1.1 {status}", "Content-Type: application/fhir+json", *lines, "", "")).encode("latin-1")


def sends(*pieces: bytes, every: float = 0.0) -> Play:
    """Send the pieces, a while apart, and close."""

    def play(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            if every:
                time.sleep(every)

    return play


def drips(start: bytes, drop: bytes, every: float = 0.02) -> Play:
    """Send `start`, then `drop` without end."""

    def play(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in forever():
            connection.sendall(drop)
            time.sleep(every)

    return play


def floods(start: bytes, wave: bytes) -> Play:
    """Send `start`, then `wave` without end, as fast as it goes."""
    return drips(start, wave, 0.0)


def silent(connection: socket.socket) -> None:
    """Say nothing until the other side goes."""
    connection.recv(1)


def forever() -> Iterator[None]:
    while True:
        yield
