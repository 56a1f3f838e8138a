import gzip
import logging
import resource
import socket
import struct
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path

import httpx
import pytest

from exporter.config import FhirSettings
from exporter.errors import (
    AuthFailed,
    ClientFault,
    ConfigurationError,
    ConnectionReset,
    CursorExpired,
    Forbidden,
    LinkRefused,
    NotFhir,
    NotFound,
    Redirected,
    ServerError,
    ServerFault,
    Throttled,
    TimedOut,
    TooLarge,
    Truncated,
    Unreachable,
)
from exporter.fhir.auth import BearerFile
from exporter.fhir.body import PARTS, read_body
from exporter.fhir.http import Http, Reply
from exporter.fhir.http_status import LONGEST_WAIT, http_date, retry_after
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import Operation

from ...support.hostile import Listener, Play, drips, floods, head, sends, silent

BASE = "https://cdr.example/fhir"
CANARY = "PHI-CANARY-77"
FHIR = {"Content-Type": "application/fhir+json;charset=utf-8"}
Handler = Callable[[httpx.Request], httpx.Response]


class Log(Telemetry):
    """Keeps the requests in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[StrEnum, int | None]] = []
        self.bytes = 0

    def count_request(self, operation: StrEnum, status: int | None, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((operation, status))

    def count_received_bytes(self, count: int) -> None:
        self.bytes += count


class Token:
    """Credentials that can be renewed so many times."""

    def __init__(self, renewals: int = 0) -> None:
        self.renewals = renewals
        self.number = 0

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {CANARY}-{self.number}"}

    def renew(self, refused: object) -> bool:
        self.number += 1
        return self.number <= self.renewals


class Pieces(httpx.SyncByteStream):
    """A body that comes in pieces, as from a socket."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)


def answered(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    given = FHIR | {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, headers=given, stream=Pieces([body]))


def ask(
    handler: Handler, operation: Operation = Operation.SEARCH, target: str = f"{BASE}/Task", log: Log | None = None
) -> Reply:
    http = Http(FhirSettings(url=BASE), Token(), log, transport=httpx.MockTransport(handler))
    with http.session(5) as session:
        return session.get(target, operation)


def ask_listener(base: str, seconds: float = 5.0, timeout: float = 5.0) -> Reply:
    with closing(Http(FhirSettings(url=base, timeout=timeout), Token())) as http, http.session(seconds) as session:
        return session.get(f"{base}/Task", Operation.SEARCH)


def test_every_request_says_what_a_search_needs_and_never_no_store() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answered()(request)

    ask(handler)
    headers = seen[0].headers
    assert headers["accept"] == "application/fhir+json"
    assert headers["accept-encoding"] == "gzip"
    assert headers["cache-control"] == "no-cache"
    assert headers["user-agent"].startswith("fhir-task-exporter/")
    assert headers["authorization"] == f"Bearer {CANARY}-0"


def test_an_answer_brings_its_body_date_and_cache_word() -> None:
    reply = ask(answered(body=b'{"a":1}', Date="Fri, 20 Nov 2026 12:00:00 GMT", X_Cache="HIT from https://cdr"))
    assert (reply.status, reply.body, reply.date, reply.cached) == (200, b'{"a":1}', 1_795_176_000_000, True)
    assert "a" not in repr(reply).partition("body")[1]


def test_without_these_headers_nothing_is_guessed() -> None:
    reply = ask(answered(X_Cache="MISS"))
    assert (reply.date, reply.cached) == (None, False)


def test_gzip_is_inflated() -> None:
    log = Log()
    sent = gzip.compress(b"{}" * 50_000)
    assert ask(answered(body=sent, Content_Encoding="GZip"), log=log).body == b"{}" * 50_000
    assert log.bytes == len(sent)


STATUSES: list[tuple[int, Operation, dict[str, str], type[ServerError]]] = [
    (401, Operation.SEARCH, {}, AuthFailed),
    (403, Operation.SEARCH, {}, Forbidden),
    (410, Operation.PAGE, {}, CursorExpired),
    (410, Operation.SEARCH, {}, ClientFault),
    (400, Operation.SEARCH, {}, ClientFault),
    (404, Operation.PAGE, {}, NotFound),
    (429, Operation.SEARCH, {}, Throttled),
    (503, Operation.SEARCH, {"Retry_After": "7"}, Throttled),
    (503, Operation.SEARCH, {}, ServerFault),
    (500, Operation.SEARCH, {}, ServerFault),
    (301, Operation.SEARCH, {"Location": "https://cdr.example/fhir/Task"}, Redirected),
    (302, Operation.SEARCH, {"Location": f"https://evil.example/{CANARY}"}, Redirected),
    (304, Operation.SEARCH, {}, Redirected),
    (204, Operation.SEARCH, {}, NotFhir),
    (206, Operation.SEARCH, {}, NotFhir),
    (600, Operation.SEARCH, {}, NotFhir),
    (999, Operation.SEARCH, {}, NotFhir),
]


@pytest.mark.parametrize(("status", "operation", "headers", "error"), STATUSES)
def test_each_status_has_its_class(
    status: int, operation: Operation, headers: dict[str, str], error: type[ServerError]
) -> None:
    log = Log()
    with pytest.raises(ServerError) as raised:
        ask(answered(status, CANARY.encode(), **headers), operation, log=log)
    assert type(raised.value) is error
    assert str(status) in str(raised.value)
    assert log.requests == [(operation, status)]


def test_a_client_fault_tells_its_status() -> None:
    with pytest.raises(ClientFault) as raised:
        ask(answered(422))
    assert raised.value.status == 422


def test_a_status_that_was_foreseen_is_an_answer() -> None:
    http = Http(FhirSettings(url=BASE), transport=httpx.MockTransport(answered(404, CANARY.encode())))
    with http.session(5) as session:
        assert session.get(f"{BASE}/Organization/1", Operation.ORGANIZATION, {404}) == Reply(404)


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
def test_every_answer_gives_its_connection_back_at_once(status: int) -> None:
    body = Pieces([b"{}"])
    answer = httpx.Response(status, headers={"Content-Type": "text/html"}, stream=body)
    http = Http(FhirSettings(url=BASE), transport=httpx.MockTransport(lambda _: answer))
    with http.session(5) as session:
        with pytest.raises(ServerError):
            session.get(f"{BASE}/Task", Operation.SEARCH)
        assert body.closed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("31536000", LONGEST_WAIT),
        ("9" * 20, LONGEST_WAIT),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Friday, 20-Nov-26 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30.0),
        ("Fri, 20 Nov 2020 12:00:30 GMT", 0.0),
        ("Fri, 20 Nov 2028 12:00:30 GMT", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 5000, None),
        ("Fri, 99 Nov 2026 99:00:30 GMT", None),
        ("Fri, 20 Nov 99999999999 12:00:30 GMT", None),
        ("\x00", None),
    ],
)
def test_how_long_to_wait_is_read_by_the_servers_clock_and_capped(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text, "date": "Fri, 20 Nov 2026 12:00:00 GMT"}) == seconds


