"""Each fault of network and TLS, on real sockets: its class, its sentence, and what to do."""

import errno
import socket
import ssl
import struct
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from exporter.config import FhirSettings
from exporter.errors import (
    CertificateExpired,
    ClientFault,
    ConnectionReset,
    ConnectRefused,
    NameNotFound,
    NotTls,
    ServerError,
    TlsExpected,
    TlsFailed,
    UnknownAuthority,
    Unreachable,
    WrongHostName,
)
from exporter.fhir.faults import network_fault
from exporter.fhir.http import Http
from exporter.metrics.vocabulary import Operation

from ...support.hostile import Listener, Play, head, sends
from .certificates import encrypted, make_certificates, needs_openssl

CANARY = "PHI-CANARY-77"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def fault(base: str, **options: str | None) -> ServerError:
    """Ask once; return what went wrong."""
    settings = FhirSettings(url=base, **options)  # type: ignore[arg-type] # files alone
    with closing(Http(settings)) as http, http.session(5) as session, pytest.raises(ServerError) as raised:
        session.get(f"{base}/Task?_id={CANARY}", Operation.SEARCH)
    assert CANARY not in "".join(traceback.format_exception(raised.value))
    return raised.value


def fault_of(play: Play, *, tls: bool = False, reads: bool = False, **options: str | None) -> ServerError:
    """Ask a server that plays."""
    with Listener(play, reads=reads) as server:
        return fault(server.base.replace("http:", "https:") if tls else server.base, **options)


def reset(connection: socket.socket) -> None:
    """Reset the connection once the request is there."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# The network


def test_a_refused_port_is_told_as_such() -> None:
    with Listener(reset) as server:
        base = server.base
    error = fault(base)
    assert type(error) is ConnectRefused
    assert str(error) == f"{base.removeprefix('http://').removesuffix('/fhir')} refused the connection."
    assert "listens there" in error.remedy


def test_a_name_without_an_address_is_told_as_such() -> None:
    error = fault("https://nonexistent.invalid/fhir")
    assert type(error) is NameNotFound
    assert str(error) == "The host name of nonexistent.invalid:443 cannot be resolved."
    assert "DNS" in error.remedy


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_reset_connection_is_told_as_such(tls: bool) -> None:
    error = fault_of(reset, tls=tls)
    assert type(error) is ConnectionReset
    assert str(error).endswith("reset the connection without an answer.")
    assert "proxy" in error.remedy


@pytest.mark.parametrize("play", [sends(), sends(b"HTTP/1.1 200 OK\r\nContent-")], ids=["at once", "in the headers"])
def test_a_connection_closed_without_an_answer_is_told_as_such(play: Play) -> None:
    error = fault_of(play, reads=True)
    assert type(error) is ConnectionReset
    assert str(error).endswith("closed the connection without an answer.")
    assert "https://" in error.remedy


def test_an_answer_in_another_protocol_is_told_as_such() -> None:
    error = fault_of(sends(b"220 mail.example ready\r\n\r\n"), reads=True)
    assert type(error) is Unreachable
    assert str(error).endswith("answered with something other than HTTP.")
    assert "scheme, host and port" in error.remedy


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN])
def test_a_missing_route_is_told_as_such(code: int) -> None:
    error = httpx.ConnectError(CANARY)
    error.__cause__ = OSError(code, CANARY)
    told = network_fault(error, "cdr.example:443", protocol=False)
    assert (type(told), str(told)) == (Unreachable, "There is no network route to cdr.example:443.")


def test_a_cause_that_nobody_knows_is_just_unreachable() -> None:
    told = network_fault(httpx.ConnectError(CANARY), "cdr.example:443", protocol=False)
    assert (type(told), str(told)) == (Unreachable, "cdr.example:443 cannot be reached.")


# TLS


class Tls(NamedTuple):
    """A certificate, the authority that is trusted (a file's name, or none), and what is told."""

    certificate: str
    trusted: str | None
    error: type[TlsFailed]
    sentence: str
    remedy: str


CERTIFICATES = {
    "self-signed": Tls("server", None, UnknownAuthority, "is self-signed and not trusted.", "--fhir.ca-file"),
    "another authority": Tls(
        "issued", "other", UnknownAuthority, "an authority that is not trusted.", "--fhir.ca-file"
    ),
    "another name": Tls("other", "other", WrongHostName, "is not for this IP address.", "name from the certificate"),
    "expired": Tls("expired", "expired", CertificateExpired, "has expired.", "Renew"),
    "too early": Tls("early", "early", CertificateExpired, "is not valid yet.", "clock"),
}


@needs_openssl
@pytest.mark.parametrize("case", CERTIFICATES.values(), ids=CERTIFICATES)
def test_each_fault_of_a_certificate_is_told_as_such(folder: Path, case: Tls) -> None:
    ca_file = str(folder / f"{case.trusted}.pem") if case.trusted else None
    error = fault_of(encrypted(folder, sends(head()), case.certificate), tls=True, ca_file=ca_file)
    assert type(error) is case.error
    assert str(error).startswith("The certificate of 127.0.0.1:")
    assert str(error).endswith(case.sentence)
    assert case.remedy in error.remedy


@needs_openssl
def test_a_certificate_for_another_host_name_is_told_as_such(folder: Path) -> None:
    with Listener(encrypted(folder, sends(head()), "other"), reads=False) as server:
        base = server.base.replace("http://127.0.0.1", "https://localhost")
        error = fault(base, ca_file=str(folder / "other.pem"))
    assert type(error) is WrongHostName
    assert str(error).endswith("is for another host name.")


PLAIN: dict[str, Play] = {
    "an answer": sends(head("Content-Length: 2", status="400 Bad Request"), b"{}"),
    "a banner": sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
}


@pytest.mark.parametrize("play", PLAIN.values(), ids=PLAIN)
def test_a_port_without_tls_is_told_as_such(play: Play) -> None:
    error = fault_of(play, tls=True)
    assert type(error) is NotTls
    assert str(error).endswith("does not speak TLS on this port.")
    assert "http://" in error.remedy


@needs_openssl
@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (ssl.TLSVersion.TLSv1_3, "requires a client certificate."),
        (ssl.TLSVersion.TLSv1_2, "a client certificate, or another TLS version, is required."),
    ],
)
def test_a_missing_client_certificate_is_told_as_the_alert_allows(
    folder: Path, version: ssl.TLSVersion, sentence: str
) -> None:
    play = encrypted(folder, sends(head()), asks_client=True, version=version)
    error = fault_of(play, tls=True, ca_file=str(folder / "server.pem"))
    assert type(error) is TlsFailed
    assert str(error).endswith(sentence)
    assert "--fhir.client-cert-file" in error.remedy


