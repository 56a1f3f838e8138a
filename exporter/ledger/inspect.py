"""Inspecting a ledger that may be in use: nothing is created, changed or locked. For `check` alone.

The file is read without any lock where no `-wal` lies beside it, since every running exporter has one. Else a read lock
is held for one query; an exporter that starts meanwhile waits for it (open.py, `timeout=1`).
"""

import os
import sqlite3
from contextlib import closing
from enum import StrEnum
from pathlib import Path

from ..errors import LedgerFailed
from .open import MEMORY
from .state import StateKey, read_states
from .validate import Binding, check_is_ledger, check_schema_version, check_source, check_undamaged, translate_errors


class LedgerStatus(StrEnum):
    """What is at the path of `--ledger`."""

    MEMORY = "memory"
    ABSENT = "absent"
    BEGUN = "begun"
    """Of this source, its baseline not complete."""
    COMPLETE = "complete"


def inspect_ledger(path: str, binding: Binding) -> LedgerStatus:
    """Find what serve would find. Raises LedgerInUse, LedgerForeign, LedgerTooNew, LedgerDamaged, or LedgerFailed."""
    if path == MEMORY:
        return LedgerStatus.MEMORY
    file = Path(path).absolute()
    if not file.exists():
        _check_access(file.parent, os.W_OK | os.X_OK)
        return LedgerStatus.ABSENT
    _check_access(file, os.R_OK | os.W_OK)
    with translate_errors(path):
        states = _read(file, path)
    check_source(states.get(StateKey.SOURCE), path, binding)
    return LedgerStatus.COMPLETE if StateKey.WATERMARK in states else LedgerStatus.BEGUN


def _check_access(path: Path, mode: int) -> None:
    if not os.access(path, mode):
        raise LedgerFailed(f"user {os.geteuid()} may not write {path}, or it does not exist")


def _read(file: Path, path: str) -> dict[str, str]:
    """Read the state table, after the checks that opening makes."""
    unused = not file.with_name(file.name + "-wal").exists()
    options = "mode=ro&immutable=1" if unused else "mode=ro"
    with closing(sqlite3.connect(f"{file.as_uri()}?{options}", uri=True, timeout=0)) as connection:
        check_is_ledger(connection, path)
        if unused:  # else an exporter that starts would wait too long for the lock
            check_undamaged(connection, path)
        check_schema_version(connection, path)
        return read_states(connection)
