import gzip
import shutil
import ssl
import subprocess
import time
import traceback
from contextlib import closing
from pathlib import Path
from socket import socket

import pytest

from exporter.config import FhirSettings
from exporter.errors import ConfigurationError, ServerError, TimedOut, TlsFailed, Truncated
from exporter.fhir.http import Http, Reply
from exporter.metrics.vocabulary import Operation

from ...support.hostile import Listener, Play, drips, head, read_request, sends

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make certificates that are their own authorities: for 127.0.0.1, for another name, and of a client."""
    made = tmp_path_factory.mktemp("certificates")
    for name, subject in (("server", "IP:127.0.0.1"), ("other", "DNS:other.example"), ("client", "DNS:client.example")):
        given = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName={subject}"
        files = ["-keyout", str(made / f"{name}.key"), "-out", str(made / f"{name}.pem")]
        subprocess.run(["openssl", *given.split(), *files], check=True, capture_output=True)
    encrypt = f"rsa -aes128 -passout pass:word -in {made}/client.key -out {made}/encrypted.key"
    subprocess.run(["openssl", *encrypt.split()], check=True, capture_output=True)
    return made


def encrypted(folder: Path, play: Play, name: str = "server", *, asks_client: bool = False) -> Play:
    """Play behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if asks_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "client.pem")

    def wrapped(connection: socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            read_request(inside)
            play(inside)

    return wrapped


def ask(play: Play, ca_file: Path | None = None, client: Path | None = None, seconds: float = 5.0) -> Reply:
    key_file = client.with_suffix(".key") if client else None
    with Listener(play, reads=False) as server:
        base = server.base.replace("http:", "https:")
        ca, certificate, key = (str(path) if path else None for path in (ca_file, client, key_file))
        settings = FhirSettings(url=base, ca_file=ca, client_cert_file=certificate, client_key_file=key)
        with closing(Http(settings)) as http, http.session(seconds) as session:
            return session.get(f"{base}/Task", Operation.SEARCH)


GOOD = sends(head("Content-Length: 2"), b"{}")


def test_a_private_authority_is_trusted_when_given(folder: Path) -> None:
    assert ask(encrypted(folder, GOOD), folder / "server.pem").body == b"{}"


def test_an_unknown_authority_is_not(folder: Path) -> None:
    with pytest.raises(TlsFailed):
        ask(encrypted(folder, GOOD))


def test_a_certificate_for_another_name_is_not(folder: Path) -> None:
    with pytest.raises(TlsFailed):
        ask(encrypted(folder, GOOD, "other"), folder / "other.pem")


def test_a_client_certificate_is_shown_when_given(folder: Path) -> None:
    play = encrypted(folder, GOOD, asks_client=True)
    assert ask(play, folder / "server.pem", folder / "client.pem").body == b"{}"


def test_a_client_certificate_that_is_missed_is_a_tls_failure(folder: Path) -> None:
    with pytest.raises(TlsFailed):
        ask(encrypted(folder, GOOD, asks_client=True), folder / "server.pem")


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(folder: Path) -> None:
    certificate, key = str(folder / "client.pem"), str(folder / "encrypted.key")
    settings = FhirSettings(url="https://127.0.0.1/fhir", client_cert_file=certificate, client_key_file=key)
    with pytest.raises(ConfigurationError) as raised:
        Http(settings)
    assert "client-cert-file" in str(raised.value)


CUT: dict[str, tuple[Play, type[ServerError]]] = {
    "with a length": (sends(head("Content-Length: 100"), b"{"), Truncated),
    "gzip": (sends(head("Content-Encoding: gzip"), gzip.compress(b"{}" * 99)[:-9]), Truncated),
}


@pytest.mark.parametrize(("play", "error"), CUT.values(), ids=CUT)
def test_a_body_cut_behind_tls_is_truncated_and_no_tls_failure(
    folder: Path, play: Play, error: type[ServerError]
) -> None:
    with pytest.raises(error):
        ask(encrypted(folder, play), folder / "server.pem")


def test_a_dripping_body_behind_tls_ends_in_time(folder: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TimedOut) as raised:
        ask(encrypted(folder, drips(head(), b" ")), folder / "server.pem", seconds=0.4)
    assert time.monotonic() - started < 1.4
    assert "Task" not in "".join(traceback.format_exception_only(raised.value))
