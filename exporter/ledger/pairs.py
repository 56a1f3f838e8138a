"""Pairs of payers that have slots, kept in memory beside the table; and how many have none.

See docs/design.md#bounded-labels.
"""

import sqlite3
from collections.abc import Set as AbstractSet
from itertools import islice

from ..task.model import NO_PAIR, OTHER_PAIR, Pair
from ..task.payers import PairRule
from . import statements as sql

MOST_CAPPED = 10_000
"""Pairs past the cap that are told apart: a server that makes up payers must not fill the memory."""


class PairBook:
    """Which pair has which number; each shows in its own series. Only a transaction adds to it.

    What is asked of it costs the same however many pairs there are, or came past the cap.
    """

    def __init__(self, rule: PairRule) -> None:
        self.rule = rule
        self._ids = {NO_PAIR: 0}
        self._pairs = {0: NO_PAIR}
        self._with_slots: set[str] = set()
        self._last = 0

    @classmethod
    def read(cls, connection: sqlite3.Connection, rule: PairRule) -> "PairBook":
        """Read the table."""
        book = cls(rule)
        for id_, source, requesting in connection.execute(sql.PAIRS):
            book._take(id_, Pair(source, requesting))
        return book

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._ids

    def admits(self, pair: Pair) -> bool:
        """Judge whether a pair without a slot gets one."""
        taken = self.shown - (OTHER_PAIR in self._ids)
        return self.rule.admits(pair, taken, self._with_slots)

    def add(self, pair: Pair) -> dict[str, object]:
        """Give a pair its number; the answer is its row. Old ledgers have gaps in their numbers."""
        id_ = self._last + 1
        self._take(id_, pair)
        return {"id": id_, "source": pair.source, "requesting": pair.requesting}

    def _take(self, id_: int, pair: Pair) -> None:
        self._ids[pair], self._pairs[id_] = id_, pair
        self._last = max(self._last, id_)
        if pair != OTHER_PAIR:
            self._with_slots.update(pair)

    def number(self, pair: Pair) -> int:
        """Find the number of a pair."""
        return self._ids[pair]

    def pair(self, number: int) -> Pair:
        """Find the pair of a number."""
        return self._pairs[number]

    @property
    def shown(self) -> int:
        """How many pairs have series, `other` included."""
        return len(self._ids) - 1


class Capped:
    """Which pairs past the cap were met since everything was last walked, as hashes: their number alone is kept.

    It holds what is committed, so that a lost transaction changes nothing.
    """

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._sweep: set[int] = set()

    def begin_sweep(self) -> None:
        """Note apart from now on what a sweep meets, and polls meanwhile."""
        self._sweep = set()

    def number(self, more: AbstractSet[int]) -> int:
        """Count what was met, with these."""
        return _number(self._met, more)

    def number_of_sweep(self, more: AbstractSet[int]) -> int:
        """Count what was met since the sweep began, with these."""
        return _number(self._sweep, more)

    def add(self, more: AbstractSet[int], *, swept: bool) -> None:
        """Take in what a transaction met; `swept`: what was met before the sweep is there no more."""
        for met in (self._met, self._sweep):
            met.update(islice(more - met, MOST_CAPPED - len(met)))
        if swept:
            self._met = self._sweep.copy()


def _number(met: AbstractSet[int], more: AbstractSet[int]) -> int:
    return min(MOST_CAPPED, len(met) + len(more - met))
