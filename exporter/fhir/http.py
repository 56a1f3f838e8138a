"""One request to the FHIR server, safely: with `exchange` the only importer of httpx.

Rule 1: credentials are made per request, after the address has been judged; none live on the client.
Rule 2: nothing is followed, nothing is read from the environment, nothing is read without a cap or an end.
Rule 3: an error's message holds host, port and operation at most: no path, no query, no text of the server.

See docs/design.md#request-headers.
"""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from http import HTTPStatus
from importlib.metadata import version
from urllib.parse import urlencode

import httpx

from ..config import FhirSettings
from ..errors import AuthFailed, ConfigurationError, LinkRefused, ServerError, TimedOut
from ..metrics.telemetry import Telemetry
from . import links
from .auth import Anonymous, Auth
from .exchange import ADMIN, FHIR, Api, Exchange, Method, Question, Reply, safe_cause
from .request_log import RequestLog
from .time_limit import TimeLimit
from .tls import client_tls

HEADERS = {
    "Accept-Encoding": "gzip",
    "Cache-Control": "no-cache",  # HAPI repeats an answer for a minute else; with no-store it drops pages
    "User-Agent": f"fhir-task-exporter/{version('fhir-task-exporter')}",
}

LONGEST_IDLE_SECONDS = 55.0
"""A connection is kept unused no longer: servers and balancers end them after 60 s."""

LONGEST_LIFE_SECONDS = 300.0
"""An older connection is not used for a new session: the name may resolve to another address by now, and a balancer
may have a server with less to do."""

for _name in ("httpx", "httpcore", "hpack"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # httpx logs whole URLs at INFO, httpcore headers at DEBUG


Transport = httpx.BaseTransport
"""What carries requests: the network, or in tests a simulated server."""

__all__ = ["ADMIN", "FHIR", "Api", "Http", "Method", "Reply", "Session", "Transport"]


class Http:
    """How to reach a server: address, credentials, TLS. `transport` replaces the network in tests.

    Each server has its own. `telemetry` is the exporter's for the FHIR server and its token endpoint, which show their
    requests, and otherwise one that nobody reads.
    """

    def __init__(
        self,
        settings: FhirSettings,
        auth: Auth | None = None,
        telemetry: Telemetry | None = None,
        *,
        transport: Transport | None = None,
        api: Api = FHIR,
    ) -> None:
        self.settings = settings
        self.api = api
        self.base = _canonical(settings.url, api.option)
        home = links.parse_base_url(self.base)
        self.host_and_port = home.address
        self.auth = auth or Anonymous()
        self.telemetry = telemetry or Telemetry()
        self._transport = transport
        self._tls = client_tls(settings) if home.scheme == "https" else None
        self._kept: _Connection | None = None

    @contextlib.contextmanager
    def session(self, seconds: float) -> Iterator["Session"]:
        """Open a client of its own (so no cookie outlives it) that is cut off after `seconds`.

        Its connection may be an earlier session's. Sessions may overlap: then each has its own.
        """
        connection, self._kept = self._kept or self._connect(), None
        timeout = httpx.Timeout(min(self.settings.timeout, seconds))
        wall = _OneOrigin(self.base, connection.transport)
        with (
            TimeLimit(seconds, self.settings.timeout, connection.held) as limit,
            httpx.Client(
                transport=wall,
                headers=HEADERS | {"Accept": self.api.accept},
                timeout=timeout,
                trust_env=False,
                follow_redirects=False,
            ) as client,
        ):
            session = Session(self, client, limit)
            try:
                yield session
            finally:
                session.log.write()
                reusable = session.reusable and not limit.over
                connection.held = limit.hand_on()
                self._put_back(connection, reusable=reusable)

    def close(self) -> None:
        """End the connection that is kept, if one is."""
        connection, self._kept = self._kept, None
        if connection is not None:
            connection.close()

    def _connect(self) -> "_Connection":
        return _Connection(self._tls.context() if self._tls else False, self._transport)

    def _put_back(self, connection: "_Connection", *, reusable: bool) -> None:
        """Keep a connection for the next session: only one whose last answer came whole, and that is not too old."""
        if reusable and self._kept is None and time.monotonic() - connection.opened_seconds < LONGEST_LIFE_SECONDS:
            self._kept = connection
        else:
            connection.close()


class _Connection:
    """A connection to the server: httpx's transport with one at most, and the second handle of its socket.

    A kept connection that has ended meanwhile, or is `LONGEST_IDLE_SECONDS` for too long, is replaced by the transport.
    """

    def __init__(self, tls: ssl.SSLContext | bool, transport: Transport | None) -> None:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=LONGEST_IDLE_SECONDS)
        self.transport = transport or httpx.HTTPTransport(verify=tls, trust_env=False, limits=limits)
        self.held: socket.socket | None = None
        self.opened_seconds = time.monotonic()

    def close(self) -> None:
        self.transport.close()
        if self.held is not None:
            self.held.close()


