"""Ledgers for tests: opened, written to as a poll does, and read."""

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from exporter.ledger import Binding, Ledger, open_ledger
from exporter.ledger.state import ALL_GENERATIONS, PollEnd, StateKey
from exporter.task.deadline import Deadlines, FixedTime
from exporter.task.lifecycle import Observation, compare
from exporter.task.model import Coding, Instant, Pair, Selection, Snapshot, Status, Task
from exporter.task.payers import PairRule
from tests.support.fake import START

SOURCE = Binding("http://fhir.example/fhir", Selection(Coding("urn:tags", "ours")))
DEADLINE = Deadlines(FixedTime(86_400_000))
PAIR = Pair("Old Payer", "New Payer")
DAY: Instant = 86_400_000


def opened(path: Path | str, binding: Binding = SOURCE) -> Ledger:
    """Open a ledger that is not damaged."""
    ledger, aside = open_ledger(str(path), binding, PairRule(100))
    assert aside is None
    return ledger


@contextlib.contextmanager
def ledger_at(path: Path | str) -> Iterator[Ledger]:
    """Open a ledger, and close it."""
    ledger = opened(path)
    try:
        yield ledger
    finally:
        ledger.close()


def version(identifier: str, status: Status = Status.REQUESTED, number: int = 1) -> Task:
    """Make a version of a Task, stamped so many milliseconds after START."""
    return Task(identifier, str(number), START + number, status, authored=START - 3_600_000)


def many(first: int, count: int = 2_000) -> list[Task]:
    """Make the first versions of so many Tasks, with long ids."""
    return [version(f"p2p-task-{n:032}") for n in range(first, first + count)]


def write(ledger: Ledger, *seen: Task, pair: Pair = PAIR, baseline: bool = False, close: bool = True) -> Snapshot:
    """Commit a page of Tasks, as a complete poll does."""
    with ledger.transaction() as tx:
        tx.slots([pair])
        known = ledger.known([each.id for each in seen])
        tx.apply(compare(known, [(each, pair) for each in seen], Observation(START, DEADLINE, not baseline)))
        tx.set_state(StateKey.WATERMARK, START)
        return tx.end_poll(PollEnd(START, DEADLINE, 0, baseline, ALL_GENERATIONS)) if close else Snapshot()


def counts(snapshot: Snapshot) -> dict[str, int]:
    """What was counted, as `transition failed`, over all pairs; what is 0 is left out."""
    return {f"{series.event}{series.label and ' '}{series.label}": n for series, n in snapshot.counts.items() if n}


def gauge(snapshot: Snapshot) -> int:
    """How many Tasks the gauges count."""
    assert snapshot.gauges is not None
    return sum(snapshot.gauges.tasks.values())


def mode(path: Path) -> int:
    """Give the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


class Interrupted(Exception):
    """Something in the middle of a page."""
