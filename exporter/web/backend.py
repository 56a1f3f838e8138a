"""What the web server shows: the worker's published snapshot and the exporter's own metrics.

Rule: the web server's event loop calls this, so nothing here waits or touches the network or the ledger's file.
"""

import threading
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

from .. import documents
from ..errors import LedgerError
from ..metrics.families import TaskText
from ..metrics.negotiation import Format, join
from ..metrics.telemetry import Telemetry
from ..metrics.vocabulary import ScrapeAnswer
from ..probe import Probe, Probes
from ..published import PublishedSnapshot, Scrape
from ..task.model import Gauges
from ..worker import Worker
from .landing import Landing, TaskCounts

DOCUMENTS = (
    ("What each metric means", "metrics.md"),
    ("Every option", "configuration.md"),
    ("A runbook for each alert", "runbooks/README.md"),
    ("How it polls and counts", "design.md"),
)
"""Titles and pages of the documents that the landing page links to."""


class PageOptions(NamedTuple):
    """About the landing page: host and port of the FHIR server, and whether opening the page starts a poll too.

    The demo polls on view: it has no Prometheus to do it. `ledger_trouble` says what has happened to the ledger's file.
    """

    server: str
    poll_on_view: bool = False
    ledger_trouble: Callable[[], LedgerError | None] = lambda: None


class Backend:
    """The exporter as the web server sees it. `worker_thread` is checked by the readiness probe."""

    def __init__(
        self,
        worker: Worker,
        probes: Probes,
        telemetry: Telemetry,
        worker_thread: threading.Thread,
        page: PageOptions,
    ) -> None:
        self._probes = probes
        self._worker = worker
        self._telemetry = telemetry
        self._worker_thread = worker_thread
        self._page = page
        self._task_text = TaskText()

    def scrape(self) -> Scrape:
        """Start or join a poll, whoever asks."""
        return self._worker.scrape()

    def probe(self, target: str) -> Probe:
        """Start or join the probe of an export job. Raises TargetRefused or ProbesBusy."""
        return self._probes.start(target)

    def published(self) -> PublishedSnapshot:
        """Return the newest snapshot."""
        return self._worker.published

    def count_scrape(self, answer: ScrapeAnswer, published: PublishedSnapshot, exposed: bool) -> None:
        """Count an answered request for /metrics. `exposed`: Prometheus received all of exactly this snapshot."""
        self._telemetry.count_scrape(answer)
        if exposed:
            self._worker.exposed(published)

    def render(self, published: PublishedSnapshot, form: Format) -> bytes:
        """Write the complete exposition."""
        return join((self._task_text.render(published.snapshot, form), self._telemetry.render(form)), form)

    def unready_reason(self) -> str | None:
        """Explain why the exporter is not ready; None when it is. The FHIR server does not affect readiness."""
        return None if self._worker_thread.is_alive() else "The worker has ended."

    def landing(self) -> Landing:
        """Collect the figures of the landing page."""
        if self._page.poll_on_view:
            self._worker.scrape()
        worker, snapshot = self._worker, self._worker.published.snapshot
        return Landing(
            version=version("fhir-task-exporter"),
            server=self._page.server,
            status=worker.status,
            ledger_trouble=self._page.ledger_trouble(),
            last_complete_poll=worker.last_complete,
            progress=worker.progress,
            tasks=None if snapshot.gauges is None else _counts(snapshot.gauges),
            source_payers=len({series.pair.source for series in snapshot.counts if series.pair is not None}),
            documents=[(title, documents.url(page)) for title, page in DOCUMENTS],
        )


def _counts(gauges: Gauges) -> TaskCounts:
    """Add up the gauges of all payers."""
    by_status: Counter[str] = Counter()
    for key, count in gauges.tasks.items():
        by_status[key.status] += count
    return TaskCounts(by_status, sum(gauges.overdue.values()), sum(gauges.stalled.values()))
