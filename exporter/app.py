"""What each command does, once its configuration is known to be right. Each returns the exit code.

Here, and only here, the parts are put together.

See docs/design.md#stopping.
"""

import logging
import signal
import sys
import threading
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path

from prometheus_client import ProcessCollector

from .clock import SystemClock
from .config import DemoSettings, FhirSettings, Settings
from .demo.loopback import host
from .desk import Desk, Rules
from .errors import ErrorReason
from .fhir.auth import Anonymous, Auth, Basic, BearerFile
from .fhir.client import FhirServer, SearchOptions
from .fhir.http import Http, HttpOptions
from .hold import SeriesHold
from .jobs import Timing
from .ledger import Binding, Ledger, open_ledger
from .logs import event
from .metrics.families import TaskText
from .metrics.negotiation import Format, join
from .metrics.telemetry import Telemetry
from .names import Namer, fingerprint
from .progress import Bar, Lines, Reporter
from .published import PublishedSnapshot
from .serving import Serving
from .task.deadline import Deadline
from .task.pairs import PairRule
from .task.reasons import classifier
from .web.server import Web
from .worker import Worker

logger = logging.getLogger(__name__)

END_WITHIN = 2.0
"""Seconds that the worker and the web server each get to end after SIGTERM; together they stay under five."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """The parts that work together in one process."""

    worker: Worker
    own: Telemetry
    ledger: Ledger


def serve(settings: Settings, *, poll_on_view: bool = False) -> int:
    """Answer scrapes until told to stop; 1 when one of its threads ends by itself, so that it is started again."""
    exporter = _assembled(settings, settings.hold)
    worker = threading.Thread(target=exporter.worker.run, name="worker", daemon=True)
    source = Serving(exporter.worker, exporter.own, worker, poll_on_view=poll_on_view)
    web = Web(source, settings.web.scrape_timeout_offset)
    stopped = _on_signals()
    address = web.start(settings.web.host, settings.web.port)
    worker.start()
    _tell(*address, poll_on_view=poll_on_view)
    return _answer_until(stopped, exporter, worker, web)


def _tell(host: str, port: int, *, poll_on_view: bool) -> None:
    """Log where we listen; the demo's own line is for a person who wants to look."""
    event(logger, logging.INFO, "listening", address=f"{host}:{port}", version=version("fhir-task-exporter"))
    if host not in {"127.0.0.1", "::1"}:
        event(logger, logging.WARNING, "whoever reaches this address can read the metrics", address=f"{host}:{port}")
    if poll_on_view:
        event(logger, logging.INFO, "open this page", url=f"http://{_dialled(host)}:{port}/")


def _dialled(host: str) -> str:
    """Say what to type for an address that we are bound to; every address is this machine's own, too."""
    address = ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1"
    return host if address.version == 4 else f"[{host}]"  # noqa: PLR2004 - the version of IP


def _answer_until(
    stopped: threading.Event, exporter: Exporter, worker: threading.Thread, web: Web[PublishedSnapshot]
) -> int:
    while (alive := worker.is_alive() and web.alive) and not stopped.wait(1.0):
        pass
    event(logger, logging.INFO, "stopping")
    exporter.worker.stop()
    web.stop(END_WITHIN)
    worker.join(END_WITHIN)
    return 0 if alive else 1


def _on_signals() -> threading.Event:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def once(settings: Settings) -> int:
    """Walk once and write the metrics to stdout; 1 when the walk was not complete."""
    exporter = _assembled(settings, hold=0.0)
    complete = exporter.worker.once()
    exporter.ledger.close()
    text = TaskText().render(exporter.worker.picture.snapshot, Format.TEXT)
    sys.stdout.buffer.write(join((text, exporter.own.render(Format.TEXT)), Format.TEXT))
    return 0 if complete else 1


def check(settings: Settings) -> int:
    """Say in plain words what the server is and holds."""
    from .check.run import examine

    return examine(settings, fhir_server(settings, Telemetry()))


def demo(settings: DemoSettings) -> int:
    """Answer scrapes of a simulated network of payers; what a person sees with curl is live."""
    from .demo.app import Demo, asgi

    def simulate(address: str) -> object:
        return asgi(Demo(SystemClock().wall, f"{address}/fhir", speed=settings.speed).answer)

    url = f"{host(simulate)}/fhir"
    event(logger, logging.INFO, "a simulated FHIR server is at", url=url)
    shown = Settings(fhir=FhirSettings(url=url), ledger=":memory:", hold=0.0, web=settings.web, log=settings.log)
    return serve(shown, poll_on_view=True)


def _assembled(settings: Settings, hold: float) -> Exporter:
    """Put an exporter together."""
    own = Telemetry()
    ProcessCollector(registry=own.registry)
    own.built(version("fhir-task-exporter"), sys.version.split()[0])
    ledger, clock = _ledger(settings, own), SystemClock()
    desk = Desk(
        server=fhir_server(settings, own),
        ledger=ledger,
        clock=clock,
        telemetry=own,
        namer=Namer(settings.payers, settings.fhir.url, clock, ledger.organizations()),
        rules=_rules(settings),
    )
    exposure = SeriesHold(hold, clock.monotonic())
    return Exporter(Worker(desk, _timing(settings), exposure, _reporter(clock)), own, ledger)


def fhir_server(settings: Settings, own: Telemetry) -> FhirServer:
    """Make the client of the FHIR server."""
    fhir = settings.fhir
    connection = HttpOptions(
        base=fhir.url,
        timeout=fhir.timeout,
        ca_file=_path(fhir.ca_file),
        client_cert_file=_path(fhir.client_cert_file),
        client_key_file=_path(fhir.client_key_file),
        rewrite_links=fhir.rewrite_links,
    )
    habits = SearchOptions(classifier(settings.reasons), fhir.page_size, settings.poll.timeout)
    return FhirServer(Http(connection, _auth(settings), own), fhir.selection, habits)


def _auth(settings: Settings) -> Auth:
    fhir = settings.fhir
    if fhir.bearer_token_file is not None:
        return BearerFile(Path(fhir.bearer_token_file))
    if fhir.username is not None and fhir.password_file is not None:
        return Basic(fhir.username, Path(fhir.password_file))
    return Anonymous()


def _ledger(settings: Settings, own: Telemetry) -> Ledger:
    binding = Binding(settings.fhir.url, settings.fhir.selection)
    rule = PairRule(settings.pairs_max, frozenset(settings.payers.values()))
    ledger, aside = open_ledger(settings.ledger, binding, rule)
    if aside is not None:
        own.count_error(ErrorReason.LEDGER)
        event(logger, logging.ERROR, "the ledger was damaged; it was set aside and a new one created", kept=str(aside))
    return ledger


def _rules(settings: Settings) -> Rules:
    return Rules(
        deadline=Deadline(_milliseconds(settings.deadline)),
        overlap=_milliseconds(settings.poll.overlap),
        stalled_after=_milliseconds(settings.stalled_after),
        names=fingerprint(settings.payers, settings.pairs_max),
    )


def _timing(settings: Settings) -> Timing:
    return Timing(
        min_interval=settings.poll.min_interval,
        max_staleness=settings.poll.max_staleness,
        open_interval=settings.reconcile.open_interval,
        full_interval=settings.reconcile.full_interval,
        lookback=_milliseconds(settings.reconcile.lookback),
    )


def _reporter(clock: SystemClock) -> Reporter:
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else Lines(clock)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
