"""`--web.config.file`: exporter-toolkit's own files, and Debian's Prometheus through TLS and passwords."""

import base64
import functools
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import bcrypt
import pytest

from exporter.config.web_config import read_web_config

from ..support.certificates import Authority
from ..unit.web.fake_backend import HANGS, wait_until
from ..unit.web.tls_client import client_context, get, serving_file
from .process import START_WITHIN, Process, SimulatedServer
from .program import environment, skip_or_fail, started
from .prometheus import prometheus, require_prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

MODULE = "github.com/prometheus/exporter-toolkit@v0.20.0"

MUST_FAIL = (
    *("web_config_junk.yml", "web_config_junk_key.yml", "web_config_noAuth.bad.yml"),
    *(f"web_config_noAuth_{each}_empty.bad.yml" for each in ("cert", "certPath", "key", "keyPath", "certPath_keyPath")),
    *(f"web_config_noAuth_{each}_invalid.bad.yml" for each in ("certPath", "keyPath", "certPath_keyPath")),
    *("web_config_auth_clientCAs_invalid.bad.yml", "web_config_auth_user_list_invalid.bad.yml"),
    *("web_config_noAuth_inventedCiphers.bad.yml", "web_config_noAuth_inventedCurves.bad.yml"),
    *("web_config_noAuth_wrongTLSVersion.bad.yml", "web_config_noAuth_noHTTP2Cipher.bad.yml"),
    *("web_config_headers_content_type_options.bad.yml", "web_config_headers_frame_options.bad.yml"),
    "web_config_headers_extra_header.bad.yml",
)
"""What the toolkit refuses at the start."""

NOT_IN_PYTHON = {
    "tls_config_noAuth.requireanyclientcert.good.yml": "without verifying them",
    "tls_config_noAuth.requireanyclientcertkeyinline.good.yml": "without verifying them",
    "web_config_noAuth_allCurves.good.yml": "only one curve is supported",
}
"""What the toolkit takes and we refuse, with a sentence."""


@functools.cache
def toolkit() -> Path:
    """The folder of the toolkit's test files, in Go's module cache."""
    if shutil.which("go") is None:
        skip_or_fail("go is not installed: `apt-get install golang-go`, or Go 1.24 or later from go.dev, brings it")
    command = ["go", "mod", "download", "-json", MODULE]
    module_mode = os.environ | {"GOFLAGS": "-mod=mod"}
    found = subprocess.run(command, check=False, capture_output=True, cwd="/", env=module_mode, timeout=300)
    if found.returncode:
        skip_or_fail(f"the module {MODULE} cannot be fetched: `go mod download` needs its proxy")
    return Path(json.loads(found.stdout)["Dir"]) / "web" / "testdata"


@pytest.fixture
def testdata() -> Path:
    return toolkit()


def test_every_file_of_the_toolkit_is_taken_or_refused_as_it_should_be(testdata: Path) -> None:
    files = {file.name: read_web_config(file) for file in testdata.iterdir() if file.suffix in {".yml", ".yaml"}}
    assert len(files) == 41
    refused = {name: " ".join(map(str, read.problems)) for name, read in files.items() if read.config is None}
    assert set(refused) == {*MUST_FAIL, *NOT_IN_PYTHON}
    for name, said in NOT_IN_PYTHON.items():
        assert said in refused[name]


def serve(file: Path, folder: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "exporter", "serve", "--fhir.url", "http://127.0.0.1:9/fhir"),
        *("--ledger", str(folder / "ledger.db"), "--web.listen-address", "127.0.0.1:0"),
        *("--web.config.file", str(file), *options),
    ]