def test_without_a_server_clock_ours_decides_how_long_to_wait() -> None:
    assert retry_after({"retry-after": "Fri, 20 Nov 2020 12:00:30 GMT"}) == 0.0


def test_a_throttled_error_carries_the_wait() -> None:
    with pytest.raises(Throttled) as raised:
        ask(answered(429, Retry_After="9"))
    assert raised.value.wait == 9.0


def test_a_date_before_1970_is_read_too() -> None:
    assert http_date("Thu, 01 Jan 1960 00:00:00 GMT") == -315_619_200_000


@pytest.mark.parametrize("kind", ["text/html", "application/fhir+xml", "", "application/jsonp", "text/json"])
def test_another_media_type_is_no_fhir(kind: str) -> None:
    with pytest.raises(NotFhir):
        ask(answered(Content_Type=kind))


@pytest.mark.parametrize("kind", ["application/json", "Application/FHIR+JSON; fhirVersion=4.0"])
def test_fhirs_json_comes_under_two_names(kind: str) -> None:
    assert ask(answered(Content_Type=kind)).body == b"{}"


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "deflate", "gzip, identity", "x-gzip", "zstd", CANARY])
def test_a_coding_that_was_not_asked_for_is_refused(coding: str) -> None:
    with pytest.raises(NotFhir):
        ask(answered(body=gzip.compress(b"{}"), Content_Encoding=coding))


def test_broken_and_cut_and_continued_gzip_are_told_apart() -> None:
    good = gzip.compress(b"{}" * 500)
    for body, error in (
        (good[:-9], Truncated),
        (b"", Truncated),
        (b"{}", NotFhir),
        (good[:-8] + b"\0" * 8, NotFhir),
        (good + good, NotFhir),
        (good + b"\0", NotFhir),
    ):
        with pytest.raises(error):
            read_body([body], ["gzip"])


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_gzip_may_come_in_pieces_of_any_size(size: int) -> None:
    text = bytes(range(256)) * 4000
    sent = gzip.compress(text)
    assert read_body((sent[i : i + size] for i in range(0, len(sent), size)), ["gzip"]) == text


