"""Every way to authenticate, with a private authority and with a client certificate, on real TLS sockets."""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from exporter.app.clients import fhir_auth
from exporter.clock import SystemClock
from exporter.config import FhirSettings, OAuth2Settings, Settings
from exporter.errors import ServerError, TlsFailed, TokenEndpointUntrusted
from exporter.fhir.http import Http
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import Operation

from ...support.authorization import KEY_ID, new_key, pem, write_secret
from ...support.hostile import Listener, Play, head, read_request
from .certificates import make_certificates, needs_openssl

pytestmark = needs_openssl

KINDS = ("none", "basic", "bearer", "secret by basic", "secret by post", "RS384", "ES384")
OAUTH2 = KINDS[3:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def way(folder: Path, kind: str, token_url: str) -> dict[str, Any]:
    """Options of a way to authenticate."""
    client: dict[str, Any] = {"client_id": "me", "token_url": token_url}
    match kind:
        case "none":
            return {}
        case "basic":
            return {"username": "me", "password_file": write_secret(folder, "word")}
        case "bearer":
            return {"bearer_token_file": write_secret(folder, "the-token")}
        case "secret by basic" | "secret by post":
            method = kind.rpartition(" ")[2]
            return {
                "oauth2": OAuth2Settings(**client, client_secret_file=write_secret(folder, "word"), auth_method=method)
            }
    key = write_secret(folder, pem(new_key("RSA-2048" if kind == "RS384" else "P-384")))
    return {"oauth2": OAuth2Settings(**client, private_key_file=key, key_id=KEY_ID)}


class Server:
    """Gives a token to a POST and `{}` to a GET, behind TLS; keeps what it was asked."""

    def __init__(self, folder: Path, *, asks_client: bool) -> None:
        self.asked: list[bytes] = []
        self._lock = threading.Lock()
        self.listener = Listener(self._wrapped(folder, asks_client=asks_client), reads=False)

    def _wrapped(self, folder: Path, *, asks_client: bool) -> Play:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        if asks_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(folder / "client.pem")

        def play(connection: socket) -> None:
            with context.wrap_socket(connection, server_side=True) as inside:
                self._answer(inside)

        return play

    def _answer(self, inside: socket) -> None:
        asked = read_request(inside)
        length = re.search(rb"(?i)content-length: (\d+)", asked)
        while length and len(asked.partition(b"\r\n\r\n")[2]) < int(length[1]):
            asked += inside.recv(65536)
        with self._lock:
            self.asked.append(asked)
        body = b"{}"
        if asked.startswith(b"POST"):
            body = json.dumps({"access_token": "granted", "token_type": "Bearer", "expires_in": 300}).encode()
        inside.sendall(head(f"Content-Length: {len(body)}", "Connection: close") + body)


@pytest.fixture(params=[False, True], ids=["without a client certificate", "with one"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    found = Server(folder, asks_client=request.param)
    with found.listener:
        yield found


def settings(server: Server, folder: Path, kind: str, **tls: Any) -> Settings:
    base = server.listener.base.replace("http:", "https:")
    fhir = FhirSettings(url=base, **way(folder, kind, base.replace("/fhir", "/token")), **tls)
    return Settings(fhir=fhir)


def ask(found: Settings) -> int:
    telemetry = Telemetry()
    auth = fhir_auth(found, SystemClock(), telemetry)
    with closing(Http(found.fhir, auth, telemetry)) as http, http.session(5) as session:
        return session.get(f"{found.fhir.url}/Task", Operation.SEARCH).status


def tls(folder: Path) -> dict[str, str]:
    return {
        "ca_file": str(folder / "server.pem"),
        "client_cert_file": str(folder / "client.pem"),
        "client_key_file": str(folder / "client.key"),
    }


SENT = {"none": b"", "basic": b"Basic bWU6d29yZA==", "bearer": b"Bearer the-token"} | dict.fromkeys(
    OAUTH2, b"Bearer granted"
)


@pytest.mark.parametrize("kind", KINDS)
def test_each_way_works_with_a_private_authority_and_a_client_certificate(
    server: Server, folder: Path, kind: str
) -> None:
    assert ask(settings(server, folder, kind, **tls(folder))) == 200
    assert len(server.asked) == (2 if kind in OAUTH2 else 1)
    assert SENT[kind] in server.asked[-1]
    assert (b"authorization" in server.asked[-1].lower()) == (kind != "none")


@pytest.mark.parametrize("kind", KINDS)
def test_none_of_them_talks_to_a_server_that_is_not_trusted(server: Server, folder: Path, kind: str) -> None:
    with pytest.raises(ServerError) as raised:
        ask(settings(server, folder, kind))
    assert isinstance(raised.value, TokenEndpointUntrusted if kind in OAUTH2 else TlsFailed)
    assert server.asked == []
    assert "127.0.0.1" in str(raised.value)


@pytest.mark.parametrize("kind", ["basic", "secret by basic", "ES384"])
def test_without_the_client_certificate_nothing_is_said(folder: Path, kind: str) -> None:
    found = Server(folder, asks_client=True)
    with found.listener, pytest.raises(ServerError):
        ask(settings(found, folder, kind, ca_file=str(folder / "server.pem")))
    assert found.asked == []