def test_a_broken_file_ends_serve_and_check_with_all_faults(testdata: Path, tmp_path: Path) -> None:
    file = testdata / "web_config_noAuth_certPath_keyPath_invalid.bad.yml"
    command = serve(file, tmp_path, "--fhir.page-size", "0")
    for each in (command, [word if word != "serve" else "check" for word in command]):
        found = subprocess.run(each, check=False, capture_output=True, text=True, env=environment(), timeout=60)
        assert found.returncode == 2
        assert "--web.config.file line 2, tls_server_config.cert_file: file does not exist" in found.stderr
        assert "--web.config.file line 3, tls_server_config.key_file: file does not exist" in found.stderr
        assert "--fhir.page-size" in found.stderr


@pytest.mark.parametrize(
    "name",
    [
        *(
            "web_config_noAuth.good.yml",
            "web_config_noAuth_tlsInline.good.yml",
            "web_config_noAuth_allCiphers.good.yml",
        ),
        *("web_config_noAuth_someCiphers.good.yml", "web_config_noAuth_someCiphers_noOrder.good.yml"),
        *("web_config_noAuth_someCurves.good.yml", "web_config_noAuth_noHTTP2.good.yml"),
    ],
)
def test_tls_of_the_toolkit(name: str, testdata: Path) -> None:
    with serving_file(testdata / name) as (address, _):
        assert get(address, client_context(None)).status == 200
        assert plain_status(address) is None


