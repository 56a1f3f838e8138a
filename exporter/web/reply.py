"""What can be answered, as values: a status, a type, a body, and the headers that all answers carry."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

PIECE = 64 * 1024
"""Bytes handed to a connection at a time: what a stalled reader holds beside the body."""

PLAIN, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
ON_ALL = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent. `told` hears, afterwards, whether the client was there for all of it."""

    status: int
    kind: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    told: Callable[[bool], None] = lambda _whole: None

    def head(self) -> list[tuple[bytes, bytes]]:
        """Give the headers as ASGI wants them."""
        own = (("content-type", self.kind), ("content-length", str(len(self.body))))
        return [(name.encode(), value.encode()) for name, value in (*own, *self.headers, *ON_ALL)]

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Cut the body; each piece says whether more follow."""
        for end in range(PIECE, max(len(self.body), 1) + PIECE, PIECE):
            yield self.body[end - PIECE : end], end < len(self.body)


NOT_FOUND = Reply(404, PLAIN, b"Nothing here; / lists what there is.\n")
NOT_ALLOWED = Reply(405, PLAIN, b"Only GET and HEAD.\n", (("allow", "GET, HEAD"),))
BROKEN = Reply(500, PLAIN, b"Internal error; the log says where.\n")
HEALTHY = Reply(200, PLAIN, b"Healthy.\n")
READY = Reply(200, PLAIN, b"Ready.\n")


def unready(missing: str) -> Reply:
    """Say what is missing."""
    return Reply(503, PLAIN, f"{missing}\n".encode())
