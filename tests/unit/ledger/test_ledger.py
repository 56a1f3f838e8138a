"""The ledger's file: whose it is, who may open it, what a full disk or a damaged page does, and what is forgotten."""

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import ErrorReason, LedgerFailed, LedgerForeign, LedgerInUse, LedgerTooNew
from exporter.ledger import Binding, Ledger, open_ledger, schema
from exporter.ledger import open as files
from exporter.ledger.state import ALL_GENERATIONS, PollEnd, StateKey, WalkState
from exporter.task.deadline import Deadline
from exporter.task.lifecycle import Changes, Observation, compare, vanish
from exporter.task.model import Coding, Event, Instant, Pair, Selection, Snapshot, Status, Task
from exporter.task.pairs import PairRule
from exporter.task.search import Bound, Slice
from tests.support.builders import completed, task
from tests.support.exposition import errors, is_up, tasks, totals
from tests.support.fake import START
from tests.support.rig import Rig

SOURCE = Binding("http://fhir.example/fhir", Selection(Coding("urn:tags", "ours")))
DEADLINE = Deadline(86_400_000)
PAIR = Pair("Old Payer", "New Payer")


def opened(path: Path | str, binding: Binding = SOURCE) -> Ledger:
    ledger, aside = open_ledger(str(path), binding, PairRule())
    assert aside is None
    return ledger


@contextlib.contextmanager
def ledger_at(path: Path | str) -> Iterator[Ledger]:
    ledger = opened(path)
    try:
        yield ledger
    finally:
        ledger.close()


def version(identifier: str, status: Status = Status.REQUESTED, number: int = 1) -> Task:
    return Task(identifier, str(number), START + number, status, authored=START - 3_600_000)


def write(ledger: Ledger, *seen: Task, pair: Pair = PAIR, baseline: bool = False, close: bool = True) -> Snapshot:
    """Commit a page of Tasks, as a complete poll does."""
    with ledger.transaction() as tx:
        tx.slots([pair])
        known = ledger.known([each.id for each in seen])
        tx.apply(compare(known, [(each, pair) for each in seen], Observation(START, DEADLINE, not baseline)))
        tx.set_instant(StateKey.WATERMARK, START)
        return tx.end_poll(PollEnd(START, DEADLINE, 0, baseline, ALL_GENERATIONS)) if close else Snapshot()


def counts(snapshot: Snapshot) -> dict[str, int]:
    return {f"{series.event}{series.label and ' '}{series.label}": n for series, n in snapshot.counts.items() if n}


def gauge(snapshot: Snapshot) -> int:
    assert snapshot.gauges is not None
    return sum(snapshot.gauges.tasks.values())


# --- The file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_read_a_ledger_and_its_log(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with ledger_at(tmp_path / "ledger.db") as ledger:
            write(ledger, version("a"))
            assert {path.name: mode(path) for path in tmp_path.iterdir()} == {
                "ledger.db": 0o600,
                "ledger.db-wal": 0o600,
            }
    finally:
        os.umask(before)


def test_a_ledger_that_became_readable_to_others_is_closed_to_them_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    opened(path).close()
    path.chmod(0o644)
    with ledger_at(path):
        assert mode(path) == 0o600


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"), baseline=True)
        write(ledger, version("a", Status.FAILED, 2))
        walk = WalkState("poll", START, Bound("ge", START), 7, None)
        with ledger.transaction() as tx:
            tx.save_walk(walk)
    with ledger_at(path) as ledger:
        assert counts(ledger.counters()) == {"transition failed": 1, "failure unclassified": 1}
        assert ledger.counters().gauges is None
        assert ledger.known(["a"])["a"].status is Status.FAILED
        assert ledger.instant(StateKey.WATERMARK) == START
        assert ledger.walk_state == walk
        assert ledger.baseline_complete


def test_a_ledger_in_memory_is_a_ledger_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ledger_at(":memory:") as ledger, ledger_at(":memory:") as another:
        assert counts(write(ledger, version("a")))["created"] == 1
        assert another.known(["a"]) == {}
    assert list(tmp_path.iterdir()) == []


