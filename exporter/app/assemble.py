"""How an exporter is put together of its parts: for the commands, and for tests."""

import logging
import sys
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from prometheus_client import ProcessCollector

from ..choices import Choices, choices, rename_payers
from ..clock import Clock, SystemClock
from ..config import Settings, exposed_files
from ..context import WalkContext
from ..errors import ErrorReason
from ..exemplars import Exemplars
from ..fhir.client import FhirServer
from ..fhir.http import Transport
from ..history import HistoryReader
from ..hold import SeriesHold
from ..ledger import Binding, Ledger, open_ledger, watched
from ..ledger_guard import LedgerGuard
from ..logs import log_event
from ..metrics.telemetry import Telemetry
from ..metrics.vocabulary import ConfigFile
from ..names import Namer, OrganizationRight
from ..probe import ProbeOptions, Probes
from ..progress import LogLines, Reporter, TerminalBar
from ..watermark import ServerClock, Watermark
from ..worker import Worker
from .clients import Connection, export_status, fhir_auth, fhir_server, read_tasks

logger = logging.getLogger(__name__)


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


def assemble_here(settings: Settings) -> Exporter:
    """Put an exporter together for this process, and show the process beside it."""
    for file in exposed_files(settings):
        log_event(logger, logging.WARNING, "others on this machine may use a secret", file=file.path, mode=file.mode)
    exporter = assemble(settings, SystemClock())
    ProcessCollector(registry=exporter.telemetry.registry)
    exporter.telemetry.set_build_info(version("fhir-task-exporter"), sys.version.split()[0])
    return exporter


def _probes(settings: Settings, base: str, clock: Clock, connection: Connection) -> Probes:
    options = ProbeOptions(base, settings.probe_path, settings.fhir.timeout, settings.poll.min_interval)
    return Probes(lambda: export_status(settings, connection), options, clock, connection.telemetry)


def _ledger(settings: Settings, chosen: Choices, telemetry: Telemetry, server: FhirServer) -> Ledger:
    binding = Binding(settings.fhir.url, settings.fhir.selection)
    rebind = partial(read_tasks, server) if settings.ledger_rebind else None
    ledger, aside = open_ledger(settings.ledger, binding, chosen.pairs, rebind)
    if aside is not None:
        telemetry.count_error(ErrorReason.LEDGER)
        log_event(
            logger, logging.ERROR, "the ledger is damaged; it was set aside and a new one was created", kept=str(aside)
        )
    rename_payers(chosen, ledger)
    return ledger


def _reporter(clock: Clock) -> Reporter:
    return TerminalBar() if sys.stderr is not None and sys.stderr.isatty() else LogLines(clock)
