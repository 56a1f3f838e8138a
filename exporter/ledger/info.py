"""What `ledger info` says of a ledger. It reads the file as `inspect` does: nothing is created, changed or migrated."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ..errors import LedgerInUse
from ..task.dates import format_instant
from ..task.model import OTHER_PAYER, Instant
from . import schema
from .inspect import read_ledger
from .source import SourceParts
from .state import StateKey, WalkState, read_states
from .validate import check_exists, stored_parts


class FileFacts(NamedTuple):
    """What can be known without the lock. `bytes` includes the log beside the file."""

    path: str
    bytes: int
    written: datetime


class TaskCounts(NamedTuple):
    """How many rows there are. `unusable`: no exchanges, kept so that counts agree with the server's."""

    open: int
    ended: int
    removed: int
    unusable: int


class Contents(NamedTuple):
    """What a ledger holds. `pairs` are those that take a slot."""

    schema: int
    source: SourceParts | None
    walk: WalkState | None
    baseline_complete: bool
    last_complete: Instant | None
    tasks: TaskCounts
    pairs: int


class LedgerInfo(NamedTuple):
    """A ledger; no contents while another process uses it."""

    file: FileFacts
    contents: Contents | None


def read_info(path: str) -> LedgerInfo:
    """Read all that can be read now. Raises LedgerForeign, LedgerDamaged, or LedgerFailed."""
    check_exists(path)
    file = _file_facts(Path(path))
    try:
        with read_ledger(path) as connection:
            return LedgerInfo(file, _contents(connection))
    except LedgerInUse:
        return LedgerInfo(file, None)


def _file_facts(path: Path) -> FileFacts:
    parts = [part for part in (path, path.with_name(f"{path.name}-wal")) if part.exists()]
    stats = [part.stat() for part in parts]
    written = datetime.fromtimestamp(max(each.st_mtime for each in stats), UTC)
    return FileFacts(str(path), sum(each.st_size for each in stats), written)


def _contents(connection: sqlite3.Connection) -> Contents:
    states = read_states(connection)
    walk, last = states.get(StateKey.WALK), states.get(StateKey.LAST_COMPLETE)
    pairs = connection.execute("SELECT count(*) FROM pair WHERE source <> ? OR requesting <> ?", (OTHER_PAYER,) * 2)
    return Contents(
        schema=connection.execute("PRAGMA user_version").fetchone()[0],
        source=stored_parts(states),
        walk=None if walk is None else WalkState.from_json(walk),
        baseline_complete=StateKey.WATERMARK in states,
        last_complete=None if last is None else int(last),
        tasks=_count_tasks(connection),
        pairs=pairs.fetchone()[0],
    )


def _count_tasks(connection: sqlite3.Connection) -> TaskCounts:
    found = connection.execute(
        """
        SELECT
            coalesce(sum(open = 1), 0),
            coalesce(sum(gone IS NULL AND open = 0 AND pair <> 0), 0),
            coalesce(sum(gone IS NOT NULL), 0),
            coalesce(sum(gone IS NULL AND pair = 0), 0)
        FROM task
        """
    )
    return TaskCounts(*found.fetchone())


def describe(info: LedgerInfo, pairs_max: int) -> Iterator[tuple[str, str]]:
    """Yield what to print, as label and text."""
    yield "path", info.file.path
    yield "size", f"{info.file.bytes:,} bytes"
    yield "last written", f"{info.file.written:%Y-%m-%dT%H:%M:%SZ}"
    if info.contents is None:
        yield "in use", "yes, by another process; stop the exporter to see the rest, or look at its landing page"
        return
    yield "in use", "no"
    yield from _describe_contents(info.contents, pairs_max)


def _describe_contents(found: Contents, pairs_max: int) -> Iterator[tuple[str, str]]:
    known = len(schema.MIGRATIONS)
    yield "schema", f"{found.schema}" + _SCHEMA_NOTES[(found.schema > known) - (found.schema < known)]
    unknown = "not known: only an earlier version has used it"
    yield "FHIR server", found.source.server if found.source else unknown
    yield "selection", found.source.selection if found.source else unknown
    yield "baseline", _baseline(found)
    tasks = found.tasks
    others = f", {tasks.unusable:,} that are not exchanges" if tasks.unusable else ""
    yield "Tasks", f"{tasks.open:,} open, {tasks.ended:,} ended, {tasks.removed:,} removed on the server{others}"
    yield "pairs", f"{found.pairs:,} of {pairs_max:,} (--pairs.max)"
    yield "last poll", "none complete" if found.last_complete is None else format_instant(found.last_complete)


_SCHEMA_NOTES = {
    -1: ", of an earlier version: serve or once will migrate it",
    0: "",
    1: ", of a later version: this one cannot open it",
}


def _baseline(found: Contents) -> str:
    if found.baseline_complete:
        return "complete"
    if found.walk is None:
        return "not begun"
    return f"not complete: {sum(found.tasks):,} Tasks read"
