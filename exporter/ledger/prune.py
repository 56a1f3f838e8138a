"""Pruning: pairs of payers without a Task lose their slot, and their series end.

Rule: nothing that another pair shows changes. All of it is one transaction, so that a killed process has pruned
everything or nothing.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import LedgerOutdated
from ..task.model import OTHER_PAIR, OTHER_PAYER, Instant, Pair
from ..task.payer_table import PayerTable
from . import schema
from .inspect import read_ledger
from .open import hold_ledger
from .state import StateKey
from .validate import check_schema_version


class DeadPair(NamedTuple):
    """A pair without a Task; `last_transition` is the newest of its gauges, if there is any."""

    number: int
    pair: Pair
    last_transition: Instant | None


def find_dead(path: str, table: PayerTable) -> list[DeadPair]:
    """List what `prune` would remove; payers in the operator's table keep their slots. The file is only read."""
    with read_ledger(path) as connection:
        _check_current(connection, path)
        return dead_pairs(connection, table)


def prune(path: str, table: PayerTable) -> list[DeadPair]:
    """Remove the dead pairs, and return them."""
    with hold_ledger(path) as connection:
        _check_current(connection, path)
        dead = dead_pairs(connection, table)
        if dead:
            _remove(connection, [each.number for each in dead])
        return dead


def _check_current(connection: sqlite3.Connection, path: str) -> None:
    found, current = check_schema_version(connection, path), len(schema.MIGRATIONS)
    if found < current:
        raise LedgerOutdated(f"the ledger {path} has schema {found}, and this version works on {current}")


def dead_pairs(connection: sqlite3.Connection, table: PayerTable) -> list[DeadPair]:
    """Find the pairs that no row of a Task refers to: Tasks that were removed keep theirs for 30 days, and may return.

    `other` takes no slot, and what it counted may belong to pairs that live. A former name never comes back.
    """
    found = connection.execute(
        """
        SELECT id, source, requesting, (SELECT max(at) FROM latest WHERE latest.pair = pair.id) FROM pair
        WHERE id NOT IN (SELECT DISTINCT pair FROM task) ORDER BY source, requesting
        """
    )
    pairs = [DeadPair(number, Pair(source, requesting), at) for number, source, requesting, at in found]
    labels = table.labels
    configured = {each.pair for each in pairs if labels & set(each.pair) and table.pair(each.pair) == each.pair}
    return [each for each in pairs if each.pair not in {OTHER_PAIR, *configured}]


def _remove(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete all that is kept of these pairs.

    If Tasks are under `other`, the next start of the exporter is made to walk everything, as after a change of the
    limit: they move to the slots that are free now.
    """
    rows = [(number,) for number in numbers]
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _DELETES:
            connection.executemany(statement, rows)
        connection.execute(_WALK_ALL, {"name": StateKey.NAMES, "other": OTHER_PAYER})
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


_DELETES = (
    "DELETE FROM counter WHERE pair = ?",
    "DELETE FROM tally WHERE pair = ?",
    "DELETE FROM latest WHERE pair = ?",
    "DELETE FROM pair WHERE id = ?",
)
_WALK_ALL = """
    DELETE FROM state WHERE name = :name AND EXISTS (
        SELECT 1 FROM task JOIN pair ON pair.id = task.pair WHERE source = :other AND requesting = :other
    )
"""
