"""The exporter under attack: a real process with debug logs, its servers, and all places where a secret could show."""

import atexit
import itertools
import json
import ssl
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

from exporter.demo.server import Request, Response

from ..e2e.process import Process, exporter
from ..support import loaded
from ..support.canaries import canary
from ..unit.fhir.certificates import make_certificates
from .wire import Elsewhere, Front, Play, good
from .world import World

FHIR_TIMEOUT, POLL_TIMEOUT = 1.0, 3.0
"""Seconds: `--fhir.timeout` and `--poll.timeout` of every subject."""

OPTIONS = (
    *("--series.hold", "0s", "--poll.min-interval", "0s", "--poll.overlap", "0s", "--log.level", "debug"),
    *("--fhir.timeout", f"{FHIR_TIMEOUT:.0f}s", "--poll.timeout", f"{POLL_TIMEOUT:.0f}s"),
    *("--reconcile.open-interval", "1h", "--reconcile.full-interval", "1h"),
)


EVERY = 20
"""The bytes of the ledger are searched after so many cases, and at the end."""


class Kind(StrEnum):
    """How the exporter of a case is set up."""

    BEARER = "bearer"
    """Over plain HTTP, with a bearer token, as most cases are."""
    ODD = "odd"
    """The same, for cases that leave something in the ledger that the server has not: a restart would compare."""
    BASIC = "basic"
    """Over plain HTTP, with a password, and with a server whose batch jobs are watched."""
    TLS = "tls"
    """Over TLS, with a client certificate and a private authority."""
    OAUTH2 = "oauth2"
    """With a client secret; the cases are played by the token endpoint, whose tokens are valid for a second."""
    COMPARING = "comparing"
    """With both comparisons due at every moment."""


@cache
def certificates() -> Path:
    """Make the certificates of this process, once."""
    folder = tempfile.TemporaryDirectory(prefix="hostile-")
    atexit.register(folder.cleanup)
    made = make_certificates(Path(folder.name))
    trusted = ("server", "other", "expired", "early")
    (made / "trusted.pem").write_text("".join((made / f"{name}.pem").read_text() for name in trusted))
    return made


