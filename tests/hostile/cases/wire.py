"""What happens to bytes and connections: slow, silent, cut, reset, flooded, compressed, and not HTTP at all."""

import gzip
import zlib
from collections.abc import Callable, Iterator

from exporter.demo.server import JSON

from ...support.canaries import canary
from ..judge import Case
from ..plays import (
    TEXT,
    after,
    at_once,
    bombs,
    drips,
    encoded,
    floods,
    framed,
    hangs,
    head,
    is_page,
    linked,
    only,
    refused,
    resets,
    sends,
)
from ..subject import Kind
from ..wire import Play, good

MARKED = TEXT.encode()
JSON_LINE = f"Content-Type: {JSON}\r\n".encode()
PLAIN = b"HTTP/1.1 200 OK\r\n" + JSON_LINE


def slow() -> Iterator[tuple[str, Play]]:
    """Yield what never ends: each must be cut off."""
    yield "silence", hangs()
    yield "silence behind the status line", hangs(b"HTTP/1.1 200 OK\r\n")
    yield "silence behind the headers", hangs(head("Content-Length: 1000"))
    yield "silence in the body", hangs(head("Content-Length: 1000") + b'{"resourceType":"' + MARKED)
    yield "silence in a chunk", hangs(head("Transfer-Encoding: chunked") + b"5\r\n{")
    yield "silence behind the last chunk but one", hangs(head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n")
    yield "silence behind a whole body without length", hangs(head() + b"{}")
    yield "a status line of a byte each 20 ms", drips(b"HTTP/1.1 200 ", b"O")
    yield "headers without end, slowly", drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")
    yield "one header without end, slowly", drips(b"HTTP/1.1 200 OK\r\nX: ", b"y")
    yield "a body without length, slowly", drips(head(), b" ")
    yield "a body with a length, slowly", drips(head("Content-Length: 100000"), b" ")
    yield "chunks without end, slowly", drips(head("Transfer-Encoding: chunked"), b"1\r\n \r\n")
    yield "a chunk's extension without end", drips(head("Transfer-Encoding: chunked") + b"1;", b"x")
    yield "trailers without end, slowly", drips(head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", b"X: y\r\n")
    yield (
        "gzip without end, slowly",
        drips(head("Content-Encoding: gzip") + gzip.compress(b"{}")[:10], b"\0\0\0\xff\xff"),
    )
    yield "100 Continue without end", drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    yield "102 Processing without end", drips(b"", b"HTTP/1.1 102 Processing\r\n\r\n")
    yield "103 Early Hints without end", drips(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    yield "103 Early Hints, as fast as it goes", floods(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
    yield "100, 102 and 103 in turn", drips(b"", b"".join(b"HTTP/1.1 %d X\r\n\r\n" % n for n in (100, 102, 103, 199)))


def broken() -> Iterator[tuple[str, Play, str]]:
    """Yield answers that break HTTP, and their reasons."""
    yield "closed without an answer", sends(), "unreachable"
    yield "closed in the status line", sends(b"HTTP/1.1 2"), "unreachable"
    yield "closed in the headers", sends(b"HTTP/1.1 200 OK\r\nContent-"), "unreachable"
    yield "reset without an answer", resets(), "unreachable"
    yield "reset in the headers", resets(b"HTTP/1.1 200 OK\r\nX: "), "unreachable"
    yield "reset in the body", resets(head("Content-Length: 100") + b"{"), "truncated"
    yield "reset in a chunk", resets(head("Transfer-Encoding: chunked") + b"5\r\n{"), "truncated"
    yield "half of a body with a length", _framed(_length, lambda body: body[: len(body) // 2]), "truncated"
    yield "half of a body without a length", _framed(_bare, lambda body: body[: len(body) // 2]), "not_fhir"
    yield (
        "half of a chunk",
        framed(lambda body: head("Transfer-Encoding: chunked") + b"%x\r\n" % len(body) + body[:9]),
        "truncated",
    )
    yield "no last chunk", framed(_chunk), "truncated"
    yield "a length too small by one", _framed(lambda body: head(f"Content-Length: {len(body) - 1}")), "not_fhir"
    yield "a length too large by one", _framed(lambda body: head(f"Content-Length: {len(body) + 1}")), "truncated"
    yield "a length of 0 before a body", _framed(lambda _: head("Content-Length: 0")), "not_fhir"
    yield "a length of 10 digits", _framed(lambda _: head("Content-Length: 9999999999")), "truncated"
    yield "a length of 400 digits", _framed(lambda _: head(f"Content-Length: {'9' * 400}")), "unreachable"
    yield "a negative length", _framed(lambda _: head("Content-Length: -1")), "unreachable"
    yield "a length that is no number", _framed(lambda _: head(f"Content-Length: {TEXT}")), "unreachable"
    yield "two lengths", _framed(lambda body: head(f"Content-Length: {len(body)}", "Content-Length: 1")), "unreachable"
    yield "a chunk size that is none", sends(head("Transfer-Encoding: chunked"), MARKED + b"\r\n"), "truncated"
    yield "a chunk size of 20 digits", sends(head("Transfer-Encoding: chunked"), b"f" * 20 + b"\r\n{}"), "truncated"
    yield "a chunk size of 400 digits", sends(head("Transfer-Encoding: chunked"), b"f" * 400 + b"\r\n{}"), "truncated"
    yield "a negative chunk size", sends(head("Transfer-Encoding: chunked"), b"-2\r\n{}\r\n0\r\n\r\n"), "truncated"
    yield (
        "a chunk longer than its size",
        sends(head("Transfer-Encoding: chunked"), b"1\r\n{}}}\r\n0\r\n\r\n"),
        "truncated",
    )
    yield "an unknown transfer coding", sends(head("Transfer-Encoding: " + TEXT), b"{}"), "unreachable"
    yield "gzip as transfer coding", sends(head("Transfer-Encoding: gzip, chunked"), b"0\r\n\r\n"), "unreachable"
    yield "a header without a colon", sends(PLAIN + MARKED + b"\r\n\r\n{}"), "unreachable"
    yield "a blank in a header's name", sends(PLAIN + b"X " + MARKED + b": y\r\n\r\n{}"), "unreachable"
    yield "a NUL in a header", sends(PLAIN + b"X: \0" + MARKED + b"\r\n\r\n{}"), "unreachable"
    yield "an empty header name", sends(PLAIN + b": " + MARKED + b"\r\n\r\n{}"), "unreachable"
    yield (
        "headers without end, as fast as it goes",
        floods(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 4000 + b"\r\n"),
        "unreachable",
    )
    yield "one header without end, as fast as it goes", floods(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536), "unreachable"
    yield "a status line without end", floods(b"HTTP/1.1 200 ", b"O" * 65536), "unreachable"
    yield "no line break ever", floods(b"", b"x" * 65536), "unreachable"
    yield (
        "101 Switching Protocols",
        sends(head("Upgrade: x", "Connection: upgrade", status="101 Switching")),
        "unreachable",
    )
    yield "line breaks without end", drips(b"", b"\r\n"), "unreachable"
    yield "HTTP/0.9", sends(b"{}"), "unreachable"
    yield "HTTP/2 without asking", sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "unreachable"
    yield "frames of HTTP/2", sends(b"\0\0\x12\x04\0\0\0\0\0" + bytes(18)), "unreachable"
    yield "HTTP/3.0 in the status line", sends(b"HTTP/3.0 200 OK\r\n\r\n"), "not_fhir"
    yield "the banner of SSH", sends(b"SSH-2.0-OpenSSH_9.2\r\n"), "unreachable"
    yield "the banner of SMTP", sends(b"220 " + MARKED + b" ESMTP\r\n"), "unreachable"
    yield "a TLS alert", sends(b"\x15\x03\x03\0\x02\x02\x50"), "unreachable"
    yield "64 KiB of NUL", sends(bytes(65536)), "unreachable"
    yield "a request in place of an answer", sends(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "unreachable"
    yield "a body without end", floods(head(), b" " * (1 << 20)), "too_large"
    yield "a body of 17 MiB", floods(head(f"Content-Length: {17 << 20}"), b" " * (1 << 20)), "too_large"
    yield (
        "chunks without end, as fast as it goes",
        floods(head("Transfer-Encoding: chunked"), b"100000\r\n" + b" " * (1 << 20) + b"\r\n"),
        "too_large",
    )
    yield (
        "trailers without end, as fast as it goes",
        floods(head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", b"X: " + b"y" * 4000 + b"\r\n"),
        "truncated",
    )


def _framed(lines: Callable[[bytes], bytes], change: Callable[[bytes], bytes] = bytes) -> Play:
    return framed(lambda body: lines(body) + change(body))


def _length(body: bytes) -> bytes:
    return head(f"Content-Length: {len(body)}")


def _bare(_: bytes) -> bytes:
    return head()


def _chunk(body: bytes) -> bytes:
    return head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n" % (len(body), body)


def deflated(body: bytes) -> bytes:
    return zlib.compress(body)


def compressed() -> Iterator[tuple[str, Play, str | None]]:
    """Yield content codings, and their reasons."""
    yield "gzip", encoded("gzip", gzip.compress), None
    yield "GZip, in other case", encoded("GZip", gzip.compress), None
    yield "identity", encoded("identity", bytes), None
    yield "a bomb of 512 MiB", bombs(512), "too_large"
    yield "a bomb within a bomb", bombs(512, 2), "not_fhir"
    yield "a bomb within ten", bombs(64, 10), "not_fhir"
    yield "a bomb of 17 MiB", bombs(17), "too_large"
    yield "gzip twice", encoded("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))), "not_fhir"
    yield "deflate", encoded("deflate", deflated), "not_fhir"
    yield "br", encoded("br", bytes), "not_fhir"
    yield "zstd", encoded("zstd", bytes), "not_fhir"
    yield "x-gzip", encoded("x-gzip", gzip.compress), "not_fhir"
    yield "a coding that nobody knows", encoded(canary("coding"), bytes), "not_fhir"
    yield "1,000 codings", encoded(", ".join(["identity"] * 1000), bytes), "not_fhir"
    yield "gzip that is none", encoded("gzip", bytes), "not_fhir"
    yield "gzip cut short", encoded("gzip", lambda body: gzip.compress(body)[:-9]), "truncated"
    yield "gzip with a wrong checksum", encoded("gzip", lambda body: gzip.compress(body)[:-8] + bytes(8)), "not_fhir"
    yield "gzip of two members", encoded("gzip", lambda body: gzip.compress(body) * 2), "not_fhir"
    yield "gzip with bytes behind it", encoded("gzip", lambda body: gzip.compress(body) + b"\0"), "not_fhir"
    yield (
        "empty blocks without end",
        floods(head("Content-Encoding: gzip") + gzip.compress(b"")[:10], b"\0\0\0\xff\xff" * 200_000),
        "too_large",
    )


def phases() -> Iterator[Case]:
    """Yield what happens elsewhere than in the first answer on a new connection."""
    yield Case(group="wire", does="resets each new connection", accept=at_once(refused), reason="unreachable")
    second = only(is_page, hangs())
    more = linked(lambda _: "http://fhir.example/fhir?_getpages=more")
    for does, play, reason in (
        ("silence to the second page", hangs(), "timeout"),
        ("the second page resets", resets(), "unreachable"),
        ("the second page is cut", sends(head("Content-Length: 9"), b"{"), "truncated"),
        ("the second page is another protocol", sends(b"220 mail\r\n"), "unreachable"),
        ("a bomb as second page", bombs(64), "too_large"),
    ):
        yield Case(group="wire", does=does, play=_second(more, play), reason=reason)
    yield Case(group="wire", does="hangs once, then answers right", play=_first(second, hangs()), reason="timeout")
    yield Case(group="wire", does="dies once on a new connection", play=_first(good, sends()), reason="unreachable")
    kept = after(1, sends())
    yield Case(
        group="wire",
        does="closes a kept connection at the second request",
        play=_second(more, kept),
        reason="unreachable",
    )
    answer_behind = framed(lambda body: (head(f"Content-Length: {len(body)}") + body) * 2)
    yield Case(group="wire", does="two answers to one request", play=answer_behind, reason=None)


def _second(first: Play, play: Play) -> Play:
    return lambda exchange: (first if exchange.number == 1 else play)(exchange)


def _first(then: Play, play: Play) -> Play:
    return lambda exchange: (play if exchange.number == 1 else then)(exchange)


def cases() -> Iterator[Case]:
    for does, play in slow():
        yield Case(group="slow", does=does, play=play, reason="timeout")
    for does, play, reason in broken():
        yield Case(group="wire", does=does, play=play, reason=reason)
    for does, play, coding_reason in compressed():
        yield Case(group="coding", does=does, play=play, reason=coding_reason)
    yield from phases()
    yield Case(group="slow", does="silence, with a password", play=hangs(), reason="timeout", kind=Kind.BASIC)
