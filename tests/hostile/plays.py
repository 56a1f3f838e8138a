"""What rows of the table are made of: each function makes a play."""

import gzip
import json
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from exporter.demo.server import JSON, Request, Response

from ..support import hostile
from ..support.canaries import canary
from ..support.fake import BASE
from ..support.loaded import HEADERS, outcome
from ..support.quirks import Quirk, played
from .wire import Accept, Exchange, Play, good, wrap

FHIR = (("content-type", JSON),)
TEXT = canary("body")
"""Stands in each answer that has no better text."""

Wanted = Callable[[Request], bool]


# Which requests


def is_search(request: Request) -> bool:
    return request.path == "/fhir/Task" and not is_count(request)


def is_count(request: Request) -> bool:
    return ("_summary", "count") in request.query


def is_page(request: Request) -> bool:
    return any(name == "_getpages" for name, _ in request.query)


def is_organization(request: Request) -> bool:
    return request.path.startswith("/fhir/Organization/")


def is_history(request: Request) -> bool:
    return "/_history" in request.path


def only(wanted: Wanted, play: Play) -> Play:
    """Play on some requests, and be honest on the others."""
    return lambda exchange: (play if wanted(exchange.request) else good)(exchange)


def after(number: int, play: Play) -> Play:
    """Be honest to so many requests, then play."""
    return lambda exchange: (play if exchange.number > number else good)(exchange)


def in_turn(*plays: Play) -> Play:
    """Play one after another, and again from the first."""
    return lambda exchange: plays[(exchange.number - 1) % len(plays)](exchange)


# Whole answers


def answers(status: int, body: bytes | str | None = None, *headers: tuple[str, str], kind: str | None = JSON) -> Play:
    """Answer everything alike; by default with an outcome full of canaries."""
    data = json.dumps(outcome()).encode() if body is None else body.encode() if isinstance(body, str) else body
    own = {name.lower() for name, _ in headers}
    typed = (("content-type", kind),) if kind is not None else ()
    rest = tuple(header for header in HEADERS if header[0] not in own)
    return lambda exchange: exchange.reply(Response(status, (*typed, *headers, *rest), data))


def quirk(*quirks: Quirk) -> Play:
    """Put quirks around the honest answer."""
    return lambda exchange: exchange.reply(played(exchange.front.answer, *quirks)(exchange.request))


def changed(change: Callable[[bytes], bytes], *headers: tuple[str, str], drops: str = "") -> Play:
    """Change the bytes of the honest answer, and add headers."""

    def play(exchange: Exchange) -> bool:
        status, given, body = exchange.honest()
        kept = tuple(header for header in given if header[0] != drops)
        sent = body.replace(BASE.encode(), exchange.front.base.encode())
        return exchange.reply(Response(status, (*kept, *headers), change(sent)))

    return play


def edited(change: Callable[[dict[str, Any]], object]) -> Play:
    """Change each honest Bundle, in place."""

    def edit(body: bytes) -> bytes:
        resource = json.loads(body)
        if resource.get("resourceType") == "Bundle":
            change(resource)
        return json.dumps(resource).encode()

    return changed(edit)


def bundle(**elements: object) -> Callable[[bytes], bytes]:
    """Replace elements of a Bundle; None takes one away."""

    def change(body: bytes) -> bytes:
        merged = json.loads(body) | elements
        return json.dumps({name: value for name, value in merged.items() if value is not None}).encode()

    return change


def entries(make: Callable[[], bytes]) -> Play:
    """Put raw entries in front of the others; they are made once, when they are needed."""
    extra = cache(make)

    def change(body: bytes) -> bytes:
        if b'"entry":[' in body:
            return body.replace(b'"entry":[', b'"entry":[' + extra() + b",", 1)
        return body.rstrip()[:-1] + b',"entry":[' + extra() + b"]}"

    return changed(lambda body: change(compact(body)))


def compact(body: bytes) -> bytes:
    """Write JSON without blanks, so that a place in it can be found."""
    return json.dumps(json.loads(body), separators=(",", ":")).encode()


def linked(url: Callable[[Exchange], str]) -> Play:
    """Give each page of a search a `next` link of this address."""

    def play(exchange: Exchange) -> bool:
        status, headers, body = exchange.honest()
        resource = json.loads(body)
        if resource.get("resourceType") == "Bundle":
            links = [each for each in resource.get("link", []) if each["relation"] != "next"]
            resource["link"] = [*links, {"relation": "next", "url": url(exchange)}]
        return exchange.reply(Response(status, headers, json.dumps(resource).encode()))

    return play