@cache
def tls_server(name: str = "server", newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Make the TLS of a server that wants the client's certificate; the newest version may be an old one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates() / f"{name}.pem", certificates() / f"{name}.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates() / "client.pem")
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that is what it is for
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = newest
    return context


class Subject:
    """One exporter before one server. `logs` are those of every process that it has been."""

    def __init__(self, folder: Path, kind: Kind, play: Play = good) -> None:
        self._play = play
        self.folder = folder
        self.kind = kind
        self.world = World()
        self._stack = ExitStack()
        self._running = ExitStack()
        self._jobs = itertools.count()
        self.looked = 0
        self._secrets = itertools.count()
        self.logs: list[Path] = []

    def __enter__(self) -> Self:
        tls = tls_server() if self.kind is Kind.TLS else None
        self.elsewhere = self._stack.enter_context(Elsewhere())
        self.front = self._stack.enter_context(Front(self.world.answer, tls=tls, elsewhere=self.elsewhere.port))
        self.tokens = self._stack.enter_context(Front(_give_token, elsewhere=self.elsewhere.port))
        self.target = self.tokens if self.kind is Kind.OAUTH2 else self.front
        self.target.switch(self._play)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
        self._stack.close()

    @property
    def options(self) -> tuple[str, ...]:
        """The options with which it asks this server: for other commands, too."""
        return ("--fhir.url", self.front.base, *self._credentials())

    def start(self) -> None:
        """Start the process, again on the same ledger where there is one: what it waits for is forgotten."""
        self._running.close()
        extra = ("--reconcile.open-interval", "1s", "--reconcile.full-interval", "1s")
        options = (*OPTIONS, *self._credentials(), *(extra if self.kind is Kind.COMPARING else ()))
        self.process: Process = self._running.enter_context(exporter(self.front.base, self.folder, *options))
        self._client = self._running.enter_context(
            httpx.Client(base_url=self.process.url, timeout=60, trust_env=False, verify=False)
        )
        self.logs.append(self.process.log)

    def change_secret(self) -> None:
        """Write another secret: a failed request for a token is then not waited out."""
        secret = self.folder / "secret"
        secret.write_text(canary(f"secret.{self.kind}") + "'" * (next(self._secrets) % 2))
        secret.chmod(0o600)

    def _credentials(self) -> Iterator[str]:
        secret = self.folder / "secret"
        self.change_secret()
        match self.kind:
            case Kind.TLS:
                yield from ("--fhir.ca-file", str(certificates() / "trusted.pem"))
                yield from ("--fhir.client-cert-file", str(certificates() / "client.pem"))
                yield from ("--fhir.client-key-file", str(certificates() / "client.key"))
            case Kind.OAUTH2:
                yield from ("--fhir.oauth2.client-id", "somebody", "--fhir.oauth2.client-secret-file", str(secret))
                yield from ("--fhir.oauth2.token-url", f"{self.tokens.base}/token")
            case Kind.BASIC:
                yield from ("--fhir.username", "somebody", "--fhir.password-file", str(secret))
                yield from ("--batch-jobs.url", f"{self.front.base}/admin", "--batch-jobs.module", "persistence")
                yield from ("--batch-jobs.username", "somebody", "--batch-jobs.password-file", str(secret))
            case _:
                yield from ("--fhir.bearer-token-file", str(secret))

    def scrape(self, seconds: float = 10) -> str:
        """Ask as Prometheus does."""
        answer = self._client.get("/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": str(seconds)})
        assert answer.status_code == httpx.codes.OK, f"/metrics answered {answer.status_code}"
        return answer.text

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.popen.pid}/clear_refs").write_text("5")

    def peak_mib(self) -> int:
        """Return the most memory that the process has had, in MiB."""
        status = Path(f"/proc/{self.process.popen.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what is secret and no canary: lines of the client's key."""
        return tuple(certificates().joinpath("client.key").read_text().split()[8:10]) if self.kind is Kind.TLS else ()

    def log_from(self, size: int) -> str:
        """Return what the process has logged since its log had this size."""
        return self.process.log.read_bytes()[size:].decode("utf-8", "replace")

    def shown(self) -> Iterator[tuple[str, str]]:
        """Yield the places where a secret of a case could show, with their texts; the log is looked at beside them.

        The ledger keeps what it is given: it is searched for all of the cases since the last time.
        """
        for path in ("/metrics", "/"):
            yield self._page(path)
        yield "/probe", self.probe()
        if self.looked % EVERY == 0:
            for file in sorted(self.folder.glob("ledger.db*")):
                yield file.name, file.read_bytes().decode("latin-1")
        self.looked += 1

    def shown_at_the_end(self) -> Iterator[tuple[str, str]]:
        """Yield all places where a secret of any case could show."""
        self.looked = 0
        yield from self.shown()
        for path in ("/-/ready", "/-/healthy", f"/{canary('path')}", f"/probe?target={canary('probe.target')}"):
            yield self._page(path)
        for name in ("cmdline", "environ"):
            yield name, Path(f"/proc/{self.process.popen.pid}/{name}").read_bytes().decode("latin-1")
        for log in self.logs:
            yield log.name, log.read_text()

    def probe(self) -> str:
        """Ask for the status of a job that has not been asked for before."""
        target = f"{self.front.base}/$export-poll-status?_jobId={canary('probe')}{next(self._jobs)}"
        return "".join(self._page(f"/probe?target={quote(target, safe='')}"))

    def _page(self, path: str) -> tuple[str, str]:
        answer = self._client.get(path, headers={"Accept": "application/openmetrics-text;version=1.0.0"})
        return path.partition("?")[0], answer.text + repr(answer.headers.multi_items())


def _give_token(_: Request) -> Response:
    """Answer as an honest token endpoint does."""
    body = json.dumps(loaded.token_answer(expires_in=1)).encode()
    return Response(200, (("content-type", "application/json"), *loaded.HEADERS), body)


def reasons_in(text: str) -> Counter[str]:
    """Read errors_total by reason."""
    return Counter(dict(_by_label(text, "fhir_task_exporter_errors_total", "reason")))


POLLS, COMPARISONS = "fhir_task_exporter_polls_total", "fhir_task_exporter_reconciles_total"


def ended(text: str, metric: str) -> int:
    """Read how many polls or comparisons have ended, however."""
    return sum(n for _, n in _by_label(text, metric, "outcome"))


def _by_label(text: str, metric: str, label: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        if line.startswith(metric + "{"):
            yield line.partition(f'{label}="')[2].partition('"')[0], int(float(line.rsplit(" ", 1)[1]))
