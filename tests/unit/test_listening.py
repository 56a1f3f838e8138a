"""What is logged about the address at the start: warnings where they are true, and nowhere else."""

import logging
import ssl

import pytest

from exporter.app.serve import _log_address
from exporter.config import WebConfig
from exporter.config.web_options import ClientAuth
from exporter.config.web_tls import ServerContext

OPEN = "metrics are served without authentication"
CLEAR = "passwords are received unencrypted; configure TLS"
TLS = ServerContext(ssl.PROTOCOL_TLS_SERVER)
USERS = {"user": b"hash"}


@pytest.mark.parametrize(
    ("host", "config", "warnings"),
    [
        ("127.0.0.1", WebConfig(), []),
        ("127.0.0.2", WebConfig(), []),
        ("::1", WebConfig(users=USERS), []),
        ("0.0.0.0", WebConfig(), [OPEN]),
        ("192.0.2.1", WebConfig(tls=TLS), [OPEN]),
        ("192.0.2.1", WebConfig(tls=TLS, client_auth=ClientAuth.IF_GIVEN), [OPEN]),
        ("192.0.2.1", WebConfig(tls=TLS, client_auth=ClientAuth.REQUIRED), []),
        ("2001:db8::1", WebConfig(users=USERS), [CLEAR]),
        ("::", WebConfig(tls=TLS, users=USERS), []),
    ],
)
def test_warnings(host: str, config: WebConfig, warnings: list[str], caplog: pytest.LogCaptureFixture) -> None:
    _log_address(host, 9842, config, open_page=False)
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == warnings


@pytest.mark.parametrize(
    ("config", "url"), [(WebConfig(), "http://127.0.0.1:9842/"), (WebConfig(tls=TLS), "https://127.0.0.1:9842/")]
)
def test_the_page_has_the_scheme_that_is_spoken(config: WebConfig, url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    _log_address("0.0.0.0", 9842, config, open_page=True)
    assert url in str([vars(each) for each in caplog.records])
