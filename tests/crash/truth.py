"""An independent truth: a server whose writer counts what it writes, as a person would with a pencil.

It knows nothing of searches, pages, versions and ledgers. A Task changes at most once between two looks.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep

from tests.e2e.process import Process, SimulatedServer, total
from tests.support.builders import organization, task

STATUSES = ("requested", "in-progress", "completed", "failed", "cancelled")
VANISHED = "vanished"
PATIENCE_SECONDS = 180
"""For a busy machine, and for an exporter that waits up to a minute after many failures."""

Figures = Mapping[str, float]


class Violation(AssertionError):
    """A counter that went back, or beyond the truth; or anything else that must never be."""


@dataclass
class Writer:
    """Writes Tasks on a server, and counts: `created`, `vanished`, and each status that a Task enters."""

    dice: random.Random
    server: SimulatedServer = field(default_factory=SimulatedServer)
    truth: Counter[str] = field(default_factory=Counter)
    _fresh: set[str] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)
    _made: int = 0

    def __post_init__(self) -> None:
        self.server.put(organization("old-payer"), organization("new-payer", "New Payer"))

    def fill(self, count: int) -> None:
        """Write Tasks that are there before the baseline, which counts nothing."""
        for _ in range(count):
            self._put(self._name(), self.dice.choice(STATUSES))

    def change(self, count: int) -> None:
        """Create Tasks and move known ones; each change is one that a poll must see."""
        self._fresh.clear()
        for _ in range(count):
            status = self.dice.choice(STATUSES)
            identifier = self._name() if self.dice.random() < 0.5 or not self._made else self._known(status)
            if identifier is not None:
                self._put(identifier, status)
                self.truth[status] += 1

    def delete(self) -> None:
        """Delete a Task, which only a comparison finds."""
        identifier = f"p2p-task-{self.dice.randrange(self._made)}"
        if identifier not in self._gone | self._fresh:
            self._gone.add(identifier)
            with self.server.lock:
                self.server.store.delete(identifier)
            self.truth[VANISHED] += 1

    def _name(self) -> str:
        self._made += 1
        return f"p2p-task-{self._made - 1}"

    def _known(self, status: str) -> str | None:
        """Choose a Task that can enter a status now."""
        identifier = f"p2p-task-{self.dice.randrange(self._made)}"
        record = self.server.store.get("Task", identifier)
        usable = record is not None and record.group.status != status and identifier not in self._fresh
        return identifier if usable else None

    def _put(self, identifier: str, status: str) -> None:
        self._fresh.add(identifier)
        self.server.put(task(identifier, status))


def figures(text: str) -> Figures:
    """Read what an exporter shows of what a Writer counts."""
    shown = {status: total(text, "fhir_task_transitions_total", status=status) for status in STATUSES}
    return shown | {VANISHED: total(text, "fhir_task_vanished_total")}


@dataclass
class Witness:
    """Remembers what an exporter has shown, and compares with the truth."""

    truth: Mapping[str, int]
    shown: Figures = field(default_factory=dict)
    looks: int = 0

    def see(self, text: str) -> Figures:
        """Take note of an exposition: no counter may go back, or beyond the truth."""
        now = figures(text)
        for name, value in now.items():
            low, high = self.shown.get(name, 0), self.truth.get(name, 0)
            if not low <= value <= high:
                raise Violation(f"{name} is {value}: {low} was shown before, and {high} is true")
        self.shown = now
        self.looks += 1
        return now

    def until_exact(
        self, scrape: Callable[[], str], seconds: float = PATIENCE_SECONDS, *, vanished: bool = False
    ) -> None:
        """Scrape until all is shown that is true; deleted Tasks only if asked, since they wait for a comparison."""
        end = monotonic() + seconds
        names = [*STATUSES, VANISHED] if vanished else STATUSES
        while any(self.see(scrape())[name] != self.truth.get(name, 0) for name in names):
            if monotonic() > end:
                raise Violation(f"{self.shown} was shown last, and {dict(self.truth)} is true")
            sleep(0.05)


def ready(process: Process, witness: Witness, seconds: float = PATIENCE_SECONDS) -> None:
    """Scrape until the baseline is complete."""
    end = monotonic() + seconds
    while total(text := process.scrape(), "fhir_task_exporter_baseline_complete") != 1:
        witness.see(text)
        if monotonic() > end:
            raise Violation("the baseline does not end")
        sleep(0.05)
