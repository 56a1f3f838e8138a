"""The table of pairs of payers that have slots, kept in memory too; and how many pairs have none.

See docs/design.md#bounded-labels.
"""

import sqlite3
from collections.abc import Set as AbstractSet
from itertools import islice

from ..task.model import NO_PAIR, OTHER_PAIR, Pair
from ..task.payers import PairRule

MOST_CAPPED = 10_000
"""Pairs past the cap that are distinguished: a server that makes up payers must not fill the memory."""


class PairTable:
    """The pairs that have slots, by number and by pair. Only a transaction adds to it.

    Reading costs the same however many pairs there are, or came past the cap.
    """

    def __init__(self, connection: sqlite3.Connection, rule: PairRule) -> None:
        self._connection = connection
        self._rule = rule
        self._numbers = {NO_PAIR: 0}
        self._pairs = {0: NO_PAIR}
        self._payers: set[str] = set()
        self._last = 0
        for number, source, requesting in connection.execute("SELECT id, source, requesting FROM pair"):
            self._keep(number, Pair(source, requesting))

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._numbers

    def admits(self, pair: Pair) -> bool:
        """Whether a pair without a slot gets one."""
        taken = self.with_series - (OTHER_PAIR in self._numbers)
        return self._rule.admits(pair, taken, self._payers)

    def add(self, pair: Pair) -> None:
        """Return a pair a slot, with the next number: old ledgers have gaps in theirs."""
        number = self._last + 1
        self._keep(number, pair)
        self._connection.execute(
            "INSERT INTO pair (id, source, requesting) VALUES (:id, :source, :requesting)",
            {"id": number, "source": pair.source, "requesting": pair.requesting},
        )

    def _keep(self, number: int, pair: Pair) -> None:
        self._numbers[pair], self._pairs[number] = number, pair
        self._last = max(self._last, number)
        if pair != OTHER_PAIR:
            self._payers.update(pair)

    def number(self, pair: Pair) -> int:
        """Return the number of a pair that has a slot; 0 for NO_PAIR."""
        return self._numbers[pair]

    def pair(self, number: int) -> Pair:
        """Return the pair of a number."""
        return self._pairs[number]

    def by_number(self) -> dict[int, Pair]:
        """Return the pairs that have slots, without NO_PAIR."""
        return {number: pair for number, pair in self._pairs.items() if number}

    def of_source(self, source: str) -> list[int]:
        """Return the numbers of the pairs of a source payer."""
        return [number for number, pair in self._pairs.items() if pair.source == source]

    @property
    def with_series(self) -> int:
        """How many pairs have series, `other` included."""
        return len(self._numbers) - 1


class CappedPairs:
    """Hashes of the pairs past the cap that were met since everything was last walked: only their number is used.

    It holds what is committed, so that a lost transaction changes nothing.
    """

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._met_in_comparison: set[int] = set()

    def begin_comparison(self) -> None:
        """From now on also keep separately what a comparison meets, and the polls during it."""
        self._met_in_comparison = set()

    def count_with(self, more: AbstractSet[int]) -> int:
        """Count the pairs met, these included."""
        return _count_union(self._met, more)

    def count_in_comparison_with(self, more: AbstractSet[int]) -> int:
        """Count the pairs met since the comparison began, these included."""
        return _count_union(self._met_in_comparison, more)

    def add(self, more: AbstractSet[int]) -> None:
        """Add what a committed transaction met."""
        for met in (self._met, self._met_in_comparison):
            met.update(islice(more - met, MOST_CAPPED - len(met)))

    def forget_before_comparison(self) -> None:
        """Keep only what was met since the comparison began: it has walked everything."""
        self._met = self._met_in_comparison.copy()


def _count_union(met: AbstractSet[int], more: AbstractSet[int]) -> int:
    return min(MOST_CAPPED, len(met) + len(more - met))
