"""A look at a ledger changes nothing, and sees what opening it would."""

import os
import sqlite3
from pathlib import Path

import pytest

from exporter.errors import LedgerDamaged, LedgerFailed, LedgerForeign, LedgerInUse, LedgerTooNew
from exporter.ledger import Binding, open_ledger
from exporter.ledger.inspect import LedgerStatus, inspect_ledger
from exporter.ledger.state import StateKey
from exporter.task.payers import PairRule
from tests.support.fake import BASE, START
from tests.support.rig import SELECTION

from .ledgers import version, write

BINDING = Binding(BASE, SELECTION)
ELSEWHERE = Binding("http://elsewhere.example/fhir", SELECTION)


def make(path: Path, watermark: int | None = None, *, empty: bool = True) -> str:
    ledger, _ = open_ledger(str(path), BINDING, PairRule(100))
    if not empty:
        write(ledger, version("a"))
    with ledger.transaction() as tx:
        tx.set_state(StateKey.WATERMARK, watermark)
    ledger.close()
    return str(path)


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert inspect_ledger(str(tmp_path / "new.db"), BINDING) is LedgerStatus.ABSENT
    assert list(tmp_path.iterdir()) == []


def test_one_in_memory_is_never_looked_for() -> None:
    assert inspect_ledger(":memory:", BINDING) is LedgerStatus.MEMORY


def test_a_closed_ledger_is_read_without_leaving_a_trace(tmp_path: Path) -> None:
    path = make(tmp_path / "l.db", watermark=START)
    before = {each.name: each.stat().st_mtime_ns for each in tmp_path.iterdir()}
    assert inspect_ledger(path, BINDING) is LedgerStatus.COMPLETE
    assert {each.name: each.stat().st_mtime_ns for each in tmp_path.iterdir()} == before


def test_a_ledger_whose_baseline_goes_on_is_told_apart(tmp_path: Path) -> None:
    assert inspect_ledger(make(tmp_path / "l.db"), BINDING) is LedgerStatus.BEGUN


def test_a_ledger_in_use_is_said_to_be_so_and_goes_on(tmp_path: Path) -> None:
    path = make(tmp_path / "l.db")
    ledger, _ = open_ledger(path, BINDING, PairRule(100))
    with pytest.raises(LedgerInUse):
        inspect_ledger(path, BINDING)
    with ledger.transaction() as tx:
        tx.set_state(StateKey.WATERMARK, START)
    assert ledger.state(StateKey.WATERMARK) == START
    ledger.close()


def test_what_a_killed_exporter_left_in_its_wal_is_seen_and_kept(tmp_path: Path) -> None:
    path = str(tmp_path / "l.db")
    child = os.fork()
    if child == 0:
        ledger, _ = open_ledger(path, BINDING, PairRule(100))
        write(ledger, version("a"))
        os._exit(0)
    os.waitpid(child, 0)
    assert Path(path + "-wal").stat().st_size > 0
    assert inspect_ledger(path, BINDING) is LedgerStatus.COMPLETE
    with pytest.raises(LedgerForeign):
        inspect_ledger(path, ELSEWHERE)
    ledger, aside = open_ledger(path, BINDING, PairRule(100))
    assert (ledger.state(StateKey.WATERMARK), aside) == (START, None)
    ledger.close()


def test_a_ledger_of_another_source_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "l.db", empty=False)
    with pytest.raises(
        LedgerForeign, match=r"FHIR server fhir\.example:80, and --fhir\.url names elsewhere\.example:80"
    ):
        inspect_ledger(path, ELSEWHERE)


def test_an_empty_ledger_of_another_source_is_one_that_serve_takes_over(tmp_path: Path) -> None:
    path = make(tmp_path / "l.db")
    assert inspect_ledger(path, ELSEWHERE) is LedgerStatus.EMPTY
    assert inspect_ledger(path, BINDING) is LedgerStatus.BEGUN


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be taken for one: " * 20])
def test_a_file_that_is_no_ledger_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "l.db"
    file.write_bytes(content)
    with pytest.raises(LedgerForeign):
        inspect_ledger(str(file), BINDING)
    assert file.read_bytes() == content


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "l.db")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(LedgerTooNew, match="999"):
        inspect_ledger(path, BINDING)


def test_a_damaged_ledger_is_said_to_be_so_and_left_for_serve_to_set_aside(tmp_path: Path) -> None:
    path = make(tmp_path / "l.db", watermark=START)
    last = Path(path).read_bytes()[:-4096] + b"\xa5" * 4096
    Path(path).write_bytes(last)
    with pytest.raises(LedgerDamaged):
        inspect_ledger(path, BINDING)
    assert Path(path).read_bytes() == last
    ledger, aside = open_ledger(path, BINDING, PairRule(100))
    ledger.close()
    assert aside is not None


def test_a_link_to_a_ledger_in_use_shows_that_it_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    ledger, _ = open_ledger(make(tmp_path / "disk" / "l.db"), BINDING, PairRule(100))
    (tmp_path / "link.db").symlink_to(tmp_path / "disk" / "l.db")
    with pytest.raises(LedgerInUse):
        inspect_ledger(str(tmp_path / "link.db"), BINDING)
    ledger.close()


def test_a_folder_that_is_not_there_is_a_trouble_now_and_not_at_the_start_of_serve(tmp_path: Path) -> None:
    with pytest.raises(LedgerFailed):
        inspect_ledger(str(tmp_path / "nowhere" / "l.db"), BINDING)
