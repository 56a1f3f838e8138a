"""Pairs of payers and their slots, kept in memory beside the table."""

import sqlite3

from ...task.model import NO_PAIR, OTHER_PAIR, Pair
from ...task.pairs import PairRule
from . import statements as sql


class PairBook:
    """Which pair has which number, and in whose series it shows. Only a transaction adds to it."""

    def __init__(self, rule: PairRule) -> None:
        self.rule = rule
        self._ids = {NO_PAIR: 0}
        self._pairs = {0: NO_PAIR}
        self._slots: dict[Pair, Pair] = {}

    @classmethod
    def read(cls, connection: sqlite3.Connection, rule: PairRule) -> "PairBook":
        """Read the table."""
        book = cls(rule)
        rows = connection.execute(sql.PAIRS).fetchall()
        for id_, source, requesting, _ in rows:
            book._pairs[id_] = Pair(source, requesting)
            book._ids[book._pairs[id_]] = id_
        for id_, *_, slot in rows:
            book._slots[book._pairs[id_]] = book._pairs[slot]
        return book

    def slot(self, pair: Pair) -> Pair | None:
        """Tell in whose series a pair shows; None for one never met."""
        return self._slots.get(pair)

    def admits(self, pair: Pair) -> bool:
        """Judge whether a new pair gets series of its own."""
        return self.rule.admits(pair, {slot for slot in self._slots.values() if slot != OTHER_PAIR})

    def add(self, pair: Pair, slot: Pair) -> dict[str, object]:
        """Give a new pair its number; the answer is its row."""
        id_ = len(self._ids)
        self._ids[pair], self._pairs[id_], self._slots[pair] = id_, pair, slot
        return {"id": id_, "source": pair.source, "requesting": pair.requesting, "slot": self._ids[slot]}

    def number(self, pair: Pair) -> int:
        """Find the number of a pair."""
        return self._ids[pair]

    def pair(self, number: int) -> Pair:
        """Find the pair of a number."""
        return self._pairs[number]

    @property
    def shown(self) -> int:
        """How many pairs have series, `other` included."""
        return len(set(self._slots.values()))

    @property
    def capped(self) -> int:
        """How many pairs share the series of `other`, `other`."""
        return sum(pair != slot for pair, slot in self._slots.items())
