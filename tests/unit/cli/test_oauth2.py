"""The commands with an access token, over HTTP: a token endpoint and a FHIR server on one loopback port."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from exporter import cli

from ...support.authorization import (
    CLIENT,
    KEY_ID,
    SECRET,
    TOKEN,
    AuthorizationServer,
    ProtectedServer,
    new_key,
    pem,
    write_secret,
)
from ...support.builders import completed
from ...support.canaries import hits
from ...support.fake import HandClock, store

KEY = new_key("P-384")


class Site:
    """The servers, and the options for them."""

    def __init__(self, folder: Path, *, signs: bool) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = f"http://{self.headers['Host']}{self.path}"
                answer = outer.protected.handle_request(
                    httpx.Request(self.command, url, headers=list(self.headers.items()), content=content)
                )
                body = answer.read()
                self.send_response_only(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in {"content-length", "transfer-encoding"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")  # so that no command keeps one
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _answer  # noqa: N815 - the names of http.server

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.clock = HandClock()
        self.origin = f"http://127.0.0.1:{self.http.server_port}"
        found = store(self.clock)
        found.base = f"{self.origin}/fhir"
        found.put(completed("t-1"))
        self.clock.advance(60)
        url = f"{self.origin}/oauth2/token"
        self.tokens = AuthorizationServer(
            self.clock, key=KEY if signs else None, secret=None if signs else SECRET, url=url, audience=url
        )
        self.protected = ProtectedServer(found, self.tokens)
        self.options = {"fhir.url": found.base, "fhir.oauth2.client-id": CLIENT}
        if signs:
            key = write_secret(folder, pem(KEY), "key")
            self.options |= {"fhir.oauth2.private-key-file": key, "fhir.oauth2.key-id": KEY_ID}
        else:
            self.options["fhir.oauth2.client-secret-file"] = write_secret(folder, SECRET)

    def invoke(self, *command: str, **options: str) -> Result:
        given = self.options | {name.replace("_", "."): value for name, value in options.items()}
        flags = [word for name, value in given.items() for word in (f"--{name}", value)]
        result = CliRunner().invoke(cli.main, [*command, *flags], env={})
        assert not hits(result.output, SECRET, TOKEN)
        return result


@pytest.fixture(params=[False, True], ids=["secret", "key"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path, signs=request.param)
    thread = threading.Thread(target=found.http.serve_forever, args=(0.05,))
    thread.start()
    yield found
    found.http.shutdown()
    thread.join(5)
    found.http.server_close()


def test_once_reads_tasks(site: Site) -> None:
    result = site.invoke("once")
    assert result.exit_code == 0, result.output
    assert 'status="completed"' in result.stdout
    assert len(site.tokens.asked) == len(site.tokens.refused) + 1  # its clock is another: the second try counts


def test_check_walks_all_steps(site: Site) -> None:
    result = site.invoke("check")
    assert f"token: 127.0.0.1:{site.http.server_port}, named by the FHIR server" in result.output
    assert "OK    Task: can be searched" in result.output


def test_watch_follows_a_task(site: Site) -> None:
    result = site.invoke("watch", "Task/t-1", "--output", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[0])["state"] == "completed", result.output


def test_a_ledger_is_rebound(site: Site, tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.db")
    assert site.invoke("once", ledger=ledger).exit_code == 0
    site.options["fhir.url"] = site.options["fhir.url"].replace("127.0.0.1", "localhost")
    site.tokens.url = site.tokens.audience = site.tokens.url.replace("127.0.0.1", "localhost")
    site.protected.names = {"token_endpoint": site.tokens.url}
    result = site.invoke("ledger", "rebind", ledger=ledger)
    assert result.exit_code == 0, result.output


def test_without_a_key_its_libraries_are_not_imported() -> None:
    """They cost 13 MB of memory."""
    libraries = ("jwt", "cryptography", "publicsuffixlist")
    script = f"import sys, exporter.app.serve; print(*[name for name in {libraries} if name in sys.modules])"
    command = [sys.executable, "-c", script]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "", shlex.join(command)
