"""The listening socket, and who is connected to it: at most so many, and the right one goes when there are more.

Rule: no request is read and nothing is written here. One thread, that of the web server, touches a ConnectionLimiter.

See docs/design.md#slow-clients.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from ..errors import AddressUnusable

Peer = tuple[str, int]
"""Address and port of a client."""

BACKLOG = 512
"""Clients that the kernel holds until we accept them; as many as may knock between two turns of the loop."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them, may take. Times are in seconds.

    A few Prometheus servers, probes and people need a dozen connections; each costs a file descriptor, of which the
    ledger and the FHIR client need some too (1,024 is a common limit). A client that reads is served in one turn of
    the loop, and so is never one of the readers.
    """

    connections: int = 256
    readers: int = 32
    """Bodies under way at once."""
    head: float = 5.0
    """For a whole request head, from the connection's start or its last answer."""
    silence: float = 8.0
    """For a connection without a request, whatever it speaks; longer than `head`, which ends HTTP/1.1 politely."""
    piece: float = 10.0
    """For a client to read one piece of a body."""


STANDARD = Limits()


class Connection(NamedTuple):
    """A connection, and since when (monotonic seconds) it has no request."""

    connection: socket.socket
    since: float


class ConnectionLimiter:
    """The open connections. What one does is not known here but told, by `answering` and `sending`."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._open: dict[Peer, Connection] = {}
        """In the order in which they fell idle: the first has been waited for longest."""
        self._answering: set[Peer] = set()
        self._sending: dict[Peer, None] = {}

    def admit(self, peer: Peer, connection: socket.socket) -> bool:
        """Take a client in, if need be in the place of another; False when all others are being answered."""
        if len(self._open) >= self.limits.connections:
            self._forget_closed()
        if len(self._open) >= self.limits.connections and not self._make_room():
            return False
        self._open[peer] = Connection(connection, self._clock())
        return True

    def _forget_closed(self) -> None:
        self._open = {peer: guest for peer, guest in self._open.items() if guest.connection.fileno() != -1}

    def _make_room(self) -> bool:
        """Drop who has been silent longest; else who has been reading longest."""
        victim = next(self._idle(), None) or next(iter(self._sending), None)
        if victim is None:
            return False
        self.drop(victim)
        return True

    def _idle(self) -> Iterator[Peer]:
        return (peer for peer in self._open if peer not in self._answering)

    @contextmanager
    def answering(self, peer: Peer) -> Iterator[None]:
        """Keep a client's place while its request is answered."""
        self._answering.add(peer)
        try:
            yield
        finally:
            self._answering.discard(peer)
            if (guest := self._open.pop(peer, None)) is not None:
                self._open[peer] = Connection(guest.connection, self._clock())

    @contextmanager
    def sending(self, peer: Peer) -> Iterator[None]:
        """Hold a body for a client; the slowest loses its place when too many are held."""
        if len(self._sending) >= self.limits.readers:
            self.drop(next(iter(self._sending)))
        self._sending[peer] = None
        try:
            yield
        finally:
            self._sending.pop(peer, None)

    def drop(self, peer: Peer) -> None:
        """End a connection now, sent or not; the server sees its end and closes it.

        A plain close would wait until the client has taken what is left, which may be never.
        """
        self._sending.pop(peer, None)
        if (guest := self._open.pop(peer, None)) is not None:
            with suppress(OSError):  # it is closed already
                guest.connection.shutdown(socket.SHUT_RDWR)

    def close_idle(self) -> None:
        """End the connections that have asked nothing for too long, and forget those that are closed.

        Among them are those that Hypercorn leaves open: HTTP/2 in clear text, and closed ones whose client does not
        take its last answer.
        """
        self._forget_closed()
        oldest = self._clock() - self.limits.silence
        for peer in [peer for peer in self._idle() if self._open[peer].since < oldest]:
            self.drop(peer)

    def drop_all(self) -> None:
        """End every connection."""
        for peer in tuple(self._open):
            self.drop(peer)


class Listener(socket.socket):
    """A listening socket whose clients are admitted to a ConnectionLimiter."""

    crowd: ConnectionLimiter

    def accept(self) -> tuple[socket.socket, Any]:
        """Take the next client; raises ConnectionAbortedError, which asyncio passes over, where there is no place."""
        connection, address = super().accept()
        if not self.crowd.admit(address[:2], connection):
            connection.close()
            raise ConnectionAbortedError
        return connection, address


def listen(host: str, port: int, crowd: ConnectionLimiter) -> Listener:
    """Listen, on all interfaces when `host` is empty; port 0 takes a free one. Raises AddressUnusable."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = Listener(family, socket.SOCK_STREAM)
        try:
            _open(listener, address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise AddressUnusable(_sentence(host, port, error.strerror)) from error
    except UnicodeError as error:  # Python encodes a name for DNS before it asks
        raise AddressUnusable(_sentence(host, port, "no name of a host")) from error
    listener.crowd = crowd
    return listener


def _open(listener: Listener, address: tuple[Any, ...]) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted sockets inherit it. Head and body are written apart: without it a kept connection waits 40 ms between.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(address)
    listener.listen(BACKLOG)
    listener.setblocking(False)


def _sentence(host: str, port: int, why: str | None) -> str:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"cannot listen on {address} (--web.listen-address): {why or 'unknown error'}"
