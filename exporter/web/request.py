"""What we take from a request, and how long it may wait. Pure: nothing here is awaited, sent or logged.

See docs/design.md#polled-on-scrape.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .connections import Peer

TIMEOUT_HEADER = "x-prometheus-scrape-timeout-seconds"

USUAL_BUDGET = 10.0
LONGEST_BUDGET = 120.0
"""Seconds. Prometheus calls a series stale after five minutes, so nobody scrapes more slowly than every two."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request head. Names of headers are in lower case; one sent twice is joined by a comma (RFC 9110, 5.3)."""

    method: str
    path: str
    headers: Mapping[str, str]
    peer: Peer

    @property
    def scrapes(self) -> bool:
        """Whether Prometheus made it, and will store what it is given: a HEAD is given nothing."""
        return self.method == "GET" and TIMEOUT_HEADER in self.headers

    def budget(self, offset: float) -> float:
        """Seconds that it may wait for a poll: what Prometheus allows less `offset`, but never less than half."""
        allowed = _seconds(self.headers.get(TIMEOUT_HEADER, ""))
        return USUAL_BUDGET if allowed is None else min(max(allowed - offset, allowed / 2), LONGEST_BUDGET)


def read(method: str, path: str, head: Iterable[tuple[bytes, bytes]], client: tuple[str, int | None] | None) -> Request:
    """Take what we need from an ASGI scope's parts."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in head:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    host, port = client or ("", 0)
    return Request(method, path, headers, (host, port or 0))


def _seconds(text: str) -> float | None:
    """Read a positive, finite number; None for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