def plain_status(address: tuple[str, int], user: str = "", password: str = "") -> int | None:
    """The status of an answer in plain HTTP; None without one."""
    connection = HTTPConnection(*address, timeout=HANGS)
    headers = {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"} if user else {}
    with closing(connection):
        try:
            connection.request("GET", "/-/healthy", headers=headers)
            return connection.getresponse().status
        except OSError:
            return None


@pytest.mark.parametrize(
    ("name", "cipher", "curve", "version"),
    [
        ("web_config_noAuth.good.yml", None, None, ssl.TLSVersion.TLSv1_1),
        ("web_config_noAuth_someCiphers.good.yml", "ECDHE-RSA-AES256-SHA", None, None),
        ("web_config_noAuth_someCurves.good.yml", None, "secp384r1", None),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_handshakes_that_the_toolkit_refuses(
    name: str, cipher: str | None, curve: str | None, version: ssl.TLSVersion | None, testdata: Path
) -> None:
    context = client_context(None)
    if cipher:
        context.set_ciphers(cipher)
    if curve:
        context.set_ecdh_curve(curve)
    if version:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
    with serving_file(testdata / name) as (address, _), pytest.raises(ssl.SSLError):
        get(address, context)


@pytest.mark.parametrize(
    ("name", "client", "status"),
    [
        ("tls_config_noAuth.requireandverifyclientcert.good.yml", "client_selfsigned", 200),
        ("tls_config_noAuth.requireandverifyclientcert.good.yml", "client2_selfsigned", None),
        ("tls_config_noAuth.requireandverifyclientcert.good.yml", None, None),
        ("web_config_auth_client_san.good.yaml", "client2_selfsigned", 200),
        ("web_config_auth_client_san.bad.yaml", "client2_selfsigned", None),
        ("web_config_noAuth.good.blocking.yml", None, None),
    ],
)
def test_client_certificates_of_the_toolkit(name: str, client: str | None, status: int | None, testdata: Path) -> None:
    pair = (testdata / f"{client}.pem", testdata / f"{client}.key") if client else None
    with serving_file(testdata / name) as (address, _):
        try:
            found = get(address, client_context(None, pair)).status
        except OSError:
            found = None
        assert found == status


def test_users_of_the_toolkit(testdata: Path) -> None:
    """Without bob: his hash takes half a minute, and so does whatever is wrong beside him."""
    users = read_web_config(testdata / "web_config_users_noTLS.good.yml").config
    assert users is not None
    assert set(users.users) == {"alice", "bob", "carol", "dave"}
    with serving_file(testdata / "web_config_users_noTLS.good.yml") as (address, _):
        assert plain_status(address) == 401
        for name in ("dave", "carol", "alice", "dave"):
            assert plain_status(address, name, f"{name}123") == 200
    with serving_file(testdata / "web_config_users.good.yml") as (address, _):
        right = base64.b64encode(b"dave:dave123").decode()
        assert get(address, client_context(None)).status == 401
        assert get(address, client_context(None), Authorization=f"Basic {right}").status == 200


def test_headers_of_the_toolkit(testdata: Path) -> None:
    with serving_file(testdata / "web_config_headers.good.yml") as (address, _):
        connection = HTTPConnection(*address, timeout=HANGS)
        with closing(connection):
            connection.request("GET", "/metrics")
            headers = connection.getresponse().headers
    assert headers.get_all("X-Frame-Options") == ["deny"]
    assert headers.get_all("Strict-Transport-Security") == ["max-age=31536000; includeSubDomains"]
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_all("X-XSS-Protection") == ["1"]
    assert headers.get_all("Content-Security-Policy") == ["default-src 'self' *.test.example.net"]


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("web_config_empty.yml", {200}),
        ("web_config_rate_limiter_nonblocking.yaml", {200}),
        ("web_config_rate_limiter_one_second.yaml", {429}),
    ],
)
def test_rate_limits_of_the_toolkit(name: str, statuses: set[int], testdata: Path) -> None:
    with serving_file(testdata / name) as (address, _):
        assert {plain_status(address) for _ in range(10)} == statuses


def test_a_policy_is_swapped_while_it_serves(testdata: Path, tmp_path: Path) -> None:
    """The toolkit's own test of reloading, in the direction that takes nothing away."""
    for name in ("server.crt", "server.key"):
        shutil.copy(testdata / name, tmp_path)
    file = tmp_path / "web.yml"
    shutil.copy(testdata / "web_config_noAuth.good.yml", file)
    with serving_file(file) as (address, _):
        assert get(address, client_context(None)).status == 200
        fresh = tmp_path / "fresh"
        shutil.copy(testdata / "web_config_noAuth.good.blocking.yml", fresh)
        fresh.replace(file)
        wait_until(lambda: blocked(address))


def blocked(address: tuple[str, int]) -> bool:
    try:
        get(address, client_context(None))
    except OSError:
        return True
    return False


# Debian's Prometheus.

PASSWORD = "canary-of-the-password"
CLIENT = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"


class Site:
    """A folder with an authority, a server's certificate, and one of a client; the configuration file is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.server = self.authority.issue(folder, "server")
        self.client = self.authority.issue(folder, "client")
        self.file = folder / "web.yaml"

    def write(self, tls: str = "", **users: str) -> None:
        """Write the file in one go, as a careful operator does."""
        text = f"tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{tls}"
        if users:
            hashes = {name: bcrypt.hashpw(word.encode(), bcrypt.gensalt(10)).decode() for name, word in users.items()}
            text += "basic_auth_users:\n" + "".join(f"  {name}: {each}\n" for name, each in hashes.items())
        fresh = self.folder / "web.new"
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        fresh.replace(self.file)

    def job(self, name: str, process: Process, **more: object) -> dict[str, object]:
        """A job of Prometheus that scrapes once a second."""
        return {
            "job_name": name,
            "scheme": "https",
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "static_configs": [{"targets": [process.url.removeprefix("https://")]}],
            "tls_config": {"ca_file": str(self.authority.ca_file)},
        } | more


@contextmanager
def running(site: Site) -> Iterator[Process]:
    """Run `serve` with the file."""
    log = site.folder / "exporter.log"
    base = SimulatedServer().base
    command = [word if word != "http://127.0.0.1:9/fhir" else base for word in serve(site.file, site.folder)]
    with started(command, log, r"msg=listening\b.*\baddress=(\S+)\s", within=START_WITHIN) as (popen, (address,)):
        yield Process(popen, f"https://{address}", log)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    require_prometheus()
    return Site(tmp_path)


def auth(user: str, password: str) -> dict[str, str]:
    return {"username": user, "password": password}


def test_prometheus_scrapes_through_tls_and_a_password_until_its_user_is_removed(site: Site) -> None:
    site.write(prom=PASSWORD, other="else")
    with running(site) as process:
        jobs = (
            site.job("right", process, basic_auth=auth("prom", PASSWORD)),
            site.job("wrong", process, basic_auth=auth("prom", "wrong")),
            site.job("nobody", process),
            site.job("untrusting", process, basic_auth=auth("prom", PASSWORD), tls_config={}),
            site.job("plain", process, basic_auth=auth("prom", PASSWORD), scheme="http", tls_config={}),
        )
        with prometheus({"scrape_configs": list(jobs)}, site.folder) as server:
            server.until('up{job="right"}', 1)
            server.until('fhir_task_exporter_config_last_reload_successful{job="right"}', 1)
            for job in ("wrong", "nobody", "untrusting", "plain"):
                server.until(f'up{{job="{job}"}}', 0)
            server.until('min_over_time(up{job="right"}[10s])', 1)
            site.write(other="else")
            process.popen.send_signal(signal.SIGHUP)
            server.until('up{job="right"}', 0)
            errors = {each["labels"]["job"]: each["lastError"] for each in server.active_targets()}
            for job in ("right", "wrong", "nobody"):
                assert "HTTP status 401" in errors[job]
        log = process.log.read_text()
        assert "without authentication" not in log
        assert "Traceback" not in log
        assert PASSWORD not in log
        assert 'msg="configuration reloaded" file=web changed=--web.config.file' in log


def test_prometheus_scrapes_with_a_client_certificate(site: Site) -> None:
    site.write(CLIENT + "  client_allowed_sans: [127.0.0.1]\n")
    shown = {"ca_file": str(site.authority.ca_file), "cert_file": str(site.client[0]), "key_file": str(site.client[1])}
    with running(site) as process:
        jobs = (site.job("shown", process, tls_config=shown), site.job("none", process))
        with prometheus({"scrape_configs": list(jobs)}, site.folder) as server:
            server.until('up{job="shown"}', 1)
            server.until('up{job="none"}', 0)
            site.write(CLIENT + "  client_allowed_sans: [prometheus.example]\n")
            wait_until(lambda: refused(process, site))


def refused(process: Process, site: Site) -> bool:
    """Whether a new connection with the client's certificate gets no answer."""
    host, port = process.url.removeprefix("https://").rsplit(":", 1)
    try:
        get((host, int(port)), client_context(site.authority.ca_file, site.client))
    except OSError:
        return True
    return False


def test_a_certificate_is_replaced_while_prometheus_scrapes(site: Site) -> None:
    site.write(prom=PASSWORD)
    context = client_context(site.authority.ca_file)
    with running(site) as process:
        host, port = process.url.removeprefix("https://").rsplit(":", 1)
        with prometheus(
            {"scrape_configs": [site.job("own", process, basic_auth=auth("prom", PASSWORD))]}, site.folder
        ) as server:
            server.until('up{job="own"}', 1)
            fresh = ssl.PEM_cert_to_DER_cert(site.authority.issue(site.folder, "server")[0].read_text())
            wait_until(lambda: served(host, int(port), context) == fresh)
            time.sleep(2)
            assert server.value('min_over_time(up{job="own"}[1h])') == 1
            (site.folder / "server.key").write_text("no key")
            server.until("fhir_task_exporter_config_last_reload_successful", 0)
            assert served(host, int(port), context) == fresh, "the last good one stays in force"
            assert server.value('min_over_time(up{job="own"}[1h])') == 1


def served(host: str, port: int, context: ssl.SSLContext) -> bytes:
    """The certificate that a new connection is shown."""
    connection = HTTPSConnection(host, port, timeout=HANGS, context=context)
    with closing(connection):
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        return connection.sock.getpeercert(binary_form=True) or b""
