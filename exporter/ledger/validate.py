"""The checks of a ledger's file, and the errors for one that fails them: used by `open` and `inspect`.

Nothing here changes a file.

See docs/design.md#ledger-file.
"""

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from pathlib import Path

from ..errors import (
    LedgerAbsent,
    LedgerDamaged,
    LedgerError,
    LedgerFailed,
    LedgerForeign,
    LedgerInUse,
    LedgerOfAnotherSource,
    LedgerTooNew,
    LedgerUnreadable,
)
from . import schema
from .source import Binding, SourceParts, differences
from .state import StateKey


def check_exists(path: str) -> None:
    """Refuse a path without a file: commands create none."""
    if not Path(path).is_file():
        raise LedgerAbsent(f"there is no ledger at {path}")


def real_path(path: str) -> str:
    """Follow links to the file, beside which SQLite keeps the `-wal`; refuse what can be no ledger, such as a folder.

    Raises LedgerFailed or LedgerForeign.
    """
    try:
        linked = Path(path).is_symlink()
        real = Path(os.path.realpath(path)) if linked else Path(path)
        if real.exists() and not real.is_file():
            raise LedgerFailed(f"the ledger {path} cannot be used: there is something that is no regular file")
        if real.exists() and real.stat().st_size == 0:  # before SQLite sees it: that would delete its -wal
            raise _no_ledger(path)
        if linked and not real.exists():
            raise LedgerFailed(f"the ledger {path} cannot be used: it is a link to a file that does not exist")
    except OSError as error:
        raise LedgerFailed(f"the ledger {path} cannot be used by user {os.geteuid()}: {error.strerror}") from error
    return str(real)


def check_is_ledger(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a file of another kind, and an emptied ledger: its counters would start at 0 again."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
        raise _no_ledger(path)


def check_undamaged(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a ledger with a damaged page; reads all of it."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found == "ok":
        return
    code = re.search(r"error code=(\d+)", found)
    if code and int(code[1]) & 0xFF == sqlite3.SQLITE_IOERR:  # the disk, perhaps for a moment only
        raise LedgerFailed(f"the ledger {path} cannot be read by user {os.geteuid()} (SQLITE_IOERR)")
    raise _damaged(path)


@contextlib.contextmanager
def check_readable(path: str) -> Iterator[None]:
    """Refuse a ledger whose words and numbers, read inside, have no meaning for this version.

    It is not set aside: a later version may have written it, for which it is good.
    """
    try:
        yield
    except LedgerFailed as error:
        if isinstance(error.__cause__, sqlite3.DatabaseError):
            raise _translate(path, error.__cause__, LedgerInUse) from error
        raise
    except UnicodeDecodeError:
        raise
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        raise _unreadable(path) from None  # the text of the error may repeat what the ledger holds


def check_disk(path: str) -> None:
    """Refuse a file that the disk cannot read: SQLite calls that damage, but the file may be good.

    No connection may be open: closing a file releases the locks of the whole process.
    """
    try:
        for part in (Path(path), Path(f"{path}-wal")):
            if part.exists():
                with part.open("rb") as file:
                    while file.read(1 << 20):
                        pass
    except OSError as error:
        raise LedgerFailed(f"the ledger {path} cannot be read by user {os.geteuid()}: {error.strerror}") from error


def check_schema_version(connection: sqlite3.Connection, path: str) -> int:
    """Refuse a ledger of a later version; returns the version of the schema."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(schema.MIGRATIONS):
        raise LedgerTooNew(f"the ledger {path} has schema {version}, this version knows {len(schema.MIGRATIONS)}")
    return version


class Owner(Enum):
    """Whose ledger it is."""

    NOBODY = auto()
    """It was never bound."""
    ASKED = auto()
    ANOTHER = auto()
    ANOTHER_BUT_EMPTY = auto()


def owner(connection: sqlite3.Connection, states: Mapping[str, str], asked: Binding) -> Owner:
    """Judge whose ledger it is. `states` is what its table holds."""
    known = states.get(StateKey.SOURCE)
    if known is None:
        return Owner.NOBODY
    if known == asked.digest:
        return Owner.ASKED
    return Owner.ANOTHER_BUT_EMPTY if is_empty(connection) else Owner.ANOTHER


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever learned: no Task, and no counter, which every pair of payers has.

    A baseline that found no Task, complete or not, leaves nothing to lose: no series was shown, and the next baseline
    sets gauges only. Rows of Tasks that are gone stay for 30 days, and their counters for good.
    """
    found = connection.execute("SELECT EXISTS (SELECT 1 FROM task) OR EXISTS (SELECT 1 FROM counter)")
    return not found.fetchone()[0]


def stored_parts(states: Mapping[str, str]) -> SourceParts | None:
    """Return what a ledger says of its source; None in one that only earlier versions have opened."""
    text = states.get(StateKey.SOURCE_PARTS)
    return None if text is None else SourceParts.from_json(text)


def another_source(path: str, states: Mapping[str, str], asked: Binding) -> LedgerOfAnotherSource:
    """Make the refusal of a ledger that belongs to another source."""
    return LedgerOfAnotherSource(f"the ledger {path} is not used: {difference(states, asked)}")


def difference(states: Mapping[str, str], asked: Binding) -> str:
    """Say in what a ledger's source differs from the one asked for, as far as it is known."""
    known = stored_parts(states)
    if known is None:
        return f"it was made for another FHIR server or selection of Tasks; --fhir.url names {asked.parts.server}"
    return differences(known, states[StateKey.SOURCE], asked)


@contextlib.contextmanager
def translate_errors(path: str, in_use: type[LedgerInUse] = LedgerInUse) -> Iterator[None]:
    """Raise `in_use`, LedgerForeign, LedgerDamaged or LedgerFailed for what SQLite raises inside."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _translate(path, error, in_use) from error
    except UnicodeDecodeError as error:  # SQLite's own message repeats the damaged name of a table
        raise _damaged(path) from error


def _translate(path: str, error: sqlite3.DatabaseError, in_use: type[LedgerInUse]) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return in_use(f"the ledger {path} is in use by another process")
    if code == sqlite3.SQLITE_NOTADB:
        return LedgerForeign(f"{path} is not a ledger")
    if code == sqlite3.SQLITE_CORRUPT or not isinstance(error, sqlite3.OperationalError):
        return _damaged(path)
    if code == sqlite3.SQLITE_ERROR:
        return _unreadable(path)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return LedgerFailed(f"the ledger {path} cannot be used by user {os.geteuid()} ({name})")


def _no_ledger(path: str) -> LedgerForeign:
    return LedgerForeign(f"{path} exists and is not a ledger, or has been emptied")


def _unreadable(path: str) -> LedgerUnreadable:
    return LedgerUnreadable(f"the ledger {path} cannot be read: it holds what this version does not know")


def _damaged(path: str) -> LedgerDamaged:
    return LedgerDamaged(f"the ledger {path} is damaged")
