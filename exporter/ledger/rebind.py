"""Rebinding: the ledger of a server that only changed its address is taken over, if the Tasks show that it is the same.

Rule: the selection must be the same, and most of a sample of the ledger's Tasks must be found on the new server, as
they were or newer. Nothing is written before that is known.

See docs/decisions/0025-a-ledger-is-rebound-when-its-tasks-are-found.md.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..errors import LedgerNotRebound, ServerError
from ..task.model import Task
from ..task.payers import PairRule
from ..task.rows import Row
from ..task.versions import continues
from .pairs import PairTable
from .source import Binding, same_selection
from .state import StateKey
from .tasks import TaskTable
from .validate import difference, stored_parts

ReadTasks = Callable[[Sequence[str]], Iterable[Task]]
"""Reads Tasks by id on the server that is asked for; raises a ServerError."""

SAMPLE = 50
"""Tasks that are looked for, the ones that changed last: one search by `_id`."""

ENOUGH = 0.8
"""The part of the sample that must be found: some may have been deleted since."""


def check_same_server(
    connection: sqlite3.Connection, path: str, states: Mapping[str, str], asked: Binding, read: ReadTasks
) -> None:
    """Let a ledger of another source pass if only the address is another; raises LedgerNotRebound."""
    parts = stored_parts(states)
    if parts is None:
        raise LedgerNotRebound(
            f"the ledger {path} was not rebound: only an earlier version has used it, so which selection it has is not "
            "known; start serve with the old --fhir.url first, whether or not that server answers"
        )
    if not same_selection(parts, states[StateKey.SOURCE], asked):
        raise LedgerNotRebound(f"the ledger {path} was not rebound: {difference(states, asked)}")
    known = newest(connection)
    try:
        found = count_found(known, read([row.id for row in known]) if known else ())
    except ServerError as error:
        raise LedgerNotRebound(f"the ledger {path} was not rebound, since its Tasks were not read: {error}") from error
    if not known or found < ENOUGH * len(known):
        where = f"on {asked.parts.server}, as they were or newer"
        raise LedgerNotRebound(f"the ledger {path} was not rebound: found {found} of {len(known)} of its Tasks {where}")


def newest(connection: sqlite3.Connection) -> list[Row]:
    """Read the sample."""
    return TaskTable(connection, PairTable(connection, PairRule(0))).newest(SAMPLE)


def count_found(known: Sequence[Row], read: Iterable[Task]) -> int:
    """Count the Tasks of which the server holds the same version, or a later one."""
    tasks = {task.id: task for task in read}
    return sum(row.id in tasks and continues(row, tasks[row.id]) for row in known)
