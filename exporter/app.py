"""What each command does, once its configuration is known to be valid. Each returns the exit code.

Here, and only here, the parts are put together: `assemble` does it for the commands and for the tests.

See docs/design.md#stopping.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector

from .batch_jobs.client import BatchJobs
from .batch_jobs.reader import BatchJobsReader
from .choices import Choices, choices, deadlines, rename_payers
from .clock import Clock, SystemClock
from .config import (
    BatchJobsSettings,
    DemoSettings,
    FhirSettings,
    OAuth2Settings,
    Settings,
    WebConfig,
    exposed_files,
)
from .context import WalkContext
from .errors import ErrorReason
from .exemplars import Exemplars
from .fhir.auth import Anonymous, Auth, Basic, BearerFile
from .fhir.client import FhirServer, SearchOptions
from .fhir.export_status import ExportStatus
from .fhir.http import ADMIN, Api, Http, Transport
from .history import HistoryReader
from .hold import SeriesHold
from .ledger import Binding, Ledger, Owner, open_ledger, rebind_ledger, watched
from .ledger_guard import LedgerGuard
from .logs import log_event
from .metrics.batch_jobs import BatchJobsCollector
from .metrics.families import TaskText
from .metrics.negotiation import Format, join
from .metrics.telemetry import Telemetry
from .metrics.vocabulary import ConfigFile
from .names import Namer, OrganizationRight
from .oauth2 import OAuth2, TokenEndpoint, make_proof
from .probe import ProbeOptions, Probes
from .progress import LogLines, Reporter, TerminalBar
from .reload import Configuration, Reloader, ReloadSource, Requests, Reread
from .task.model import Task
from .task.reasons import classifier
from .watermark import ServerClock, Watermark
from .web.backend import Backend, PageOptions
from .web.config_file import FixedWebConfig, WebConfigFile
from .web.server import WebServer
from .worker import Worker

if TYPE_CHECKING:
    from .watch.run import WatchRequest
    from .watch.subjects import Sources

logger = logging.getLogger(__name__)

END_WITHIN_SECONDS = 2.0
"""What the worker and the web server each get to end after SIGTERM; together they stay under five."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """The parts that work together in one process."""

    worker: Worker
    telemetry: Telemetry
    context: WalkContext
    probes: Probes
    guard: LedgerGuard


def assemble(settings: Settings, clock: Clock, transport: Transport | None = None) -> Exporter:
    """Put an exporter together. `transport` replaces the network. Raises a LedgerError or ConfigurationError."""
    telemetry = Telemetry()
    telemetry.set_config_read(ConfigFile.CONFIG, clock.wall())
    chosen = choices(settings)
    connection = Connection(fhir_auth(settings, clock, telemetry, transport), telemetry, transport)
    server = fhir_server(settings, connection)
    ledger = _ledger(settings, chosen, telemetry, server)
    guard = LedgerGuard(watched(settings.ledger), telemetry)
    right = OrganizationRight(telemetry.count_error)
    context = WalkContext(
        server=server,
        ledger=ledger,
        clock=clock,
        telemetry=telemetry,
        namer=Namer(chosen.payers, server.http.base, clock, ledger.organizations(), right),
        history=HistoryReader(server, clock, telemetry, wanted=settings.history),
        hold=SeriesHold(settings.hold, clock.monotonic()),
        exemplars=Exemplars(clock, ledger.counters(), wanted=settings.exemplars),
        rules=chosen.rules,
        server_clock=ServerClock(clock, telemetry),
        watermark=Watermark(ledger, clock, chosen.rules.overlap_ms),
    )
    worker = Worker(context, settings.poll, settings.reconcile, _reporter(clock))
    probes = _probes(settings, server.http.base, clock, connection)
    return Exporter(worker, telemetry, context, probes, guard)


def _assemble_here(settings: Settings) -> Exporter:
    """Put an exporter together for this process, and show the process beside it."""
    for file in exposed_files(settings):
        log_event(logger, logging.WARNING, "others on this machine may use a secret", file=file.path, mode=file.mode)
    exporter = assemble(settings, SystemClock())
    ProcessCollector(registry=exporter.telemetry.registry)
    exporter.telemetry.set_build_info(version("fhir-task-exporter"), sys.version.split()[0])
    return exporter


def serve(settings: Settings, reloads: ReloadSource | None = None, *, poll_on_view: bool = False) -> int:
    """Answer scrapes until a signal stops it; 1 when one of its threads ends by itself, so that it is started again."""
    exporter = _assemble_here(settings)
    worker = threading.Thread(target=exporter.worker.run, name="worker", daemon=True)
    source = Backend(
        exporter.worker,
        exporter.probes,
        exporter.telemetry,
        worker,
        PageOptions(exporter.context.server.http.host_and_port, poll_on_view, lambda: exporter.guard.trouble),
    )
    reloads = reloads or ReloadSource(Requests())
    web_config = _web_config(settings.web.config_file, exporter.telemetry)
    rereads = _rereads(settings, exporter, reloads, web_config)
    reloader = Reloader(reloads.requests, rereads, exporter.telemetry, exporter.context.clock)
    reload = reloader.ask if settings.web.enable_lifecycle else None
    web = WebServer(source, settings.web.scrape_timeout_offset, reload=reload, config=web_config)
    stopped = _on_signals()
    reader = _batch_jobs_reader(settings, exporter.telemetry)
    address = web.start(settings.web.host, settings.web.port)
    worker.start()
    threading.Thread(target=exporter.guard.run, name="ledger-guard", daemon=True).start()
    threading.Thread(target=reloader.run, name="reload", daemon=True).start()
    if reader is not None:
        threading.Thread(target=reader.run, name="batch-jobs", daemon=True).start()
    _log_address(*address, web_config.current(), open_page=poll_on_view)
    if settings.exemplars:
        log_event(logger, logging.WARNING, "metrics carry Task ids as exemplars; Prometheus may store them")
    try:
        return _serve_until(stopped, exporter, worker, web)
    finally:
        if reader is not None:
            reader.stop()  # a daemon that holds nothing: nobody waits for it


def _rereads(
    settings: Settings, exporter: Exporter, reloads: ReloadSource, web_config: FixedWebConfig
) -> Sequence[Callable[[], Reread]]:
    """List what SIGHUP and `POST /-/reload` read again: a function for each file."""
    rereads = list[Callable[[], Reread]]()
    if reloads.load is not None:
        rereads.append(configuration(settings, exporter, reloads.load).reread)
    if isinstance(web_config, WebConfigFile):
        rereads.append(web_config.reread)
    return rereads


def configuration(settings: Settings, exporter: Exporter, load: Callable[[], Settings]) -> Configuration:
    """Make what reads `--config.file` again. `load` resolves the settings as at the start."""
    return Configuration(settings, load, lambda new: exporter.worker.reconfigure(choices(new)).result())


def _web_config(path: str | None, telemetry: Telemetry) -> FixedWebConfig:
    """Read who may ask. Raises ConfigurationError where the file became unusable since it was checked."""
    if path is None:
        return FixedWebConfig()

    def report(used: bool) -> None:
        if used:
            telemetry.set_config_read(ConfigFile.WEB, SystemClock().wall())
        else:
            telemetry.set_config_broken(ConfigFile.WEB)

    return WebConfigFile(Path(path), report)


def _log_address(host: str, port: int, config: WebConfig, *, open_page: bool) -> None:
    """Log where the exporter listens; `open_page` adds the URL for a person at a browser."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    log_event(logger, logging.INFO, "listening", address=address, version=version("fhir-task-exporter"))
    if not ip_address(host).is_loopback:
        if not config.authenticates:
            log_event(logger, logging.WARNING, "metrics are served without authentication", address=address)
        elif config.tls is None:
            log_event(logger, logging.WARNING, "passwords are received unencrypted; configure TLS", address=address)
    if open_page:
        log_event(logger, logging.INFO, "open this page", url=f"{config.scheme}://{_browser_host(host)}:{port}/")