@pytest.mark.parametrize("codings", [[], ["identity"], ["gzip"]])
def test_a_body_at_the_cap_passes_and_one_byte_more_does_not(codings: list[str]) -> None:
    wrap = gzip.compress if codings == ["gzip"] else bytes
    assert len(read_body([wrap(bytes(1000))], codings, cap=1000)) == 1000
    with pytest.raises(TooLarge):
        read_body([wrap(bytes(1001))], codings, cap=1000)


@pytest.mark.parametrize("codings", [[], ["gzip"]])
def test_a_body_of_very_many_small_parts_is_too_large(codings: list[str]) -> None:
    """Decoded, each `0,` is an object of its own: 16 MiB of them would be 700."""
    wrap = gzip.compress if codings == ["gzip"] else bytes
    assert len(read_body([wrap(b"[" + b"0," * PARTS + b"0]")], codings)) == 2 * PARTS + 3
    with pytest.raises(TooLarge):
        read_body([wrap(b"[" + b"0," * (PARTS + 1) + b"0]")], codings)


def test_bytes_on_the_wire_are_capped_too() -> None:
    empty_blocks = zlib.compressobj(wbits=31)
    wire = [empty_blocks.compress(b"")] + [b"\x00\x00\x00\xff\xff" * 100] * 10
    with pytest.raises(TooLarge):
        read_body(wire, ["gzip"], cap=1000)


def test_an_ended_token_is_renewed_once_and_asked_with_again() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return answered(200 if request.headers["authorization"].endswith("-1") else 401)(request)

    log = Log()
    http = Http(FhirSettings(url=BASE), Token(renewals=1), log, transport=httpx.MockTransport(handler))
    with http.session(5) as session:
        assert session.get(f"{BASE}/Task", Operation.SEARCH).status == 200
    assert log.requests == [(Operation.SEARCH, 401), (Operation.SEARCH, 200)]


def test_a_server_that_refuses_every_token_is_asked_twice_at_most() -> None:
    log = Log()
    http = Http(FhirSettings(url=BASE), Token(renewals=99), log, transport=httpx.MockTransport(answered(401)))
    with http.session(5) as session, pytest.raises(AuthFailed):
        session.get(f"{BASE}/Task", Operation.SEARCH)
    assert len(log.requests) == 2


def test_without_credentials_nothing_is_sent(tmp_path: Path) -> None:
    log = Log()
    http = Http(FhirSettings(url=BASE), BearerFile(tmp_path / "none"), log, transport=httpx.MockTransport(answered()))
    with http.session(5) as session, pytest.raises(AuthFailed):
        session.get(f"{BASE}/Task", Operation.SEARCH)
    assert log.requests == []


