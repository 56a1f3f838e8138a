"""The ledger's file while it is open: whether what is at its path is still what was opened.

Rule: nothing here opens a file. Closing any descriptor of the ledger would release the locks of the whole process
(sqlite.org/howtocorrupt.html, section 2.2).

See docs/decisions/0038-a-ledger-that-is-lost-is-said-not-saved.md.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import (
    LedgerError,
    LedgerLost,
    LedgerReadOnly,
    LedgerReplaced,
    LedgerUnseen,
    LedgerWalLost,
)
from .open import MEMORY


class Identity(NamedTuple):
    """Which file it is, whatever its name."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class FileState:
    """What is at the path of a ledger, and beside it. `unseen` says why nothing could be found out."""

    file: Identity | None = None
    wal: Identity | None = None
    writable: bool = True
    unseen: str | None = None


class LedgerFile:
    """The file of an open ledger. Make it right after the ledger was opened: what is there then is what must stay."""

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()
        self._wal = Path(f"{os.path.realpath(path)}-wal")
        self._opened = self._look()

    def trouble(self) -> LedgerError | None:
        """Say what has happened to the file since it was opened; None where it is as it was."""
        return diagnose(str(self._path), self._opened, self._look())

    def _look(self) -> FileState:
        try:
            file, wal = _status(self._path), _status(self._wal)
            writable = all(each is None or each.st_mode & stat.S_IWUSR for each in (file, wal))
            return FileState(_identity(file), _identity(wal), writable and _may_write(self._path))
        except OSError as error:
            return FileState(unseen=error.strerror or type(error).__name__)


def watched(path: str) -> LedgerFile | None:
    """Return the file of the ledger that was just opened at `path`; None where it has none."""
    return None if path == MEMORY else LedgerFile(path)


def diagnose(path: str, opened: FileState, now: FileState) -> LedgerError | None:
    """Name the first trouble there is, the worst first."""
    return next((make(path, now) for applies, make in TROUBLES if applies(opened, now)), None)


TROUBLES: tuple[tuple[Callable[[FileState, FileState], bool], Callable[[str, FileState], LedgerError]], ...] = (
    (
        lambda _, now: now.unseen is not None,
        lambda path, now: LedgerUnseen(f"the ledger {path} cannot be looked at by user {os.geteuid()}: {now.unseen}"),
    ),
    (
        lambda _, now: now.file is None,
        lambda path, _: LedgerLost(f"the ledger {path} was removed or moved away while it is in use"),
    ),
    (
        lambda opened, now: now.file != opened.file,
        lambda path, _: LedgerReplaced(f"the ledger {path} was replaced by another file while it is in use"),
    ),
    (
        lambda opened, now: opened.wal is not None and now.wal != opened.wal,
        lambda path, _: LedgerWalLost(f"{path}-wal was removed or replaced while the ledger is in use"),
    ),
    (
        lambda _, now: not now.writable,
        lambda path, _: LedgerReadOnly(f"the ledger {path} has become read-only"),
    ),
)
"""Each trouble: when it applies, from the state at the opening and the state now, and the error that says so."""


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _identity(found: os.stat_result | None) -> Identity | None:
    return None if found is None else Identity(found.st_dev, found.st_ino)


def _may_write(path: Path) -> bool:
    """Whether our user could write it, were it opened now; a file system mounted read-only says no to root, too."""
    return os.access(path, os.W_OK) or not path.exists()
