"""Transactions: what is interrupted, or meets a full or broken disk, leaves nothing behind."""

import sqlite3
from typing import Any

import pytest

from exporter.errors import ErrorReason, LedgerFailed
from exporter.ledger import Ledger
from exporter.ledger import open as files
from exporter.ledger.state import ALL_GENERATIONS, PollEnd, StateKey, WalkState
from exporter.task.lifecycle import Changes, Observation, compare
from exporter.task.model import Event, Pair, Status
from exporter.task.payers import PairRule
from tests.support.builders import completed, task
from tests.support.disk import fill_up, make_room
from tests.support.exposition import errors, is_up, tasks, totals
from tests.support.fake import START
from tests.support.rig import settled

from .ledgers import DEADLINE, SOURCE, Interrupted, counts, gauge, ledger_at, many, version, write

# --- Interrupted


def fail_midway(ledger: Ledger, pair: Pair) -> None:
    """Do all that a page can do, and then fail."""
    with ledger.transaction() as tx:
        tx.slots([pair])
        tx.apply(compare({}, [(version("b", Status.FAILED), pair)], Observation(START, DEADLINE)))
        tx.set_state(StateKey.WATERMARK, START + 5)
        tx.set_state(StateKey.BASELINE_BEGAN, 1)
        tx.save_walk(WalkState("poll", 1, None, 0, None))
        tx.end_poll(PollEnd(START, DEADLINE, 0, baseline=False, show_through=ALL_GENERATIONS))
        raise Interrupted


def test_an_interrupted_transaction_leaves_nothing_behind() -> None:
    with ledger_at(":memory:") as ledger:
        before = write(ledger, version("a"), baseline=True)
        state = ledger.figures
        newcomer = Pair("Newcomer", "New Payer")
        with pytest.raises(Interrupted):
            fail_midway(ledger, newcomer)
        assert ledger.figures == state
        assert ledger.known(["b"]) == {}
        times = (ledger.state(StateKey.WATERMARK), ledger.state(StateKey.BASELINE_BEGAN))
        assert (*times, ledger.walk_state) == (START, None, None)
        assert ledger.counters().counts == before.counts
        assert newcomer not in ledger._tables.pairs
        assert ledger.generation == 1
        again = write(ledger, version("b", Status.FAILED), pair=newcomer)
        assert counts(again) == {"created": 1, "transition failed": 1, "failure unclassified": 1}


def test_half_a_page_of_a_bad_statement_leaves_nothing_behind() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, version("a"))
        with pytest.raises(LedgerFailed, match="cannot be written"), ledger.transaction() as tx:
            tx.apply(Changes(rows={"b": ledger.known(["a"])["a"]._replace(id="b", version=None)}))  # type: ignore[arg-type]
        assert gauge(write(ledger)) == 1
        assert ledger.known(["b"]) == {}


# --- A full disk


def test_a_full_disk_is_a_failure_of_the_ledger_and_nothing_is_half_written() -> None:
    with ledger_at(":memory:") as ledger:
        before = write(ledger, *many(0), baseline=True)
        fill_up(ledger)
        with pytest.raises(LedgerFailed, match="SQLITE_FULL") as raised:
            write(ledger, *many(10_000), pair=Pair("Newcomer", "New Payer"))
        assert raised.value.reason is ErrorReason.LEDGER
        assert ledger.counters().counts == before.counts
        assert ledger.figures.tracked == 2_000
        make_room(ledger)
        after = write(ledger, *many(10_000), pair=Pair("Newcomer", "New Payer"))
        assert counts(after) == {"created": 2_000, "transition requested": 2_000}
        assert gauge(after) == 4_000


