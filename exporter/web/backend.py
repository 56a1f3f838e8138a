"""What the web server shows: the worker's published snapshot and the exporter's own metrics.

Rule: the web server's event loop calls this, so nothing here waits or touches the network or the ledger's file.
"""

import threading
from collections import Counter
from importlib.metadata import version

from ..metrics.families import TaskText
from ..metrics.negotiation import Format, join
from ..metrics.telemetry import Telemetry
from ..metrics.vocabulary import ScrapeAnswer
from ..probe import Probe, Probes
from ..published import PublishedSnapshot, Scrape
from ..steps import Progress, WalkKind
from ..worker import Worker
from .landing import Landing


class Backend:
    """The exporter as the web server sees it. `worker_thread` is checked by the readiness probe.

    With `poll_on_view`, opening the landing page starts a poll too: the demo has no Prometheus to do it.
    """

    def __init__(
        self,
        worker: Worker,
        probes: Probes,
        telemetry: Telemetry,
        worker_thread: threading.Thread,
        *,
        poll_on_view: bool = False,
    ) -> None:
        self._probes = probes
        self._worker = worker
        self._telemetry = telemetry
        self._worker_thread = worker_thread
        self._poll_on_view = poll_on_view
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
        if self._poll_on_view:
            self._worker.scrape()
        snapshot, progress = self._worker.published.snapshot, self._worker.progress
        tasks: Counter[str] = Counter()
        for key, count in (snapshot.gauges.tasks if snapshot.gauges else {}).items():
            tasks[key.status] += count
        return Landing(
            version=version("fhir-task-exporter"),
            last_complete_poll=self._worker.last_complete,
            up=self._worker.up,
            baseline_progress=_baseline_progress(progress),
            tasks=dict(tasks),
            source_payers=len({series.pair.source for series in snapshot.counts if series.pair is not None}),
        )


def _baseline_progress(progress: Progress | None) -> float | None:
    """Return the fraction read, 0 to 1; None where no baseline runs or the server gave no count."""
    return progress.fraction if progress is not None and progress.kind is WalkKind.BASELINE else None