def _browser_host(host: str) -> str:
    """Return the host to put into a URL: this machine where all its addresses are bound."""
    address = ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1"
    return host if address.version == 4 else f"[{host}]"  # noqa: PLR2004 - the version of IP


def _serve_until(stopped: threading.Event, exporter: Exporter, worker: threading.Thread, web: WebServer) -> int:
    while (alive := worker.is_alive() and web.alive) and not stopped.wait(1.0):
        pass
    log_event(logger, logging.INFO, "stopping")
    exporter.guard.stop()
    exporter.worker.stop()
    web.stop(END_WITHIN_SECONDS)
    worker.join(END_WITHIN_SECONDS)
    return 0 if alive else 1


def _on_signals() -> threading.Event:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def once(settings: Settings) -> int:
    """Walk once and write the metrics to stdout; 1 when the walk was not complete."""
    exporter = _assemble_here(replace(settings, hold=0.0))
    complete = exporter.worker.once()
    exporter.context.ledger.close()
    text = TaskText().render(exporter.worker.published.snapshot, Format.TEXT)
    sys.stdout.buffer.write(join((text, exporter.telemetry.render(Format.TEXT)), Format.TEXT))
    return 0 if complete else 1


def check(settings: Settings) -> int:
    """Try the configuration and the connection, and print what was found."""
    from .check.run import examine

    return examine(settings, fhir_server(settings, _connection(settings)), batch_jobs=batch_jobs(settings))


