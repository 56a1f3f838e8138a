"""What is remembered of a Task between two looks.

Rule: a row is a fact about what we saw, never a judgement; those are in `lifecycle`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from .model import LASTING, OPEN, Anomaly, Instant, Pair, Status


class Gone(StrEnum):
    """Why a Task is in no gauge any more. An untagged one that returns goes on; a deleted one is new."""

    DELETED = "deleted"
    UNTAGGED = "untagged"


class Row(NamedTuple):
    """What the ledger remembers of one Task.

    `highest` is the rank of the highest version ever counted; `seen` the server's time at our first sight;
    `missed` whether its deadline is booked (or was past already in the baseline); `gone_at` the server's time.
    """

    id: str
    version: str
    updated: Instant
    highest: int
    status: Status
    pair: Pair
    authored: Instant | None
    seen: Instant
    missed: bool
    kinds: int
    gone: Gone | None = None
    gone_at: Instant = 0

    @property
    def usable(self) -> bool:
        """Whether it is an exchange: unusable rows are kept so that our counts agree with the server's."""
        return not self.kinds & UNUSABLE

    @property
    def present(self) -> bool:
        """Whether gauges show it."""
        return self.gone is None and not self.kinds & UNUSABLE

    @property
    def open(self) -> bool:
        """Whether it is in flight."""
        return self.status in OPEN and self.present


BITS = {kind: 1 << place for place, kind in enumerate(Anomaly)}
"""Anomalies as one integer a row. New kinds go to the end of `Anomaly`: ledgers keep these numbers."""

UNUSABLE = BITS[Anomaly.FOREIGN] | BITS[Anomaly.UNPARSABLE]


def mask(kinds: Iterable[Anomaly]) -> int:
    """Pack anomalies that last."""
    return sum(BITS[kind] for kind in kinds if kind in LASTING)


def unmask(bits: int) -> list[Anomaly]:
    """Unpack what `mask` packed."""
    return [kind for kind, bit in BITS.items() if bits & bit]
