"""HTTP requests and responses as values. Pure: nothing here is awaited, sent or logged.

See docs/design.md#polled-on-scrape, docs/design.md#slow-clients.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from .connections import Peer

SCRAPE_TIMEOUT_HEADER = "x-prometheus-scrape-timeout-seconds"

DEFAULT_BUDGET_SECONDS = 10.0
MAX_BUDGET_SECONDS = 120.0
"""Prometheus calls a series stale after five minutes, so scrape intervals over two minutes are of no use."""

PIECE_BYTES = 64 * 1024
"""Written to a connection at a time: what a stalled client holds in memory beside the body."""

PLAIN, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
COMMON_HEADERS = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body. Header names are lower case; repeated ones are joined by a comma (RFC 9110, 5.3).

    `query` is what stands behind the question mark, as it came.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    peer: Peer
    query: bytes = b""

    @property
    def by_prometheus(self) -> bool:
        """Whether Prometheus sent it and will store the answer, which it does not for a HEAD."""
        return self.method == "GET" and SCRAPE_TIMEOUT_HEADER in self.headers

    @property
    def host(self) -> str:
        """The host name of the header, in lower case, without the port and the brackets of IPv6; empty without one."""
        name = re.sub(r":\d*$", "", self.headers.get("host", "").strip().lower())
        return name.removeprefix("[").removesuffix("]").removesuffix(".")

    def parameter(self, name: str) -> str | None:
        """Return the value of the only parameter; None unless it is there once, and nothing beside it."""
        try:
            pairs = parse_qsl(self.query.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        except ValueError:
            return None
        return pairs[0][1] if [key for key, _ in pairs] == [name] else None

    def budget_seconds(self, offset_seconds: float) -> float:
        """Return how long it may wait for a poll: Prometheus' timeout less the offset, but at least half of it."""
        timeout = _positive_number(self.headers.get(SCRAPE_TIMEOUT_HEADER, ""))
        if timeout is None:
            return DEFAULT_BUDGET_SECONDS
        return min(max(timeout - offset_seconds, timeout / 2), MAX_BUDGET_SECONDS)


def parse_request(
    method: str,
    path: str,
    raw_headers: Iterable[tuple[bytes, bytes]],
    client: tuple[str, int | None] | None,
    query: bytes = b"",
) -> Request:
    """Build a request from the parts of an ASGI scope."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    host, port = client or ("", 0)
    return Request(method, path, headers, (host, port or 0), query)


def _positive_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _ignore(_complete: bool) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. `on_sent` is called afterwards with whether the client was still connected at the last piece."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    on_sent: Callable[[bool], None] = _ignore

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Return all headers as ASGI takes them."""
        entity = (("content-type", self.content_type), ("content-length", str(len(self.body))))
        own = {name for name, _ in self.headers}
        common = (header for header in COMMON_HEADERS if header[0] not in own)
        return [(name.encode(), value.encode()) for name, value in (*entity, *self.headers, *common)]

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Cut the body; each piece comes with whether more follow. An empty body is one empty piece."""
        for end in range(PIECE_BYTES, max(len(self.body), 1) + PIECE_BYTES, PIECE_BYTES):
            yield self.body[end - PIECE_BYTES : end], end < len(self.body)


NOT_FOUND = Response(404, PLAIN, b"Not found. See / for the list of endpoints.\n")
INTERNAL_ERROR = Response(500, PLAIN, b"Internal error. See the log.\n")
HEALTHY = Response(200, PLAIN, b"Healthy.\n")
BUSY = Response(503, PLAIN, b"Too many export jobs are probed at once. Probe fewer, or less often.\n")
UNAUTHORIZED = Response(401, PLAIN, b"Unauthorized\n", (("www-authenticate", "Basic"),))
WRONG_HOST = Response(403, PLAIN, b"This host name is not one of --web.allowed-host.\n")
TOO_MANY_REQUESTS = Response(429, PLAIN, b"Too Many Requests\n")
CHECKING_PASSWORDS = Response(
    503, PLAIN, b"Other passwords are being checked. Try again in a moment.\n", (("retry-after", "1"),)
)
READY = Response(200, PLAIN, b"Ready.\n")
LIFECYCLE_OFF = Response(403, PLAIN, b"Lifecycle API is not enabled.\n")
"""Prometheus' own words; to enable it, see docs/configuration.md#reload."""
RELOAD_LATE = Response(202, PLAIN, b"The configuration is still being read or put into force. See the log.\n")


def method_not_allowed(methods: Sequence[str]) -> Response:
    """Refuse a method, and say which ones are allowed."""
    sentence = f"Only {' and '.join(methods)} are allowed.\n"
    return Response(405, PLAIN, sentence.encode(), (("allow", ", ".join(methods)),))


def reloaded(complete: bool, said: Iterable[str]) -> Response:
    """Say what came of a reload: 500 if a file could not be used, as Prometheus answers."""
    return Response(200 if complete else 500, PLAIN, "".join(f"{each}\n" for each in said).encode())


def bad_request(sentence: str) -> Response:
    """Refuse a request with a sentence, which repeats nothing of it."""
    return Response(400, PLAIN, f"{sentence}\n".encode())


def unready(reason: str) -> Response:
    """Answer a readiness probe with the reason."""
    return Response(503, PLAIN, f"{reason}\n".encode())
