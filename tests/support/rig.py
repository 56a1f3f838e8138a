"""A whole exporter without threads, sockets or a disk: a test moves its clock and takes its steps."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Self

from exporter.app.assemble import Exporter, assemble
from exporter.choices import choices
from exporter.config import FhirSettings, PollSettings, ReconcileSettings, Settings
from exporter.config.values import deadline
from exporter.context import WalkContext
from exporter.ledger import Ledger
from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import ScrapeAnswer
from exporter.probe import Probes
from exporter.task.model import Selection
from exporter.task.payer_table import PayerTable
from exporter.worker import Worker

from . import fake
from .builders import CODE, TAG, Resource, task
from .configuration import payer_table
from .configuration import settings as loaded
from .quirks import Quirk, played

SELECTION = Selection(TAG, CODE)

FULL_ONLY = ReconcileSettings(open_interval=1e9)
"""No comparison of the open Tasks: a test sees what the full comparison alone does."""


@dataclass
class Rig:
    """One exporter on one simulated server, assembled as a command does. Every part can be replaced before `start`."""

    clock: fake.HandClock = field(default_factory=fake.HandClock)
    answer: fake.Answer | None = None
    path: str = ":memory:"
    hold: float = 0
    payers: dict[str, str] = field(default_factory=dict)
    payer_yaml: str = ""
    """The table `payers:` as an operator writes it, instead of the names in `payers`."""
    pairs_max: int = 100
    deadline: str = "24h"
    payer_deadlines: dict[str, str] = field(default_factory=dict)
    reasons: str = ""
    """The table `reasons:` as an operator writes it."""
    comparisons: ReconcileSettings = field(default_factory=ReconcileSettings)
    selection: Selection = SELECTION
    fhir: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the FHIR server, by the name of their field."""
    history: bool = True
    exemplars: bool = False
    real_network: bool = False
    rebind: bool = False

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
            ledger_rebind=self.rebind,
            poll=PollSettings(),
            reconcile=self.comparisons,
            history=self.history,
            exemplars=self.exemplars,
            hold=self.hold,
            payers=payer_table(self.payer_yaml) if self.payer_yaml else PayerTable(self.payers),
            pairs_max=self.pairs_max,
            deadline=deadline(self.deadline),
            payer_deadlines={name: deadline(text) for name, text in self.payer_deadlines.items()},
            reasons=loaded(f"reasons: {self.reasons}").reasons if self.reasons else (),
        )

    @property
    def worker(self) -> Worker:
        return self._started.worker

    @property
    def probes(self) -> Probes:
        return self._started.probes

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

    # The server.

    def play(self, *quirks: Quirk) -> None:
        """Let the server play these quirks and no other from now on; none at all makes it honest."""
        self.transport.answer = played(self.store, *quirks)

    def ask_for_pages(self, size: int, most: int = 200) -> Self:
        """Ask for small pages, so that few Tasks make many; a window of more than `most` pages is an error."""
        server = self.context.server
        server.settings = replace(server.settings, page_size=size)
        server.options = replace(server.options, max_pages=most)
        return self

    def burst(self, count: int, *, seconds_apart: float = 0, name: str = "burst") -> None:
        """Let so many new requested Tasks come; the time passes as they do."""
        for number in range(count):
            self.store.put(task(f"{name}-{number:05}"))
            self.clock.advance(seconds_apart)

    # The process.

    def start(self) -> Self:
        """Open the ledger and make the worker, as a new process would."""
        self.exporter = assemble(self.settings, self.clock, None if self.real_network else self.transport)
        self.text = TaskText()
        return self

    def stop(self) -> None:
        """Leave the ledger as a process that ends does."""
        self.context.ledger.close()

    def restart(self, **options: Any) -> Self:
        """End the process, and start another one on the same ledger, perhaps with other options."""
        self.stop()
        for name, option in options.items():
            setattr(self, name, option)
        return self.start()

    def reload(self, **options: Any) -> Self:
        """Let the running process follow other options of those that need no restart, perhaps in the middle of work."""
        for name, option in options.items():
            setattr(self, name, option)
        done = self.worker.reconfigure(choices(self.settings))
        self.worker.step()
        done.result(timeout=0)
        return self

    def interrupt(self, steps: int) -> None:
        """Take so many steps, and end the process."""
        for _ in range(steps):
            self.worker.step()
        self.stop()

    def ledger_rows(self, statement: str) -> list[tuple[object, ...]]:
        """Query the file of a process that has ended."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()

    # The time and the work.

    def settle(self) -> Self:
        """Do background work until there is none, or the worker backs off. No time passes."""
        for _ in range(100_000):
            if not self.worker.busy or self.worker.rest_seconds() > 0:
                return self
            self.worker.step()
        raise AssertionError("the worker does not come to rest")

    def run_due(self) -> Self:
        """Do all that is due, comparisons too. No time passes."""
        for _ in range(100_000):
            if self.worker.rest_seconds() > 0:
                return self
            self.worker.step()
        raise AssertionError("the worker does not come to rest")

    def run(self, most_steps: int = 10_000) -> None:
        """Work until there is nothing to do, or for so many steps. Time passes where the worker would sleep."""
        for _ in range(most_steps):
            if not self.worker.busy:
                return
            rest_seconds = self.worker.rest_seconds()
            if rest_seconds > 0:
                self.clock.advance(rest_seconds + 0.001)
            self.worker.step()

    def scrape(self, seconds: float = 15) -> str:
        """Let time pass, poll, and give what Prometheus is given."""
        self.clock.advance(seconds)
        answer = self.worker.scrape()
        self.settle()
        published = self.worker.published
        self.worker.exposed(published)
        self.last_answer = answer.immediate or (
            ScrapeAnswer.FRESH if answer.poll and answer.poll.result(timeout=0) else ScrapeAnswer.STALE
        )
        return self.text.render(published.snapshot, Format.TEXT).decode()

    def published_text(self) -> str:
        """Give what Prometheus would be given now, without a poll."""
        return self.text.render(self.worker.published.snapshot, Format.TEXT).decode()

    def compare(self, full: bool = False) -> None:
        """Let the next comparison be due, and do it."""
        self.clock.advance((self.comparisons.full_interval if full else self.comparisons.open_interval) + 1)
        self.worker.step()
        self.settle()

    def compare_all(self) -> None:
        """Let both comparisons be due, and do them."""
        self.clock.advance(self.comparisons.full_interval + 1)
        self.run_due()


def prepared(*resources: Resource, seconds_apart: float = 0.01, quirks: Iterable[Quirk] = (), **options: Any) -> Rig:
    """Put an exporter that is not started before a server with these resources, the newest a minute old."""
    rig = Rig(**options)
    for resource in resources:
        rig.store.put(resource)
        rig.clock.advance(seconds_apart)
    rig.clock.advance(60)
    rig.play(*quirks)
    return rig


def filled(count: int, *, seconds_apart: float = 0.001, quirks: Iterable[Quirk] = (), **options: Any) -> Rig:
    """Prepare an exporter for a server with so many requested Tasks, `p2p-task-000000` the oldest."""
    tasks = (task(f"p2p-task-{number:06}") for number in range(count))
    return prepared(*tasks, seconds_apart=seconds_apart, quirks=quirks, **options)


def settled(*resources: Resource, quirks: Iterable[Quirk] = (), **options: Any) -> Rig:
    """Prepare an exporter, start it, and let it end its baseline."""
    return prepared(*resources, quirks=quirks, **options).start().settle()
