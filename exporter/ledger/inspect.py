"""Inspecting a ledger that may be in use: nothing is created, changed or locked.

For `check`, and for the commands about the ledger as far as they only read.

The file is read without any lock where no `-wal` lies beside it, since every running exporter has one. Else a read lock
is held for one query; an exporter that starts meanwhile waits for it (open.py, `timeout=1`).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path

from ..errors import LedgerFailed, LedgerHeld
from .open import MEMORY
from .source import Binding
from .state import StateKey, read_states
from .validate import (
    Owner,
    another_source,
    check_exists,
    check_is_ledger,
    check_schema_version,
    check_undamaged,
    owner,
    translate_errors,
)


class LedgerStatus(StrEnum):
    """What is at the path of `--ledger`."""

    MEMORY = "memory"
    ABSENT = "absent"
    BEGUN = "begun"
    """Of this source, its baseline not complete."""
    EMPTY = "empty"
    """Made for another source, but without a Task: serve takes it over."""
    COMPLETE = "complete"


def inspect_ledger(path: str, binding: Binding) -> LedgerStatus:
    """Find what serve would find. Raises LedgerInUse, LedgerForeign, LedgerTooNew, LedgerDamaged, or LedgerFailed."""
    if path == MEMORY:
        return LedgerStatus.MEMORY
    if not Path(path).exists():
        _check_access(Path(path).absolute().parent, os.W_OK | os.X_OK)
        return LedgerStatus.ABSENT
    _check_access(Path(path), os.R_OK | os.W_OK)
    with read_ledger(path) as connection:
        check_schema_version(connection, path)
        states = read_states(connection)
        whose = owner(connection, states, binding)
    if whose is Owner.ANOTHER:
        raise another_source(path, states, binding)
    if whose is Owner.ANOTHER_BUT_EMPTY:
        return LedgerStatus.EMPTY
    return LedgerStatus.COMPLETE if StateKey.WATERMARK in states else LedgerStatus.BEGUN


def _check_access(path: Path, mode: int) -> None:
    if not os.access(path, mode):
        raise LedgerFailed(f"user {os.geteuid()} may not write {path}, or it does not exist")


@contextmanager
def read_ledger(path: str) -> Iterator[sqlite3.Connection]:
    """Read an existing ledger, after the checks that opening makes, but for the version of its schema.

    Raises LedgerInUse, LedgerForeign, LedgerDamaged, or LedgerFailed.
    """
    check_exists(path)
    file = Path(os.path.realpath(path))
    unused = not file.with_name(file.name + "-wal").exists()
    options = "mode=ro&immutable=1" if unused else "mode=ro"
    with (
        translate_errors(path, LedgerHeld),
        closing(sqlite3.connect(f"{file.as_uri()}?{options}", uri=True, timeout=0)) as connection,
    ):
        check_is_ledger(connection, path)
        if unused:  # else an exporter that starts would wait too long for the lock
            check_undamaged(connection, path)
        yield connection
