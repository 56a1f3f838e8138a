"""A whole exporter without threads, sockets or a disk: a test moves its clock and takes its steps."""

from dataclasses import dataclass, field

from exporter.desk import Desk, Rules
from exporter.fhir.client import FhirServer, SearchOptions
from exporter.fhir.http import Http, HttpOptions
from exporter.hold import SeriesHold
from exporter.jobs import Timing
from exporter.ledger import Binding, Ledger, open_ledger
from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import Answer
from exporter.names import Namer, fingerprint
from exporter.task.deadline import Deadline
from exporter.task.model import Selection
from exporter.task.payers import PairRule
from exporter.task.reasons import classifier
from exporter.worker import Worker

from . import fake
from .builders import CODE, HOUR, TAG

SELECTION = Selection(TAG, CODE)


@dataclass
class Rig:
    """One exporter on one simulated server. Every part can be replaced before `start`."""

    clock: fake.HandClock = field(default_factory=fake.HandClock)
    answer: fake.Answer | None = None
    path: str = ":memory:"
    hold: float = 0
    payers: dict[str, str] = field(default_factory=dict)
    pairs_max: int = 100
    timing: Timing = field(default_factory=Timing)
    selection: Selection = SELECTION

    def __post_init__(self) -> None:
        self.store = fake.store(self.clock)
        self.transport = fake.transport(self.answer or self.store)
        self.ledger: Ledger | None = None

    def start(self) -> "Rig":
        """Open the ledger and make the worker, as a new process would."""
        self.own = Telemetry()
        http = Http(HttpOptions(fake.BASE), telemetry=self.own, transport=self.transport)
        server = FhirServer(http, self.selection, SearchOptions(classifier(())))
        rule = PairRule(self.pairs_max, frozenset(self.payers.values()))
        self.ledger, self.aside = open_ledger(self.path, Binding(fake.BASE, self.selection), rule)
        self.desk = Desk(
            server=server,
            ledger=self.ledger,
            clock=self.clock,
            telemetry=self.own,
            namer=Namer(self.payers, fake.BASE, self.clock, self.ledger.organizations()),
            rules=Rules(Deadline(24 * HOUR), names=fingerprint(self.payers, self.pairs_max)),
        )
        self.exposure = SeriesHold(self.hold, self.clock.monotonic())
        self.worker = Worker(self.desk, self.timing, self.exposure, lambda turn: None)
        self.text = TaskText()
        return self

    def stop(self) -> None:
        """Leave the ledger as a process that ends does."""
        assert self.ledger is not None
        self.ledger.close()

    def settle(self) -> None:
        """Do background work until there is none, or the worker holds back."""
        for _ in range(100_000):
            if not self.worker.busy or self.worker._rest() > 0:
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
        picture = self.worker.picture
        self.worker.exposed(picture)
        self.last = answer.immediate or (
            Answer.FRESH if answer.poll and answer.poll.result(timeout=0) else Answer.STALE
        )
        return self.text.render(picture.snapshot, Format.TEXT).decode()

    def sweep(self, full: bool = False) -> None:
        """Let the next sweep be due, and do it."""
        self.clock.advance(self.timing.full_interval + 1 if full else self.timing.open_interval + 1)
        self.worker.step()
        self.settle()


def value(text: str, series: str) -> float | None:
    """Find one sample in a text exposition."""
    return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.rsplit(" ", 1)[0] == series), None)
