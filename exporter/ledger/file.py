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
    LedgerLogLost,
    LedgerLost,
    LedgerReadOnly,
    LedgerReplaced,
    LedgerUnseen,
)
from .open import MEMORY


class Identity(NamedTuple):
    """Which file it is, whatever its name."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is at the path of a ledger, and beside it. `unseen` says why nothing could be found out."""

    file: Identity | None = None
    log: Identity | None = None
    writable: bool = True
    unseen: str | None = None


class LedgerFile:
    """The file of an open ledger. To be made right after it was opened."""

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()
        self._log = Path(f"{os.path.realpath(path)}-wal")
        self._opened = self._look()

    def trouble(self) -> LedgerError | None:
        """Say what has happened to the file since it was opened; None where it is as it was."""
        return judge(str(self._path), self._opened, self._look())

    def _look(self) -> FileFacts:
        try:
            file, log = _status(self._path), _status(self._log)
            writable = all(each is None or each.st_mode & stat.S_IWUSR for each in (file, log))
            return FileFacts(_identity(file), _identity(log), writable and _may_write(self._path))
        except OSError as error:
            return FileFacts(unseen=error.strerror or type(error).__name__)


def watched(path: str) -> LedgerFile | None:
    """Return the file of the ledger that was just opened at `path`; None where it has none."""
    return None if path == MEMORY else LedgerFile(path)


def judge(path: str, opened: FileFacts, now: FileFacts) -> LedgerError | None:
    """Name the first trouble there is, the worst first."""
    return next((make(path, now) for applies, make in TROUBLES if applies(opened, now)), None)


TROUBLES: tuple[tuple[Callable[[FileFacts, FileFacts], bool], Callable[[str, FileFacts], LedgerError]], ...] = (
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
        lambda opened, now: opened.log is not None and now.log != opened.log,
        lambda path, _: LedgerLogLost(f"{path}-wal was removed or replaced while the ledger is in use"),
    ),
    (
        lambda _, now: not now.writable,
        lambda path, _: LedgerReadOnly(f"the ledger {path} has become read-only"),
    ),
)
"""Which facts, those at its opening and those of now, are which trouble."""


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
