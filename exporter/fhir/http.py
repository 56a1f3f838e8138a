"""One GET to the FHIR server, safely: the only importer of httpx.

Rule 1: credentials are made per request, after the address has been judged; none live on the client.
Rule 2: nothing is followed, nothing is read from the environment, nothing is read without a cap or an end.
Rule 3: an error's message holds host, port and operation at most: no path, no query, no word of the server's.

See docs/design.md#request-headers.
"""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

import httpx

from ..errors import (
    AuthFailed,
    ConfigurationError,
    LinkRefused,
    NotFhir,
    ServerError,
    TimedOut,
    TlsFailed,
    Truncated,
    Unreachable,
)
from ..metrics.telemetry import Telemetry
from ..metrics.vocabulary import Operation
from ..task.model import Instant
from . import links
from .auth import Anonymous, Auth
from .body import whole
from .deadline import TimeLimit
from .status import fault, http_date, is_cached, is_json
from .tls import caused_by_tls, client_context

HEADERS = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "gzip",
    "Cache-Control": "no-cache",  # HAPI repeats an answer for a minute else; with no-store it drops pages
    "User-Agent": f"fhir-task-exporter/{version('fhir-task-exporter')}",
}

UNUSED = 55.0
"""Seconds that a connection is kept unused: servers and balancers end them after 60."""

OLDEST = 300.0
"""Seconds after which a connection is not used for a new session: a name may lead elsewhere by now, and a balancer to
a server with less to do."""

for _name in ("httpx", "httpcore", "hpack"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # httpx logs whole URLs at INFO, httpcore headers at DEBUG


Transport = httpx.BaseTransport
"""What carries requests: the network, or in tests a simulated server."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Where the server is and how to reach it. `timeout` is in seconds, for one request."""

    base: str
    timeout: float = 10.0
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    rewrite_links: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read to its end. `date` is the header's; `cached` is X-Cache's word."""

    status: int
    body: bytes = field(default=b"", repr=False)
    date: Instant | None = None
    cached: bool = False


class Http:
    """A FHIR server's base address with what it takes to speak to it. `transport` replaces the network in tests."""

    def __init__(
        self,
        connection: HttpOptions,
        auth: Auth | None = None,
        telemetry: Telemetry | None = None,
        *,
        transport: Transport | None = None,
    ) -> None:
        self.connection = connection
        self.base = _canonical(connection.base)
        home = links.place(self.base)
        self.who = f"{home.host}:{home.port}"
        self.auth = auth or Anonymous()
        self.telemetry = telemetry or Telemetry()
        self._transport = transport
        files = (connection.ca_file, connection.client_cert_file, connection.client_key_file)
        self._tls = client_context(*files) if home.scheme == "https" else False
        self._spare: _Line | None = None

    @contextlib.contextmanager
    def session(self, seconds: float) -> Iterator["Session"]:
        """Open a client of its own (so no cookie outlives it) that is cut off after `seconds`.

        Its connection may be an earlier session's. Sessions may overlap: then each has its own.
        """
        line, self._spare = self._spare or _Line(self._tls, self._transport), None
        timeout = httpx.Timeout(min(self.connection.timeout, seconds))
        wall = _OneOrigin(self.base, line.transport)
        with (
            TimeLimit(seconds, self.connection.timeout, line.held) as limit,
            httpx.Client(
                transport=wall, headers=HEADERS, timeout=timeout, trust_env=False, follow_redirects=False
            ) as client,
        ):
            session = Session(self, client, limit)
            try:
                yield session
            finally:
                sound = session.sound and not limit.over
                line.held = limit.hand_on()
                self._put_back(line, sound=sound)

    def close(self) -> None:
        """End the connection that is kept, if one is."""
        line, self._spare = self._spare, None
        if line is not None:
            line.close()

    def _put_back(self, line: "_Line", *, sound: bool) -> None:
        """Keep a connection for the next session: only one whose last answer came whole, and that is not too old."""
        if sound and self._spare is None and time.monotonic() - line.made < OLDEST:
            self._spare = line
        else:
            line.close()


class _Line:
    """A way to the server: httpx's transport with one connection at most, and the second handle of its socket.

    A kept connection that has ended meanwhile, or is `UNUSED` for too long, is replaced by the transport.
    """

    def __init__(self, tls: ssl.SSLContext | bool, transport: Transport | None) -> None:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=UNUSED)
        self.transport = transport or httpx.HTTPTransport(verify=tls, trust_env=False, limits=limits)
        self.held: socket.socket | None = None
        self.made = time.monotonic()

    def close(self) -> None:
        self.transport.close()
        if self.held is not None:
            self.held.close()


