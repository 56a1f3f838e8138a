"""A token endpoint that misbehaves on the socket is cut off like a FHIR server that does."""

import time

import pytest

from exporter.config import OPTIONS, FhirSettings
from exporter.errors import ServerError, TokenEndpointFaulty, TokenEndpointUnreachable, TokenFailed
from exporter.fhir.http import Api, Http
from exporter.oauth2 import TokenEndpoint
from exporter.oauth2.endpoint import OPTION

from ...support.hostile import Listener, Play, drips, head, sends

SECONDS = 0.4


def endpoint(base: str) -> TokenEndpoint:
    settings = FhirSettings(url=f"{base}/fhir", timeout=SECONDS)

    def connect(url: str, api: Api) -> Http:
        return Http(FhirSettings(url=url, timeout=SECONDS), api=api)

    found = TokenEndpoint(settings, connect, SECONDS)
    found._found = found._endpoint(f"{base}/token", discovered=False)
    return found


HOSTILE: dict[str, tuple[Play, type[TokenFailed]]] = {
    "a dripping body": (drips(head(), b" "), TokenEndpointUnreachable),
    "dripping headers": (drips(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"), TokenEndpointUnreachable),
    "endless 103": (drips(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), TokenEndpointUnreachable),
    "silence": (lambda _: time.sleep(2 * SECONDS), TokenEndpointUnreachable),
    "no HTTP": (sends(b"SSH-2.0-OpenSSH\r\n"), TokenEndpointUnreachable),
    "nothing": (lambda _: None, TokenEndpointUnreachable),
    "a cut body": (sends(head("Content-Length: 100"), b"{"), TokenEndpointFaulty),
    "nested codings": (sends(head("Content-Encoding: gzip, gzip", "Content-Length: 2"), b"{}"), TokenEndpointFaulty),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_in_time_and_says_that_it_was_the_token_endpoint(name: str) -> None:
    play, error = HOSTILE[name]
    started = time.monotonic()
    with Listener(play) as server, pytest.raises(ServerError) as raised:
        endpoint(server.base.removesuffix("/fhir")).post({"grant_type": "client_credentials"}, {})
    assert type(raised.value) is error
    assert str(raised.value).startswith("The token endpoint 127.0.0.1:")
    assert time.monotonic() - started < SECONDS + 2
    assert raised.value.__cause__ is None


def test_a_redirect_leads_to_no_second_connection() -> None:
    with Listener(sends(head("Content-Length: 2"), b"{}")) as other:
        to = f"Location: {other.base}"
        with Listener(sends(head(to, "Content-Length: 0", status="307 Temporary Redirect"))) as server:
            reply = endpoint(server.base.removesuffix("/fhir")).post({"a": "b"}, {"Authorization": "Basic x"})
        assert reply.status == 307
        assert other.connections == 0


def test_the_option_in_messages_exists() -> None:
    assert OPTION in {option.flag for option in OPTIONS}
