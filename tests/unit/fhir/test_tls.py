import contextlib
import gzip
import logging
import os
import shutil
import time
import traceback
from pathlib import Path

import pytest

from exporter.config import FhirSettings
from exporter.errors import ConfigurationError, ServerError, TimedOut, Truncated
from exporter.fhir.http import Http, Reply
from exporter.metrics.vocabulary import Operation

from ...support.hostile import Listener, Play, drips, head, sends
from .certificates import encrypted, make_certificates, needs_openssl

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def ask(play: Play, ca_file: Path | None = None, client: Path | None = None, seconds: float = 5.0) -> Reply:
    key_file = client.with_suffix(".key") if client else None
    with Listener(play, reads=False) as server:
        base = server.base.replace("http:", "https:")
        ca, certificate, key = (str(path) if path else None for path in (ca_file, client, key_file))
        settings = FhirSettings(url=base, ca_file=ca, client_cert_file=certificate, client_key_file=key)
        with contextlib.closing(Http(settings)) as http, http.session(seconds) as session:
            return session.get(f"{base}/Task", Operation.SEARCH)


GOOD = sends(head("Content-Length: 2"), b"{}")


def test_a_private_authority_is_trusted_when_given(folder: Path) -> None:
    assert ask(encrypted(folder, GOOD), folder / "server.pem").body == b"{}"


def test_a_client_certificate_is_shown_when_given(folder: Path) -> None:
    play = encrypted(folder, GOOD, asks_client=True)
    assert ask(play, folder / "server.pem", folder / "client.pem").body == b"{}"


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(folder: Path) -> None:
    certificate, key = str(folder / "client.pem"), str(folder / "encrypted.key")
    settings = FhirSettings(url="https://127.0.0.1/fhir", client_cert_file=certificate, client_key_file=key)
    with pytest.raises(ConfigurationError) as raised:
        Http(settings)
    assert "client-cert-file" in str(raised.value)


def copy(folder: Path, name: str, to: Path) -> None:
    """Replace a certificate and its key, as an operator does: by new files under the old names."""
    for suffix in (".pem", ".key"):
        shutil.copy(folder / f"{name}{suffix}", to / f"new{suffix}")
        (to / f"new{suffix}").rename(to / f"own{suffix}")


def test_a_new_client_certificate_is_shown_with_the_next_connection(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    copy(folder, "stranger", tmp_path)
    with Listener(encrypted(folder, GOOD, asks_client=True), reads=False) as server:
        base = server.base.replace("http:", "https:")
        ca, certificate, key = str(folder / "server.pem"), str(tmp_path / "own.pem"), str(tmp_path / "own.key")
        http = Http(FhirSettings(url=base, ca_file=ca, client_cert_file=certificate, client_key_file=key))

        def answered() -> bool:
            http.close()
            with contextlib.suppress(ServerError), http.session(5) as session:
                return session.get(f"{base}/Task", Operation.SEARCH).body == b"{}"
            return False

        assert not answered()
        copy(folder, "client", tmp_path)
        assert answered()
        (tmp_path / "own.pem").write_text("no certificate")
        assert answered()
        assert answered()
        (tmp_path / "own.pem").unlink()
        os.mkfifo(tmp_path / "own.pem")
        assert answered(), "no pipe is waited for"
        copy(folder, "stranger", tmp_path)
        assert not answered()
    said = [record.getMessage() for record in caplog.records if record.name == "exporter.fhir.tls"]
    kept = "new TLS files are not used"
    assert said == ["TLS files were read again", kept, kept, "TLS files were read again"]


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
