"""A server on loopback that is honest until a play is switched on, and a second one that nobody may connect to.

A *play* is given an `Exchange`, and answers it as it likes; True keeps the connection open. It works on the socket, so
that it can do what no web server does.
"""

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from exporter.demo.server import Request, Response

from ..support.fake import BASE, Answer
from ..support.hostile import read_request

Play = Callable[["Exchange"], bool | None]
Accept = Callable[[socket.socket], socket.socket | None]
"""What is done with a new connection before a request is read; None ends it there."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and the socket to answer on. `number` counts the requests since the play was switched on, from 1."""

    socket: socket.socket
    request: Request
    front: "Front"
    number: int

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self, response: Response) -> bool:
        """Send a whole answer, and keep the connection."""
        self.send(written(response, self.front.base))
        return True

    def honest(self) -> Response:
        """Make the answer of an honest server."""
        return self.front.answer(self.request)


def written(response: Response, base: str) -> bytes:
    """Write an answer; addresses at BASE become those of this server."""
    body = response.body.replace(BASE.encode(), base.encode())
    headers = [(name, value.replace(BASE, base)) for name, value in response.headers if name != "content-length"]
    lines = [f"HTTP/1.1 {response.status} X", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join((*lines, f"Content-Length: {len(body)}", "", "")).encode("latin-1") + body


def good(exchange: Exchange) -> bool:
    """Answer honestly."""
    return exchange.reply(exchange.honest())


class _Listener:
    """A port on loopback, and a thread that takes every connection until the block ends."""

    def __init__(self) -> None:
        self.connections = 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.05)
        self._thread = threading.Thread(target=self._accept_all, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(5)
        self._listener.close()

    def _accept_all(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self.connections += 1
                self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        """Do something with a connection, without keeping the thread."""
        raise NotImplementedError


class Front(_Listener):
    """The server. `answer` is its honest self; with `tls` it speaks TLS unless a play does otherwise.

    `elsewhere` is a port for links. `strays` are the paths that were asked for outside of the base.
    """

    def __init__(self, answer: Answer, *, tls: ssl.SSLContext | None = None, elsewhere: int = 0) -> None:
        super().__init__()
        self.answer = answer
        self.play: Play = good
        self.accept: Accept | None = None
        self.requests = 0
        self.strays: list[str] = []
        self._tls = tls
        self.elsewhere = elsewhere
        self._numbers = itertools.count(1)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def base(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/fhir"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._hang_up()

    def switch(self, play: Play = good, accept: Accept | None = None) -> None:
        """Play something else from now on, on new connections."""
        self.play, self.accept, self._numbers = play, accept, itertools.count(1)
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _take(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            with contextlib.suppress(OSError), connection:
                accept = self.accept or self._encrypt
                inside = accept(connection)
                while inside is not None and self._exchange(inside):
                    pass
                if inside is not None and inside is not connection:
                    inside.close()
        finally:
            with self._lock:
                self._open.discard(connection)

    def _encrypt(self, connection: socket.socket) -> socket.socket:
        return wrap(self._tls, connection) if self._tls else connection

    def _exchange(self, connection: socket.socket) -> bool:
        data = read_request(connection)
        if not data:
            return False
        request = parsed(data, connection)
        self.requests += 1
        if request.path != "/fhir" and not request.path.startswith("/fhir/"):
            self.strays.append(request.path)
        return bool(self.play(Exchange(connection, request, self, next(self._numbers))))


def wrap(context: ssl.SSLContext, connection: socket.socket) -> ssl.SSLSocket:
    """Do the handshake; the plain socket stays the one that is shut to hang up."""
    return context.wrap_socket(connection.dup(), server_side=True)


def parsed(data: bytes, connection: socket.socket) -> Request:
    """Read a request; of its body only that it is gone."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:]))
    left = int(dict(headers).get("content-length", 0)) - len(body)
    while left > 0 and (more := connection.recv(left)):
        left -= len(more)
    url = urlsplit(target)
    return Request(method, url.path, tuple(parse_qsl(url.query, keep_blank_values=True)), headers)


class Elsewhere(_Listener):
    """A listener that no request may ever reach: it counts who connects."""

    def _take(self, connection: socket.socket) -> None:
        connection.close()