class Session:
    """Requests that share a connection and an end. `sound` says whether the connection is fit for another session."""

    def __init__(self, http: Http, client: httpx.Client, limit: TimeLimit) -> None:
        self._http = http
        self._client = client
        self._limit = limit
        self.sound = True

    def get(self, target: str, operation: Operation, accept: Collection[int] = ()) -> Reply:
        """Fetch `target`, an address at or below the base; raises a ServerError.

        Other statuses than 200 are errors, but for those in `accept`: they come back without a body. After a 401
        credentials that can be renewed are, and it is asked once more.
        """
        address = links.resolve(self._http.base, target)
        reply = self._send(address, operation, {*accept, HTTPStatus.UNAUTHORIZED})
        if reply.status != HTTPStatus.UNAUTHORIZED:
            return reply
        if not self._http.auth.refused():
            raise AuthFailed(f"{self._http.who} answered {reply.status} to our {operation} request.")
        return self._send(address, operation, accept)

    def _send(self, address: str, operation: Operation, accept: Collection[int]) -> Reply:
        credentials = dict(self._http.auth.headers())
        started, exchange = time.monotonic(), _Exchange(self._http.who, operation)
        try:
            with self._limit.request():
                return self._exchange(exchange, address, credentials, accept)
        finally:
            self._http.telemetry.count_request(operation, exchange.status, time.monotonic() - started)
            self._http.telemetry.count_received_bytes(exchange.received)

    def _exchange(
        self, exchange: "_Exchange", address: str, credentials: dict[str, str], accept: Collection[int]
    ) -> Reply:
        """Send and read. The time limit is asked at both ends: what it cut can look like any other end."""
        self._check_time()
        self.sound = False
        try:
            reply = self._ask(exchange, address, credentials, accept)
        except ServerError:
            self._check_time()
            raise
        except (httpx.HTTPError, OSError) as error:
            self._check_time()
            raise exchange.translated(error) from _tellable(error)
        self._check_time()
        self.sound = exchange.lasting
        return reply

    def _ask(self, exchange: "_Exchange", address: str, credentials: dict[str, str], accept: Collection[int]) -> Reply:
        """Ask, and once more where a kept connection died without an answer: its server may just have closed it."""
        held = self._limit.held
        try:
            return self._ask_once(exchange, address, credentials, accept)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            kept = held is not None and held is self._limit.held
            if not kept or exchange.status is not None or self._limit.over:
                raise
        return self._ask_once(exchange, address, credentials, accept)

    def _ask_once(
        self, exchange: "_Exchange", address: str, credentials: dict[str, str], accept: Collection[int]
    ) -> Reply:
        trace = {"trace": self._limit.watch}
        request = self._client.build_request("GET", address, headers=credentials, extensions=trace)
        return exchange.read(self._client.send(request, stream=True), accept)

    def _check_time(self) -> None:
        if self._limit.over:
            raise TimedOut(f"{self._http.who} gave no whole answer within the time allowed.") from None


class _Exchange:
    """One answer on its way in: what is known of it when it fails."""

    def __init__(self, who: str, operation: Operation) -> None:
        self.who = who
        self.operation = operation
        self.status: int | None = None
        self.received = 0
        self.lasting = False

    def read(self, response: httpx.Response, accept: Collection[int]) -> Reply:
        """Judge status, type, coding and size, in this order, and read the body."""
        self.status, headers = response.status_code, response.headers
        with contextlib.closing(response):
            if self.status in accept:
                return Reply(self.status)
            wrong = fault(self.who, self.status, headers, self.operation)
            if wrong is not None:
                raise wrong
            if not is_json(headers):
                raise NotFhir(f"{self.who} answered our {self.operation} request with something else than FHIR JSON.")
            body = whole(self._counted(response), headers.get_list("content-encoding", split_commas=True))
            self.lasting = _stays_open(response)
        return Reply(self.status, body, http_date(headers.get("date", "")), is_cached(headers))

    def translated(self, error: Exception) -> ServerError:
        """Say whose fault it is, and whether the answer had begun."""
        if isinstance(error, httpx.TimeoutException):
            return TimedOut(f"{self.who} did not answer our {self.operation} request in time.")
        if self.status is not None:
            return Truncated(f"{self.who} broke off its answer to our {self.operation} request.")
        if caused_by_tls(error):
            return TlsFailed(f"No trusted TLS connection to {self.who}.")
        return Unreachable(f"{self.who} cannot be reached, or closed the connection without an answer.")

    def _counted(self, response: httpx.Response) -> Iterator[bytes]:
        for chunk in response.iter_raw():
            self.received += len(chunk)
            yield chunk


class _OneOrigin(httpx.BaseTransport):
    """A second wall, by another parser than the first: nothing goes to another origin, whatever asked for it.

    It is closed with its session, which the transport behind it outlives.
    """

    def __init__(self, base: str, inner: httpx.BaseTransport) -> None:
        url = httpx.URL(base)
        self._origin = (url.scheme, url.host, url.port)
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if (request.url.scheme, request.url.host, request.url.port) != self._origin:
            raise LinkRefused("A request was about to leave for another server.")
        return self._inner.handle_request(request)


def _stays_open(response: httpx.Response) -> bool:
    """Whether the server leaves the connection open behind this answer (RFC 9112, 9.3)."""
    words = response.headers.get_list("connection", split_commas=True)
    return response.http_version == "HTTP/1.1" and "close" not in (word.strip().lower() for word in words)


def _tellable(error: Exception) -> Exception | None:
    """Keep a cause for tracebacks, but for those whose text repeats what the server wrote."""
    return None if isinstance(error, httpx.ProtocolError) else error


def _canonical(base: str) -> str:
    """Write the base as requests will carry it (case, default port, IDNA)."""
    try:
        home = links.place(str(httpx.URL(base)))
    except (httpx.InvalidURL, LinkRefused):
        raise ConfigurationError(("--fhir.url: must be scheme, host, port and path of a FHIR base.",)) from None
    return home.origin + home.path
