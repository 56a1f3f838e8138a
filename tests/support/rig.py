"""A whole exporter without threads, sockets or a disk: a test moves its clock and takes its steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from exporter.app import Exporter, assemble
from exporter.config import FhirSettings, PollSettings, ReconcileSettings, Settings
from exporter.context import WalkContext
from exporter.ledger import Ledger
from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import Answer
from exporter.task.model import Selection
from exporter.worker import Worker

from . import fake
from .builders import CODE, TAG

SELECTION = Selection(TAG, CODE)


@dataclass
class Rig:
    """One exporter on one simulated server, assembled as a command does. Every part can be replaced before `start`."""

    clock: fake.HandClock = field(default_factory=fake.HandClock)
    answer: fake.Answer | None = None
    path: str = ":memory:"
    hold: float = 0
    payers: dict[str, str] = field(default_factory=dict)
    pairs_max: int = 100
    comparisons: ReconcileSettings = field(default_factory=ReconcileSettings)
    selection: Selection = SELECTION
    fhir: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the FHIR server, by the name of their field."""
    real_network: bool = False

    def __post_init__(self) -> None:
        self.store = fake.store(self.clock)
        self.transport = fake.transport(self.answer or self.store)
        self.exporter: Exporter | None = None

    @property
    def settings(self) -> Settings:
        """What an operator would have decided."""
        tag, code, search = self.selection.tag, self.selection.code, self.selection.search
        fhir = FhirSettings(url=fake.BASE, tag=tag, code=code, search=search)
        return Settings(
            fhir=replace(fhir, **self.fhir),
            ledger=self.path,
            poll=PollSettings(),
            reconcile=self.comparisons,
            hold=self.hold,
            payers=self.payers,
            pairs_max=self.pairs_max,
        )

    def start(self) -> "Rig":
        """Open the ledger and make the worker, as a new process would."""
        self.exporter = assemble(self.settings, self.clock, None if self.real_network else self.transport)
        self.text = TaskText()
        return self

    @property
    def worker(self) -> Worker:
        return self._started.worker

    @property
    def context(self) -> WalkContext:
        return self._started.context

    @property
    def ledger(self) -> Ledger:
        return self._started.context.ledger

    @property
    def telemetry(self) -> Telemetry:
        return self._started.telemetry

    @property
    def _started(self) -> Exporter:
        assert self.exporter is not None, "start the rig first"
        return self.exporter

    def stop(self) -> None:
        """Leave the ledger as a process that ends does."""
        self.context.ledger.close()

    def settle(self) -> None:
        """Do background work until there is none, or the worker holds back."""
        for _ in range(100_000):
            if not self.worker.busy or self.worker.rest_seconds() > 0:
                return
            self.worker.step()
        raise AssertionError("the worker does not come to rest")

    def poll(self) -> bool:
        """Scrape and wait for the poll; says whether it was complete."""
        self.clock.advance(5)
        scrape = self.worker.scrape()
        if scrape.poll is None:
            return False
        self.settle()
        return scrape.poll.result(timeout=0)

    def scrape(self, seconds: float = 15) -> str:
        """Let time pass, poll, and give what Prometheus is given."""
        self.clock.advance(seconds)
        answer = self.worker.scrape()
        self.settle()
        published = self.worker.published
        self.worker.exposed(published)
        self.last = answer.immediate or (
            Answer.FRESH if answer.poll and answer.poll.result(timeout=0) else Answer.STALE
        )
        return self.text.render(published.snapshot, Format.TEXT).decode()

    def sweep(self, full: bool = False) -> None:
        """Let the next comparison be due, and do it."""
        self.clock.advance((self.comparisons.full_interval if full else self.comparisons.open_interval) + 1)
        self.worker.step()
        self.settle()


def value(text: str, series: str) -> float | None:
    """Find one sample in a text exposition."""
    return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.rsplit(" ", 1)[0] == series), None)
