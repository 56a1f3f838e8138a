"""Which pairs of payers get series of their own: labels are bounded, whatever the server sends."""

from collections.abc import Collection
from dataclasses import dataclass

from .model import OTHER_PAIR, Pair


@dataclass(frozen=True, slots=True)
class PairRule:
    """At most `limit` pairs, first come, first served; payers the operator has named (`configured`) always get in."""

    limit: int = 100
    configured: frozenset[str] = frozenset()

    def admits(self, pair: Pair, slots: Collection[Pair]) -> bool:
        """Judge a pair met for the first time. `slots` are the pairs that have series already.

        A configured payer past the limit has one slot, with whom it is first met; two of them have one together: so the
        operator's own table bounds what the limit does not.
        """
        if len(slots) < self.limit or pair == OTHER_PAIR:
            return True
        known = [payer for payer in pair if payer in self.configured]
        return len(known) == len(pair) or any(all(payer not in slot for slot in slots) for payer in known)
