"""Access tokens from a real authorization server: each kind of client, renewal, revocation, and every refusal."""

import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ..support.builders import organization, task
from ..support.certificates import Authority
from .oidc_server import ORGANIZATIONS, SCOPES, TASKS, Client, GuardedServer, Provider, client, jwk, oidc, require_oidc
from .process import exporter, total, until, until_above
from .program import environment, free_port, require

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

QUICK = ("--poll.min-interval", "0s", "--series.hold", "0s")
SECRET = "p%a:s+s/w=o&r d"
"""What must be escaped in a header and in a form."""
KEY_ID = "key-1"
TOKENS_OF_SECONDS = 4
"""Half of it is the earliest renewal: see Grant.renew_after_seconds."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP384R1())


def signs(identifier: str, key: PrivateKey, algorithm: str, **more: Any) -> Client:
    """Describe a client of SMART Backend Services."""
    keys = {"keys": [jwk(key, KEY_ID, algorithm)]}
    return client(identifier, "private_key_jwt", token_endpoint_auth_signing_alg=algorithm, jwks=keys, **more)


CLIENTS = (
    client("by basic", "client_secret_basic", client_secret=SECRET),
    client("by-post", "client_secret_post", client_secret=SECRET),
    signs("by-rsa", RSA_KEY, "RS384"),
    signs("by-ec", EC_KEY, "ES384"),
    client("jwt", "client_secret_basic", client_secret=SECRET, jwt=True),
    client("short", "client_secret_basic", client_secret=SECRET, token_seconds=TOKENS_OF_SECONDS),
    client("short-jwt", "client_secret_basic", client_secret=SECRET, token_seconds=TOKENS_OF_SECONDS, jwt=True),
    client("revoked", "client_secret_basic", client_secret=SECRET),
    client("tasks-only", "client_secret_basic", client_secret=SECRET, scope=TASKS),
    client("organizations-only", "client_secret_basic", client_secret=SECRET, scope=ORGANIZATIONS),
    client("not-for-us", "client_secret_basic", client_secret=SECRET, grant_types=[]),
)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    require_oidc()
    with oidc(tmp_path_factory.mktemp("oidc"), CLIENTS) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Files:
    """The secrets of a test, as files that only we can read."""

    folder: Path

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return str(path)

    def secret(self, identifier: str, *more: str, text: str = SECRET) -> tuple[str, ...]:
        file = self.write(f"{identifier} {len(text)}", text)
        return ("--fhir.oauth2.client-id", identifier, "--fhir.oauth2.client-secret-file", file, *more)

    def key(self, identifier: str, key: PrivateKey, *more: str, key_id: str = KEY_ID) -> tuple[str, ...]:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        file = self.write(f"{identifier} {hash(pem)}.pem", pem)
        options = ("--fhir.oauth2.client-id", identifier, "--fhir.oauth2.private-key-file", file)
        return (*options, "--fhir.oauth2.key-id", key_id, *more)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def server_of(provider: Provider, tasks: int = 3, **more: Any) -> GuardedServer:
    server = GuardedServer(provider, **more)
    server.put(organization("old-payer"), *(task(f"p2p-task-{number}") for number in range(tasks)))
    return server


def check(base: str, *options: str, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run `check`; returns its exit code and what it said, on one line."""
    command = [*prefix, sys.executable, "-m", "exporter", "check", "--fhir.url", base, "--ledger", ":memory:", *options]
    done = subprocess.run(command, env=environment(), text=True, capture_output=True, timeout=120, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def token_errors(text: str) -> float:
    return total(text, "fhir_task_exporter_errors_total", reason="token")


# Each kind of client


@pytest.mark.parametrize("kind", ["basic", "post", "rsa", "ec", "jwt"])
def test_each_kind_of_client_gets_a_token_and_counts_the_tasks(
    provider: Provider, files: Files, tmp_path: Path, kind: str
) -> None:
    options = {
        "basic": files.secret("by basic"),
        "post": files.secret("by-post", "--fhir.oauth2.auth-method", "post"),
        "rsa": files.key("by-rsa", RSA_KEY),
        "ec": files.key("by-ec", EC_KEY, "--fhir.oauth2.token-url", provider.token_url),
        "jwt": files.secret("jwt"),
    }[kind]
    server = server_of(provider, discoverable=kind != "ec")
    before = provider.grants(options[1])
    with exporter(server.base, tmp_path, *QUICK, *options) as process:
        text = until(process, "fhir_tasks", 3)
        assert total(text, "fhir_task_up") == 1
        assert total(text, "fhir_tasks", source_payer="Old Payer") == 3
        assert total(text, "fhir_task_exporter_token_expiry_timestamp_seconds") > time.time()
        assert token_errors(text) == 0
    assert provider.grants(options[1]) == [*before, None]
    assert (len(server.presented), server.refused) == (1, 0)
    assert (server.presented[0].count(".") == 2) is (kind == "jwt")


def test_check_says_where_the_token_is_from(provider: Provider, files: Files) -> None:
    server = server_of(provider)
    code, said = check(server.base, *files.key("by-ec", EC_KEY))
    assert "named by the FHIR server, gave one for 5 minutes, by private_key_jwt (ES384)" in said
    assert code == 0, said


# Renewal


@pytest.mark.parametrize("identifier", ["short", "short-jwt"])
def test_tokens_that_expire_in_the_middle_are_renewed_before_they_do(
    provider: Provider, files: Files, tmp_path: Path, identifier: str
) -> None:
    server = server_of(provider)
    with exporter(server.base, tmp_path, *QUICK, *files.secret(identifier)) as process:
        until(process, "fhir_tasks", 3)
        end = time.monotonic() + 60
        while len(server.presented) < 4 and time.monotonic() < end:
            assert total(text := process.scrape(), "fhir_task_up") == 1, text
            time.sleep(0.1)
        assert token_errors(text) == 0
    assert len(server.presented) >= 4
    assert server.refused == 0
    assert provider.grants(identifier) == [None] * len(server.presented)


def test_a_revoked_token_costs_one_retry_and_no_poll(provider: Provider, files: Files, tmp_path: Path) -> None:
    server = server_of(provider)
    with exporter(server.base, tmp_path, *QUICK, *files.secret("revoked")) as process:
        until(process, "fhir_tasks", 3)
        provider.revoke(server.presented[0])
        server.put(task("p2p-task-new"))
        text = process.scrape()
        assert total(text, "fhir_tasks") == 4
        assert total(text, "fhir_task_up") == 1
        assert total(text, "fhir_task_exporter_errors_total") == 0
    assert server.refused == 1
    assert provider.grants("revoked") == [None, None]


def test_an_authorization_server_that_is_down_leaves_the_last_good_data_and_is_found_again(
    files: Files, tmp_path: Path
) -> None:
    require_oidc()
    port = free_port()
    clients = [client("a", "client_secret_basic", client_secret=SECRET, token_seconds=TOKENS_OF_SECONDS, jwt=True)]
    with ExitStack() as life:
        first = life.enter_context(ExitStack())
        server = server_of(first.enter_context(oidc(tmp_path, clients, port)))
        process = life.enter_context(exporter(server.base, tmp_path, *QUICK, *files.secret("a")))
        until(process, "fhir_tasks", 3)
        first.close()
        text = until(process, "fhir_task_up", 0)
        assert total(text, "fhir_tasks") == 3
        assert token_errors(text) >= 1
        server.provider = life.enter_context(oidc(tmp_path, clients, port))
        server.put(task("p2p-task-new"))
        text = until(process, "fhir_tasks", 4)
        assert total(text, "fhir_task_up") == 1


def test_a_provider_behind_mutual_tls_of_a_private_authority(files: Files, tmp_path: Path) -> None:
    require_oidc()
    authority, stranger = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    (cert, key), (own, own_key) = (authority.issue(tmp_path, name) for name in ("provider", "exporter"))
    verify = ssl.create_default_context(cafile=str(authority.ca_file))
    verify.load_cert_chain(own, own_key)
    pem = {"cert": cert.read_text(), "key": key.read_text(), "ca": authority.ca_file.read_text(), "verify": verify}
    shown = ("--fhir.client-cert-file", str(own), "--fhir.client-key-file", str(own_key))
    with oidc(tmp_path, [signs("a", EC_KEY, "ES384")], tls=pem) as provider:
        server = server_of(provider)
        options = files.key("a", EC_KEY, "--fhir.oauth2.token-url", provider.token_url)
        trusting = ("--fhir.ca-file", str(authority.ca_file), *options)
        code, said = check(server.base, *trusting, *shown)
        assert (code, "by private_key_jwt (ES384)" in said) == (0, True), said
        code, said = check(server.base, *trusting)
        assert (code, "requires a client certificate. -> --fhir.ca-file, --fhir.client-cert-file" in said) == (
            1,
            True,
        ), said
        code, said = check(server.base, "--fhir.ca-file", str(stranger.ca_file), *options, *shown)
        assert "--fhir.ca-file" in said.partition("FAIL token:")[2]
        assert code == 1
        with exporter(server.base, tmp_path, *QUICK, *trusting, *shown) as process:
            assert total(until(process, "fhir_tasks", 3), "fhir_task_up") == 1


# Every way to be refused: the exporter stays up and says so, and `check` says in plain words what is wrong


@dataclass(frozen=True, slots=True)
class Refusal:
    """`name` is what the options get wrong; the rest is what must be said, and what the provider itself noted."""

    name: str
    said: str
    remedy: str
    noted: str | None


REFUSALS = (
    Refusal(
        "secret", "401, invalid_client: the client id or its credentials", "mistyped, replaced or expired", "secret"
    ),
    Refusal("client", "401, invalid_client: the client id or its credentials", "--fhir.oauth2.client-id", None),
    Refusal("key", "401, invalid_client: the client id or its credentials", "the public key of", "signature"),
    Refusal("kid", "401, invalid_client: the client id or its credentials", "under the same key id", "key"),
    Refusal("audience", "401, invalid_client: the client id or its credentials", "--fhir.oauth2.audience", "aud"),
    Refusal("scope", "400, invalid_scope: the scope is unknown", "Grant the scopes", "scope"),
    Refusal("grant", "400, invalid_request: it does not understand", "--fhir.oauth2.client-id", "invalid_request"),
)


def wrong(name: str, files: Files) -> tuple[str, ...]:
    other_key = rsa.generate_private_key(65537, 2048)
    return {
        "secret": files.secret("by basic", text="another"),
        "client": files.secret("nobody"),
        "key": files.key("by-rsa", other_key),
        "kid": files.key("by-rsa", RSA_KEY, key_id="another"),
        "audience": files.key("by-rsa", RSA_KEY, "--fhir.oauth2.audience", "https://other.example.org/token"),
        "scope": files.secret("tasks-only", "--fhir.oauth2.scope", SCOPES),
        "grant": files.secret("not-for-us"),
    }[name]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_what_is_refused_is_said_and_stops_nothing(provider: Provider, tmp_path: Path, refusal: Refusal) -> None:
    options = wrong(refusal.name, Files(tmp_path))
    server = server_of(provider)
    code, said = check(server.base, *options)
    assert code == 1, said
    assert f"The token endpoint {provider.issuer.removeprefix('http://')} answered {refusal.said}" in said
    assert refusal.remedy in said
    with exporter(server.base, tmp_path, *QUICK, *options) as process:
        text = until_above(process, "fhir_task_exporter_errors_total", 0, reason="token")
        assert total(text, "fhir_task_up") == 0
        assert "fhir_tasks{" not in text
        assert (process.popen.poll(), SECRET in process.log.read_text()) == (None, False)
    assert (server.presented, server.refused) == ([], 0)
    if refusal.noted is not None:
        assert refusal.noted in str(provider.grants(options[1])[-1])


def test_a_right_to_organizations_alone_is_no_fault_of_the_token(provider: Provider, files: Files) -> None:
    code, said = check(
        server_of(provider).base, *files.secret("organizations-only", "--fhir.oauth2.scope", ORGANIZATIONS)
    )
    assert "gave one for 5 minutes" in said
    assert "system/Task.read" in said
    assert code == 1, said


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_key_of_another_curve_is_refused_at_the_start(
    provider: Provider, files: Files, command: str, tmp_path: Path
) -> None:
    options = files.key("by-ec", ec.generate_private_key(ec.SECP256R1()))
    words = [sys.executable, "-m", "exporter", command, "--fhir.url", server_of(provider).base, *options]
    done = subprocess.run(
        [*words, "--ledger", str(tmp_path / "l.db")], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "key is of another elliptic curve; ES384 needs P-384" in done.stderr
    assert provider.grants("by-ec").count("invalid_client") == 0


@pytest.mark.parametrize("offset", ["-10m", "+10m"])
def test_a_clock_that_is_wrong_is_corrected_by_that_of_the_endpoint(
    provider: Provider, files: Files, offset: str
) -> None:
    require("faketime", "faketime")
    code, said = check(server_of(provider).base, *files.key("by-rsa", RSA_KEY), prefix=("faketime", "-f", offset))
    assert "gave one for 5 minutes, by private_key_jwt (RS384)" in said
    which = "ahead of" if offset.startswith("-") else "behind"
    assert f"the clock of the token endpoint is 10 minutes {which} the local one" in said
    assert code == 0, said