class Session:
    """Requests that share a connection and an end. `reusable`: the connection is fit for another session.

    Whoever reads a page tells `log` how many entries it has.
    """

    def __init__(self, http: Http, client: httpx.Client, limit: TimeLimit) -> None:
        self._http = http
        self._client = client
        self._limit = limit
        self.reusable = True
        self.log = RequestLog(http.telemetry)

    def get(self, target: str, operation: StrEnum, accept: Collection[int] = ()) -> Reply:
        """Fetch `target`, an address at or below the base; raises a ServerError.

        Statuses other than 200 are errors, except those in `accept`: they are returned without a body. After a 401
        credentials that can be renewed are, and it is asked once more.
        """
        question = Question(links.resolve(self._http.base, target), operation, accept)
        credentials = self._http.auth.headers()
        reply = self._send(replace(question, accept={*accept, HTTPStatus.UNAUTHORIZED}), credentials)
        if reply.status != HTTPStatus.UNAUTHORIZED:
            return reply
        if not self._http.auth.renew(credentials):
            raise AuthFailed(f"{self._http.host_and_port} answered {reply.status} to our {operation} request.")
        return self._send(question, self._http.auth.headers())

    def ask(self, target: str, operation: StrEnum, method: Method = "GET") -> Reply:
        """Ask for an answer of any status, with its headers and body; raises a ServerError where none comes whole."""
        question = Question(links.resolve(self._http.base, target), operation, method=method, any_status=True)
        credentials = self._http.auth.headers()
        reply = self._send(question, credentials)
        if reply.status == HTTPStatus.UNAUTHORIZED and self._http.auth.renew(credentials):
            return self._send(question, self._http.auth.headers())
        return reply

    def post(self, target: str, operation: StrEnum, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        """Send a form once, for an answer of any status; the credentials are in it, or in the headers."""
        question = Question(
            address=links.resolve(self._http.base, target),
            operation=operation,
            method="POST",
            any_status=True,
            headers={"Content-Type": "application/x-www-form-urlencoded", **headers},
            content=urlencode(form).encode("ascii"),
        )
        return self._send(question, {})

    def _send(self, question: Question, credentials: Mapping[str, str]) -> Reply:
        started = time.monotonic()
        exchange = Exchange(self._http.api, links.parse_base_url(self._http.base), question)
        try:
            with self._limit.request():
                return self._exchange(exchange, credentials)
        finally:
            seconds = time.monotonic() - started
            self.log.ended(question.operation, exchange.status, seconds, exchange.received)

    def _exchange(self, exchange: Exchange, credentials: Mapping[str, str]) -> Reply:
        """Send and read. The time limit is asked at both ends: what it cut can look like any other end."""
        self._check_time()
        self.reusable = False
        try:
            reply = self._ask(exchange, credentials)
        except ServerError:
            self._check_time()
            raise
        except (httpx.HTTPError, OSError) as error:
            self._check_time()
            raise exchange.translate(error) from safe_cause(error)
        self._check_time()
        self.reusable = exchange.stays_open
        return reply

    def _ask(self, exchange: Exchange, credentials: Mapping[str, str]) -> Reply:
        """Ask, and once more where a kept connection died without an answer: its server may just have closed it."""
        held = self._limit.held
        try:
            return self._ask_once(exchange, credentials)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            kept = held is not None and held is self._limit.held
            if not kept or exchange.status is not None or self._limit.over:
                raise
        return self._ask_once(exchange, credentials)

    def _ask_once(self, exchange: Exchange, credentials: Mapping[str, str]) -> Reply:
        trace = {"trace": self._limit.watch}
        asked = exchange.question
        request = self._client.build_request(
            asked.method,
            asked.address,
            headers={**asked.headers, **credentials},
            content=asked.content,
            extensions=trace,
        )
        return exchange.read(self._client.send(request, stream=True))

    def _check_time(self) -> None:
        if self._limit.over:
            raise TimedOut(f"{self._http.host_and_port} did not send a complete response in time.") from None


class _OneOrigin(httpx.BaseTransport):
    """A second check, by another parser than that of `links`: no request goes to another origin.

    httpx reads where a redirect leads even if it follows none, and an address that is none raises: so it never sees it.
    It is closed with its session, which the transport behind it outlives.
    """

    def __init__(self, base: str, inner: httpx.BaseTransport) -> None:
        url = httpx.URL(base)
        self._origin = (url.scheme, url.host, url.port)
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if (request.url.scheme, request.url.host, request.url.port) != self._origin:
            raise LinkRefused("Refused to send a request to another server.")
        response = self._inner.handle_request(request)
        response.headers.pop("Location", None)
        return response


def _canonical(base: str, option: str) -> str:
    """Write the base as requests will carry it (case, default port, IDNA).

    A host that httpx or Python's resolver cannot encode would raise a UnicodeError at each request.
    """
    try:
        url = httpx.URL(base)
        home = links.parse_base_url(str(url))
        _ = url.host, home.host.encode("idna")
    except (httpx.InvalidURL, LinkRefused, UnicodeError):
        raise ConfigurationError((f"{option}: must be scheme, host, port and path of a base address.",)) from None
    return home.origin + home.path
