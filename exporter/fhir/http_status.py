"""What the status and the headers of an answer mean, before its body is looked at.

No header's text gets into a message; the status is a number and may.

See docs/design.md#backing-off.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus

from ..errors import (
    AuthFailed,
    ClientFault,
    CursorExpired,
    Forbidden,
    NotFhir,
    Redirected,
    ServerError,
    ServerFault,
    Throttled,
)
from ..metrics.vocabulary import Operation
from ..task.model import Instant

LONGEST_WAIT = 300.0
"""Seconds of a Retry-After that we honour: a year, once seen, must not end the monitoring."""

_ERRORS: dict[int, Callable[..., ServerError]] = {
    HTTPStatus.UNAUTHORIZED: AuthFailed,
    HTTPStatus.FORBIDDEN: Forbidden,
    3: Redirected,
    4: ClientFault,
    5: ServerFault,
}
"""By status, or by its first digit."""

_JSON = frozenset({"application/fhir+json", "application/json"})
_DIGITS = re.compile(r"[0-9]{1,20}")
_WANTS_TLS = re.compile(
    rb"(?i)plain http request was sent to https port"  # nginx
    rb"|combination of host and port requires tls"  # Tomcat
    rb"|http request to an https server"  # Go
    rb"|speaking plain http to an ssl-enabled server"  # Apache
)


def error_for(host_and_port: str, status: int, headers: Mapping[str, str], operation: StrEnum) -> ServerError | None:
    """Choose the error for a status; None for 200."""
    said = f"{host_and_port} answered {status} to our {operation} request."
    if status == HTTPStatus.OK:
        return None
    if status == HTTPStatus.TOO_MANY_REQUESTS or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in headers
    ):
        return Throttled(said, retry_after(headers))
    if status == HTTPStatus.GONE and operation is Operation.PAGE:
        return CursorExpired(said)
    kind = _ERRORS.get(status) or _ERRORS.get(status // 100, NotFhir)
    return ClientFault(said, status) if kind is ClientFault else kind(said)


def asks_for_tls(body: bytes) -> bool:
    """Whether the body of a 400 says, in the words of a common server, that its port is one for TLS."""
    return _WANTS_TLS.search(body) is not None


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether the media type is one that FHIR's JSON comes under."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() in _JSON


def is_cached(headers: Mapping[str, str]) -> bool:
    """Whether HAPI, or a cache that speaks alike, says that the answer is an old one."""
    return headers.get("x-cache", "").strip().upper().startswith("HIT")


def stays_open(http_version: str, connection: Iterable[str]) -> bool:
    """Whether the server leaves the connection open behind this answer (RFC 9112, 9.3)."""
    return http_version == "HTTP/1.1" and "close" not in (word.strip().lower() for word in connection)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds to wait, at most LONGEST_WAIT; None where the header is missing or means nothing.

    A date is compared with the server's own `Date`, so that its clock may be wrong. (RFC 9110, 10.2.3)
    """
    text = headers.get("retry-after", "").strip()
    if _DIGITS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    until = http_date(text)
    if until is None:
        return None
    now = http_date(headers.get("date", ""))
    seconds = (until - (time.time() * 1000 if now is None else now)) / 1000
    return min(max(seconds, 0.0), LONGEST_WAIT)


def http_date(text: str) -> Instant | None:
    """Read an HTTP date, to the second; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1000
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
