"""A whole exporter with access tokens: an authorization server that verifies, a FHIR server that wants its tokens."""

import base64
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from exporter.config import BatchJobsSettings, OAuth2Settings
from exporter.demo.server import Response
from exporter.errors import AuthFailed, ErrorReason, ServerError
from exporter.fhir.auth import Anonymous
from exporter.logs import FORMS, LineFormatter
from exporter.metrics.negotiation import Format
from exporter.oauth2 import OAuth2

from ..support import authorization, quirks
from ..support.authorization import (
    CLIENT,
    KEY_ID,
    SECRET,
    TOKEN,
    TOKEN_URL,
    WORDS,
    AuthorizationServer,
    ProtectedServer,
    new_key,
    pem,
    write_secret,
)
from ..support.builders import task
from ..support.canaries import hits
from ..support.exposition import is_up
from ..support.rig import Rig

BASE = "https://cdr.fhir.example/fhir"


class Case:
    """A rig before a server that wants tokens."""

    def __init__(self, folder: Path, key: authorization.PrivateKey | None = None, **options: Any) -> None:
        self.folder = folder
        given: dict[str, Any] = {"client_id": CLIENT}
        if key is None:
            given["client_secret_file"] = write_secret(folder, SECRET)
        else:
            given |= {"private_key_file": write_secret(folder, pem(key)), "key_id": KEY_ID}
        self.rig = Rig(fhir={"url": BASE, "oauth2": OAuth2Settings(**(given | options))})
        self.rig.store.base = BASE
        self.server = AuthorizationServer(self.rig.clock, key=key, secret=None if key else SECRET)
        self.transport = ProtectedServer(self.rig.store, self.server)
        self.rig.transport = self.transport
        self.rig.store.put(task("p2p-task-1"))
        self.rig.clock.advance(60)

    def start(self) -> "Case":
        self.rig.start().settle()
        return self

    @property
    def auth(self) -> OAuth2:
        auth = self.rig.context.server.http.auth
        assert isinstance(auth, OAuth2)
        return auth

    @property
    def tokens(self) -> int:
        """How many requests for a token there were."""
        return len(self.server.asked)

    def scrape(self, times: int = 1, seconds: float = 15) -> bool:
        for _ in range(times):
            self.rig.scrape(seconds)
        return is_up(self.rig)

    def error(self) -> ServerError:
        with pytest.raises(ServerError) as raised:
            self.auth.headers()
        return raised.value

    def own(self, name: str, **labels: str) -> float:
        value = self.rig.telemetry.registry.get_sample_value(f"fhir_task_exporter_{name}", labels)
        return 0.0 if value is None else value


KEYS = {"RS384": new_key("RSA-2048"), "ES384": new_key("P-384")}
WAYS: dict[str, Callable[[Path], Case]] = {
    "basic": Case,
    "post": lambda folder: Case(folder, auth_method="post"),
    "RS384": lambda folder: Case(folder, KEYS["RS384"]),
    "ES384": lambda folder: Case(folder, KEYS["ES384"]),
}


