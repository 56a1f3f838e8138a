"""TLS and client certificates of the web server, by real handshakes."""

import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509

from exporter.config.web_config import read_web_config
from exporter.config.web_tls import subject_names
from exporter.web.connections import Limits

from ...support.authorization import new_key, pem
from ...support.certificates import Authority
from .fake_backend import HANGS, FakeBackend, ended, wait_until
from .test_gate import basic
from .tls_client import client_context, get, serving_file

REQUIRED = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
IF_GIVEN = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n"
SCRAPE = {"X_Prometheus_Scrape_Timeout_Seconds": "10"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue(tmp_path, "server")
    return made


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(more: str = "") -> Path:
        file = tmp_path / "web.yaml"
        file.write_text("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n" + more)
        file.chmod(0o600)
        return file

    return write


def refused(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    try:
        get(address, context)
    except (OSError, EOFError):
        return True
    return False


def test_a_scrape_over_tls(authority: Authority, write: Callable[[str], Path]) -> None:
    with serving_file(write("")) as (address, _):
        answer = get(address, client_context(authority.ca_file))
        assert (answer.status, answer.body) == (200, b"TEXT one\n")
        with socket.create_connection(address, HANGS) as plain:
            plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            plain.settimeout(HANGS)
            assert b"TEXT" not in plain.recv(65536)


def test_certificate_and_key_in_the_file_itself(authority: Authority, tmp_path: Path) -> None:
    def indented(name: str) -> str:
        return "".join(f"    {line}\n" for line in (tmp_path / name).read_text().splitlines())

    file = tmp_path / "inline.yaml"
    file.write_text(
        f"tls_server_config:\n  cert: |\n{indented('server.pem')}  key: |\n{indented('server.key')}"
        f"  client_ca: |\n{indented('ca.pem')}  client_auth_type: RequireAndVerifyClientCert\n"
    )
    client = authority.issue(tmp_path, "client")
    with serving_file(file) as (address, _):
        assert refused(address, client_context(authority.ca_file))
        assert get(address, client_context(authority.ca_file, client)).status == 200


@pytest.mark.parametrize(("newest", "expected"), [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)])
def test_the_lowest_version(
    newest: ssl.TLSVersion, expected: bool, authority: Authority, write: Callable[[str], Path]
) -> None:
    context = client_context(authority.ca_file)
    context.maximum_version = newest
    with serving_file(write("  min_version: TLS13\n")) as (address, _):
        assert refused(address, context) is not expected


def test_cipher_suites_by_their_names_in_go(authority: Authority, write: Callable[[str], Path]) -> None:
    suites = "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n"
    other = client_context(authority.ca_file)
    other.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    with serving_file(write(suites)) as (address, _):
        assert get(address, client_context(authority.ca_file)).cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"
        assert refused(address, other)


def test_one_curve(authority: Authority, write: Callable[[str], Path]) -> None:
    own, other = client_context(authority.ca_file), client_context(authority.ca_file)
    own.set_ecdh_curve("secp521r1")
    other.set_ecdh_curve("secp384r1")
    with serving_file(write("  curve_preferences: [CurveP521]\n")) as (address, _):
        assert get(address, own).status == 200
        assert refused(address, other)


def test_a_client_certificate_is_required(authority: Authority, write: Callable[[str], Path], tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").issue(tmp_path, "theirs")
    own = authority.issue(tmp_path, "client")
    with serving_file(write(REQUIRED)) as (address, _):
        assert get(address, client_context(authority.ca_file, own)).status == 200
        assert refused(address, client_context(authority.ca_file))
        assert refused(address, client_context(authority.ca_file, stranger))


def test_a_client_certificate_is_verified_if_given(
    authority: Authority, write: Callable[[str], Path], tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").issue(tmp_path, "theirs")
    own = authority.issue(tmp_path, "client")
    with serving_file(write(IF_GIVEN)) as (address, _):
        assert get(address, client_context(authority.ca_file)).status == 200
        assert get(address, client_context(authority.ca_file, own)).status == 200
        assert refused(address, client_context(authority.ca_file, stranger))


def test_an_intermediate_authority_is_trusted_without_its_root(
    authority: Authority, write: Callable[[str], Path], tmp_path: Path
) -> None:
    """As by Go: whoever names an intermediate authority wants its clients, and no others of the same root."""
    intermediate = Authority(tmp_path, "intermediate", above=authority)
    own, other = intermediate.issue(tmp_path, "client"), authority.issue(tmp_path, "other")
    with serving_file(write(REQUIRED.replace("ca.pem", "intermediate.pem"))) as (address, _):
        assert get(address, client_context(authority.ca_file, own)).status == 200
        assert refused(address, client_context(authority.ca_file, other))


def test_a_resumed_session_ends_with_the_certificate_of_its_client(
    authority: Authority, write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = client_context(authority.ca_file, authority.issue(tmp_path, "client"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with serving_file(write(REQUIRED)) as (address, _):
        with socket.create_connection(address, HANGS) as raw, context.wrap_socket(raw) as client:
            session = client.session

        def served_again() -> bool:
            with (
                suppress(OSError),
                socket.create_connection(address, HANGS) as raw,
                context.wrap_socket(raw, session=session) as client,
            ):
                assert client.session_reused
                client.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
                return client.recv(12) == b"HTTP/1.1 200"
            return False

        assert served_again()
        in_two_days = time.time() + 2 * 86_400
        monkeypatch.setattr("exporter.config.web_tls.time", lambda: in_two_days)
        assert not served_again()


def test_without_an_authority_no_client_certificate_is_accepted(
    authority: Authority, write: Callable[[str], Path], tmp_path: Path
) -> None:
    """The toolkit would take those of every public authority that the system trusts."""
    own = authority.issue(tmp_path, "client")
    with serving_file(write("  client_auth_type: RequireAndVerifyClientCert\n")) as (address, _):
        assert refused(address, client_context(authority.ca_file, own))
        assert refused(address, client_context(authority.ca_file))


SANS: dict[str, x509.GeneralName] = {
    "prometheus.example": x509.DNSName("prometheus.example"),
    "ops@example.org": x509.RFC822Name("ops@example.org"),
    "192.0.2.7": x509.IPAddress(ip_address("192.0.2.7")),
    "2001:db8::1": x509.IPAddress(ip_address("2001:db8::1")),
    "spiffe://example.org/prometheus": x509.UniformResourceIdentifier("spiffe://example.org/prometheus"),
}


@pytest.mark.parametrize("name", SANS)
def test_an_allowed_name_of_a_client_must_match_exactly(
    name: str, authority: Authority, write: Callable[[str], Path], tmp_path: Path
) -> None:
    own = authority.issue(tmp_path, "client", (x509.DNSName("x.example"), SANS[name]))
    other = authority.issue(
        tmp_path, "other", (x509.DNSName("sub.prometheus.example"), x509.DNSName("PROMETHEUS.example"))
    )
    with serving_file(write(REQUIRED + f"  client_allowed_sans: ['other.example', '{name}']\n")) as (address, _):
        assert get(address, client_context(authority.ca_file, own)).status == 200
        assert refused(address, client_context(authority.ca_file, other))


def test_names_are_demanded_of_clients_without_a_certificate_too(
    authority: Authority, write: Callable[[str], Path]
) -> None:
    with serving_file(write(IF_GIVEN + "  client_allowed_sans: [a.example]\n")) as (address, _):
        assert refused(address, client_context(authority.ca_file))


def test_names_are_written_as_go_writes_them() -> None:
    names = (("DNS", "a"), ("email", "b@c"), ("URI", "u:v"), ("IP Address", "2001:DB8:0:0:0:0:0:1"), ("DirName", "x"))
    mapped = (("IP Address", "0:0:0:0:0:FFFF:C000:207"), ("IP Address", "<invalid>"))
    found = list(subject_names({"subjectAltName": names + mapped}))
    assert found == ["a", "b@c", "u:v", "2001:db8::1", "192.0.2.7", "<invalid>"]
    assert list(subject_names({})) == []


RSA_KEY = pem(new_key("RSA-2048"))
"""Of another type than the keys of the certificates here, for which OpenSSL has another error."""


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ({"server.pem": None}, "line 2, tls_server_config.cert_file: file does not exist"),
        ({"server.pem": ""}, "line 2, tls_server_config.cert_file: is not a certificate in PEM"),
        ({"server.key": "canary"}, "line 3, tls_server_config.key_file: is not a private key in PEM"),
        ({"server.key": "other.key"}, "line 3, tls_server_config.key_file: is not the key of the certificate"),
        ({"server.key": RSA_KEY}, "line 3, tls_server_config.key_file: is not the key of the certificate"),
        (
            {"server.key": "encrypted"},
            "line 3, tls_server_config.key_file: is encrypted; store it without a passphrase",
        ),
        ({"server.key": "folder"}, "line 3, tls_server_config.key_file: is not a regular file"),
        ({"server.key": "fifo"}, "line 3, tls_server_config.key_file: is not a regular file"),
        ({"server.key": "x" * 2_000_000}, "line 3, tls_server_config.key_file: file is larger than 1024 KiB"),
        ({"ca.pem": "canary"}, "line 5, tls_server_config.client_ca_file: has no certificate in PEM"),
        ({"ca.pem": ""}, "line 5, tls_server_config.client_ca_file: has no certificate in PEM"),
    ],
)
def test_files_that_cannot_be_used(
    damage: dict[str, str | None], expected: str, authority: Authority, write: Callable[[str], Path], tmp_path: Path
) -> None:
    authority.issue(tmp_path, "other")
    for name, content in damage.items():
        spoil(tmp_path / name, content)
    found = read_web_config(write(REQUIRED))
    assert found.config is None
    assert [str(each) for each in found.problems] == [f"--web.config.file {expected}"]


def spoil(file: Path, content: str | None) -> None:
    import os

    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    before = file.read_bytes()
    file.unlink()
    if content == "folder":
        file.mkdir()
    elif content == "fifo":
        os.mkfifo(file)
    elif content == "encrypted":
        key = load_pem_private_key(before, None)
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))
    elif content == "other.key":
        file.write_bytes((file.parent / "other.key").read_bytes())
    elif content is not None:
        file.write_text(content)


def test_secrets_that_everybody_can_read_are_warned_about(
    authority: Authority, write: Callable[[str], Path], tmp_path: Path
) -> None:
    file = write(f"basic_auth_users:\n  u: {bcrypt.hashpw(b'p', bcrypt.gensalt(4)).decode()}\n")
    assert read_web_config(file).warnings == ()
    (tmp_path / "server.key").chmod(0o644)
    file.chmod(0o644)
    said = "others on this machine may read or write this file (mode 0644); run chmod o= on it"
    assert [str(each) for each in read_web_config(file).warnings] == [
        f"--web.config.file: {said}",
        f"--web.config.file line 3, tls_server_config.key_file: {said}",
    ]


# Slow and silent clients, with TLS and passwords on.


@pytest.fixture
def locked(authority: Authority, write: Callable[[str], Path]) -> tuple[Path, Callable[[tuple[str, int]], bytes]]:
    """A file with TLS and a user, and a proper scrape of the server that has it."""
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
    context = client_context(authority.ca_file)

    def scrape(address: tuple[str, int]) -> bytes:
        answer = get(address, context, Authorization=basic("prom", "right"), **SCRAPE)
        assert answer.status == 200
        return answer.body

    return write(f"basic_auth_users:\n  prom: {hashed}\n"), scrape


HELLO = bytes.fromhex("16030102000100") + b"\x01\xfc\x03\x03" + b"\x00" * 32
"""The beginning of a TLS handshake."""

Locked = tuple[Path, Callable[[tuple[str, int]], bytes]]


def test_500_connections_that_never_end_their_handshake_do_not_stop_a_scrape(locked: Locked) -> None:
    file, scrape = locked
    with serving_file(file) as (address, _), ExitStack() as open_sockets:
        for number in range(500):
            client = open_sockets.enter_context(socket.create_connection(address, HANGS))
            client.sendall(HELLO[: number % len(HELLO)])
        began = time.monotonic()
        assert scrape(address) == b"TEXT one\n"
        assert time.monotonic() - began < 5


def test_silent_connections_take_little_memory(locked: Locked) -> None:
    file, scrape = locked
    with serving_file(file) as (address, _), ExitStack() as open_sockets:
        scrape(address)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(100):
                open_sockets.enter_context(socket.create_connection(address, HANGS))
            scrape(address)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert 100 * 16_000 < after - before < 100 * 100_000, "asyncio's own buffer would be 262,144 bytes for each"


def test_a_silent_and_a_dripping_handshake_are_ended(locked: Locked) -> None:
    file, scrape = locked
    with serving_file(file, limits=Limits(idle_seconds=1.0)) as (address, _), ExitStack() as open_sockets:
        silent = open_sockets.enter_context(socket.create_connection(address, HANGS))
        dripping = open_sockets.enter_context(socket.create_connection(address, HANGS))
        assert scrape(address) == b"TEXT one\n"
        deadline = time.monotonic() + HANGS
        with suppress(OSError):
            for byte in HELLO * 1000:
                assert time.monotonic() < deadline, "a dripping handshake is still open"
                dripping.sendall(bytes([byte]))
                time.sleep(0.02)
        assert ended(silent)


def test_half_heads_inside_tls_do_not_stop_a_scrape(locked: Locked, authority: Authority) -> None:
    file, scrape = locked
    context = client_context(authority.ca_file)
    with serving_file(file, limits=Limits(request_head_seconds=1.0)) as (address, _), ExitStack() as open_sockets:
        clients = []
        for _ in range(50):
            plain = socket.create_connection(address, HANGS)
            clients.append(open_sockets.enter_context(context.wrap_socket(plain)))
            clients[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert scrape(address) == b"TEXT one\n"
        for client in clients:
            assert ended(client)


def test_clients_that_read_a_byte_at_a_time_do_not_stop_a_scrape(locked: Locked, authority: Authority) -> None:
    file, scrape = locked
    backend = FakeBackend(body=b"x" * 20_000_000)
    context = client_context(authority.ca_file)
    head = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('prom', 'right')}\r\n\r\n".encode()
    with serving_file(file, backend, Limits(write_seconds=0.5)) as (address, _), ExitStack() as open_sockets:
        for _ in range(40):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect(address)
            client = open_sockets.enter_context(context.wrap_socket(plain))
            client.sendall(head)
            client.recv(1)
        wait_until(lambda: len(backend.counted) == 40)
        backend.body = b"short"
        assert scrape(address) == b"short"


def test_strangers_who_try_passwords_do_not_stop_a_known_scraper(locked: Locked, authority: Authority) -> None:
    file, scrape = locked
    context = client_context(authority.ca_file)
    with serving_file(file) as (address, _):
        assert scrape(address) == b"TEXT one\n"
        statuses = {
            get(address, context, Authorization=basic("prom", f"wrong {number}")).status for number in range(20)
        }
        assert statuses <= {401, 503}
        assert scrape(address) == b"TEXT one\n"


def test_where_linux_gives_no_nameless_file_a_private_one_is_used(
    authority: Authority, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("os.memfd_create", refuse)
    with serving_file(write("")) as (address, _):
        assert get(address, client_context(authority.ca_file)).status == 200
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    found = read_web_config(write(""))
    assert "OpenSSL cannot be given the certificate (PermissionError)" in str(found.problems[0])
