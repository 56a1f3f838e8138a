"""A copy of a ledger that is not in use. The copy appears under its name once it is complete, and never over a file."""

import contextlib
import os
import sqlite3
from pathlib import Path

from ..errors import LedgerBackupFailed
from .open import hold_ledger
from .validate import check_is_ledger, check_undamaged


def back_up(path: str, destination: str) -> int:
    """Copy a ledger, readable by its owner alone; returns the bytes of the copy.

    No exporter can start meanwhile. Raises LedgerBackupFailed, LedgerInUse, LedgerForeign, LedgerDamaged or
    LedgerFailed.
    """
    target = Path(destination)
    if os.path.lexists(target):
        raise LedgerBackupFailed(f"{target} exists; a backup never replaces a file")
    draft = target.with_name(f"{target.name}.new-{os.getpid()}")
    try:
        with hold_ledger(path) as connection:
            _copy(connection, draft)
        _place(draft, target)
        return target.stat().st_size
    except OSError as error:
        raise LedgerBackupFailed(f"{target} cannot be written by user {os.geteuid()}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _copy(connection: sqlite3.Connection, draft: Path) -> None:
    """Copy into an empty file of our mode, check the copy, and bring it to the disk: SQLite syncs the source only."""
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        connection.execute("VACUUM INTO :draft", {"draft": str(draft)})
    except sqlite3.OperationalError as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        raise LedgerBackupFailed(f"the copy cannot be written ({name})") from error
    with contextlib.closing(sqlite3.connect(f"{draft.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
        check_is_ledger(copy, str(draft))
        check_undamaged(copy, str(draft))
    _sync(draft)


def _place(draft: Path, target: Path) -> None:
    """Give the copy its name; unlike a rename, a link never replaces a file."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no links
        draft.rename(target)
    _sync(target.absolute().parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