@needs_openssl
def test_a_client_certificate_that_the_server_does_not_accept_is_told_as_such(folder: Path) -> None:
    files = {
        "ca_file": str(folder / "server.pem"),
        "client_cert_file": str(folder / "stranger.pem"),
        "client_key_file": str(folder / "stranger.key"),
    }
    with Listener(encrypted(folder, sends(head()), asks_client=True), reads=False) as server:
        error = fault(server.base.replace("http:", "https:"), **files)
    assert type(error) is TlsFailed
    assert str(error).endswith("does not accept the client certificate.")


def test_a_handshake_that_ends_early_is_a_tls_failure() -> None:
    def closes(connection: socket.socket) -> None:
        connection.recv(65536)

    error = fault_of(closes, tls=True)
    assert type(error) is TlsFailed
    assert str(error).endswith("closed the connection during the TLS handshake.")


# Plain HTTP to a port for TLS


TLS_PORTS = {
    "nginx": b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
    "Tomcat": b"Bad Request\r\nThis combination of host and port requires TLS.\r\n",
    "Go": b"Client sent an HTTP request to an HTTPS server.\n",
    "Apache": b"<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
}


def bad_request(body: bytes, kind: str = "text/html") -> Play:
    lines = f"HTTP/1.1 400 Bad Request\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return sends(lines.encode() + body)


@pytest.mark.parametrize("body", TLS_PORTS.values(), ids=TLS_PORTS)
def test_a_port_for_tls_that_says_so_in_plain_http_is_told_as_such(body: bytes) -> None:
    error = fault_of(bad_request(body), reads=True)
    assert type(error) is TlsExpected
    assert str(error).endswith("expects TLS, but --fhir.url begins with http://.")
    assert "https://" in error.remedy


@pytest.mark.parametrize("body", [b"", CANARY.encode(), b"x" * 500_000], ids=["none", "short", "long"])
def test_another_bad_request_stays_one(body: bytes) -> None:
    error = fault_of(bad_request(body), reads=True)
    assert type(error) is ClientFault


def test_the_words_of_a_fhir_server_are_not_searched() -> None:
    said = bad_request(TLS_PORTS["Go"], "application/fhir+json")
    assert type(fault_of(said, reads=True)) is ClientFault


def test_a_bad_request_whose_body_never_comes_ends_in_time() -> None:
    def waits(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n")
        connection.recv(1)

    with Listener(waits) as server, closing(Http(FhirSettings(url=server.base))) as http:
        started = time.monotonic()
        with http.session(0.4) as session, pytest.raises(ServerError):
            session.get(f"{server.base}/Task", Operation.SEARCH)
        assert time.monotonic() - started < 1.4


@needs_openssl
def test_a_tls_server_asked_in_plain_http_says_what_it_can(folder: Path) -> None:
    error = fault_of(encrypted(folder, sends(head())))
    assert isinstance(error, Unreachable)
    assert "https://" in error.remedy or "scheme" in error.remedy


def test_a_tls_alert_in_plain_http_may_be_tls() -> None:
    error = fault_of(sends(b"\x15\x03\x03\x00\x02\x02\x50"), reads=True)
    assert type(error) is Unreachable
    assert str(error).endswith("something other than HTTP, perhaps TLS.")


# The table of errors


def subclasses(kind: type[ServerError]) -> list[type[ServerError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in subclasses(child))]


@pytest.mark.parametrize("parent", [Unreachable, TlsFailed], ids=["network", "TLS"])
def test_each_fault_has_a_remedy_of_its_own_and_the_reason_of_its_parent(parent: type[ServerError]) -> None:
    kinds = subclasses(parent)
    assert len({kind.remedy for kind in kinds}) == len(kinds) > 3
    assert {kind.reason for kind in kinds} == {parent.reason}
