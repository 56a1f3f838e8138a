"""The listening socket and its connections: how many there may be, and which is closed when there are more.

Rule: no request is read and nothing is written here. Only the web server's thread touches a ConnectionLimiter.

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
"""Connections that the kernel queues until we accept them: room for a burst between two turns of the event loop."""


ACCEPTED_AT_ONCE = 16
"""Connections that are accepted in one turn of the event loop. One that is dropped is closed only some turns later; so
many more than the limit may be open for that long, each with its file descriptor and its memory for TLS."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them together, may take.

    A few Prometheus servers, probes and browsers need a dozen connections; each costs a file descriptor, of which the
    ledger and the FHIR client need some too (1,024 is a common limit). A client that reads gets its response in one
    turn of the event loop, so only slow clients ever count as sending.
    """

    max_connections: int = 256
    max_sending: int = 32
    """Responses in progress at once."""
    request_head_seconds: float = 5.0
    """For a whole request head, from the connection's start or its last response."""
    idle_seconds: float = 8.0
    """For a connection without a request, whatever it speaks; longer than the limit above, which Hypercorn enforces
    for HTTP/1.1 by a clean close."""
    write_seconds: float = 10.0
    """For a client to read one piece of a body."""


DEFAULT_LIMITS = Limits()


class Connection(NamedTuple):
    """An open connection, and since when (monotonic seconds) it has no request."""

    socket: socket.socket
    idle_since: float


class ConnectionLimiter:
    """The open connections. The server says what each is doing, by `answering` and `sending`."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._open: dict[Peer, Connection] = {}
        """Ordered by when they became idle, longest first."""
        self._answering: set[Peer] = set()
        self._checking: dict[Peer, None] = {}
        """Those whose password is being checked, longest first: nobody knows yet who they are."""
        self._sending: dict[Peer, None] = {}
        """Ordered by when sending began, longest first."""

    def admit(self, peer: Peer, connection: socket.socket) -> bool:
        """Accept a connection, dropping another one if need be; False when every other one waits for its answer."""
        if len(self._open) >= self.limits.max_connections:
            self._forget_closed()
        if len(self._open) >= self.limits.max_connections and not self._drop_one():
            return False
        self._open[peer] = Connection(connection, self._clock())
        return True

    def _forget_closed(self) -> None:
        self._open = {peer: each for peer, each in self._open.items() if each.socket.fileno() != -1}

    def _drop_one(self) -> bool:
        """Drop the connection that has been idle longest, else that of the oldest unknown, or the slowest reader."""
        peer = next(self._idle(), None) or next(iter(self._checking), None) or next(iter(self._sending), None)
        if peer is None:
            return False
        self.drop(peer)
        return True

    def _idle(self) -> Iterator[Peer]:
        return (peer for peer in self._open if peer not in self._answering)

    @contextmanager
    def answering(self, peer: Peer) -> Iterator[None]:
        """Protect a connection while its request is answered."""
        self._answering.add(peer)
        try:
            yield
        finally:
            self._answering.discard(peer)
            if (connection := self._open.pop(peer, None)) is not None:
                self._open[peer] = Connection(connection.socket, self._clock())

    @contextmanager
    def checking(self, peer: Peer) -> Iterator[None]:
        """Give up the protection of `answering` where others need the place: a wrong password must not hold it."""
        self._checking[peer] = None
        try:
            yield
        finally:
            self._checking.pop(peer, None)

    @contextmanager
    def sending(self, peer: Peer) -> Iterator[None]:
        """Count a response in progress; with too many of them, the slowest client is dropped."""
        if len(self._sending) >= self.limits.max_sending:
            self.drop(next(iter(self._sending)))
        self._sending[peer] = None
        try:
            yield
        finally:
            self._sending.pop(peer, None)

    def drop(self, peer: Peer) -> None:
        """Shut a connection down now, whatever is unsent; the server notices and closes it.

        A plain close would wait until the client has read the rest, which it may never do.
        """
        self._sending.pop(peer, None)
        self._checking.pop(peer, None)
        if (connection := self._open.pop(peer, None)) is not None:
            with suppress(OSError):  # it is closed already
                connection.socket.shutdown(socket.SHUT_RDWR)

    def close_idle(self) -> None:
        """Drop the connections that have been idle for too long, and forget those that are closed.

        Hypercorn leaves some open: closed ones whose client does not read its last response.
        """
        self._forget_closed()
        oldest = self._clock() - self.limits.idle_seconds
        for peer in [peer for peer in self._idle() if self._open[peer].idle_since < oldest]:
            self.drop(peer)

    def drop_all(self) -> None:
        """Drop every connection."""
        for peer in tuple(self._open):
            self.drop(peer)


class Listener(socket.socket):
    """A TCP socket that accepts only what its ConnectionLimiter admits."""

    def __init__(self, family: int, limiter: ConnectionLimiter) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._limiter = limiter
        self._accepted = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection. Raises ConnectionAbortedError, which asyncio ignores, where it is refused.

        Raises BlockingIOError, as if none came, when there were enough: asyncio asks again in its next turn.
        """
        if self._accepted >= ACCEPTED_AT_ONCE:
            self._accepted = 0
            raise BlockingIOError
        self._accepted += 1
        connection, address = super().accept()
        if not self._limiter.admit(address[:2], connection):
            connection.close()
            raise ConnectionAbortedError
        return connection, address


def listen(host: str, port: int, limiter: ConnectionLimiter) -> Listener:
    """Listen, on all addresses of both kinds when `host` is empty; port 0 takes a free one. Raises AddressUnusable."""
    try:
        found = socket.getaddrinfo(host or _every_address(), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = Listener(family, limiter)
        if not host and family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            _bind(listener, address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise AddressUnusable(_sentence(host, port, error.strerror)) from error
    except UnicodeError as error:  # Python encodes a host name for DNS before it resolves it
        raise AddressUnusable(_sentence(host, port, "invalid host name")) from error
    return listener


def _every_address() -> str:
    """Return what to bind for every address: IPv6 takes IPv4 along, where this machine has it."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104  # nosec B104


def _bind(listener: Listener, address: tuple[Any, ...]) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted sockets inherit it. Head and body are written separately: without it a reused connection waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(address)
    listener.listen(BACKLOG)
    listener.setblocking(False)


def _sentence(host: str, port: int, why: str | None) -> str:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"cannot listen on {address} (--web.listen-address): {why or 'unknown error'}"