@pytest.mark.parametrize(
    "base",
    [
        *(
            "",
            "cdr.example/fhir",
            "ftp://cdr.example/",
            f"https://u:{CANARY}@cdr.example/",
            "https://h/?q",
            "http://h\n",
        ),
        *("https://a..example/", f"https://{'a' * 64}.example/", "https://./", "https://xn--999.example/"),
    ],
)
def test_a_base_that_is_none_is_a_fault_of_the_configuration(base: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Http(FhirSettings(url=base))
    assert "--fhir.url" in str(raised.value)
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_the_base_is_written_as_requests_carry_it() -> None:
    assert Http(FhirSettings(url="HTTP://CDR.Example:80/fhir/")).base == "http://cdr.example/fhir"


def test_unusable_tls_files_are_all_named(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    with pytest.raises(ConfigurationError) as raised:
        Http(
            FhirSettings(
                url=BASE,
                ca_file=str(nothing),
                client_cert_file=str(nothing),
                client_key_file=str(tmp_path / "absent"),
            )
        )
    assert len(raised.value.problems) == 2
    assert str(nothing) in raised.value.problems[0]


def test_neither_proxy_nor_key_log_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Listener(silent) as proxy, Listener(sends(head("Content-Length: 2"), b"{}")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base.removesuffix("/fhir"))
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        Http(FhirSettings(url=BASE))
        assert ask_listener(server.base).body == b"{}"
        assert proxy.connections == 0
    assert not (tmp_path / "keys").exists()


# What only a socket can do


def test_cookies_do_not_outlive_a_session() -> None:
    play = sends(head("Content-Length: 2", "Set-Cookie: a=b"), b"{}")
    with Listener(play) as server, closing(Http(FhirSettings(url=server.base))) as http:
        for _ in range(2):
            with http.session(5) as session:
                session.get(f"{server.base}/Task", Operation.SEARCH)
        assert not any(b"ookie" in request for request in server.seen)


SLOW: dict[str, Play] = {
    "dripping body": drips(head(), b" "),
    "dripping body with a length": drips(head("Content-Length: 100000"), b" "),
    "dripping chunks": drips(head("Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    "dripping gzip": drips(head("Content-Encoding: gzip") + gzip.compress(b"{}")[:10], b"\x00\x00\x00\xff\xff"),
    "slow headers": drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "slow status line": drips(b"HTTP/1.1 200 ", b"O"),
    "endless 103": drips(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "endless 100": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": silent,
}


@pytest.mark.parametrize("play", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize(("seconds", "timeout"), [(0.25, 30.0), (30.0, 0.25)], ids=["window", "request"])
def test_no_server_can_put_off_the_end(play: Play, seconds: float, timeout: float) -> None:
    with Listener(play) as server:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            ask_listener(server.base, seconds, timeout)
        assert 0.2 < time.monotonic() - started < 1.25


def test_a_silent_tls_handshake_ends_too() -> None:
    with Listener(drips(b"", b"", 0.05), reads=False) as server:
        base = server.base.replace("http:", "https:")
        started = time.monotonic()
        with pytest.raises(TimedOut):
            ask_listener(base, 0.4, 30.0)
        assert time.monotonic() - started < 1.4


def test_a_window_that_ran_out_of_time_asks_nothing_more() -> None:
    with Listener(silent) as server, Http(FhirSettings(url=server.base)).session(0.2) as session:
        for _ in range(2):
            with pytest.raises(TimedOut):
                session.get(f"{server.base}/Task", Operation.SEARCH)
        assert server.connections == 1


def test_the_limit_of_a_request_does_not_run_between_requests() -> None:
    handler = httpx.MockTransport(answered())
    with Http(FhirSettings(url=BASE, timeout=0.1), transport=handler).session(30) as session:
        session.get(f"{BASE}/Task", Operation.SEARCH)
        threading.Event().wait(0.35)
        assert session.get(f"{BASE}/Task", Operation.SEARCH).status == 200


def reset(connection: socket.socket) -> None:
    connection.sendall(head("Content-Length: 100") + b"{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


BROKEN: dict[str, tuple[Play, type[ServerError]]] = {
    "cut with a length": (sends(head("Content-Length: 100"), b'{"x":'), Truncated),
    "cut chunks": (sends(head("Transfer-Encoding: chunked"), b"5\r\nab"), Truncated),
    "cut gzip without a length": (sends(head("Content-Encoding: gzip"), gzip.compress(b"{}" * 999)[:-9]), Truncated),
    "reset in the body": (reset, Truncated),
    "bad chunk": (sends(head("Transfer-Encoding: chunked"), f"{CANARY}\r\n".encode()), Truncated),
    "closed at once": (sends(), ConnectionReset),
    "closed in the headers": (sends(b"HTTP/1.1 200 OK\r\nContent-"), ConnectionReset),
    "no HTTP": (sends(f"{CANARY}\r\n\r\n".encode()), Unreachable),
    "broken header": (sends(f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode()), Unreachable),
    "two lengths": (sends(head("Content-Length: 1", "Content-Length: 2"), b"{}"), Unreachable),
    "length that is none": (sends(head(f"Content-Length: {CANARY}"), b"{}"), Unreachable),
    "huge headers": (floods(b"HTTP/1.1 200 OK\r\n", f"X: {CANARY}{'y' * 4000}\r\n".encode()), Unreachable),
    "one huge header": (floods(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536), Unreachable),
    "switches protocols": (sends(head("Upgrade: x", "Connection: upgrade", status="101 Switching")), Unreachable),
    "endless body": (floods(head(), b" " * 65536), TooLarge),
    "endless gzip": (
        floods(head("Content-Encoding: gzip") + gzip.compress(b"")[:10], b"\0\0\0\xff\xff" * 9999),
        TooLarge,
    ),
}


@pytest.mark.parametrize(("play", "error"), BROKEN.values(), ids=BROKEN)
def test_each_broken_answer_has_its_class(play: Play, error: type[ServerError]) -> None:
    with Listener(play) as server, pytest.raises(ServerError) as raised:
        ask_listener(server.base)
    assert type(raised.value) is error
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_a_body_without_a_length_ends_where_the_connection_does() -> None:
    with Listener(sends(head(), b'{"x":')) as server:
        assert ask_listener(server.base).body == b'{"x":'


@pytest.mark.parametrize("codings", ["gzip", "gzip, gzip"])
def test_a_bomb_is_refused_in_bounded_memory(codings: str) -> None:
    press = zlib.compressobj(9, wbits=31)
    bomb = b"".join(press.compress(bytes(1 << 20)) for _ in range(96)) + press.flush()
    sent = gzip.compress(bomb) if "," in codings else bomb
    with Listener(sends(head(f"Content-Encoding: {codings}"), sent)) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises((TooLarge, NotFhir)):
            ask_listener(server.base)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def late(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(CANARY)


def test_httpxs_own_time_outs_are_time_outs_too() -> None:
    with pytest.raises(TimedOut) as raised:
        ask(late)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("error", [httpx.RemoteProtocolError(CANARY), httpx.ReadError(CANARY), NotFhir("x")])
def test_whatever_goes_wrong_past_the_end_is_a_time_out_that_tells_nothing(error: Exception) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        threading.Event().wait(0.15)
        raise error

    http = Http(FhirSettings(url=BASE, timeout=0.1), transport=httpx.MockTransport(handler))
    with http.session(5) as session, pytest.raises(TimedOut) as raised:
        session.get(f"{BASE}/Task", Operation.SEARCH)
    assert CANARY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_never_followed(status: str) -> None:
    with Listener(silent) as other:
        redirect = sends(head(f"Location: {other.base}/Task", "Content-Length: 0", status=status))
        with Listener(redirect) as server, pytest.raises(Redirected):
            ask_listener(server.base)
        assert (other.connections, server.connections) == (0, 1)


ODD = ("javascript:alert(1)", "http://h\tx/", "http://[", "http://h:99999/", CANARY * 9000)


@pytest.mark.parametrize("location", ODD)
@pytest.mark.parametrize("status", [201, 302])
def test_a_location_that_is_no_address_is_not_even_read(status: int, location: str) -> None:
    with pytest.raises(Redirected if status == 302 else NotFhir):
        ask(answered(status, Location=location))


def test_credentials_never_leave_for_another_address() -> None:
    with Listener(silent) as other, Listener(silent) as server:
        port = other.base.rpartition(":")[2].removesuffix("/fhir")
        own = server.base.removeprefix("http://")
        http = Http(FhirSettings(url=server.base), Token())
        with http.session(5) as session:
            for target in (
                f"{other.base}/Task",
                f"//127.0.0.1:{port}/fhir",
                f"http://{own.removesuffix('/fhir')}@127.0.0.1:{port}/fhir",
                f"http://127.0.0.1:{port}\\@{own}",
                f"http://127.0.0.1:{port}#@{own}",
                f"http://127.0.0.1:{port}?@{own}",
                f"https://{own}",
                f"http://localhost:{port}/fhir",
            ):
                with pytest.raises(LinkRefused):
                    session.get(target, Operation.PAGE)
        assert (other.connections, server.connections) == (0, 0)


def test_the_second_wall_refuses_another_origin_by_itself() -> None:
    http = Http(FhirSettings(url=BASE), transport=httpx.MockTransport(answered()))
    with http.session(5) as session:
        for address in ("https://evil.example/fhir", "http://cdr.example/fhir", "https://cdr.example:444/fhir"):
            with pytest.raises(LinkRefused):
                session._client.get(address)


def test_nothing_of_request_or_answer_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = CANARY.encode()
    plays = [
        sends(head(f"X-{CANARY}: {CANARY}", "Content-Length: 30"), b'"' + secret),
        sends(head(f"Content-Encoding: {CANARY}", f"Date: {CANARY}"), secret),
        *(
            sends(head(f"Retry-After: {CANARY}", status=f"{code} {CANARY}"), secret)
            for code in (302, 400, 401, 429, 503)
        ),
        *(play for play, _ in BROKEN.values()),
    ]
    for play in plays:
        with Listener(play) as server, Http(FhirSettings(url=server.base), Token()).session(5) as session:
            with pytest.raises(ServerError) as raised:
                session.get(f"{server.base}/Task?_id={CANARY}", Operation.READ)
            assert any(secret in request for request in server.seen)
            told = (str(raised.value), repr(raised.value), repr(session), *traceback.format_exception(raised.value))
            assert not any(CANARY in text for text in told)
    assert CANARY not in caplog.text


def test_threads_and_descriptors_do_not_pile_up() -> None:
    with Listener(sends(head("Content-Length: 2"), b"{}")) as server:
        ask_listener(server.base)
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(50):
            ask_listener(server.base)
        assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 5
    assert sum(thread.name == "time-limit" for thread in threading.enumerate()) <= 5