def test_settings_survive_power_loss(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db") as ledger:
        asked = {name: ledger._read(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "locking_mode")}
    assert asked == {"journal_mode": "wal", "synchronous": 2, "locking_mode": "exclusive"}


# --- Who may open it


SECOND = """
    import sys
    from exporter.ledger import Binding, open_ledger
    from exporter.errors import LedgerError
    from exporter.task.model import Coding, Selection
    from exporter.task.pairs import PairRule

    try:
        open_ledger(sys.argv[1], Binding("http://fhir.example/fhir", Selection(Coding("urn:tags", "ours"))), PairRule())
    except LedgerError as error:
        print(type(error).__name__, error, sep=": ")
    else:
        print("opened")
"""


def second_process(path: Path) -> str:
    command = [sys.executable, "-c", textwrap.dedent(SECOND), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_second_process_is_refused_while_the_first_has_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        assert second_process(path) == f"LedgerInUse: the ledger {path} is in use by another process"
        write(ledger, version("a"))
    assert second_process(path) == "opened"


def test_a_second_opening_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db"), pytest.raises(LedgerInUse):
        opened(tmp_path / "ledger.db")


@pytest.mark.parametrize(
    "other",
    [
        Binding("http://fhir.example/other", SOURCE.selection),
        Binding(SOURCE.url, Selection(Coding("urn:tags", "theirs"))),
        Binding(SOURCE.url, Selection(SOURCE.selection.tag, search=(("patient", "Patient/1"),))),
    ],
)
def test_another_source_is_refused_in_a_sentence_without_its_address(tmp_path: Path, other: Binding) -> None:
    path = tmp_path / "ledger.db"
    opened(path).close()
    with pytest.raises(LedgerForeign, match="was made for another FHIR server or selection") as raised:
        opened(path, other)
    assert "fhir.example" not in str(raised.value)
    with ledger_at(path):
        pass


def test_a_slash_at_the_end_of_the_address_is_no_other_source(tmp_path: Path) -> None:
    opened(tmp_path / "ledger.db").close()
    opened(tmp_path / "ledger.db", Binding(SOURCE.url + "/", SOURCE.selection)).close()


def foreign_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (thing TEXT)")


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a foreign database": foreign_database,
    "a text": lambda path: path.write_text("precious\n" * 2000),
    "a short text": lambda path: path.write_text("x"),
    "an emptied file": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_ledger_is_refused_and_left_as_it_was(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "ledger.db"
    FOREIGN[kind](path)
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(LedgerForeign):
        opened(path)
    assert path.read_bytes() == before
    assert mode(path) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.db"]


def test_a_folder_is_refused_and_stays_open_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "ledgers"
    folder.mkdir(mode=0o755)
    with pytest.raises(LedgerFailed):
        opened(folder)
    assert mode(folder) == 0o755


@pytest.mark.parametrize("path", ["missing/ledger.db", "file/ledger.db", "x" * 300])
def test_a_path_where_no_file_can_be_is_reported(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerFailed, match="cannot be"):
        opened(tmp_path / path)


def test_a_first_start_that_fails_leaves_nothing_that_would_be_refused_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", ("CREATE TABLE nonsense (",))
        with pytest.raises(LedgerFailed):
            opened(path)
    opened(path).close()


def test_a_first_start_that_was_killed_leaves_nothing_that_would_be_refused_later(tmp_path: Path) -> None:
    path, killed = tmp_path / "ledger.db", 0
    for step in range(12):
        script = f"""
            import sqlite3, os, sys
            from exporter.ledger import open as files
            from exporter.task.model import Selection

            steps = iter(range(1000))

            class Dying(sqlite3.Connection):
                def _step(self):
                    if next(steps) == {step}:
                        os.kill(os.getpid(), 9)

                def execute(self, *args):
                    self._step()
                    return super().execute(*args)

                def executescript(self, *args):
                    self._step()
                    return super().executescript(*args)

            connect = sqlite3.connect
            files.sqlite3.connect = lambda *args, **more: connect(*args, factory=Dying, **more)
            files.open_ledger(sys.argv[1], files.Binding("http://x/y", Selection()), files.PairRule())
        """
        command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
        killed += subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
        ledger, aside = open_ledger(str(path), Binding("http://x/y", Selection()), PairRule())
        assert aside is None
        ledger.close()
        path.unlink()
    assert killed >= 8


# --- Its schema


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    opened(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    known = len(schema.MIGRATIONS)
    with pytest.raises(LedgerTooNew, match=f"has schema {known + 1}, this version knows {known}"):
        opened(path)


def test_an_older_ledger_is_migrated_step_by_step_and_keeps_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        before = write(ledger, version("a", Status.FAILED))
    later = (*schema.MIGRATIONS, "ALTER TABLE task ADD COLUMN colour TEXT;", "CREATE TABLE extra (n INTEGER);")
    monkeypatch.setattr(schema, "MIGRATIONS", later)
    with ledger_at(path) as ledger:
        assert counts(ledger.counters()) == counts(before)
        assert ledger._read("SELECT id, colour FROM task") == [("a", None)]
        assert ledger._read("PRAGMA user_version") == [(len(later),)]
    with ledger_at(path) as ledger:
        assert ledger._read("PRAGMA user_version") == [(len(later),)]


def test_a_migration_that_fails_leaves_the_ledger_at_the_step_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"))
    with monkeypatch.context() as patched:
        later = (*schema.MIGRATIONS, "CREATE TABLE extra (n INTEGER);", "DROP TABLE tally; SELECT nonsense;")
        patched.setattr(schema, "MIGRATIONS", later)
        with pytest.raises(LedgerFailed):
            opened(path)
        patched.setattr(schema, "MIGRATIONS", later[:-1])
        with ledger_at(path) as ledger:
            assert ledger._read("PRAGMA user_version") == [(len(later) - 1,)]
            assert gauge(write(ledger)) == 1


# --- Damage


def damage(path: Path) -> None:
    """Overwrite all pages but the first."""
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def test_a_damaged_ledger_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"), baseline=True)
    damage(path)
    damaged = path.read_bytes()
    ledger, aside = open_ledger(str(path), SOURCE, PairRule())
    assert aside is not None
    assert aside.name.startswith("ledger.db.damaged-")
    assert aside.read_bytes()[4096:] == damaged[4096:]
    assert not ledger.baseline_complete
    assert ledger.counters() == Snapshot()
    ledger.close()
    assert mode(path) == mode(aside) == 0o600


def test_an_exporter_goes_on_with_a_baseline_after_damage(tmp_path: Path) -> None:
    rig = Rig(path=str(tmp_path / "ledger.db"))
    for n in range(200):
        rig.store.put(task(f"t{n}"))
    rig.start().settle()
    rig.stop()
    damage(tmp_path / "ledger.db")
    rig.start()
    assert errors(rig) == {"ledger": 1}
    rig.settle()
    rig.scrape()
    assert tasks(rig) == {"requested": 200}
    assert totals(rig, Event.CREATED) == {}


# --- Transactions


class Interrupted(Exception):
    """Something in the middle of a page."""


def break_off(ledger: Ledger, pair: Pair) -> None:
    """Do all that a page can do, and then break."""
    with ledger.transaction() as tx:
        tx.slots([pair])
        tx.apply(compare({}, [(version("b", Status.FAILED), pair)], Observation(START, DEADLINE)))
        tx.set_instant(StateKey.WATERMARK, START + 5)
        tx.set_instant(StateKey.BASELINE_BEGAN, 1)
        tx.save_walk(WalkState("poll", 1, None, 0, None))
        tx.end_poll(PollEnd(START, DEADLINE, 0, baseline=False, show_through=ALL_GENERATIONS))
        raise Interrupted


def test_an_interrupted_transaction_leaves_nothing_behind() -> None:
    with ledger_at(":memory:") as ledger:
        before = write(ledger, version("a"), baseline=True)
        state = ledger.figures
        newcomer = Pair("Newcomer", "New Payer")
        with pytest.raises(Interrupted):
            break_off(ledger, newcomer)
        assert ledger.figures == state
        assert ledger.known(["b"]) == {}
        times = (ledger.instant(StateKey.WATERMARK), ledger.instant(StateKey.BASELINE_BEGAN))
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


def fill_up(ledger: Ledger) -> None:
    """Let the disk be full: no page more than there are."""
    pages = ledger._read("PRAGMA page_count")[0][0]
    ledger._read(f"PRAGMA max_page_count = {pages}")


def make_room(ledger: Ledger) -> None:
    ledger._read("PRAGMA max_page_count = 1000000")


def many(first: int, count: int = 2_000) -> list[Task]:
    return [version(f"p2p-task-{n:032}") for n in range(first, first + count)]


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
    rig = Rig()
    rig.store.put(task("known"))
    rig.clock.advance(60)
    rig.start().settle()
    before = rig.scrape()
    fill_up(rig.ledger)
    for n in range(3_000):
        rig.store.put(completed(f"p2p-task-{n:032}"))
    text = rig.scrape()
    assert errors(rig) == {"ledger": 1}
    assert not is_up(rig)
    assert "2 000" not in text
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
    return Ledger(connection, PairRule()), connection


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
        tx.set_instant(StateKey.WATERMARK, START + 99)
        disk.failing = failing
        tx.set_instant(StateKey.MARKED_WALL, 1)


@pytest.mark.parametrize("failing", [("INSERT", "SELECT"), ("COMMIT", "SELECT"), ("COMMIT", "ROLLBACK", "SELECT")])
def test_pairs_of_a_lost_transaction_are_not_remembered_though_they_cannot_be_read_again(
    failing: tuple[str, ...],
) -> None:
    ledger, disk = on_broken_disk()
    write(ledger, version("a"), baseline=True)
    newcomer = Pair("Newcomer", "New Payer")
    with pytest.raises(LedgerFailed):
        write_on_failing(disk, failing, ledger, newcomer)
    assert ledger.instant(StateKey.WATERMARK) == START
    disk.failing = ()
    assert gauge(write(ledger, version("b"), pair=newcomer)) == 2
    assert ledger._read("SELECT count(*) FROM pair WHERE source = 'Newcomer'") == [(1,)]
    assert ledger.instant(StateKey.WATERMARK) == START
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


# --- What is forgotten


DAY: Instant = 86_400_000


def test_rows_of_tasks_gone_for_longer_than_asked_are_dropped_and_no_other() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, version("here"), version("old"), version("young"), baseline=True)
        for identifier, gone in (("old", START - 31 * DAY), ("young", START - 29 * DAY)):
            with ledger.transaction() as tx:
                tx.apply(vanish([ledger.known([identifier])[identifier]], gone))
        with ledger.transaction() as tx:
            tx.delete_removed(START - 30 * DAY)
        assert set(ledger.known(["here", "old", "young"])) == {"here", "young"}
        assert counts(write(ledger)) == {"vanished": 2}


def test_a_full_comparison_forgets_after_thirty_days() -> None:
    rig = Rig()
    rig.store.put(task("stays"))
    rig.store.put(task("goes"))
    rig.start().settle()
    rig.store.delete("goes")
    rig.compare()
    for days in (29, 2):
        remembered = rig.ledger.known(["goes"])
        assert set(remembered) == {"goes"}
        rig.clock.advance(days * 86_400)
        rig.scrape()
        rig.run_due()
    assert set(rig.ledger.known(["goes", "stays"])) == {"stays"}


def test_what_a_comparison_misses_comes_in_lists_and_once() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, *many(0, 23), version("ended", Status.COMPLETED), baseline=True)
        ledger.begin_comparison()
        write(ledger, *many(0, 3))
        lists = list(ledger.missing_open(7))
        assert [len(each) for each in lists] == [7, 7, 6]
        assert len({identifier for each in lists for identifier in each}) == 20
        assert list(ledger.missing_in(Slice(Status.COMPLETED, 0, START + DAY), 7)) == [["ended"]]
        ledger.end_comparison()
        ledger.begin_comparison()
        assert sum(map(len, ledger.missing_open(50))) == 23
