"""The checks of a ledger's file, and the errors for one that fails them: used by `open` and `inspect`.

Nothing here changes a file.

See docs/design.md#ledger-file.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import LedgerDamaged, LedgerFailed, LedgerForeign, LedgerInUse, LedgerTooNew
from ..task.model import Coding, Selection
from . import schema


@dataclass(frozen=True, slots=True)
class Binding:
    """The source a ledger belongs to: numbers of two servers, or of two selections, must never mix."""

    url: str
    selection: Selection

    @property
    def digest(self) -> str:
        """A fingerprint: a further search parameter could hold an identifier, so the text itself is not kept."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    @property
    def _text(self) -> str:
        """Spell the source exactly as every released version did: ledgers hold the digest of this text."""
        tag, code = _coding_text(self.selection.tag), _coding_text(self.selection.code)
        search = tuple((name, value) for name, value in self.selection.search)
        return f"({self.url.rstrip('/')!r}, Selection(tag={tag}, code={code}, search={search!r}))"


def _coding_text(coding: Coding | None) -> str:
    return "None" if coding is None else f"Coding(system={coding.system!r}, code={coding.code!r})"


def check_is_ledger(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a file of another kind, and an emptied ledger: its counters would start at 0 again."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
        raise LedgerForeign(f"{path} exists and is not a ledger, or has been emptied")


def check_undamaged(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a ledger with a damaged page; reads all of it."""
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise _damaged(path)


def check_schema_version(connection: sqlite3.Connection, path: str) -> int:
    """Refuse a ledger of a later version; returns the version of the schema."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(schema.MIGRATIONS):
        raise LedgerTooNew(f"the ledger {path} has schema {version}, this version knows {len(schema.MIGRATIONS)}")
    return version


def check_source(known: str | None, path: str, binding: Binding) -> None:
    """Refuse a ledger bound to another source; `known` is the digest in it, None before its first use."""
    if known not in {None, binding.digest}:
        raise LedgerForeign(f"the ledger {path} was made for another FHIR server or selection of Tasks")


@contextlib.contextmanager
def translate_errors(path: str) -> Iterator[None]:
    """Raise LedgerInUse, LedgerForeign, LedgerDamaged or LedgerFailed for what SQLite raises inside."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _translate(path, error) from error


def _translate(path: str, error: sqlite3.DatabaseError) -> LedgerInUse | LedgerForeign | LedgerDamaged | LedgerFailed:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return LedgerInUse(f"the ledger {path} is in use by another process")
    if code == sqlite3.SQLITE_NOTADB:
        return LedgerForeign(f"{path} is not a ledger")
    if code == sqlite3.SQLITE_CORRUPT or not isinstance(error, sqlite3.OperationalError):
        return _damaged(path)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return LedgerFailed(f"the ledger {path} cannot be used by user {os.geteuid()} ({name})")


def _damaged(path: str) -> LedgerDamaged:
    return LedgerDamaged(f"the ledger {path} is damaged")
