"""TLS that fails, of every kind: certificates, versions, and handshakes that never end."""

import socket
import ssl
import time
from collections.abc import Iterator

from ...support import hostile
from ..judge import Case
from ..plays import (
    after_hello,
    answers,
    at_once,
    bombs,
    certified,
    close_gently,
    hangs,
    head,
    refused,
    reset,
    resets,
    sends,
)
from ..subject import Kind, tls_server
from ..wire import Accept

HELLO = b"\x16\x03\x03\x40\0\x02\0\x3f\xfc\x03\x03"
"""The start of a server's hello of 16 KiB."""


def handshakes() -> Iterator[tuple[str, Accept, str]]:
    """Yield what happens to a new connection, and the reason."""
    names = {
        "for another name": "other",
        "that has expired": "expired",
        "that is not valid yet": "early",
        "that signed itself": "stranger",
        "of an unknown authority": "issued",
    }
    for does, name in names.items():
        yield f"a certificate {does}", certified(lambda name=name: tls_server(name)), "tls"  # type: ignore[misc] # a default
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        yield f"{version.name} at most", certified(lambda version=version: tls_server("server", version)), "tls"  # type: ignore[misc] # a default
    yield "no common cipher", after_hello(hostile.sends(b"\x15\x03\x03\0\x02\x02\x28")), "tls"
    yield "closes at the hello", after_hello(hostile.sends()), "tls"
    yield "closes before the hello", at_once(close_gently), "tls"
    yield "resets at the hello", after_hello(reset), "unreachable"
    yield "resets each new connection", at_once(refused), "unreachable"
    yield "silence in the handshake", after_hello(hostile.silent), "timeout"
    yield "silence before the handshake", at_once(_deaf), "timeout"
    yield "a handshake of a byte each 20 ms", after_hello(hostile.drips(HELLO, b"x")), "timeout"
    yield "plain HTTP", at_once(hostile.sends(head("Content-Length: 2"), b"{}")), "tls"
    yield "plain HTTP, 400", after_hello(hostile.sends(head("Content-Length: 0", status="400 Bad Request"))), "tls"
    yield "the banner of SSH", at_once(hostile.sends(b"SSH-2.0-OpenSSH_9.2\r\n")), "tls"
    yield "64 KiB of NUL", after_hello(hostile.sends(bytes(65536))), "tls"
    yield "records without end", after_hello(hostile.floods(b"", b"\x16\x03\x03\x40\0" + bytes(16384))), "timeout"
    yield "warnings without end", after_hello(hostile.floods(b"", b"\x15\x03\x03\0\x02\x01\x5a" * 100)), "tls"
    yield "a fatal alert", after_hello(hostile.sends(b"\x15\x03\x03\0\x02\x02\x50")), "tls"
    yield "an alert that nobody knows", after_hello(hostile.sends(b"\x15\x03\x03\0\x02\x02\xff")), "tls"


def _deaf(_: socket.socket) -> None:
    """Read nothing."""
    time.sleep(4)


def cases() -> Iterator[Case]:
    for does, accept, reason in handshakes():
        yield Case(group="tls", does=does, accept=accept, reason=reason, kind=Kind.TLS)
    for does, play, plain_reason in (
        ("500 behind TLS", answers(500), "server_error"),
        ("silence behind TLS", hangs(), "timeout"),
        ("reset in the body behind TLS", resets(head("Content-Length: 9") + b"{"), "truncated"),
        ("cut in the body behind TLS", sends(head("Content-Length: 9"), b"{"), "truncated"),
        ("closed without an answer behind TLS", sends(), "unreachable"),
        ("a bomb behind TLS", bombs(64), "too_large"),
    ):
        yield Case(group="tls", does=does, play=play, reason=plain_reason, kind=Kind.TLS)