@pytest.fixture(params=WAYS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return WAYS[request.param](tmp_path)


def test_each_way_gets_a_token_and_reads_tasks(case: Case) -> None:
    case.start()
    assert case.scrape()
    assert case.server.refused == []
    assert case.tokens == 1
    assert case.transport.discoveries == ["/fhir/.well-known/smart-configuration"]
    assert case.server.asked[0]["scope"] == "system/Task.read system/Organization.read"
    assert case.rig.store.base == BASE


def test_a_secret_goes_where_its_method_says(tmp_path: Path) -> None:
    basic, post = Case(tmp_path).start(), Case(tmp_path, auth_method="post").start()
    sent = base64.b64decode(basic.server.headers[0]["authorization"].removeprefix("Basic ")).decode()
    assert sent == "exporter+client:CanarySecret%2B5%25%3A+up"  # RFC 6749, 2.3.1: encoded as in a form
    assert "client_secret" not in basic.server.asked[0]
    assert post.server.asked[0]["client_secret"] == SECRET
    assert "authorization" not in post.server.headers[0]


def test_a_token_is_renewed_before_it_ends_and_no_request_fails(case: Case) -> None:
    case.start()
    assert all(case.scrape() for _ in range(80))  # 20 minutes
    assert case.tokens == 6  # one, then every 240 s
    assert case.own("requests_total", operation="search", code="4xx") == 0
    assert case.transport.discoveries == ["/fhir/.well-known/smart-configuration"]
    assert case.own("token_expiry_timestamp_seconds") > case.rig.clock.at / 1000


def test_the_expiry_is_that_of_the_newest_token(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.server.members = {"expires_in": 600}
    case.start()
    assert case.own("token_expiry_timestamp_seconds") == case.rig.clock.at / 1000 + 600


def test_a_lost_token_is_replaced_once_after_a_401(case: Case) -> None:
    case.start()
    case.server.valid.clear()
    assert case.scrape()
    assert case.tokens == 2
    assert len(case.transport.discoveries) == 1


def test_a_server_that_refuses_every_token_costs_two_tokens_a_minute(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    case.transport.answer = quirks.always(Response(401, (), b""))(case.transport.answer)
    before, asked = case.tokens, case.transport.count
    for _ in range(60):
        assert not case.scrape(seconds=5)
    assert case.transport.count - asked >= 60
    assert case.tokens - before <= 12  # 5 minutes
    assert case.own("errors_total", reason="auth") >= 60
    assert case.own("errors_total", reason="token") == 0


def test_probes_and_export_status_share_the_token(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    for number in range(3):
        case.rig.probes.start(f"job-{number}").done.result(timeout=10)
    assert case.tokens == 1


def test_threads_that_want_a_token_at_once_get_one(tmp_path: Path) -> None:
    case = Case(tmp_path)
    gate = threading.Event()
    handled = case.server.handle

    def slow(request: httpx.Request) -> httpx.Response:
        gate.wait(5)
        return handled(request)

    case.server.handle = slow  # type: ignore[method-assign]
    case.rig.start()
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(case.auth.headers()["Authorization"])) for _ in range(20)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(10)
    assert len(found) == 20
    assert len(set(found)) == 1
    assert case.tokens == 1


def test_while_one_thread_renews_the_others_use_the_token_they_have(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    before = case.auth.headers()
    case.rig.clock.advance(250)
    entered, gate = threading.Event(), threading.Event()
    handled = case.server.handle

    def slow(request: httpx.Request) -> httpx.Response:
        entered.set()
        gate.wait(5)
        return handled(request)

    case.server.handle = slow  # type: ignore[method-assign]
    renewing = threading.Thread(target=case.auth.headers)
    renewing.start()
    assert entered.wait(5)
    assert case.auth.headers() == before
    gate.set()
    renewing.join(5)
    assert case.auth.headers() != before
    assert case.tokens == 2


def test_a_401_for_a_token_that_another_thread_replaced_asks_for_none(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    old = case.auth.headers()
    assert case.auth.renew(old)
    assert case.auth.renew(old)
    assert case.tokens == 2
    assert not case.auth.renew(case.auth.headers())
    case.rig.clock.advance(31)
    assert case.auth.renew(case.auth.headers())
    assert case.tokens == 3


def test_a_failed_renewal_ends_nothing_while_the_token_is_valid(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    case.server.answer = lambda _: httpx.Response(500, stream=httpx.ByteStream(b""))
    assert case.scrape(16)  # 240 s after the token came
    assert case.tokens == 2
    assert case.own("errors_total", reason="token") == 1
    assert case.scrape(3)
    assert case.own("errors_total", reason="token") == 4
    assert not case.scrape(2)  # it has ended
    case.server.answer = None
    assert case.scrape()
    assert case.rig.published_text()


def test_an_endpoint_that_fails_is_asked_less_often(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.server.answer = lambda _: case.server.reply(401, {"error": "invalid_client"})
    case.start()
    case.rig.clock.advance(0.1)
    errors = []
    for _ in range(600):
        errors.append(str(case.error()))
        case.rig.clock.advance(1)
    assert len(set(errors)) == 1
    assert case.tokens <= 17  # after 1, 2, 4 … 60 s


def test_after_a_success_the_first_pause_is_short_again(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    for _ in range(4):
        case.server.answer = lambda _: case.server.reply(400, {"error": "invalid_scope"})
        case.rig.clock.advance(400)
        case.error()
        case.server.answer = None
        case.rig.clock.advance(1.1)
        assert case.auth.headers()


def test_a_new_secret_is_tried_at_once(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.server.secret = "another one by now"
    case.start()
    case.error()
    write_secret(tmp_path, case.server.secret)
    assert case.auth.headers()


def test_a_busy_endpoint_is_left_alone_as_long_as_it_asks(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.server.answer = lambda _: case.server.reply(429, {}, **{"Retry-After": "100"})
    case.start()
    for _ in range(90):
        assert case.error().reason is ErrorReason.TOKEN
        case.rig.clock.advance(1)
    assert case.tokens == 1
    case.server.answer = None
    case.rig.clock.advance(10)
    assert case.auth.headers()


# The assertion.


def claims(case: Case, number: int = 0) -> dict[str, Any]:
    return jwt.decode(case.server.asked[number]["client_assertion"], options={"verify_signature": False})


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_an_assertion_is_as_smart_wants_it(tmp_path: Path, key: authorization.PrivateKey) -> None:
    case = Case(tmp_path, key).start()
    found, now = claims(case), case.rig.clock.at // 1000
    assert (found["iss"], found["sub"], found["aud"]) == (CLIENT, CLIENT, TOKEN_URL)
    assert found["exp"] - found["iat"] == 240
    assert abs(found["iat"] - now) <= 1
    case.rig.clock.advance(300)
    case.auth.headers()
    assert claims(case, 1)["jti"] != found["jti"]


def test_audience_and_type_can_be_chosen(tmp_path: Path) -> None:
    case = Case(tmp_path, KEYS["ES384"], audience="https://issuer.example/", jwt_type="client-authentication+jwt")
    case.server.audience, case.server.jwt_type = "https://issuer.example/", "client-authentication+jwt"
    assert case.start().scrape()
    assert case.server.refused == []


@pytest.mark.parametrize("ahead", [86400.0, -86400.0, 600.0, -600.0, 2.0, -2.0])
def test_a_wrong_clock_is_corrected_at_the_second_try(tmp_path: Path, ahead: float) -> None:
    case = Case(tmp_path, KEYS["ES384"])
    case.server.ahead_seconds = ahead
    case.start()
    assert case.scrape()
    assert len(case.server.refused) == (0 if ahead == 2 else 1)
    case.rig.clock.advance(300)
    case.auth.headers()
    assert len(case.server.refused) <= 1


def test_a_refused_assertion_is_not_sent_again_where_the_clocks_agree(tmp_path: Path) -> None:
    case = Case(tmp_path, new_key("P-384", 1))
    case.server.key = KEYS["ES384"]
    case.start()
    assert case.tokens == 1
    assert case.server.refused == ["InvalidSignatureError"]


def test_after_a_broken_rotation_the_key_in_force_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = Case(tmp_path, KEYS["ES384"]).start()
    for broken in (pem(KEYS["ES384"])[:90], ""):
        write_secret(tmp_path, broken)
        case.rig.clock.advance(300)
        assert case.auth.headers()
    (tmp_path / "secret").unlink()
    case.rig.clock.advance(300)
    assert case.auth.headers()
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "the private key file cannot be used; the previous key stays in use"
    ]
    new = new_key("P-384", 2)
    write_secret(tmp_path, pem(new))
    case.server.key = new
    case.rig.clock.advance(300)
    assert case.auth.headers()
    assert case.server.refused == []


# Discovery.


@pytest.mark.parametrize(
    "named",
    [
        None,
        {},
        {"token_endpoint": 7},
        {"token_endpoint": ""},
        {"token_endpoint": "/token"},
        {"token_endpoint": "https://evil.example/token"},
        {"token_endpoint": "http://auth.fhir.example/token"},
        {"token_endpoint": "https://user:CanaryWords666@auth.fhir.example/token"},
        {"token_endpoint": "https://auth.fhir.example/token#CanaryWords666"},
        {"token_endpoint": "https://auth.fhir.example/\r\nCanaryWords666"},
        {"token_endpoint": "https://auth.fhir.example\\@evil.example/CanaryWords666"},
        {"token_endpoint": "https://" + "a" * 9000},
        {"token_endpoint": "http://127.0.0.1:1/token"},
        {"token_endpoint": "https://auth.fhir.example:99999/token"},
        [WORDS],
    ],
)
def test_a_token_endpoint_that_may_not_be_used_is_not_asked(tmp_path: Path, named: object) -> None:
    case = Case(tmp_path)
    case.transport.names = named
    case.start()
    error = case.error()
    assert "--fhir.oauth2.token-url" in error.remedy
    assert error.reason is ErrorReason.TOKEN
    assert not hits(f"{error}{error!r}", WORDS)
    assert case.tokens == 0
    assert case.transport.count == 0


def test_a_fixed_endpoint_is_asked_as_it_is_and_nothing_is_discovered(tmp_path: Path) -> None:
    url = "https://auth.elsewhere.example:9200/oauth/token/?policy=p2p"
    case = Case(tmp_path, KEYS["ES384"], token_url=url)
    case.server.url = case.server.audience = url
    case.transport = ProtectedServer(case.rig.store, case.server)
    case.rig.transport = case.transport
    assert case.start().scrape()
    assert str(case.transport.token_requests[0].url) == url
    case.server.answer = lambda _: httpx.Response(404, stream=httpx.ByteStream(b""))
    case.rig.clock.advance(400)
    case.error()
    case.server.answer = None
    case.rig.clock.advance(60)
    assert case.auth.headers()
    assert case.transport.discoveries == []


def test_openid_configuration_is_read_where_smart_has_none(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.transport.names, case.transport.openid = None, case.transport.names
    assert case.start().scrape()
    assert case.transport.discoveries == [
        "/fhir/.well-known/smart-configuration",
        "/fhir/.well-known/openid-configuration",
    ]


def test_an_endpoint_that_moved_is_discovered_again_but_not_after_a_401(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    case.server.secret = "another"
    case.rig.clock.advance(400)
    case.error()
    assert len(case.transport.discoveries) == 1
    case.server.answer = lambda _: httpx.Response(404, stream=httpx.ByteStream(b""))
    case.rig.clock.advance(400)
    case.error()
    case.server.answer, case.server.secret = None, SECRET
    case.server.url = "https://auth2.fhir.example/token"
    case.transport.names = {"token_endpoint": case.server.url}
    case.rig.clock.advance(400)
    assert case.auth.headers()
    assert len(case.transport.discoveries) == 2


def test_a_fhir_server_that_is_down_is_no_fault_of_the_token(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.transport.names = None
    case.transport.authorization.reply = lambda *_, **__: httpx.Response(  # type: ignore[method-assign]
        503, stream=httpx.ByteStream(b"")
    )
    case.start()
    assert case.error().reason is ErrorReason.SERVER_ERROR


# What the token endpoint may do.


def _raises(error: Exception) -> authorization.Answer:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    return answer


def _says(status: int, body: bytes, **headers: str) -> authorization.Answer:
    named = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, headers=named, stream=httpx.ByteStream(body))


HOSTILE: dict[str, authorization.Answer] = {
    "refused": _raises(httpx.ConnectError(WORDS)),
    "silent": _raises(httpx.ReadTimeout(WORDS)),
    "no HTTP": _raises(httpx.RemoteProtocolError(f"illegal header line: {WORDS}")),
    "redirect": _says(307, b"", location=f"https://evil.example/{WORDS}"),
    "HTML": _says(200, WORDS.encode(), content_type="text/html"),
    "cookies": _says(400, b"{}", set_cookie=WORDS),
    "coding": _says(200, b"{}", content_encoding="br"),
    "bomb": _says(200, b"x" * (17 * 1024 * 1024)),
    "code": _says(400, json.dumps({"error": WORDS, "error_description": WORDS}).encode()),
    "scope": _says(400, json.dumps({"error": "invalid_scope", "error_description": WORDS}).encode()),
    "header": _says(200, json.dumps({"access_token": f"{WORDS}\r\nX: y", "token_type": "Bearer"}).encode()),
}


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    stream, root = io.StringIO(), logging.getLogger()
    handlers = [logging.StreamHandler(stream) for _ in range(2)]
    handlers[0].setFormatter(LineFormatter(FORMS["json"]))
    handlers[1].setFormatter(logging.Formatter("%(message)s %(fields)s", defaults={"fields": ""}))
    level = root.level
    root.setLevel(logging.DEBUG)
    root.handlers += handlers
    yield stream
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_the_endpoint_does_is_a_failure_with_a_reason_and_passes(
    tmp_path: Path, name: str, logs: io.StringIO
) -> None:
    case = Case(tmp_path, KEYS["ES384"])
    case.server.answer = HOSTILE[name]
    case.start()
    assert not case.scrape()
    assert case.own("errors_total", reason="token") >= 1
    error = case.error()
    assert "auth.fhir.example:443" in str(error)
    assert not hits(f"{error}{error!r}{vars(error)}{logs.getvalue()}", WORDS)
    case.server.answer = None
    assert case.scrape(2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refuses", [False, True])
def test_no_secret_is_shown_or_logged(tmp_path: Path, logs: io.StringIO, way: str, refuses: bool) -> None:
    case = WAYS[way](tmp_path)
    if refuses:
        case.server.secret, case.server.key = "another", case.server.key and new_key("P-384", 1)
    case.start()
    case.scrape(20)
    shown = logs.getvalue() + case.rig.telemetry.render(Format.TEXT).decode() + case.rig.published_text()
    shown += repr(case.auth) + repr(vars(case.auth)) + repr(case.rig.settings)
    assert "operation=token" in shown or '"operation": "token"' in shown
    assertions = [form["client_assertion"] for form in case.server.asked if "client_assertion" in form]
    assert not hits(shown, TOKEN, SECRET, WORDS, *assertions[:1])
    assert "PRIVATE KEY" not in shown


# Apart from the FHIR server.


def test_the_admin_api_gets_no_token(tmp_path: Path) -> None:
    from dataclasses import replace

    from exporter.app.clients import batch_jobs

    case = Case(tmp_path)
    settings = replace(case.rig.settings, batch_jobs=BatchJobsSettings(url="https://cdr.fhir.example:9000", module="m"))
    client = batch_jobs(settings, case.transport)
    assert client is not None
    assert isinstance(client.http.auth, Anonymous)
    assert client.http.settings.oauth2 == OAuth2Settings()


def test_a_token_is_for_the_fhir_server_alone(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    case.scrape(40)
    assert all(
        "authorization" not in request.headers or request.headers["authorization"].startswith("Basic ")
        for request in case.transport.token_requests
    )
    assert all(
        dict(request.headers)["authorization"].startswith(f"Bearer {TOKEN}") for request in case.transport.requests
    )


def test_a_missing_secret_is_no_fault_of_the_token(tmp_path: Path) -> None:
    case = Case(tmp_path)
    (tmp_path / "secret").unlink()
    case.start()
    error = case.error()
    assert type(error) is AuthFailed
    assert str(tmp_path / "secret") in str(error)


def test_the_simulated_server_refuses_what_it_should(tmp_path: Path) -> None:
    """The judge is judged: each fault of an assertion has a name."""
    case = Case(tmp_path, KEYS["RS384"]).start()
    key = KEYS["RS384"]
    assert isinstance(key, rsa.RSAPrivateKey)
    assert case.server._judge_assertion(key, case.server.asked[0]) == "jti"
    good = claims(case) | {"jti": "0123456789abcdef"}
    now = int(case.server.now)
    for change, fault in (
        ({"exp": now + 301}, "lives too long"),
        ({"exp": now}, "expired"),
        ({"iat": now + 2}, "from the future"),
        ({"aud": "https://other.example"}, "InvalidAudienceError"),
        ({"sub": "other"}, "sub"),
    ):
        signed = jwt.encode(good | change | {"jti": fault * 9}, key, "RS384", {"kid": KEY_ID})
        form = case.server.asked[0] | {"client_assertion": signed}
        assert case.server._judge_assertion(key, form) == fault


def gone(_: httpx.Request) -> httpx.Response:
    return httpx.Response(502, stream=httpx.ByteStream(b""))


def test_an_endpoint_that_cannot_be_found_is_looked_for_with_pauses(case: Case) -> None:
    case.transport.names = None
    case.rig.start()
    for _ in range(50):
        case.error()
    assert len(case.transport.discoveries) <= 4  # two places, and once more where the key was read meanwhile


def test_a_secret_that_is_replaced_while_the_endpoint_is_unknown_is_tried_once(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.rig.start()
    case.auth.headers()
    case.auth._endpoint.forget()
    case.rig.clock.advance(301)
    case.transport.names = None
    case.error()
    write_secret(tmp_path, "another one")
    before = len(case.transport.discoveries)
    for _ in range(50):
        case.error()
    assert len(case.transport.discoveries) - before == 2


def test_a_discovery_that_fails_while_the_token_is_valid_is_not_repeated_at_each_request(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    case.rig.clock.advance(241)
    case.auth._endpoint.forget()
    plain = case.transport.handler

    def respond(request: httpx.Request) -> httpx.Response:
        if "/.well-known/" in request.url.path:
            case.transport.discoveries.append(request.url.path)
            raise httpx.ReadTimeout("slow")
        answer = plain(request)
        assert isinstance(answer, httpx.Response)
        return answer

    case.transport.handler = respond
    before = len(case.transport.discoveries)
    for _ in range(40):
        case.auth.headers()
    assert len(case.transport.discoveries) - before == 1
    assert case.own("errors_total", reason="timeout") == 1


def test_a_secret_that_is_gone_counts_once_for_each_attempt(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    valid = case.auth.headers()
    case.rig.clock.advance(241)
    (tmp_path / "secret").unlink()
    for _ in range(40):
        assert case.auth.headers() == valid
    assert case.own("errors_total", reason="auth") == 1
    write_secret(tmp_path, SECRET)
    case.rig.clock.advance(11)
    assert case.auth.headers() != valid


def test_one_401_while_the_endpoint_is_down_does_not_end_a_valid_token(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    valid = case.auth.headers()
    case.server.answer = gone
    with pytest.raises(ServerError) as raised:
        case.auth.renew(valid)
    assert raised.value.reason is ErrorReason.TOKEN
    assert case.auth.headers() == valid
    assert case.scrape()
    assert case.own("errors_total", reason="token") == 0  # whoever had the 401 counts it


def test_a_revoked_token_is_replaced_as_soon_as_the_endpoint_is_back(tmp_path: Path) -> None:
    case = Case(tmp_path).start()
    case.server.valid.clear()
    case.server.answer = gone
    assert not case.scrape(seconds=5)
    assert not case.scrape(seconds=5)
    assert case.own("errors_total", reason="token") == 2
    assert case.own("errors_total", reason="auth") == 0
    case.server.answer = None
    case.rig.clock.advance(11)
    assert case.scrape(seconds=5)


@pytest.mark.parametrize("host", ["a" * 64, "xn--999"])
def test_a_discovered_host_that_no_resolver_takes_is_malformed(tmp_path: Path, host: str) -> None:
    case = Case(tmp_path)
    case.transport.names = {"token_endpoint": f"https://{host}.fhir.example/token"}
    case.rig.start()
    assert "whose address is malformed" in str(case.error())
    assert case.transport.token_requests == []