def looping(url: Callable[[Exchange], str]) -> Play:
    """Let each page link to the next one, and be there."""
    first = linked(url)

    def play(exchange: Exchange) -> bool | None:
        if not is_page(exchange.request):
            return first(exchange)
        link = {"relation": "next", "url": url(exchange)}
        return answers(200, json_text({"resourceType": "Bundle", "type": "searchset", "link": [link]}))(exchange)

    return play


# On the wire


def raw(play: hostile.Play) -> Play:
    """Play on the socket once the request is there, then close."""

    def wired(exchange: Exchange) -> None:
        play(exchange.socket)

    return wired


def sends(*pieces: bytes) -> Play:
    """Send these bytes, and close."""
    return raw(hostile.sends(*pieces))


def drips(start: bytes, drop: bytes, every: float = 0.02) -> Play:
    """Send `start`, then `drop` without end, slowly."""
    return raw(hostile.drips(start, drop, every))


def floods(start: bytes, wave: bytes) -> Play:
    """Send `start`, then `wave` without end, as fast as it is read."""
    return raw(hostile.floods(start, wave))


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Write a status line and headers."""
    return hostile.head(*lines, status=status)


def framed(make: Callable[[bytes], bytes]) -> Play:
    """Send what is made of the honest body, head and all, and close."""

    def play(exchange: Exchange) -> None:
        exchange.send(make(exchange.honest().body.replace(BASE.encode(), exchange.front.base.encode())))

    return play


def hangs(start: bytes = b"") -> Play:
    """Send the start of an answer, or nothing, and wait for the other side to go."""

    def play(exchange: Exchange) -> None:
        exchange.send(start)
        exchange.socket.settimeout(30)
        exchange.socket.recv(1)

    return play


def resets(start: bytes = b"") -> Play:
    """Send the start of an answer, or nothing, and reset the connection."""

    def play(exchange: Exchange) -> None:
        exchange.send(start)
        time.sleep(0.1)  # what was sent is read by then: a reset would undo it
        reset(exchange.socket)

    return play


def reset(connection: socket.socket) -> None:
    """Let the end of the connection be a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def encoded(coding: str, press: Callable[[bytes], bytes]) -> Play:
    """Send the honest body under a content coding."""

    def play(exchange: Exchange) -> bool:
        status, headers, honest = exchange.honest()
        sent = honest.replace(BASE.encode(), exchange.front.base.encode())
        return exchange.reply(Response(status, (*headers, ("content-encoding", coding)), press(sent)))

    return play


def bombs(mebibytes: int, layers: int = 1) -> Play:
    """Send a body of blanks that inflates a thousandfold, with each layer; all layers are told."""
    coding = ("content-encoding", ", ".join(["gzip"] * layers))
    _BOMBS.add((mebibytes, layers))

    def play(exchange: Exchange) -> bool | None:
        return answers(200, bomb(mebibytes, layers), coding)(exchange)

    return play


def make_bombs() -> None:
    """Make all bombs of the table, before a request waits for one: that takes some seconds."""
    for mebibytes, layers in _BOMBS:
        bomb(mebibytes, layers)


_BOMBS: set[tuple[int, int]] = set()


@cache
def bomb(mebibytes: int, layers: int = 1) -> bytes:
    """Make a body of blanks that inflates a thousandfold, with each layer."""
    if layers > 1:
        return gzip.compress(bomb(mebibytes, layers - 1))
    press = zlib.compressobj(9, wbits=31)
    return b"".join(press.compress(b" " * (1 << 20)) for _ in range(mebibytes)) + press.flush()


# Before the request: TLS


def refused(connection: socket.socket) -> None:
    """Reset each connection at once."""
    reset(connection)


def at_once(play: hostile.Play) -> Accept:
    """Play before anything was read, then close."""

    def accept(connection: socket.socket) -> None:
        play(connection)

    return accept


def after_hello(play: hostile.Play) -> Accept:
    """Play once the client's hello is there, then close."""

    def accept(connection: socket.socket) -> None:
        connection.recv(65536)
        play(connection)

    return accept


def close_gently(connection: socket.socket) -> None:
    """Close our side, and read what comes: to close both at once would be a reset, which undoes what was sent."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def certified(context: Callable[[], ssl.SSLContext]) -> Accept:
    """Do the handshake with another certificate or another TLS."""

    def accept(connection: socket.socket) -> socket.socket | None:
        try:
            return wrap(context(), connection)
        except ssl.SSLError:
            close_gently(connection)
            return None

    return accept


def many(make: Callable[[int], str], count: int) -> Iterator[str]:
    """Make so many header lines."""
    return (make(number) for number in range(count))


def json_text(value: Mapping[str, object]) -> bytes:
    """Write JSON."""
    return json.dumps(value).encode()
