"""The commands about the ledger's file: what they show, copy and remove, and that the others leave it as it was."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exporter import cli
from exporter.errors import (
    LedgerAbsent,
    LedgerBackupFailed,
    LedgerDamaged,
    LedgerError,
    LedgerForeign,
    LedgerInUse,
    LedgerOutdated,
    LedgerTooNew,
)
from exporter.ledger import Ledger, open_ledger, schema
from exporter.ledger.backup import back_up
from exporter.ledger.info import read_info
from exporter.ledger.prune import find_dead, prune
from exporter.ledger.state import StateKey
from exporter.task.model import OTHER_PAIR, Pair, Snapshot, Status
from exporter.task.payer_table import PayerTable
from exporter.task.payers import PairRule
from tests.support.fake import START

from .ledgers import PAIR, SOURCE, ledger_at, mode, opened, version, write

DEAD = Pair("Dead Payer", "New Payer")
NOBODY = PayerTable()


def lived(path: Path) -> str:
    """Make a ledger with a living pair, and one whose Tasks were removed so long ago that no row is left."""
    with ledger_at(path) as ledger:
        write(ledger, version("a"), version("b"), pair=PAIR, baseline=True)
        write(ledger, version("a", Status.FAILED, 2), pair=PAIR)
        write(ledger, version("c"), pair=DEAD)
        write(ledger, version("c", Status.COMPLETED, 2), pair=DEAD)
        with ledger.transaction() as tx:
            tx.set_state(StateKey.LAST_COMPLETE, START)
    bury(path, "c")
    return str(path)


def bury(path: Path, *ids: str) -> None:
    """Take Tasks out of gauges and table, as a removal and the 30 days after it do."""
    with closing(sqlite3.connect(path)) as connection:
        for id_ in ids:
            pair, status = connection.execute("SELECT pair, status FROM task WHERE id = ?", (id_,)).fetchone()
            connection.execute("UPDATE tally SET n = n - 1 WHERE pair = ? AND status = ?", (pair, status))
            connection.execute("DELETE FROM task WHERE id = ?", (id_,))
        connection.commit()


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.main, ["ledger", *words])


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {each.name: (each.stat().st_mtime_ns, each.read_bytes()) for each in folder.iterdir()}


# --- What is asked of every command


COMMANDS: dict[str, Callable[[Path], object]] = {
    "info": lambda path: read_info(str(path)),
    "backup": lambda path: back_up(str(path), str(path.parent / "copy.db")),
    "prune, listed": lambda path: find_dead(str(path), NOBODY),
    "prune": lambda path: prune(str(path), NOBODY),
}


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("precious\n" * 2000)


def damaged(path: Path) -> None:
    lived(path)
    path.write_bytes(path.read_bytes()[:-4096] + b"\xa5" * 4096)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("make", "error"), [(emptied, LedgerForeign), (text, LedgerForeign), (damaged, LedgerDamaged), (None, LedgerAbsent)]
)
def test_what_is_no_ledger_is_refused_and_left_as_it_was(
    tmp_path: Path, name: str, make: Callable[[Path], None] | None, error: type[LedgerError]
) -> None:
    path = tmp_path / "ledger.db"
    if make:
        make(path)
    before = {each: content for each, (_, content) in state_of(tmp_path).items()}
    with pytest.raises(error):
        COMMANDS[name](path)
    assert {each: content for each, (_, content) in state_of(tmp_path).items()} == before


@pytest.mark.parametrize("name", ["info", "prune, listed"])
def test_a_command_that_only_reads_leaves_no_trace(tmp_path: Path, name: str) -> None:
    path = Path(lived(tmp_path / "ledger.db"))
    before = state_of(tmp_path)
    COMMANDS[name](path)
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("name", ["backup", "prune, listed", "prune"])
def test_a_ledger_in_use_is_refused_and_its_exporter_goes_on(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"))
        with pytest.raises(LedgerInUse) as raised:
            COMMANDS[name](path)
        assert raised.value.remedy.startswith("Stop the exporter for this command; it catches up")
        write(ledger, version("b"))
        assert len(ledger.known(["a", "b"])) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.db"]


def test_a_ledger_in_memory_is_none_that_a_command_could_find() -> None:
    result = run("info", "--ledger", ":memory:")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, "there is no ledger at :memory:")


def at_schema(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {number}")


@pytest.mark.parametrize(("number", "error"), [(3, LedgerOutdated), (99, LedgerTooNew)])
@pytest.mark.parametrize("name", ["prune, listed", "prune"])
def test_another_schema_is_not_pruned(tmp_path: Path, name: str, number: int, error: type[LedgerError]) -> None:
    path = Path(lived(tmp_path / "ledger.db"))
    at_schema(path, number)
    before = path.read_bytes()
    with pytest.raises(error):
        COMMANDS[name](path)
    assert path.read_bytes() == before


# --- info


def lines(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return {line[:14].strip(): line[14:] for line in result.stdout.splitlines()}


def test_info_says_what_a_ledger_is_and_holds(tmp_path: Path) -> None:
    path = lived(tmp_path / "ledger.db")
    found = lines(run("info", "--ledger", path, "--pairs.max", "7"))
    assert found.pop("last written").endswith("Z")
    assert found == {
        "path": path,
        "size": f"{Path(path).stat().st_size:,} bytes",
        "in use": "no",
        "schema": str(len(schema.MIGRATIONS)),
        "FHIR server": "fhir.example:80",
        "selection": "tag urn:tags|ours, code any",
        "baseline": "complete",
        "Tasks": "1 open, 1 ended, 0 removed on the server",
        "pairs": "2 of 7 (--pairs.max)",
        "last poll": "2026-11-20T12:00:00.000Z",
    }


def test_info_of_a_ledger_in_use_says_so_and_what_can_be_known(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"))
        found = lines(run("info", "--ledger", str(path)))
        write(ledger, version("b"))
    assert set(found) == {"path", "size", "last written", "in use"}
    assert found["in use"].startswith("yes, by another process")


@pytest.mark.parametrize(
    ("number", "said"),
    [(3, "3, of an earlier version: serve or once will migrate it"), (99, "99, of a later version: this one cannot")],
)
def test_info_reads_a_ledger_of_another_version(tmp_path: Path, number: int, said: str) -> None:
    path = Path(lived(tmp_path / "ledger.db"))
    at_schema(path, number)
    assert lines(run("info", "--ledger", str(path)))["schema"].startswith(said)


@pytest.mark.parametrize(
    "schema_file", ["ledger-schema-1.sql", "ledger-schema-4-complete.sql", "ledger-schema-4-broken-off.sql"]
)
def test_info_reads_the_ledgers_of_earlier_versions_and_migrates_none(tmp_path: Path, schema_file: str) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / schema_file).read_text())
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        version_before = connection.execute("PRAGMA user_version").fetchone()[0]
    before = path.read_bytes()
    found = lines(run("info", "--ledger", str(path)))
    assert found["schema"].startswith(str(version_before))
    assert found["FHIR server"] == "not known: only an earlier version has used it"
    assert path.read_bytes() == before


# --- backup


def dump(path: Path | str) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_backup_holds_the_same_is_closed_to_others_and_can_be_opened(tmp_path: Path, umask: int) -> None:
    path, copy = lived(tmp_path / "ledger.db"), tmp_path / "copy.db"
    before = os.umask(umask)
    try:
        result = run("backup", "--ledger", path, str(copy))
    finally:
        os.umask(before)
    assert (result.exit_code, result.stderr) == (0, "")
    assert mode(copy) == 0o600
    assert dump(copy) == dump(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "ledger.db"]
    with ledger_at(path) as ours, ledger_at(copy) as theirs:
        assert ours.counters() == theirs.counters()


def test_a_backup_never_replaces_a_file_or_a_link(tmp_path: Path) -> None:
    path, copy = lived(tmp_path / "ledger.db"), tmp_path / "copy.db"
    copy.write_text("precious")
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    for target in (copy, tmp_path / "link.db", Path(path)):
        with pytest.raises(LedgerBackupFailed, match="exists; a backup never replaces a file"):
            back_up(path, str(target))
    assert copy.read_text() == "precious"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "ledger.db", "link.db"]


def test_a_backup_to_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    path = lived(tmp_path / "ledger.db")
    with pytest.raises(LedgerBackupFailed, match="cannot be written by user"):
        back_up(path, str(tmp_path / "nowhere" / "copy.db"))


def test_a_backup_contains_what_a_killed_exporter_left_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    child = os.fork()
    if child == 0:
        write(opened(path), version("a"), baseline=True)
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "ledger.db-wal").stat().st_size > 0
    back_up(str(path), str(tmp_path / "copy.db"))
    with ledger_at(tmp_path / "copy.db") as ledger:
        assert ledger.known(["a"])


# --- prune


def test_a_pair_without_a_task_is_listed_and_removed_when_told(tmp_path: Path) -> None:
    path = lived(tmp_path / "ledger.db")
    before = Path(path).read_bytes()
    listed = run("prune", "--ledger", path)
    assert listed.stdout.splitlines() == [
        "source_payer='Dead Payer' requesting_payer='New Payer' last transition 2026-11-20T12:00:00.000Z",
        "1 pair without a Task. To remove: add --yes.",
    ]
    assert Path(path).read_bytes() == before
    assert run("prune", "--ledger", path, "--yes").stdout.splitlines()[-1] == "1 pair without a Task removed."
    assert run("prune", "--ledger", path, "--yes").stdout == "Nothing to remove: every pair has a Task.\n"
    assert run("prune", "--ledger", path).stdout == "Nothing to remove: every pair has a Task.\n"
    assert lines(run("info", "--ledger", path))["pairs"] == "1 of 100 (--pairs.max)"


def test_a_configured_payer_keeps_its_slot(tmp_path: Path) -> None:
    path = lived(tmp_path / "ledger.db")
    config = tmp_path / "exporter.yaml"
    config.write_text("payers: [{name: Dead Payer, references: [Organization/dead]}]\n")
    result = run("prune", "--ledger", path, "--config.file", str(config), "--yes")
    assert result.stdout == "Nothing to remove: every pair has a Task.\n"


def test_a_pair_whose_task_was_removed_lately_keeps_its_slot_since_it_may_return(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("c"), pair=DEAD)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE task SET gone = 'untagged', gone_at = 1, open = 0")
        connection.commit()
    assert prune(str(path), NOBODY) == []


@pytest.mark.parametrize("seed", range(8))
def test_every_gauge_and_counter_of_living_pairs_stays(tmp_path: Path, seed: int) -> None:
    """Pairs in each of which a Task lives or not, by the bits of the seed, and one that always does."""
    path = tmp_path / "ledger.db"
    pairs = [Pair(f"Payer {number}", "New Payer") for number in range(4)]
    dead = [pair for number, pair in enumerate(pairs[:3]) if seed & 1 << number]
    with ledger_at(path) as ledger:
        write(ledger, version("base"), pair=PAIR, baseline=True)
        for number, pair in enumerate(pairs):
            write(ledger, version(f"t{number}"), version(f"u{number}", number=3), pair=pair)
            write(ledger, version(f"t{number}", Status.FAILED, 2), pair=pair)
            write(ledger, version(f"u{number}", Status.COMPLETED, 4), pair=pair)
    bury(path, *(f"{name}{pairs.index(pair)}" for pair in dead for name in "tu"))
    before = snapshot_without(path, dead)
    assert [each.pair for each in prune(str(path), NOBODY)] == dead
    assert snapshot_without(path, []) == before
    with ledger_at(path) as ledger:
        returned = write(ledger, version("new"), pair=DEAD)
    assert {series.pair for series in returned.counts if series.pair} == {*pairs, PAIR, DEAD} - {*dead}


def snapshot_without(path: Path, dead: list[Pair]) -> Snapshot:
    with ledger_at(path) as ledger:
        found = write(ledger)
    gauges = found.gauges
    assert gauges is not None
    kept = {
        name: {key: n for key, n in getattr(gauges, name).items() if not isinstance(key, Pair) and key.pair not in dead}
        for name in ("tasks", "last_transition", "oldest_authored", "oldest_updated", "stalled")
    }
    by_pair = {
        name: {key: n for key, n in getattr(gauges, name).items() if key not in dead}
        for name in ("next_due", "overdue")
    }
    return Snapshot(
        {series: n for series, n in found.counts.items() if series.pair not in dead},
        {key: each for key, each in found.durations.items() if key.pair not in dead},
        type(gauges)(**kept, **by_pair, anomalous=gauges.anomalous),
    )


@pytest.fixture
def capped(tmp_path: Path) -> tuple[Path, Callable[[], Ledger]]:
    """A ledger with one slot, taken by a dead pair, and a living pair past the cap."""
    path = tmp_path / "ledger.db"

    def open_capped() -> Ledger:
        return open_ledger(str(path), SOURCE, PairRule(1))[0]

    ledger = open_capped()
    write(ledger, version("c"), pair=DEAD, baseline=True)
    with ledger.transaction() as tx:
        tx.slots([PAIR])
        tx.set_state(StateKey.NAMES, 1)
    write(ledger, version("a"), pair=OTHER_PAIR)
    ledger.close()
    return path, open_capped


def test_a_freed_slot_goes_to_a_pair_past_the_cap_by_a_walk_of_everything(
    capped: tuple[Path, Callable[[], Ledger]],
) -> None:
    path, open_capped = capped
    bury(path, "c")
    assert [each.pair for each in prune(str(path), NOBODY)] == [DEAD]
    ledger = open_capped()
    assert ledger.state(StateKey.NAMES) is None
    with ledger.transaction() as tx:
        assert tx.slots([PAIR]) == {PAIR: PAIR}
    ledger.close()


def test_where_no_task_is_past_the_cap_nothing_is_walked_again(tmp_path: Path) -> None:
    path = lived(tmp_path / "ledger.db")
    with ledger_at(path) as ledger, ledger.transaction() as tx:
        tx.set_state(StateKey.NAMES, 1)
    prune(path, NOBODY)
    with ledger_at(path) as ledger:
        assert ledger.state(StateKey.NAMES) == 1


# --- Killed in the middle


DYING = """
    import os, sqlite3, sys
    from pathlib import Path
    from exporter.ledger import open as files

    steps = iter(range(1000))

    class Dying(sqlite3.Connection):
        def _step(self):
            if next(steps) == {step}:
                os.kill(os.getpid(), 9)

        def execute(self, *args):
            self._step()
            return super().execute(*args)

        def executemany(self, *args):
            self._step()
            return super().executemany(*args)

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **more: connect(*args, factory=Dying, **more)
    {what}
