"""What `check` says of an access token: each fault in plain words, with what to do."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter.app.clients import Connection, fhir_auth, fhir_server
from exporter.check import run as check
from exporter.config import FhirSettings, OAuth2Settings, Settings
from exporter.metrics.telemetry import Telemetry

from ...support.authorization import (
    CLIENT,
    KEY_ID,
    SECRET,
    TOKEN,
    WORDS,
    AuthorizationServer,
    ProtectedServer,
    new_key,
    pem,
    write_secret,
)
from ...support.builders import CODE, TAG, organization, task
from ...support.canaries import hits
from ...support.fake import HandClock, store

BASE = "https://cdr.fhir.example/fhir"
KEY = new_key("P-384")


class Case:
    """A check of a server that wants tokens."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], *, signs: bool = True, **options: Any) -> None:
        self.capsys = capsys
        self.clock = HandClock()
        found = store(self.clock)
        found.base = BASE
        found.put(organization())
        found.put(task("t-1"))
        given: dict[str, Any] = {"client_id": CLIENT}
        if signs:
            given |= {"private_key_file": write_secret(folder, pem(KEY)), "key_id": KEY_ID}
        else:
            given["client_secret_file"] = write_secret(folder, SECRET)
        fhir = FhirSettings(url=BASE, tag=TAG, code=CODE, oauth2=OAuth2Settings(**(given | options)))
        self.settings = Settings(fhir=fhir, ledger=":memory:")
        self.server = AuthorizationServer(self.clock, key=KEY if signs else None, secret=None if signs else SECRET)
        self.transport = ProtectedServer(found, self.server)

    def run(self) -> str:
        telemetry = Telemetry()
        auth = fhir_auth(self.settings, self.clock, telemetry, self.transport)
        server = fhir_server(self.settings, Connection(auth, telemetry, self.transport))
        self.code = check.examine(self.settings, server, self.clock)
        told = self.capsys.readouterr().out
        assert not hits(told, SECRET, TOKEN, WORDS)
        return told

    def refuse(self, status: int, error: str) -> None:
        self.server.answer = lambda _: self.server.reply(status, {"error": error, "error_description": WORDS})


def test_a_token_is_a_step_with_its_endpoint_and_its_lifetime(tmp_path: Path, capsys: Any) -> None:
    case = Case(tmp_path, capsys)
    told = case.run()
    wanted = (
        "token: auth.fhir.example:443, named by the FHIR server, gave one for 5 minutes, by private_key_jwt (ES384)"
    )
    assert wanted in told
    assert told.index("ledger:") < told.index("token:") < told.index("name:")
    assert "authentication: access token not refused" in told
    assert len(case.server.asked) == 1
    assert case.code == 0


def test_a_configured_endpoint_is_said_to_be(tmp_path: Path, capsys: Any) -> None:
    told = Case(
        tmp_path, capsys, signs=False, auth_method="post", token_url="https://auth.fhir.example/oauth2/token"
    ).run()
    assert "auth.fhir.example:443, as configured, gave one for 5 minutes, by client_secret_post" in told


FAULTS: list[tuple[bool, tuple[int, str], tuple[str, ...]]] = [
    (False, (401, "invalid_client"), ("invalid_client", "client-id", "secret", "expired", "--fhir.oauth2.auth-method")),
    (True, (401, "invalid_client"), ("invalid_client", "public key", "--fhir.oauth2.key-id", "audience")),
    (True, (400, "invalid_scope"), ("invalid_scope", "--fhir.oauth2.scope")),
    (True, (400, "unauthorized_client"), ("unauthorized_client", "client_credentials")),
    (True, (400, "unsupported_grant_type"), ("unsupported_grant_type", "client_credentials")),
    (True, (500, WORDS), ("answered 500", "--fhir.oauth2.token-url")),
    (True, (404, WORDS), ("answered 404", "--fhir.oauth2.token-url")),
]


@pytest.mark.parametrize(("signs", "answer", "said"), FAULTS)
def test_a_refusal_is_explained(
    tmp_path: Path, capsys: Any, signs: bool, answer: tuple[int, str], said: tuple[str, ...]
) -> None:
    case = Case(tmp_path, capsys, signs=signs)
    case.refuse(*answer)
    told = case.run()
    assert case.code == 1
    assert "FAIL  token: The token endpoint auth.fhir.example:443" in told
    assert [word for word in said if word not in told] == []
    assert "stopped at token; not tested: name, connect" in told
    assert case.transport.count == 0


@pytest.mark.parametrize("fault", ["key", "audience", "key id"])
def test_a_wrong_key_audience_or_id_stops_at_the_token(tmp_path: Path, capsys: Any, fault: str) -> None:
    case = Case(tmp_path, capsys, key_id="other" if fault == "key id" else KEY_ID)
    if fault == "key":
        case.server.key = new_key("P-384", 1)
    if fault == "audience":
        case.server.audience = "https://issuer.example"
    told = case.run()
    assert "token: The token endpoint auth.fhir.example:443 answered 401, invalid_client" in told
    assert "--fhir.oauth2.audience" in told


@pytest.mark.parametrize(("ahead", "said"), [(7200, "2 hours ahead of"), (-7200, "2 hours behind")])
def test_a_wrong_clock_is_a_warning_since_it_is_corrected(tmp_path: Path, capsys: Any, ahead: int, said: str) -> None:
    case = Case(tmp_path, capsys)
    case.server.ahead_seconds = ahead
    told = case.run()
    assert f"WARN  token: the clock of the token endpoint is {said} the local one" in told
    assert "FAIL" not in told


def test_other_scopes_are_worth_knowing(tmp_path: Path, capsys: Any) -> None:
    case = Case(tmp_path, capsys)
    case.server.members = {"expires_in": 300, "scope": f"system/Task.rs {WORDS}"}
    told = case.run()
    assert "INFO  token: the endpoint granted other scopes than those of --fhir.oauth2.scope" in told


def test_a_token_that_the_fhir_server_does_not_accept_is_told_from_none(tmp_path: Path, capsys: Any) -> None:
    case = Case(tmp_path, capsys)
    case.server.valid = type("Nothing", (set,), {"add": lambda *_: None})()
    told = case.run()
    assert "OK    token:" in told
    assert "FAIL  authentication:" in told
    assert "let it trust this authorization server" in told
    assert "not tested: Task" in told


def test_a_fhir_server_without_discovery_says_which_option_to_set(tmp_path: Path, capsys: Any) -> None:
    case = Case(tmp_path, capsys)
    case.transport.names = None
    told = case.run()
    assert "FAIL  token: cdr.fhir.example:443 names no token endpoint" in told
    assert "Set --fhir.oauth2.token-url" in told


def test_a_fhir_server_that_is_down_stops_at_its_own_step(tmp_path: Path, capsys: Any) -> None:
    case = Case(tmp_path, capsys)

    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("") from ConnectionRefusedError()

    case.transport._respond = down  # type: ignore[method-assign]
    case.transport.handler = down
    told = case.run()
    assert "FAIL  connect:" in told
    assert "not tested: token, TLS" in told


def test_a_secret_that_others_may_read_is_a_warning(tmp_path: Path, capsys: Any) -> None:
    case = Case(tmp_path, capsys, signs=False)
    (tmp_path / "secret").chmod(0o644)
    told = case.run()
    assert f"WARN  configuration: others may read or write the secret file {tmp_path}/secret (mode 0644)" in told
    assert "chmod" in told
    assert case.code == 0
