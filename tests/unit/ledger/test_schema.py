"""The ledger's schema: migrations, and a damaged file that is set aside."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from exporter.errors import LedgerFailed, LedgerTooNew
from exporter.ledger import open_ledger, schema
from exporter.task.model import Event, Snapshot, Status
from exporter.task.payers import PairRule
from tests.support.exposition import errors, tasks, totals
from tests.support.rig import filled

from .ledgers import SOURCE, counts, gauge, ledger_at, mode, opened, version, write

# --- Migrations


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
    later = (*schema.MIGRATIONS, "ALTER TABLE task ADD COLUMN color TEXT;", "CREATE TABLE extra (n INTEGER);")
    monkeypatch.setattr(schema, "MIGRATIONS", later)
    with ledger_at(path) as ledger:
        assert counts(ledger.counters()) == counts(before)
        assert ledger._read("SELECT id, color FROM task") == [("a", None)]
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
    ledger, aside = open_ledger(str(path), SOURCE, PairRule(100))
    assert aside is not None
    assert aside.name.startswith("ledger.db.damaged-")
    assert aside.read_bytes()[4096:] == damaged[4096:]
    assert not ledger.baseline_complete
    assert ledger.counters() == Snapshot()
    ledger.close()
    assert mode(path) == mode(aside) == 0o600


def test_an_exporter_goes_on_with_a_baseline_after_damage(tmp_path: Path) -> None:
    rig = filled(200, path=str(tmp_path / "ledger.db")).start().settle()
    rig.stop()
    damage(tmp_path / "ledger.db")
    rig.start()
    assert errors(rig) == {"ledger": 1}
    rig.settle()
    rig.scrape()
    assert tasks(rig) == {"requested": 200}
    assert totals(rig, Event.CREATED) == {}
