"""What a scrape is answered with: the worker's picture and our own metrics, as bytes.

Rule: nothing here waits, and nothing here touches the network or the ledger; the web thread calls it.
"""

import threading
from collections import Counter
from importlib.metadata import version

from .context import Progress, WalkKind
from .metrics.families import TaskText
from .metrics.negotiation import Format, join
from .metrics.telemetry import Telemetry
from .metrics.vocabulary import Answer
from .published import PublishedSnapshot, Scrape
from .web.landing import Landing
from .worker import Worker


class Serving:
    """The web server's source of everything. `poll_on_view`: opening the landing page starts a poll too (demo)."""

    def __init__(
        self, worker: Worker, telemetry: Telemetry, thread: threading.Thread, *, poll_on_view: bool = False
    ) -> None:
        self._worker = worker
        self._lively = poll_on_view
        self._telemetry = telemetry
        self._thread = thread
        self._text = TaskText()

    def scrape(self, counts: bool) -> Scrape:  # noqa: ARG002 - every request may start a poll; only what it is given counts
        """Start or join a poll."""
        return self._worker.scrape()

    def picture(self) -> PublishedSnapshot:
        """Give the newest picture."""
        return self._worker.published

    def answered(self, answer: Answer, picture: PublishedSnapshot, counts: bool) -> None:
        """Count a scrape, and, where Prometheus made it, what it has seen."""
        self._telemetry.count_scrape(answer)
        if counts:
            self._worker.exposed(picture)

    def render(self, picture: PublishedSnapshot, form: Format) -> bytes:
        """Write the exposition; the Tasks' part is written once for each picture."""
        return join((self._text.render(picture.snapshot, form), self._telemetry.render(form)), form)

    def ready(self) -> str | None:
        """Say what is missing; the FHIR server does not count."""
        return None if self._thread.is_alive() else "The worker has ended."

    def landing(self) -> Landing:
        """Give the figures of the page for people."""
        if self._lively:
            self._worker.scrape()
        snapshot, turn = self._worker.published.snapshot, self._worker.progress
        tasks: Counter[str] = Counter()
        for key, count in (snapshot.gauges.tasks if snapshot.gauges else {}).items():
            tasks[key.status] += count
        return Landing(
            version=version("fhir-task-exporter"),
            last_complete=self._worker.last_complete,
            up=self._worker.up,
            baseline=_progress(turn) if turn is not None and turn.kind is WalkKind.BASELINE else None,
            tasks=dict(tasks),
            payers=len({series.pair.source for series in snapshot.counts if series.pair is not None}),
        )


def _progress(turn: Progress) -> float | None:
    """How far a walk is, 0 to 1; None where the server does not count."""
    return min(1.0, turn.walked / turn.expected) if turn.expected else None
