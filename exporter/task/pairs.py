"""Which pairs of payers get series of their own: labels are bounded, whatever the server sends.

See docs/design.md#bounded-labels.
"""

from collections.abc import Collection
from dataclasses import dataclass

from .model import OTHER_PAIR, Pair


@dataclass(frozen=True, slots=True)
class PairRule:
    """At most `limit` pairs, first come, first served; payers the operator has named (`configured`) always get in."""

    limit: int = 100
    configured: frozenset[str] = frozenset()

    def admits(self, pair: Pair, taken: int, with_slots: Collection[str]) -> bool:
        """Judge a pair without a slot. So many slots are `taken`, `other` not counted; `with_slots` are their payers.

        A configured payer past the limit, on either side, has one slot, with whom it is first met; two of them have one
        together: so the operator's own table bounds what the limit does not.
        """
        if taken < self.limit or pair == OTHER_PAIR:
            return True
        known = [payer for payer in pair if payer in self.configured]
        return len(known) == len(pair) or any(payer not in with_slots for payer in known)