"""
PRUNE = "from exporter.ledger import prune as it; it.prune(sys.argv[1], it.PayerTable())"
BACKUP = "from exporter.ledger.backup import back_up; back_up(sys.argv[1], sys.argv[1] + '.copy')"


@pytest.mark.parametrize("what", [PRUNE, BACKUP])
def test_a_command_that_is_killed_leaves_a_good_ledger_and_no_half_of_its_work(tmp_path: Path, what: str) -> None:
    killed, found = 0, set()
    for step in range(1, 16, 2):
        folder = tmp_path / str(step)
        folder.mkdir()
        path = Path(lived(folder / "ledger.db"))
        script = textwrap.dedent(DYING.format(step=step, what=what))
        command = [sys.executable, "-c", script, str(path)]
        killed += subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
        copy = folder / "ledger.db.copy"
        with ledger_at(path) as ledger:
            pairs = {series.pair for series in write(ledger).counts if series.pair}
            rows = {number for (number,) in ledger._read("SELECT pair FROM counter UNION SELECT pair FROM tally")}
            assert rows - {0} == {number for (number,) in ledger._read("SELECT id FROM pair")}
        assert pairs in ({PAIR, DEAD}, {PAIR})
        if copy.exists():
            opened(copy).close()
        found.add((len(pairs), copy.exists()))
    assert killed >= 3
    assert found == ({(2, False), (1, False)} if what == PRUNE else {(2, False), (2, True)})
