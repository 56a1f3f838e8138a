"""The order before every answer: rate limit, headers, password; through the real web server."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

import bcrypt
import pytest

from exporter.config.web_config import WebConfig
from exporter.config.web_options import RateLimit
from exporter.web import server as server_module
from exporter.web.config_file import FixedWebConfig
from exporter.web.server import Access, WebServer

from .fake_backend import HANGS, FakeBackend, ask

USERS = {
    "prom": bcrypt.hashpw(b"right", bcrypt.gensalt(4)),
    "yes": bcrypt.hashpw("pässword".encode(), bcrypt.gensalt(4)),
}
PATHS = ("/metrics", "/", "/-/healthy", "/-/ready", "/probe?target=x", "/nothing")


@contextmanager
def guarded(
    config: WebConfig, backend: FakeBackend | None = None, hosts: tuple[str, ...] = ()
) -> Iterator[tuple[str, int]]:
    server = WebServer(backend or FakeBackend(), 1.0, access=Access(FixedWebConfig(config), hosts))
    try:
        yield server.start("127.0.0.1", 0)
    finally:
        server.stop(HANGS)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def header_values(response: HTTPResponse, name: str) -> list[str]:
    return response.headers.get_all(name) or []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_path_is_behind_the_password(path: str, method: str) -> None:
    backend = FakeBackend()
    with guarded(WebConfig(users=USERS), backend) as address:
        response, body = ask(address, path, method)
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Basic")
        assert body == (b"" if method == "HEAD" else b"Unauthorized\n")
        assert ask(address, path, method, Authorization=basic("prom", "wrong"))[0].status == 401
        assert backend.scrapes == 0, "no poll for strangers"
        assert ask(address, path, method, Authorization=basic("prom", "right"))[0].status != 401


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (basic("prom", "right"), 200),
        (basic("yes", "pässword"), 200),
        (basic("prom", "right").replace("Basic", "bAsIc"), 200),
        (basic("prom", "right").replace("Basic", "Bearer"), 401),
        (basic("prom", "right") + "=", 401),
        (basic("prom", "right") + ", " + basic("prom", "right"), 401),
        ("Basic " + base64.b64encode(b"prom").decode(), 401),
        ("Basic " + base64.b64encode(b"\xff\xfe:right").decode(), 401),
        ("Basic", 401),
        ("", 401),
        (basic("PROM", "right"), 401),
        (basic("prom", "right" + "x" * 100), 401),
    ],
)
def test_the_header(header: str, status: int) -> None:
    with guarded(WebConfig(users=USERS)) as address:
        assert ask(address, Authorization=header)[0].status == status


def test_headers_are_on_every_answer_and_take_the_place_of_ours() -> None:
    headers = (("content-security-policy", "default-src 'self'"), ("strict-transport-security", "max-age=1"))
    config = WebConfig(users=USERS, headers=headers, rate_limit=RateLimit(3600.0, 4))
    with guarded(config) as address:
        right = {"Authorization": basic("prom", "right")}
        answers = [ask(address, path, **right)[0] for path in ("/metrics", "/", "/nothing")]
        answers += [ask(address)[0], ask(address)[0]]
    assert [each.status for each in answers] == [200, 200, 404, 401, 429]
    for each in answers:
        assert header_values(each, "Content-Security-Policy") == ["default-src 'self'"]
        assert header_values(each, "Strict-Transport-Security") == ["max-age=1"]
        assert header_values(each, "X-Content-Type-Options") == ["nosniff"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("metrics.example.org", 200),
        ("METRICS.example.org.:9842", 200),
        ("[::1]:9842", 200),
        ("::1", 403),
        ("evil.example", 403),
        ("evil.example:9842", 403),
        ("127.0.0.1", 403),
        ("metrics.example.org.evil.example", 403),
        ("metrics.example.org, evil.example", 403),
        ("metrics.example.org@evil.example", 403),
        ("", 403),
    ],
)
def test_a_request_for_another_host_name_is_refused_before_its_password_is_read(host: str, status: int) -> None:
    backend = FakeBackend()
    allowed = ("metrics.example.org", "::1")
    with guarded(WebConfig(users=USERS), backend, allowed) as address:
        answered, body = ask(address, Host=host, Authorization=basic("prom", "right"))
        assert answered.status == status
        if status == 403:
            assert (body, backend.scrapes) == (b"This host name is not one of --web.allowed-host.\n", 0)


def test_by_default_any_host_name_will_do() -> None:
    with guarded(WebConfig()) as address:
        assert ask(address, Host="evil.example")[0].status == 200


def test_the_rate_limit_comes_before_the_password() -> None:
    config = WebConfig(users=USERS, rate_limit=RateLimit(3600.0, 0))
    with guarded(config) as address:
        response, body = ask(address, Authorization=basic("prom", "wrong"))
        assert (response.status, body) == (429, b"Too Many Requests\n")
        assert response.headers["WWW-Authenticate"] is None


def test_a_check_that_takes_long_does_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def slow(password: bytes, salt: bytes) -> bytes:
        if password == b"slow":
            assert go.wait(HANGS)
        return bcrypt.hashpw(password, salt)

    monkeypatch.setattr("exporter.web.passwords.Verifier.__init__.__defaults__", (slow,))
    monkeypatch.setattr(server_module, "PASSWORD_SECONDS", 0.5)
    with guarded(WebConfig(users=USERS)) as address:
        right = basic("prom", "right")
        assert ask(address, Authorization=right)[0].status == 200
        response, _ = ask(address, Authorization=basic("prom", "slow"))
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert ask(address, Authorization=right)[0].status == 200, "a known password waits for nothing"
        go.set()
        for _ in range(100):
            if (status := ask(address, Authorization=basic("prom", "slow"))[0].status) != 503:
                break
        assert status == 401