def test_an_exporter_on_a_full_disk_shows_what_was_committed_and_recovers() -> None:
    rig = settled(task("known"))
    before = rig.scrape()
    fill_up(rig.ledger)
    for n in range(3_000):
        rig.store.put(completed(f"p2p-task-{n:032}"))
    text = rig.scrape()
    assert errors(rig) == {"ledger": 1}
    assert not is_up(rig)
    assert "3000" not in text
    assert tasks(rig) == {"requested": 1}
    assert _counters(text) == _counters(before)
    make_room(rig.ledger)
    rig.scrape()
    rig.settle()
    rig.scrape()
    assert is_up(rig)
    assert totals(rig, Event.CREATED) == {"": 3_000}
    assert totals(rig, Event.TRANSITION) == {"completed": 3_000}


def _counters(text: str) -> list[str]:
    return [line for line in text.splitlines() if "_total{" in line]


# --- A broken disk


class Broken(sqlite3.Connection):
    """A connection to a disk that fails when a test says so."""

    failing: tuple[str, ...] = ()

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement.lstrip().startswith(self.failing) and self.failing:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
            raise error
        return super().execute(statement, *values)


def on_broken_disk() -> tuple[Ledger, Broken]:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Broken, check_same_thread=False)
    files._prepare(connection, ":memory:", SOURCE)
    return Ledger(connection, PairRule(100)), connection


@pytest.mark.parametrize(
    "failing", [("COMMIT",), ("BEGIN",), ("INSERT",), ("SELECT",), ("ROLLBACK", "INSERT INTO pair")]
)
def test_an_io_error_anywhere_is_a_failure_of_the_ledger_and_can_be_recovered_from(failing: tuple[str, ...]) -> None:
    ledger, disk = on_broken_disk()
    write(ledger, version("a"), baseline=True)
    disk.failing = failing
    newcomer = Pair("Newcomer", "New Payer")
    with pytest.raises(LedgerFailed):
        write(ledger, version("b", Status.FAILED), pair=newcomer)
    disk.failing = ()
    after = write(ledger, version("b", Status.FAILED), pair=newcomer)
    assert counts(after) == {"created": 1, "transition failed": 1, "failure unclassified": 1}
    assert gauge(after) == 2
    ledger.close()


def write_on_failing(disk: Broken, failing: tuple[str, ...], ledger: Ledger, pair: Pair) -> None:
    """Let the disk fail in the middle of a transaction."""
    with ledger.transaction() as tx:
        tx.slots([pair])
        tx.set_state(StateKey.WATERMARK, START + 99)
        disk.failing = failing
        tx.set_state(StateKey.MARKED_WALL, 1)


@pytest.mark.parametrize("failing", [("INSERT", "SELECT"), ("COMMIT", "SELECT"), ("COMMIT", "ROLLBACK", "SELECT")])
def test_pairs_of_a_lost_transaction_are_not_remembered_though_they_cannot_be_read_again(
    failing: tuple[str, ...],
) -> None:
    ledger, disk = on_broken_disk()
    write(ledger, version("a"), baseline=True)
    newcomer = Pair("Newcomer", "New Payer")
    with pytest.raises(LedgerFailed):
        write_on_failing(disk, failing, ledger, newcomer)
    assert ledger.state(StateKey.WATERMARK) == START
    disk.failing = ()
    assert gauge(write(ledger, version("b"), pair=newcomer)) == 2
    assert ledger._read("SELECT count(*) FROM pair WHERE source = 'Newcomer'") == [(1,)]
    assert ledger.state(StateKey.WATERMARK) == START
    ledger.close()


def test_a_file_that_cannot_be_written_any_more_is_a_failure_of_the_ledger() -> None:
    with ledger_at(":memory:") as ledger:
        before = write(ledger, version("a"), baseline=True)
        ledger._read("PRAGMA query_only = 1")
        with pytest.raises(LedgerFailed, match="SQLITE_READONLY"):
            write(ledger, version("b"))
        assert ledger.counters().counts == before.counts
        ledger._read("PRAGMA query_only = 0")
        assert gauge(write(ledger, version("b"))) == 2
