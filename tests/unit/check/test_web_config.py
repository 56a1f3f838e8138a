"""What `check` says about the file of --web.config.file."""

import dataclasses
from pathlib import Path

import pytest

from exporter.config import WebSettings

from ...support.certificates import Authority
from .case import SETTINGS, Case

HASH = "$2y$15$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq"


def said(capsys: pytest.CaptureFixture[str], file: Path | None) -> str:
    settings = dataclasses.replace(SETTINGS, web=WebSettings(config_file=None if file is None else str(file)))
    return Case(capsys).run(settings=settings)[1]


def test_without_a_file_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "web server" not in said(capsys, None)


def test_how_the_port_is_protected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    Authority(tmp_path).issue(tmp_path, "server")
    file = tmp_path / "web.yaml"
    file.touch(mode=0o600)
    file.write_text(
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: ca.pem\n"
        f"  client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users:\n  canary: {HASH}\n"
    )
    text = said(capsys, file)
    assert "OK    configuration: web server: https, 1 user, client certificates required\n" in text
    assert "WARN  configuration: --web.config.file line 7, basic_auth_users: takes seconds to check" in text
    assert "canary" not in text