def rebind(settings: Settings) -> Owner:
    """Rebind the ledger to the FHIR server, if its Tasks are there; returns whose it was."""
    server = fhir_server(settings, _connection(settings))
    binding = Binding(settings.fhir.url, settings.fhir.selection)
    return rebind_ledger(settings.ledger, binding, partial(_read_tasks, server))


def watch(settings: Settings, request: "WatchRequest") -> int:
    """Follow one thing on the server, and show it. No ledger is opened."""
    from .watch.run import watch as follow

    return follow(request, watch_sources(settings, SystemClock()), time.sleep)


def watch_sources(settings: Settings, clock: Clock, transport: Transport | None = None) -> "Sources":
    """Make the clients that `watch` asks through."""
    from .watch.subjects import PayerRules, Sources

    connection = _connection(settings, clock, transport)
    server = fhir_server(settings, connection)
    payers = PayerRules(Namer(settings.payers, server.http.base, clock), deadlines(settings))
    exports = export_status(settings, connection)
    return Sources(server, exports, batch_jobs(settings, transport), payers, clock)


def demo(settings: DemoSettings) -> int:
    """Serve a simulated network of payers; the hold is 0, so that what a person sees with curl is live."""
    from .demo.app import Demo, asgi, serve_on_loopback
    from .demo.batch_jobs import MODULE

    def simulate(address: str) -> object:
        return asgi(Demo(SystemClock().wall, f"{address}/fhir", speed=settings.speed).answer)

    origin = serve_on_loopback(simulate)
    url = f"{origin}/fhir"
    log_event(logger, logging.INFO, "simulated FHIR server started", url=url)
    shown = Settings(
        fhir=FhirSettings(url=url),
        ledger=":memory:",
        hold=0.0,
        batch_jobs=BatchJobsSettings(url=f"{origin}/admin", module=MODULE),
        web=settings.web,
        log=settings.log,
    )
    return serve(shown, poll_on_view=True)


@dataclass(frozen=True, slots=True)
class Connection:
    """What every client of the FHIR server in a process shares: credentials, metrics, and in tests the network."""

    auth: Auth
    telemetry: Telemetry
    transport: Transport | None = None


def _connection(settings: Settings, clock: Clock | None = None, transport: Transport | None = None) -> Connection:
    """Make what a command needs that shows no metrics."""
    telemetry = Telemetry()
    return Connection(fhir_auth(settings, clock or SystemClock(), telemetry, transport), telemetry, transport)


