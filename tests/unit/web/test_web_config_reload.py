"""The configuration file is read again while the server runs; a file with faults changes nothing."""

import logging
import ssl
import threading
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509

from exporter.errors import ConfigurationError
from exporter.metrics.vocabulary import ConfigFile
from exporter.reload import Reread
from exporter.web.config_file import WebConfigFile

from ...support.certificates import Authority
from .fake_backend import HANGS, ask, wait_until
from .test_gate import basic
from .tls_client import client_context, get, serving_file

HASHES = {name: bcrypt.hashpw(name.encode(), bcrypt.gensalt(4)).decode() for name in ("one", "two")}


def users(*names: str) -> str:
    return "basic_auth_users:\n" + "".join(f"  {name}: {HASHES[name]}\n" for name in names)


TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
VERIFIED = TLS + "  client_auth_type: RequireAndVerifyClientCert\n"


class Reports:
    """What the file said of each reading."""

    def __init__(self) -> None:
        self.used: list[bool] = []

    def __call__(self, used: bool) -> None:
        self.used.append(used)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "web.yaml"
    file.touch(mode=0o600)
    return file


def look(config: WebConfigFile, times: int = 3) -> None:
    for _ in range(times):
        config.look()


def test_a_broken_file_at_the_start_names_every_fault(file: Path) -> None:
    file.write_text("a: 1\nrate_limit: {burst: x}\n")
    with pytest.raises(ConfigurationError) as caught:
        WebConfigFile(file)
    assert len(caught.value.problems) == 2


def test_a_change_is_read_at_the_second_look(file: Path) -> None:
    file.write_text(users("one"))
    reports = Reports()
    config = WebConfigFile(file, reports)
    look(config)
    assert reports.used == [True], "nothing changed"
    file.write_text(users("two"))
    config.look()
    assert set(config.current().users) == {"one"}, "it may still be written"
    file.write_text(users("one", "two"))
    config.look()
    assert set(config.current().users) == {"one"}
    config.look()
    assert set(config.current().users) == {"one", "two"}
    look(config)
    assert reports.used == [True, True]


def test_a_replaced_file_is_read_though_its_time_is_old(file: Path, tmp_path: Path) -> None:
    import os

    file.write_text(users("one"))
    config = WebConfigFile(file)
    fresh = tmp_path / "fresh"
    fresh.write_text(users("two"))
    os.utime(fresh, ns=(0, file.stat().st_mtime_ns))
    fresh.replace(file)
    look(config)
    assert set(config.current().users) == {"two"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "line 1: is not valid YAML"),
        ("", "basic_auth_users cannot be removed"),
        ("rate_limit: {}", "basic_auth_users cannot be removed"),
        (None, "file does not exist"),
        (b"\xff", "is not UTF-8 text"),
    ],
)
def test_a_broken_file_changes_nothing_and_is_said_once(
    text: str | bytes | None, said: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(users("one"))
    reports = Reports()
    config = WebConfigFile(file, reports)
    before = config.current()
    caplog.set_level(logging.ERROR)
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    look(config, 10)
    assert config.current() is before
    assert reports.used == [True, False]
    assert len(caplog.records) == 1
    assert said in str(vars(caplog.records[0]))
    file.write_text(users("two"))
    look(config)
    assert reports.used == [True, False, True]
    assert set(config.current().users) == {"two"}


def test_reread_reads_at_once_changed_or_not(file: Path) -> None:
    file.write_text(users("one"))
    reports = Reports()
    config = WebConfigFile(file, reports)
    assert config.reread() == Reread(ConfigFile.WEB)
    file.write_text("a: 1")
    assert config.reread() == Reread(ConfigFile.WEB, ("--web.config.file line 1, a: unknown key",))
    assert set(config.current().users) == {"one"}
    file.write_text(users("two"))
    assert config.reread() == Reread(ConfigFile.WEB, (), ("--web.config.file",))
    assert set(config.current().users) == {"two"}
    look(config)
    assert reports.used == [True], "who asks reports what came of it"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", TLS, "TLS cannot be turned on or off"),
        (TLS, "", "TLS cannot be turned on or off"),
        (VERIFIED, TLS, "client_auth_type: RequireAndVerifyClientCert cannot be removed"),
        (users("one"), "", "basic_auth_users cannot be removed"),
        (VERIFIED + "  client_allowed_sans: [a.example]\n", VERIFIED, "client_allowed_sans cannot be removed"),
    ],
    ids=["TLS on", "TLS off", "client certificates off", "passwords off", "names off"],
)
def test_what_needs_a_restart_says_so(before: str, after: str, said: str, file: Path) -> None:
    Authority(file.parent).issue(file.parent, "server")
    file.write_text(before)
    config = WebConfigFile(file)
    file.write_text(after)
    assert said in "".join(config.reread().problems)


