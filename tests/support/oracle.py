"""What the counters should be: counted one change at a time, without SQL, windows or rows.

tests/e2e has an oracle of its own (tests/e2e/truth.py), on purpose: the two cannot share a mistake.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.task.model import OPEN, TERMINAL, TIMED, UNCLASSIFIED, Event, Status


class Known(NamedTuple):
    """What the oracle knows of a Task."""

    status: str
    payer: str


@dataclass
class Oracle:
    """Counts as a person would with a pencil: failures without a note, completions without a document."""

    tasks: dict[str, Known] = field(default_factory=dict)
    counts: Counter[tuple[Event, str, str]] = field(default_factory=Counter)
    """By event, payer and label."""
    durations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many were observed, by payer and status."""

    def see(self, identifier: str, status: str, payer: str = "", *, counting: bool = True) -> None:
        """Take note of a version that is newer than the one before; one of the baseline counts nothing."""
        before = self.tasks.get(identifier)
        self.tasks[identifier] = Known(status, payer)
        if counting:
            self._count(before, status, payer)

    def _count(self, before: Known | None, status: str, payer: str) -> None:
        self.counts[Event.CREATED, payer, ""] += before is None
        if before is not None and before.status == status:
            return
        self.counts[Event.TRANSITION, payer, status] += 1
        self.counts[Event.REOPENED, payer, ""] += before is not None and before.status in TERMINAL and status in OPEN
        self.counts[Event.FAILURE, payer, UNCLASSIFIED] += status == Status.FAILED
        self.counts[Event.COMPLETED_EMPTY, payer, ""] += status == Status.COMPLETED
        self.durations[payer, status] += status in TIMED

    def gauge(self) -> Counter[tuple[str, str]]:
        """How many Tasks there are, by payer and status."""
        return Counter((payer, status) for status, payer in self.tasks.values())
