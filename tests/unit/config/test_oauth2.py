"""The options of OAuth2: what fits together, and what is said of keys and files before anything is sent."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from exporter.config import OPTIONS, BatchJobsSettings, FhirSettings, OAuth2Settings, Settings, exposed_files, values
from exporter.config.permissions import secret_files

from ...support.authorization import KEY_ID, new_key, pem, write_secret
from ...support.configuration import CANARY, flag_problems, settings

URL = {"fhir.url": "https://cdr.example.org/fhir"}
CLIENT = {"fhir.oauth2.client-id": "exporter"}
SECRET = {"fhir.oauth2.client-secret-file": "/dev/null"}
KEY = {"fhir.oauth2.private-key-file": "/dev/null"}


def test_a_client_with_a_secret_needs_no_more() -> None:
    found = settings(**URL, **CLIENT, **SECRET).fhir.oauth2
    assert found == OAuth2Settings(client_id="exporter", client_secret_file="/dev/null")
    assert (found.auth_method, found.jwt_type, found.audience, found.token_url) == ("basic", "JWT", None, None)
    assert found.scope == "system/Task.read system/Organization.read"


def test_keys_of_the_file_are_nested(tmp_path: Path) -> None:
    write_secret(tmp_path, "word")
    text = f"fhir: {{oauth2: {{client-id: me, client-secret-file: {tmp_path}/secret, scope: ''}}}}"
    assert settings(text).fhir.oauth2.scope == ""


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (
            CLIENT,
            "--fhir.oauth2.client-id: requires --fhir.oauth2.client-secret-file or --fhir.oauth2.private-key-file",
        ),
        (SECRET, "--fhir.oauth2.client-secret-file: requires --fhir.oauth2.client-id"),
        (KEY, "--fhir.oauth2.private-key-file: requires --fhir.oauth2.client-id"),
        *(
            (
                CLIENT | SECRET | {f"fhir.oauth2.{name}": "x"},
                f"--fhir.oauth2.{name}: requires --fhir.oauth2.private-key-file",
            )
            for name in ("key-id", "audience", "jwt-type")
        ),
        (
            CLIENT | KEY | {"fhir.oauth2.auth-method": "post"},
            "--fhir.oauth2.auth-method: requires --fhir.oauth2.client-secret-file",
        ),
        ({"fhir.oauth2.scope": "x"}, "--fhir.oauth2.scope: requires --fhir.oauth2.client-id"),
        (
            CLIENT | SECRET | KEY,
            (
                "--fhir.oauth2.client-secret-file: cannot be combined with --fhir.oauth2.private-key-file; "
                "choose one way to authenticate"
            ),
        ),
        (
            CLIENT | SECRET | {"fhir.oauth2.token-url": "http://auth.example.org/token"},
            "--fhir.oauth2.token-url: would send credentials unencrypted; use https or set --fhir.allow-plain-http",
        ),
        (
            CLIENT | SECRET | {"fhir.oauth2.token-url": f"https://{CANARY}:{CANARY}@auth.example.org/token"},
            (
                "--fhir.oauth2.token-url: must not contain a user name or password; "
                "use --fhir.oauth2.client-id and --fhir.oauth2.client-secret-file"
            ),
        ),
        *(
            (CLIENT | SECRET | {"fhir.oauth2.token-url": url}, "--fhir.oauth2.token-url: must be an absolute")
            for url in ("auth.example.org/token", "ftp://auth.example.org/token", "https:///token")
        ),
        (
            CLIENT | SECRET | {"fhir.oauth2.token-url": f"https://auth.example.org/token#{CANARY}"},
            "--fhir.oauth2.token-url: must not contain a query or fragment",
        ),
        (
            CLIENT | SECRET | {"fhir.oauth2.auth-method": CANARY},
            "--fhir.oauth2.auth-method: must be one of basic, post",
        ),
        ({"fhir.oauth2.client-id": f"é{CANARY}"} | SECRET, "--fhir.oauth2.client-id: must be printable ASCII"),
        (CLIENT | SECRET | {"fhir.oauth2.scope": f'"{CANARY}"'}, "--fhir.oauth2.scope: must be scopes"),
        (CLIENT | KEY | {"fhir.oauth2.key-id": f"a {CANARY}"}, "--fhir.oauth2.key-id: must not contain blanks"),
        (CLIENT | KEY | {"fhir.oauth2.jwt-type": f"a {CANARY}"}, "--fhir.oauth2.jwt-type: must be a type"),
    ],
)
def test_what_does_not_fit_is_said(flags: dict[str, str], problem: str) -> None:
    (found,) = flag_problems(**URL, **flags)
    assert found.startswith(problem)
    assert CANARY not in found


def test_every_two_ways_to_authenticate_are_a_conflict() -> None:
    ways = {
        "fhir.bearer-token-file": {"fhir.bearer-token-file": "/dev/null"},
        "fhir.username": {"fhir.username": "me", "fhir.password-file": "/dev/null"},
        "fhir.oauth2.client-id": CLIENT | SECRET,
    }
    for one, other in combinations(ways, 2):
        assert flag_problems(**URL, **ways[one], **ways[other]) == (
            f"--{one}: cannot be combined with --{other}; choose one way to authenticate",
        )
    assert len(flag_problems(**URL, **ways["fhir.username"], **ways["fhir.bearer-token-file"], **CLIENT, **SECRET)) == 3


def test_both_urls_are_kept_off_unencrypted_connections() -> None:
    flags = {"fhir.url": "http://cdr/fhir", "fhir.oauth2.token-url": "http://auth/token"} | CLIENT | SECRET
    assert len(flag_problems(**flags)) == 2
    assert settings(**flags, **{"fhir.allow-plain-http": "true"}).fhir.oauth2.token_url == "http://auth/token"
    local = {"fhir.url": "http://localhost/fhir", "fhir.oauth2.token-url": "http://127.0.0.1:9200/token"}
    assert settings(**local, **CLIENT, **SECRET).fhir.oauth2.token_url == local["fhir.oauth2.token-url"]


@pytest.mark.parametrize("url", ["https://auth.example.org/token/", "https://auth.example.org:443/Token?p=a%20b"])
def test_a_token_url_stays_as_it_is(url: str) -> None:
    assert settings(**URL, **CLIENT, **SECRET, **{"fhir.oauth2.token-url": url}).fhir.oauth2.token_url == url


def test_a_key_is_read_at_the_start_with_everything_else(tmp_path: Path) -> None:
    encrypted = write_secret(tmp_path, pem(new_key("P-384"), b"word"))
    flags = URL | CLIENT | {"fhir.oauth2.private-key-file": encrypted, "deadline": "soon"}
    found = flag_problems(**flags)
    assert len(found) == 2
    assert any("--fhir.oauth2.private-key-file: key is encrypted with a password" in problem for problem in found)


def test_a_key_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.der"
    path.write_bytes(b"\x30\x82\xff\xfe")
    flags = URL | CLIENT | {"fhir.oauth2.private-key-file": str(path), "fhir.oauth2.key-id": KEY_ID}
    (found,) = flag_problems(**flags)
    assert found == "--fhir.oauth2.private-key-file: file is not UTF-8 text; a PEM file or a JWK is needed"


def test_a_good_key_is_taken(tmp_path: Path) -> None:
    path = write_secret(tmp_path, pem(new_key("P-384")))
    flags = URL | CLIENT | {"fhir.oauth2.private-key-file": path, "fhir.oauth2.key-id": KEY_ID}
    assert settings(**flags).fhir.oauth2.private_key_file == path


# Files that others may use.


def everything(folder: Path) -> tuple[Settings, list[Path]]:
    """Every secret file at once, which no configuration has."""
    paths = [folder / str(number) for number in range(6)]
    for path in paths:
        path.write_text("x")
        path.chmod(0o640)
    names = [str(path) for path in paths]
    fhir = FhirSettings(
        url="https://cdr/fhir",
        bearer_token_file=names[0],
        password_file=names[1],
        oauth2=OAuth2Settings(client_secret_file=names[2], private_key_file=names[3]),
        client_key_file=names[4],
    )
    return Settings(fhir=fhir, batch_jobs=BatchJobsSettings(password_file=names[5])), paths


def test_every_option_with_a_secret_is_looked_at(tmp_path: Path) -> None:
    found, paths = everything(tmp_path)
    assert set(secret_files(found)) == {str(path) for path in paths}
    secrets = {option.name for option in OPTIONS if option.parse is values.secret_file}
    assert len(secrets | {"fhir.client-key-file"}) == len(paths)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
@pytest.mark.parametrize("number", range(6))
def test_a_file_that_others_may_use_is_named_with_its_mode(tmp_path: Path, mode: int, number: int) -> None:
    found, paths = everything(tmp_path)
    paths[number].chmod(mode)
    assert exposed_files(found) == ((str(paths[number]), f"0{mode:o}"),)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o660, 0o601])
def test_owner_and_group_may_use_it(tmp_path: Path, mode: int) -> None:
    found, paths = everything(tmp_path)
    paths[0].chmod(mode)
    assert exposed_files(found) == ()


def test_a_certificate_is_a_secret_where_the_key_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "both.pem"
    path.write_text("x")
    path.chmod(0o644)
    fhir = FhirSettings(url="https://cdr/fhir", client_cert_file=str(path))
    assert len(exposed_files(Settings(fhir=fhir))) == 1
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o600)
    assert exposed_files(Settings(fhir=replace(fhir, client_key_file=str(key)))) == ()


def test_what_is_no_file_is_left_alone() -> None:
    fhir = FhirSettings(url="https://cdr/fhir", bearer_token_file="/dev/null", password_file="/nowhere")
    assert exposed_files(Settings(fhir=fhir)) == ()


def test_a_key_file_of_any_size_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with path.open("wb") as file:
        file.truncate(1024**4)  # of holes
    flags = URL | CLIENT | {"fhir.oauth2.private-key-file": str(path), "fhir.oauth2.key-id": KEY_ID}
    (found,) = flag_problems(**flags)
    assert found == "--fhir.oauth2.private-key-file: file is larger than 64 KiB"
