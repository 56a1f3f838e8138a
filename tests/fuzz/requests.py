"""Target: what a client asks our web server, and what a server says in headers and links, to what we ask ourselves.

An input is a request as on the wire. Its target is also read as a page link, and its headers as those of an answer.
"""

import math
import re
from collections.abc import Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from exporter.config.values import operation_path
from exporter.errors import LinkRefused, TargetRefused
from exporter.fhir import http_status, links
from exporter.fhir.export_target import status_address
from exporter.metrics.negotiation import Format, accepts_gzip, negotiate
from exporter.metrics.vocabulary import Operation
from exporter.web.app import App, PendingScrape
from exporter.web.messages import MAX_BUDGET_SECONDS, Request, Response, parse_request

from .rules import caught, demand, demand_silence

BASES = ("https://cdr.example.org/fhir", "http://[::1]:8000/a/fhir", "https://cdr.example.org")
PROBE_PATH = operation_path("$export-poll-status")
OFFSET_SECONDS = 0.5
MOST_WAIT = 300
"""Seconds."""

_HEADERS = ("accept", "accept-encoding", "x-prometheus-scrape-timeout-seconds")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~$!'()*+,=&@:/-]*")
_JOB = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check(data: bytes) -> None:
    """Read a request, answer it, and read its parts as everything else that comes in a header or a link."""
    request, target = read(data)
    _check_answer(request)
    for header in request.headers.values():
        _check_header(header)
    _check_reply_headers(request)
    text = target.decode("latin-1")
    for base in BASES:
        for link in dict.fromkeys((text, unquote(text), text.lstrip("/"))):
            _check_link(base, link)
            _check_target(base, link)


def read(data: bytes) -> tuple[Request, bytes]:
    """Take a request apart as a server does, only less strictly: what reaches us is what h11 lets through."""
    first, *lines = data.split(b"\n")
    method, _, rest = first.partition(b" ")
    target = rest.rpartition(b" ")[0] or rest
    path, _, query = target.partition(b"?")
    headers = [
        (name.strip(), value.strip()) for line in lines if b":" in line for name, _, value in [line.partition(b":")]
    ]
    client = ("127.0.0.1", None) if len(data) % 2 else None
    decoded = unquote(path.decode("latin-1"))
    return parse_request(method.decode("latin-1"), decoded, headers, client, query), target


# Our web server


class _Backend:
    """Answers as a running exporter would, and judges the targets of probes."""

    def scrape(self) -> object:
        return SimpleNamespace(immediate=None, poll=Future[bool]())

    def probe(self, target: str) -> object:
        return SimpleNamespace(address=status_address(BASES[0], PROBE_PATH, target), done=Future[bool](), result=None)

    def unready_reason(self) -> None:
        return None


def _check_answer(request: Request) -> None:
    demand(all(name == name.lower() for name in request.headers), "names of headers are lower case")
    demand(0 < request.budget_seconds(OFFSET_SECONDS) <= MAX_BUDGET_SECONDS, "a scrape waits for a bounded time")
    if request.path == "/":
        return
    answer = App(cast("Any", _Backend()), OFFSET_SECONDS).handle(request)
    if isinstance(answer, PendingScrape):
        demand(request.path in {"/metrics", "/probe"}, "only scrapes wait")
        demand(request.path == "/metrics" or request.parameter("target"), "a probe has a target")
        demand(0 < answer.budget_seconds <= MAX_BUDGET_SECONDS, "a scrape waits for a bounded time")
    else:
        _check_response(answer, request)


def _check_response(answer: Response, request: Request) -> None:
    demand(answer.status in {200, 400, 404, 405}, "a request is answered with a status that we chose")
    demand(b"".join(piece for piece, _ in answer.pieces()) == answer.body, "pieces are the whole")
    fields = (answer.body, *(field for pair in answer.raw_headers() for field in pair))
    words = request.query.decode("latin-1"), request.path, *request.headers.values()
    demand(not any(b"\n" in field or b"\r" in field for field in fields[1:]), "a header is one line")
    demand_silence(RuntimeError(" ".join(field.decode("latin-1") for field in fields)), words)


def _check_header(text: str) -> None:
    demand(negotiate(text) in Format, "there are two formats")
    accepts_gzip(text)


