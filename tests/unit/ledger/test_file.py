"""The file of an open ledger: what happens to it is told apart, and nothing is lost that need not be."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.errors import LedgerError, LedgerLost, LedgerReadOnly, LedgerReplaced, LedgerUnseen, LedgerWalLost
from exporter.ledger import watched
from exporter.ledger.file import FileState, Identity, LedgerFile, diagnose

from .ledgers import counts, ledger_at, version, write

FILE, LOG, OTHER = Identity(1, 10), Identity(1, 11), Identity(1, 12)
OPENED = FileState(FILE, LOG)

DIAGNOSES: dict[str, tuple[FileState, type[LedgerError] | None]] = {
    "as it was": (OPENED, None),
    "gone": (FileState(None, LOG), LedgerLost),
    "gone with its log": (FileState(None, None), LedgerLost),
    "another file": (FileState(OTHER, LOG), LedgerReplaced),
    "the same number on another disk": (FileState(Identity(2, 10), LOG), LedgerReplaced),
    "another file, read-only": (FileState(OTHER, LOG, writable=False), LedgerReplaced),
    "without its log": (FileState(FILE, None), LedgerWalLost),
    "another log": (FileState(FILE, OTHER), LedgerWalLost),
    "read-only": (FileState(FILE, LOG, writable=False), LedgerReadOnly),
    "not to be seen": (FileState(unseen="Input/output error"), LedgerUnseen),
}


@pytest.mark.parametrize("name", DIAGNOSES)
def test_what_the_facts_mean(name: str) -> None:
    now, error = DIAGNOSES[name]
    found = diagnose("ledger.db", OPENED, now)
    assert (None if found is None else type(found)) is error


def remove(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def make_folder_again(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()


def put_a_file_for_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("")


def replace_by_a_copy(path: Path) -> None:
    """As an editor, or `cp` of a backup, does it."""
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def remove_log(path: Path) -> None:
    log_of(path).unlink()


def replace_log(path: Path) -> None:
    log_of(path).rename(path.with_name("old-wal"))
    log_of(path).write_bytes(b"")


def make_read_only(path: Path) -> None:
    path.chmod(0o400)


def make_log_read_only(path: Path) -> None:
    log_of(path).chmod(0o400)


def nothing(path: Path) -> None:
    """Change nothing."""


DONE: dict[Callable[[Path], None], type[LedgerError] | None] = {
    nothing: None,
    remove: LedgerLost,
    move: LedgerLost,
    remove_folder: LedgerLost,
    make_folder_again: LedgerLost,
    put_a_file_for_the_folder: LedgerLost,
    replace_by_a_copy: LedgerReplaced,
    replace_by_a_folder: LedgerReplaced,
    remove_log: LedgerWalLost,
    replace_log: LedgerWalLost,
    make_read_only: LedgerReadOnly,
    make_log_read_only: LedgerReadOnly,
}


@pytest.mark.parametrize("do", DONE, ids=lambda do: do.__name__)
def test_what_is_done_to_an_open_ledger_is_named_and_it_goes_on(tmp_path: Path, do: Callable[[Path], None]) -> None:
    (folder := tmp_path / "ledgers").mkdir()
    path = folder / "ledger.db"
    with ledger_at(path) as ledger:
        file = LedgerFile(str(path))
        write(ledger, version("a"))
        do(path)
        found = file.trouble()
        assert (None if found is None else type(found)) is DONE[do]
        assert found is None or str(path) in str(found)
        assert counts(write(ledger, version("b")))["created"] == 2


def test_a_ledger_behind_a_link_is_watched_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    path, real = tmp_path / "ledger.db", tmp_path / "disk" / "real.db"
    with ledger_at(real):
        pass
    path.symlink_to(real)
    with ledger_at(path):
        file = LedgerFile(str(path))
        assert file.trouble() is None
        log_of(real).unlink()
        assert isinstance(file.trouble(), LedgerWalLost)
        real.rename(tmp_path / "moved")
        assert isinstance(file.trouble(), LedgerLost)


def test_a_relative_path_is_watched_from_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ledger_at("ledger.db"):
        file = LedgerFile("ledger.db")
        monkeypatch.chdir("/")
        assert file.trouble() is None


def test_a_disk_that_does_not_answer_is_said_with_the_words_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> os.stat_result:
        raise OSError(5, "Input/output error")

    with ledger_at(tmp_path / "ledger.db"):
        file = LedgerFile(str(tmp_path / "ledger.db"))
        with monkeypatch.context() as patched:
            patched.setattr(Path, "stat", failing)
            found = file.trouble()
    assert isinstance(found, LedgerUnseen)
    assert str(found).endswith("Input/output error")


def test_watching_a_ledger_keeps_its_lock(tmp_path: Path) -> None:
    """Opening and closing it, even to read, would release the locks of the whole process."""
    path = tmp_path / "ledger.db"
    with ledger_at(path):
        file = LedgerFile(str(path))
        inode = str(path.stat().st_ino)
        before = [line for line in Path("/proc/locks").read_text().splitlines() if f":{inode} " in line]
        assert before
        for _ in range(3):
            file.trouble()
        assert len([x for x in Path("/proc/locks").read_text().splitlines() if f":{inode} " in x]) == len(before)


def test_a_ledger_in_memory_has_no_file() -> None:
    assert watched(":memory:") is None


@pytest.mark.parametrize("do", [move, remove_log, replace_log, nothing], ids=lambda do: do.__name__)
def test_an_orderly_end_writes_all_into_the_file_wherever_it_is(tmp_path: Path, do: Callable[[Path], None]) -> None:
    path, moved = tmp_path / "ledger.db", tmp_path / "elsewhere.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"))
        do(path)
        write(ledger, version("b"))
    assert not log_of(path).exists() or log_of(path).stat().st_size == 0
    if do is move:
        moved.rename(path)
    with ledger_at(path) as ledger:
        assert counts(write(ledger))["created"] == 2