def fhir_auth(settings: Settings, clock: Clock, telemetry: Telemetry, transport: Transport | None = None) -> Auth:
    """Make the credentials for the FHIR server. They may be a token, of which a process has one."""
    fhir, proof = settings.fhir, make_proof(settings.fhir.oauth2)
    if proof is None:
        return _auth(fhir)

    def connect(url: str, api: Api) -> Http:
        return Http(replace(fhir, url=url), telemetry=telemetry, transport=transport, api=api)

    endpoint = TokenEndpoint(fhir, connect, min(fhir.timeout, settings.poll.timeout))
    return OAuth2(proof, endpoint, fhir.oauth2.scope, clock, telemetry)


def fhir_server(settings: Settings, connection: Connection) -> FhirServer:
    """Make the client of the FHIR server."""
    http = Http(settings.fhir, connection.auth, connection.telemetry, transport=connection.transport)
    return FhirServer(http, settings.fhir, SearchOptions(classifier(settings.reasons), settings.poll.timeout))


def export_status(settings: Settings, connection: Connection) -> ExportStatus:
    """Make a client that asks for the status of export jobs, with a connection of its own."""
    http = Http(settings.fhir, connection.auth, connection.telemetry, transport=connection.transport)
    return ExportStatus(http, settings.probe_path)


def _probes(settings: Settings, base: str, clock: Clock, connection: Connection) -> Probes:
    options = ProbeOptions(base, settings.probe_path, settings.fhir.timeout, settings.poll.min_interval)
    return Probes(lambda: export_status(settings, connection), options, clock, connection.telemetry)


def batch_jobs(settings: Settings, transport: Transport | None = None) -> BatchJobs | None:
    """Make the client of the Admin API, with a connection and credentials of its own; None if it is not configured."""
    own = settings.batch_jobs
    if own.url is None or own.module is None:
        return None
    admin = replace(
        settings.fhir,
        url=own.url,
        bearer_token_file=None,
        oauth2=OAuth2Settings(),
        username=own.username,
        password_file=own.password_file,
    )
    return BatchJobs(Http(admin, _auth(admin), transport=transport, api=ADMIN), own.module)


def _batch_jobs_reader(settings: Settings, telemetry: Telemetry) -> BatchJobsReader | None:
    """Make what reads the batch jobs, and show it beside the other metrics; None if it is not configured."""
    client = batch_jobs(settings)
    if client is None:
        return None
    reader = BatchJobsReader(client, SystemClock())
    telemetry.registry.register(BatchJobsCollector(reader.report))
    return reader


def _auth(fhir: FhirSettings) -> Auth:
    if fhir.bearer_token_file is not None:
        return BearerFile(Path(fhir.bearer_token_file))
    if fhir.username is not None and fhir.password_file is not None:
        return Basic(fhir.username, Path(fhir.password_file))
    return Anonymous()


def _ledger(settings: Settings, chosen: Choices, telemetry: Telemetry, server: FhirServer) -> Ledger:
    binding = Binding(settings.fhir.url, settings.fhir.selection)
    rebind = partial(_read_tasks, server) if settings.ledger_rebind else None
    ledger, aside = open_ledger(settings.ledger, binding, chosen.pairs, rebind)
    if aside is not None:
        telemetry.count_error(ErrorReason.LEDGER)
        log_event(
            logger, logging.ERROR, "the ledger is damaged; it was set aside and a new one was created", kept=str(aside)
        )
    rename_payers(chosen, ledger)
    return ledger


def _read_tasks(server: FhirServer, ids: Sequence[str]) -> Sequence[Task]:
    """Read Tasks by id, in a window of their own."""
    with server.window() as window:
        return window.read(ids).tasks


def _reporter(clock: Clock) -> Reporter:
    return TerminalBar() if sys.stderr is not None and sys.stderr.isatty() else LogLines(clock)