def _check_reply_headers(request: Request) -> None:
    wait = http_status.retry_after(request.headers)
    demand(wait is None or (math.isfinite(wait) and 0 <= wait <= MOST_WAIT), "a wait is bounded")
    for text in request.headers.values():
        moment = http_status.http_date(text)
        demand(moment is None or isinstance(moment, int), "a date is whole milliseconds")
    http_status.is_json(request.headers)
    http_status.is_cached(request.headers)
    http_status.stays_open("HTTP/1.1", request.headers.get("connection", "").split(","))
    for status in (200, 301, 401, 403, 404, 410, 418, 429, 500, 503, 999):
        error, plain = (http_status.error_for("a:1", status, each, Operation.PAGE) for each in (request.headers, {}))
        demand(str(error) == str(plain), "no message depends on a header")


# What we ask a server for


def _check_link(base: str, link: str) -> None:
    for rewrite in (False, True):
        found: list[str] = []
        error = caught(lambda: found.append(links.resolve(base, link, rewrite)), LinkRefused)  # noqa: B023 - called at once
        if error is not None:
            demand_silence(error, (link,))
        for address in found:
            _check_address(base, address)


def _check_target(base: str, target: str) -> None:
    found: list[str] = []
    error = caught(lambda: found.append(status_address(base, PROBE_PATH, target)), TargetRefused)
    if error is not None:
        demand_silence(error, (target,))
    for address in found:
        _check_address(base, address)
        before, _, job = address.partition("?_jobId=")
        demand(before.endswith(f"/{PROBE_PATH}"), "a probe asks for the status of an export job")
        demand(_JOB.fullmatch(job), "a probe asks for one job")


def _check_address(base: str, address: str) -> None:
    """Compare what another parser makes of the two addresses."""
    home, parts = urlsplit(base), urlsplit(address)
    demand((parts.scheme, parts.netloc) == (home.scheme, home.netloc), "an address is on the origin of the base")
    demand(parts.path == home.path or parts.path.startswith(f"{home.path}/"), "an address is below the base")
    demand(_UNRESERVED.fullmatch(parts.path), "a path has no escapes")
    demand(not any(set(segment) == {"."} for segment in parts.path.split("/")), "a path does not climb")
    demand(address.isascii() and address.isprintable() and " " not in address, "an address is plain")


def dictionary() -> Iterator[str]:
    """Words that the mutator puts in: headers, routes, spellings of hosts and paths."""
    yield from ("GET ", "HEAD ", " HTTP/1.1\n", "/metrics", "/probe?target=", "/-/healthy", "/-/ready", "\naccept: ")
    yield from ("accept-encoding: gzip;q=", "x-prometheus-scrape-timeout-seconds: ", "retry-after: ", "date: ", "nan")
    yield from ("application/openmetrics-text;version=1.0.0", "text/plain;version=0.0.4", "q=0.5", "*/*", "1e400")
    yield from ("Mon, 23 Nov 2026 10:00:00 GMT", "-0000", "connection: close", "x-cache: HIT", "content-type: ")
    yield from ("https://", "//", "\\", "@", "%2e%2e", "%24", "..;", ";", "#", ":443", "cdr.example.org", "/fhir")
    yield from ("$export-poll-status", "?_jobId=", "%3F_jobId%3D", "[::1]", "http://", "?_getpages=", "../")


def seeds() -> Iterator[bytes]:
    """Requests of Prometheus, of people and of attackers."""
    accept = b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    head = (
        b" HTTP/1.1\nhost: a\naccept: " + accept + b"\naccept-encoding: gzip\nx-prometheus-scrape-timeout-seconds: 10\n"
    )
    for target in (b"/metrics", b"/", b"/-/healthy", b"/-/ready", b"/nothing", b"/probe?target=job-1"):
        yield b"GET " + target + head
        yield b"HEAD " + target + head
    yield b"POST /metrics" + head
    job = b"https://cdr.example.org/fhir/$export-poll-status?_jobId=1b2c"
    yield b"GET " + job + head
    yield b"GET /probe?target=" + job.replace(b"?", b"%3F").replace(b"=", b"%3D") + head
    yield b"GET https://cdr.example.org/fhir?_getpages=1&_getpagesoffset=20" + head
    yield b"GET Task?_getpages=1" + head
    yield b"GET http://[::1]:8000/a/fhir/Task?x" + head
    yield b"GET https://user@cdr.example.org\\@evil/fhir/%2e%2e/admin#x" + head
    yield b"GET / HTTP/1.1\nretry-after: 1200\ncontent-type: application/fhir+json; charset=utf-8\nx-cache: HIT\n"
    yield b"GET / HTTP/1.1\nretry-after: Mon, 23 Nov 2026 10:00:00 GMT\ndate: Mon, 23 Nov 2026 09:59:00 GMT\n"
