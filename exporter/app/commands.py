"""What each command but `serve` does, once its configuration is known to be valid."""

import logging
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..choices import deadlines
from ..clock import Clock, SystemClock
from ..config import BatchJobsSettings, DemoSettings, FhirSettings, Settings
from ..fhir.http import Transport
from ..ledger import Binding, Owner, rebind_ledger
from ..logs import log_event
from ..metrics.families import TaskText
from ..metrics.negotiation import Format, join
from ..names import Namer
from .assemble import assemble_here
from .clients import batch_jobs, connect, export_status, fhir_server, read_tasks
from .serve import serve

if TYPE_CHECKING:
    from ..watch.run import WatchRequest
    from ..watch.subjects import Sources

logger = logging.getLogger(__name__)


def once(settings: Settings) -> int:
    """Walk once and write the metrics to stdout; 1 when the walk was not complete."""
    exporter = assemble_here(replace(settings, hold=0.0))
    complete = exporter.worker.once()
    exporter.context.ledger.close()
    text = TaskText().render(exporter.worker.published.snapshot, Format.TEXT)
    sys.stdout.buffer.write(join((text, exporter.telemetry.render(Format.TEXT)), Format.TEXT))
    return 0 if complete else 1


def check(settings: Settings) -> int:
    """Try the configuration and the connection, and print what was found."""
    from ..check.run import examine

    return examine(settings, fhir_server(settings, connect(settings)), batch_jobs=batch_jobs(settings))


def rebind(settings: Settings) -> Owner:
    """Rebind the ledger to the FHIR server, if its Tasks are there; returns whose it was."""
    server = fhir_server(settings, connect(settings))
    binding = Binding(settings.fhir.url, settings.fhir.selection)
    return rebind_ledger(settings.ledger, binding, partial(read_tasks, server))


def watch(settings: Settings, request: "WatchRequest") -> int:
    """Follow one thing on the server, and show it. No ledger is opened."""
    from ..watch.run import watch as follow

    return follow(request, watch_sources(settings, SystemClock()), time.sleep)


def watch_sources(settings: Settings, clock: Clock, transport: Transport | None = None) -> "Sources":
    """Make the clients that `watch` asks through."""
    from ..watch.subjects import PayerRules, Sources

    connection = connect(settings, clock, transport)
    server = fhir_server(settings, connection)
    payers = PayerRules(Namer(settings.payers, server.http.base, clock), deadlines(settings))
    exports = export_status(settings, connection)
    return Sources(server, exports, batch_jobs(settings, transport), payers, clock)


def demo(settings: DemoSettings) -> int:
    """Serve a simulated network of payers; the hold is 0, so that what a person sees with curl is live."""
    from ..demo.app import Demo, asgi, serve_on_loopback
    from ..demo.batch_jobs import MODULE

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
