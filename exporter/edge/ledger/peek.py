"""A look at a ledger that may be in use: nothing is made, changed or held. For `check` alone.

The file is read without any lock where no `-wal` lies beside it, since every exporter at work has one. Else a read lock
is taken for the moment of one query; an exporter that starts meanwhile waits for it (files.py, `timeout=1`).
"""

import os
import sqlite3
from contextlib import closing
from enum import StrEnum
from pathlib import Path

from ...errors import LedgerFailed, LedgerForeign, LedgerInUse, LedgerTooNew
from .files import MEMORY, Binding
from .schema import APPLICATION_ID, MIGRATIONS
from .statements import STATES


class Found(StrEnum):
    """What is at the path of `--ledger`."""

    MEMORY = "memory"
    ABSENT = "absent"
    BEGUN = "begun"
    """Of this source, its baseline not complete."""
    COMPLETE = "complete"


def peek_ledger(path: str, binding: Binding) -> Found:
    """Say what serve would find. Raises LedgerInUse, LedgerForeign, LedgerTooNew, or LedgerFailed."""
    if path == MEMORY:
        return Found.MEMORY
    file = Path(path).absolute()
    if not file.exists():
        _check_access(file.parent, os.W_OK | os.X_OK)
        return Found.ABSENT
    _check_access(file, os.R_OK | os.W_OK)
    try:
        states = _read(file)
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    if "source" in states and states["source"] != binding.digest:
        raise LedgerForeign(f"the ledger {path} was made for another FHIR server or selection of Tasks")
    return Found.COMPLETE if "watermark" in states else Found.BEGUN


def _check_access(path: Path, mode: int) -> None:
    if not os.access(path, mode):
        raise LedgerFailed(f"user {os.geteuid()} may not write {path}, or it does not exist")


def _read(file: Path) -> dict[str, str]:
    """Read the state table, after the checks that opening makes."""
    way = "mode=ro" if file.with_name(file.name + "-wal").exists() else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{file.as_uri()}?{way}", uri=True, timeout=0)) as connection:
        kind = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if kind != APPLICATION_ID:
            raise LedgerForeign(f"{file} exists and is not a ledger, or has been emptied")
        if version > len(MIGRATIONS):
            raise LedgerTooNew(f"the ledger {file} has schema {version}, this programme knows {len(MIGRATIONS)}")
        return dict(connection.execute(STATES).fetchall())


def _translated(path: str, error: sqlite3.Error) -> LedgerInUse | LedgerForeign | LedgerFailed:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return LedgerInUse(f"the ledger {path} is in use by another process")
    if code == sqlite3.SQLITE_NOTADB:
        return LedgerForeign(f"{path} is not a ledger")
    return LedgerFailed(f"the ledger {path} cannot be read by user {os.geteuid()}")
