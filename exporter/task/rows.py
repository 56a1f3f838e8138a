"""What is remembered of a Task between two polls.

Rule: a row says what was seen, and decides nothing; decisions are in `lifecycle`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from .model import LASTING, OPEN, Anomaly, Instant, Pair, Status

ROWS_KEPT_MS = 30 * 86_400_000
"""How long the row of a Task stays after it was removed: one that returns within that time is known."""


class Removal(StrEnum):
    """Why a Task is in no gauge any more. An untagged one that returns is continued; a deleted one is new."""

    DELETED = "deleted"
    UNTAGGED = "untagged"


class Row(NamedTuple):
    """What the ledger remembers of one Task. Instants are the server's.

    `max_version_counted` is the rank of the highest version ever counted (`versions.version_rank`). `deadline_missed`:
    its missed deadline is counted, or had passed before the baseline saw it. `removed_at` is 0 without a `removal`.
    """

    id: str
    version: str
    updated: Instant
    max_version_counted: int
    status: Status
    pair: Pair
    authored: Instant | None
    first_seen: Instant
    deadline_missed: bool
    anomaly_bits: int
    removal: Removal | None = None
    removed_at: Instant = 0

    @property
    def usable(self) -> bool:
        """Whether it is an exchange: unusable rows are kept so that our counts agree with the server's."""
        return not self.anomaly_bits & UNUSABLE_BITS

    @property
    def present(self) -> bool:
        """Whether gauges show it."""
        return self.removal is None and not self.anomaly_bits & UNUSABLE_BITS

    @property
    def open(self) -> bool:
        """Whether it is present, and its status may still change."""
        return self.status in OPEN and self.present


ANOMALY_BITS = {kind: 1 << place for place, kind in enumerate(Anomaly)}
"""Anomalies as one integer a row. New kinds go to the end of `Anomaly`: ledgers keep these numbers."""

UNUSABLE_BITS = ANOMALY_BITS[Anomaly.FOREIGN] | ANOMALY_BITS[Anomaly.UNPARSABLE]


def pack_anomalies(kinds: Iterable[Anomaly]) -> int:
    """Combine the bits of those anomalies that last."""
    return sum(ANOMALY_BITS[kind] for kind in kinds if kind in LASTING)


def unpack_anomalies(bits: int) -> list[Anomaly]:
    """List the anomalies whose bits are set."""
    return [kind for kind, bit in ANOMALY_BITS.items() if bits & bit]
