"""Opening a ledger: its file, its lock, its schema. What is refused is in `validate`; nothing here knows Tasks.

Settings (sqlite.org/wal.html, sqlite.org/pragma.html): WAL with synchronous=FULL survives power loss;
locking_mode=EXCLUSIVE keeps a second exporter out, and a killed one leaves no lock behind.

See docs/design.md#ledger-file.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import LedgerDamaged, LedgerError, LedgerFailed, LedgerHeld
from ..logs import log_event
from ..task.payers import PairRule
from . import schema
from .ledger import Ledger
from .rebind import ReadTasks, check_same_server
from .source import Binding
from .state import StateKey, read_states, write_state
from .validate import (
    Owner,
    another_source,
    check_disk,
    check_exists,
    check_is_ledger,
    check_readable,
    check_schema_version,
    check_undamaged,
    owner,
    real_path,
    translate_errors,
)

logger = logging.getLogger(__name__)

MEMORY = ":memory:"

SETTINGS = """
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 8000;
    PRAGMA journal_size_limit = 67108864;
"""
"""A checkpoint each 32 MB. How much is cached depends on what is done: `tasks`."""


def open_ledger(
    path: str, binding: Binding, rule: PairRule, rebind: ReadTasks | None = None
) -> tuple[Ledger, Path | None]:
    """Open or create the ledger at `path` (or `:memory:`).

    A damaged file is set aside and a new one created, so that monitoring goes on: the name it now has is returned.
    With `rebind`, which reads Tasks on the server asked for, the ledger of another address is taken over if its Tasks
    are there. Raises LedgerInUse, LedgerForeign, LedgerTooNew, LedgerNotRebound, or LedgerFailed.
    """
    path = path if path == MEMORY else real_path(path)
    try:
        return _open_undamaged(path, binding, rule, rebind), None
    except LedgerDamaged:
        check_disk(path)
        aside = _set_aside(Path(path))
        return _open(path, binding, rule), aside


def _open_undamaged(path: str, binding: Binding, rule: PairRule, rebind: ReadTasks | None) -> Ledger:
    """Open it, if need be at the second try: SQLite also calls damaged what the disk could not read for a moment."""
    try:
        return _open(path, binding, rule, rebind)
    except LedgerDamaged:
        return _open(path, binding, rule, rebind)


def _open(path: str, binding: Binding, rule: PairRule, rebind: ReadTasks | None = None) -> Ledger:
    with translate_errors(path):
        if path != MEMORY:
            _make_file(Path(path))
            _keep_spills_beside(Path(path))
        connection = _connect(path)
        try:
            with check_readable(path):
                _prepare(connection, path, binding, rebind)
                ledger = Ledger(connection, rule)
                ledger.read_all()
        except BaseException:
            connection.close()
            raise
        return ledger


def _connect(path: str) -> sqlite3.Connection:
    """Connect to a file that exists: SQLite must not create one of its own, which would have no mode and no schema."""
    name = "file::memory:" if path == MEMORY else f"{Path(path).absolute().as_uri()}?mode=rw"
    return sqlite3.connect(name, uri=True, isolation_level=None, timeout=1, check_same_thread=False)


@contextlib.contextmanager
def hold_ledger(path: str) -> Iterator[sqlite3.Connection]:
    """Hold an existing ledger as a running exporter does, so that none can start; nothing is created or migrated.

    Raises LedgerInUse, LedgerForeign, LedgerDamaged, or LedgerFailed.
    """
    check_exists(path)
    with translate_errors(path, LedgerHeld):
        _keep_spills_beside(Path(path))
        uri = f"{Path(path).absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1)) as connection:
            _lock(connection, path)
            yield connection


def rebind_ledger(path: str, asked: Binding, read: ReadTasks) -> Owner:
    """Rebind an existing ledger, as `open_ledger` does with `rebind`; returns whose it was. It is migrated."""
    with hold_ledger(path) as connection:
        migrate(connection, path)
        return bind(connection, path, asked, read)


def _make_file(path: Path) -> None:
    """Create an empty ledger, readable by its owner alone, where there is no file; `-wal` and `-shm` take its mode.

    It is created under another name: a first start that is killed, or finds the disk full, leaves no half of a ledger,
    which the next start would have to refuse.
    """
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        orphaned = _log_has_commits(path)  # looked at first: where another exporter makes both, the file comes first
        if path.exists():
            return
        if orphaned:  # SQLite would write its pages into the new ledger
            raise LedgerDamaged(f"the ledger {path} is gone, and its -wal is still there")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            migrate(connection, str(path))
        _place(draft, path)
    except OSError as error:
        raise LedgerFailed(_unwritable(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _log_has_commits(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _keep_spills_beside(path: Path) -> None:
    """Let SQLite spill temporary tables into the ledger's own folder: they hold Task ids, and /tmp may be read-only.

    There is no other way to set it than the environment (sqlite.org/tempfiles.html, section 5).
    """
    os.environ.setdefault("SQLITE_TMPDIR", str(path.resolve().parent))


def _place(draft: Path, path: Path) -> None:
    """Return the draft its name, unless another process was quicker: unlike a rename, a link never replaces a file."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:
        draft.rename(path)  # some file systems have no links


