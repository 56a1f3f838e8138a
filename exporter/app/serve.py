"""Serving: the threads of an exporter, from the start to a signal.

See docs/design.md#stopping.
"""

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from queue import Empty, SimpleQueue

from ..batch_jobs.reader import BatchJobsReader
from ..choices import choices
from ..clock import SystemClock
from ..config import Settings, WebConfig
from ..logs import log_event
from ..metrics.batch_jobs import BatchJobsCollector
from ..metrics.telemetry import Telemetry
from ..metrics.vocabulary import ConfigFile
from ..reload import Configuration, Reloader, ReloadSource, Requests, Reread
from ..web.backend import Backend, PageOptions
from ..web.config_file import FixedWebConfig, WebConfigFile
from ..web.server import Access, WebServer
from .assemble import Exporter, assemble_here
from .clients import batch_jobs

logger = logging.getLogger(__name__)

END_WITHIN_SECONDS = 2.0
"""What the worker and the web server each get to end after SIGTERM; together they stay under five."""


def serve(settings: Settings, reloads: ReloadSource | None = None, *, poll_on_view: bool = False) -> int:
    """Answer scrapes until a signal stops it; 1 when one of its threads ends by itself, so that it is started again."""
    exporter = assemble_here(settings)
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
    access = Access(web_config, settings.web.allowed_hosts, reload)
    web = WebServer(source, settings.web.scrape_timeout_offset, access=access)
    stopped = _on_signals()
    reader = _batch_jobs_reader(settings, exporter.telemetry)
    address = web.start(settings.web.host, settings.web.port)
    worker.start()
    _start_beside_the_worker(exporter, reloader, reader)
    _log_address(*address, web_config.current(), open_page=poll_on_view)
    if settings.exemplars:
        log_event(logger, logging.WARNING, "metrics carry Task ids as exemplars; Prometheus may store them")
    try:
        return _serve_until(stopped, exporter, worker, web)
    finally:
        if reader is not None:
            reader.stop()


def _start_beside_the_worker(exporter: Exporter, reloader: Reloader, reader: BatchJobsReader | None) -> None:
    """Start the other threads: daemons that hold nothing, so that nobody waits for them at the end."""
    runs = {"ledger-guard": exporter.guard.run, "reload": reloader.run}
    if reader is not None:
        runs["batch-jobs"] = reader.run
    for name, run in runs.items():
        threading.Thread(target=run, name=name, daemon=True).start()


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


def _batch_jobs_reader(settings: Settings, telemetry: Telemetry) -> BatchJobsReader | None:
    """Make what reads the batch jobs, and show it beside the other metrics; None if it is not configured."""
    client = batch_jobs(settings)
    if client is None:
        return None
    reader = BatchJobsReader(client, SystemClock())
    telemetry.registry.register(BatchJobsCollector(reader.report))
    return reader


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


def _serve_until(stopped: SimpleQueue[int], exporter: Exporter, worker: threading.Thread, web: WebServer) -> int:
    while (alive := worker.is_alive() and web.alive) and not _came(stopped):
        pass
    log_event(logger, logging.INFO, "stopping")
    exporter.guard.stop()
    exporter.worker.stop()
    web.stop(END_WITHIN_SECONDS)
    worker.join(END_WITHIN_SECONDS)
    return 0 if alive else 1


def _came(stopped: SimpleQueue[int]) -> bool:
    """Wait a second for a signal."""
    try:
        stopped.get(timeout=1.0)
    except Empty:
        return False
    return True


def _on_signals() -> SimpleQueue[int]:
    """Collect the signals that stop. The handler has no line of Python that the next signal could interrupt."""
    stopped = SimpleQueue[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stopped.put)  # type: ignore[arg-type] # as in reload.catch_hangups
    return stopped