def test_a_certificate_that_is_replaced_is_served_on_the_next_handshake(file: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue(tmp_path, "server")
    file.write_text(TLS)
    context = client_context(authority.ca_file)
    with serving_file(file) as (address, _):
        first = get(address, context).certificate
        assert get(address, context).certificate == first
        fresh = ssl.PEM_cert_to_DER_cert(authority.issue(tmp_path, "server")[0].read_text())
        assert fresh != first
        wait_until(lambda: get(address, context).certificate == fresh)


def test_a_key_that_does_not_fit_yet_changes_nothing(file: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue(tmp_path, "server")
    file.write_text(TLS)
    config = WebConfigFile(file)
    before = config.current()
    key = (tmp_path / "server.key").read_bytes()
    authority.issue(tmp_path, "server")
    fresh = (tmp_path / "server.key").read_bytes()
    (tmp_path / "server.key").write_bytes(key)
    look(config)
    assert config.current() is before
    (tmp_path / "server.key").write_bytes(fresh)
    look(config)
    assert config.current() is not before


def test_users_headers_limits_and_policy_change_while_it_serves(file: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue(tmp_path, "server")
    client = authority.issue(tmp_path, "client", (x509.DNSName("client.example"),))
    context = client_context(authority.ca_file)
    file.write_text(TLS + users("one", "two"))

    def status(user: str, shown: ssl.SSLContext = context) -> int:
        try:
            return get(address, shown, Authorization=basic(user, user)).status
        except OSError:
            return 0

    def write(text: str, config: WebConfigFile) -> None:
        file.write_text(text)
        assert not config.reread().problems

    with serving_file(file) as (address, config):
        assert (status("one"), status("two")) == (200, 200)
        write(TLS + users("two"), config)
        assert (status("one"), status("two")) == (401, 200)
        write(TLS + users("two") + "rate_limit: {interval: 1h, burst: 1}\n", config)
        assert (status("two"), status("two")) == (200, 429)
        required = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
        write(TLS + required + users("two"), config)
        assert status("two") == 0
        assert status("two", client_context(authority.ca_file, client)) == 200
        write(TLS + required + "  client_allowed_sans: [other.example]\n" + users("two"), config)
        assert status("two", client_context(authority.ca_file, client)) == 0


def test_a_connection_that_is_open_stays_but_its_user_does_not(file: Path) -> None:
    from http.client import HTTPConnection

    file.write_text(users("one", "two"))
    headers = {"Authorization": basic("one", "one")}
    with serving_file(file) as (address, config):
        connection = HTTPConnection(*address, timeout=30)
        statuses = []
        for text in (users("one", "two"), users("two")):
            file.write_text(text)
            config.reread()
            connection.request("GET", "/-/healthy", headers=headers)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()
    assert statuses == [200, 401]


def test_reading_a_long_file_does_not_hold_up_a_request(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("rate_limit: {}")
    reading, go = threading.Event(), threading.Event()

    def slow(_config: WebConfigFile) -> None:
        reading.set()
        assert go.wait(HANGS)

    monkeypatch.setattr(WebConfigFile, "look", slow)
    with serving_file(file) as (address, _):
        assert reading.wait(HANGS)
        assert ask(address)[0].status == 200
        go.set()
