"""What becomes of the pairs of renamed payers: Tasks and gauges move, and counters go on under the new label.

Rule 1: totals over all pairs stay as they are, of what is counted and of what is shown.
Rule 2: a series that Prometheus may know never jumps. So counters move only to a pair that is new; one that has
series of its own keeps them, and those of the former name end where they are.
Rule 3: a series under a new label is a new one for Prometheus, so what it does not show yet is held anew.

See docs/decisions/0033-a-renamed-payer-keeps-its-series.md.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..task.model import Pair


class Renames(NamedTuple):
    """How many pairs go on under another label, and how many have ended, since their new label had series already."""

    carried: int = 0
    ended: int = 0


class _Plan(NamedTuple):
    """What to do, by the numbers of pairs.

    `renamed` get another label. Of `merged`, the first one of each goes into the second one, and is gone afterwards; of
    `left` all but the counters does: once, so that a later start finds nothing to do.
    """

    renamed: dict[int, Pair]
    merged: dict[int, int]
    left: dict[int, int]


def rename(
    connection: sqlite3.Connection, pairs: Mapping[int, Pair], shown_as: Callable[[Pair], Pair], generation: int
) -> Renames:
    """Rename pairs inside a transaction; `generation` is that of the first snapshot that shows the new labels."""
    plan = _plan(pairs, shown_as)
    with_gauges = {number for (number,) in connection.execute("SELECT DISTINCT pair FROM tally")}
    plan = plan._replace(left={former: now for former, now in plan.left.items() if former in with_gauges})
    connection.executemany(
        "UPDATE pair SET source = :source, requesting = :requesting WHERE id = :id",
        [{"id": number, **pair._asdict()} for number, pair in plan.renamed.items()],
    )
    moved = plan.merged | plan.left
    _move_tasks(connection, moved)
    for statements, numbers in ((_MOVE_GAUGES, moved), (_MERGE_COUNTERS, plan.merged)):
        rows = [{"former": former, "now": now} for former, now in numbers.items()]
        for statement in statements:
            connection.executemany(statement, rows)
    connection.executemany(
        "UPDATE counter SET born = :generation WHERE pair = :id",
        [{"id": number, "generation": generation} for number in plan.renamed],
    )
    return Renames(len(plan.renamed) + len(plan.merged), len(plan.left))


def _plan(pairs: Mapping[int, Pair], shown_as: Callable[[Pair], Pair]) -> _Plan:
    plan = _Plan({}, {}, {})
    numbers = {pair: number for number, pair in pairs.items() if shown_as(pair) == pair}
    for former, pair in sorted(pairs.items()):
        now = shown_as(pair)
        if now == pair:
            continue
        if now not in numbers:
            numbers[now] = former
            plan.renamed[former] = now
        elif numbers[now] in plan.renamed:
            plan.merged[former] = numbers[now]
        else:
            plan.left[former] = numbers[now]
    return plan


def _move_tasks(connection: sqlite3.Connection, moved: Mapping[int, int]) -> None:
    """Move the rows of Tasks in one pass, however many pairs there are: nothing finds the ended ones by their pair."""
    if not moved:
        return
    connection.execute("CREATE TEMP TABLE moved_pair (former INTEGER PRIMARY KEY, now INTEGER NOT NULL)")
    connection.executemany("INSERT INTO moved_pair (former, now) VALUES (?, ?)", moved.items())
    connection.execute(
        """
        UPDATE task SET pair = (SELECT now FROM moved_pair WHERE former = task.pair)
        WHERE pair IN (SELECT former FROM moved_pair)
        """
    )
    connection.execute("DROP TABLE moved_pair")


_MOVE_GAUGES = (
    """
    INSERT INTO tally (pair, status, n) SELECT :now, status, n FROM tally WHERE pair = :former
    ON CONFLICT (pair, status) DO UPDATE SET n = tally.n + excluded.n
    """,
    "DELETE FROM tally WHERE pair = :former",
    """
    INSERT INTO latest (pair, status, at) SELECT :now, status, at FROM latest WHERE pair = :former
    ON CONFLICT (pair, status) DO UPDATE SET at = max(latest.at, excluded.at)
    """,
    "DELETE FROM latest WHERE pair = :former",
)
_MERGE_COUNTERS = (
    """
    INSERT INTO counter (fact, pair, label, part, counted, shown, born)
    SELECT fact, :now, label, part, counted, shown, born FROM counter WHERE pair = :former
    ON CONFLICT (fact, pair, label, part) DO UPDATE SET
        counted = counter.counted + excluded.counted, shown = counter.shown + excluded.shown
    """,
    "DELETE FROM counter WHERE pair = :former",
    "DELETE FROM pair WHERE id = :former",
)