def _unwritable(path: Path, error: OSError) -> str:
    return f"the ledger {path} cannot be made by user {os.geteuid()}: {error.strerror}"


def _prepare(connection: sqlite3.Connection, path: str, binding: Binding, rebind: ReadTasks | None = None) -> None:
    _lock(connection, path)
    migrate(connection, path)
    bind(connection, path, binding, rebind)
    connection.executescript(schema.TEMPORARY)


def _lock(connection: sqlite3.Connection, path: str) -> None:
    """Check that it is a ledger, take its lock, and check that it is undamaged."""
    if path != MEMORY:
        check_is_ledger(connection, path)
        with contextlib.suppress(OSError):  # the file of another user of our group: the next step fails
            Path(path).chmod(0o600)
    connection.executescript(SETTINGS)
    connection.execute("BEGIN EXCLUSIVE")  # takes the lock now, and for good
    connection.execute("COMMIT")
    check_undamaged(connection, path)


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the schema up to date, each step in a transaction of its own."""
    version = check_schema_version(connection, path)
    for step, script in enumerate(schema.MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {schema.APPLICATION_ID};"
            f"PRAGMA user_version = {step}; COMMIT"
        )


def bind(connection: sqlite3.Connection, path: str, asked: Binding, rebind: ReadTasks | None = None) -> Owner:
    """Make the ledger belong to the source asked for, or refuse; returns whose it was.

    An empty one only changes hands: what it knows of the other server, such as a cursor, is deleted.
    """
    states = read_states(connection)
    before = owner(connection, states, asked)
    if before is Owner.ANOTHER:
        if rebind is None:
            raise another_source(path, states, asked)
        check_same_server(connection, path, states, asked, rebind)
    if before is not Owner.ASKED or StateKey.SOURCE_PARTS not in states:
        _write_source(connection, asked, forget=before is Owner.ANOTHER_BUT_EMPTY)
    if message := _BOUND.get(before):
        log_event(logger, logging.INFO, message, server=asked.parts.server)
    return before


_BOUND = {
    Owner.ANOTHER: "the ledger was rebound to another address of its server",
    Owner.ANOTHER_BUT_EMPTY: "the empty ledger now belongs to another server or selection",
}


def _write_source(connection: sqlite3.Connection, asked: Binding, *, forget: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if forget:
            connection.execute("DELETE FROM state")
            connection.execute("DELETE FROM organization")
        write_state(connection, StateKey.SOURCE, asked.digest)
        write_state(connection, StateKey.SOURCE_PARTS, asked.parts.to_json())
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _set_aside(path: Path) -> Path:
    """Move a damaged file, and what belongs to it, out of the way. Gives its new name: a `-wal` may be alone."""
    moved = []
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    try:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                moved.append(part.rename(aside.with_name(aside.name + suffix)))
    except OSError as error:
        raise LedgerError(f"the damaged ledger {path} cannot be set aside: {error.strerror}") from error
    return moved[0] if moved else aside
