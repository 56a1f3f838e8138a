"""Clients of the web server, good and bad, over plain HTTP or over TLS with a password."""

import base64
import contextlib
import gzip
import itertools
import os
import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import NamedTuple

from .process import Process

USER, PASSWORD = "prometheus", "only-for-this-test"
BEGUN = b"GET /metrics HTTP/1.1\r\nHost: exporter\r\nX-Slow: "
WINDOW_BYTES = 4096
"""What a slow reader lets the kernel keep: the rest of a body waits in the exporter."""

_PARTS = 10
"""Of a second: those that come back do not come at once."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where the exporter listens, and what it takes to be let in. `context` is None for plain HTTP."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def scraper(self, timeout: float = 60) -> "Scraper":
        """Make a client that keeps its connection, as Prometheus does."""
        if self.context is None:
            return Scraper(HTTPConnection(self.host, self.port, timeout=timeout), self.headers)
        return Scraper(HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context), self.headers)

    def connect(self, timeout: float = 10) -> socket.socket:
        """Connect, and begin TLS where it is spoken."""
        plain = socket.socket()
        plain.settimeout(timeout)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW_BYTES)
        plain.connect((self.host, self.port))
        return plain if self.context is None else self.context.wrap_socket(plain, server_hostname=self.host)


class Scraper:
    """One client. `scrape` returns the text; anything but a complete 200 is an error."""

    def __init__(self, connection: HTTPConnection, headers: dict[str, str]) -> None:
        self._connection = connection
        self._headers = {"X-Prometheus-Scrape-Timeout-Seconds": "10", "Accept-Encoding": "gzip", **headers}

    def scrape(self) -> str:
        """Ask on the connection that is there, on a new one where the exporter closed it meanwhile."""
        for attempt in (1, 2):
            try:
                return self._scrape()
            except (ConnectionError, ssl.SSLError, OSError) as error:
                self._connection.close()
                if attempt == 2 or isinstance(error, TimeoutError):
                    raise
        raise AssertionError

    def _scrape(self) -> str:
        self._connection.request("GET", "/metrics", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, answer.status
        return gzip.decompress(body).decode()

    def close(self) -> None:
        """End the connection; the next scrape opens another one."""
        self._connection.close()


def plain_door(process: Process) -> Door:
    """Go to an exporter without a web configuration."""
    host, port = process.url.removeprefix("http://").split(":")
    return Door(host, int(port))


def secure_door(process: Process, ca_file: Path) -> Door:
    """Go to an exporter with the web configuration of `web_configuration`."""
    context = ssl.create_default_context(cafile=str(ca_file))
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    plain = plain_door(process)
    return Door(plain.host, plain.port, context, {"Authorization": f"Basic {credentials}"})


class Configured(NamedTuple):
    """A configuration file with TLS and one user, and who signed the certificate."""

    options: tuple[str, str]
    ca_file: Path


def web_configuration(folder: Path) -> Configured:
    """Write a web configuration with a certificate for loopback and one user of bcrypt cost 10."""
    import bcrypt

    from ..support.certificates import Authority

    authority = Authority(folder)
    certificate, key = authority.issue(folder, "web")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    file = folder / "web.yaml"
    file.write_text(
        f"tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\nbasic_auth_users: {{{USER}: '{hashed}'}}\n"
    )
    return Configured(("--web.config.file", str(file)), authority.ca_file)


# Bad clients


class Crowd:
    """Connections that want nothing good. Those that the exporter closes come back when `refill` is called."""

    def __init__(self, door: Door, count: int, kind: str) -> None:
        self._door = door
        self._kind = kind
        self._sockets: list[socket.socket | None] = [None] * count
        self.opened = 0
        self.turned_away = 0

    def refill(self, part: int = 0, parts: int = 1) -> int:
        """Open what is not open, of one part of all places; returns how many are open there."""
        for place, each in enumerate(self._sockets):
            if place % parts != part:
                continue
            if each is None or _is_closed(each):
                if each is not None:
                    each.close()
                self._sockets[place] = self._open(place)
        return sum(each is not None for each in self._sockets[part::parts])

    def _open(self, place: int) -> socket.socket | None:
        """Half-open ones begin a request; with TLS every other one stops before the handshake. Readers ask for all."""
        silent = self._kind == "silent" or (self._kind == "half-open" and self._door.context and place % 2)
        door = Door(self._door.host, self._door.port) if silent else self._door
        opened: socket.socket | None = None
        try:
            opened = door.connect()
            opened.sendall(self._begin(silent=bool(silent)))
        except OSError:  # the exporter sheds such clients when there are too many of them
            self.turned_away += 1
            if opened is not None:
                opened.close()
            return None
        self.opened += 1
        opened.setblocking(False)
        return opened

    def _begin(self, *, silent: bool) -> bytes:
        if silent:
            return b"" if self._kind == "silent" else b"\x16\x03\x01"
        if self._kind == "half-open":
            return BEGUN
        lines = (f"{name}: {value}" for name, value in self._door.headers.items())
        return "\r\n".join(("GET /metrics HTTP/1.1", "Host: exporter", *lines, "", "")).encode()

    def read_a_byte(self) -> int:
        """Let every reader take one byte; returns how many bytes were there."""
        taken = 0
        for each in self._sockets:
            if each is not None:
                with contextlib.suppress(OSError, ValueError):
                    taken += len(each.recv(1))
        return taken

    def close(self) -> None:
        """End all of them."""
        for each in self._sockets:
            if each is not None:
                each.close()


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended a connection from which nothing is expected; readers are not looked at."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        raw = socket.socket(fileno=os.dup(connection.fileno()))
    except OSError:
        return True
    with raw:
        try:
            return raw.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


@contextmanager
def attack(door: Door, half_open: int = 500, silent: int = 1, readers: int = 20) -> Iterator[dict[str, Crowd]]:
    """Keep so many bad clients of each kind on the exporter: those that it closes come back within a second."""
    counts = {"half-open": half_open, "silent": silent, "readers": readers}
    crowds = {kind: Crowd(door, count, kind) for kind, count in counts.items()}
    ended = threading.Event()

    def keep_on() -> None:
        for part in itertools.cycle(range(_PARTS)):
            if ended.wait(1 / _PARTS):
                return
            if part == 0:
                crowds["readers"].read_a_byte()
            for crowd in crowds.values():
                crowd.refill(part, _PARTS)

    for crowd in crowds.values():
        crowd.refill()
    thread = threading.Thread(target=keep_on, name="attack", daemon=True)
    thread.start()
    try:
        yield crowds
    finally:
        ended.set()
        thread.join(60)
        for crowd in crowds.values():
            crowd.close()


# The exporter, looked at from outside


class Resources(NamedTuple):
    """What a process holds."""

    rss_mb: float
    descriptors: int
    threads: int


def resources(pid: int) -> Resources:
    """Read what a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss, threads = (int(re.findall(rf"{name}:\s+(\d+)", status)[0]) for name in ("VmRSS", "Threads"))
    return Resources(rss / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())), threads)
