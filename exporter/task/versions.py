"""Which of two versions of a Task is the newer, and what a sighting therefore is.

Rule: `meta.lastUpdated` alone never decides. It is when the writing transaction began, so a newer version
may carry an older stamp (measured on HAPI 8.8.0).

See docs/design.md#version-order.
"""

from enum import StrEnum

from .model import Anomaly, Instant, Task
from .rows import Row


class Move(StrEnum):
    """How a version or a stamp stands to the one we know."""

    FORWARD = "forward"
    SAME = "same"
    BACK = "back"
    OTHER = "other"
    """Versions that are no integers have no order."""


class Verdict(StrEnum):
    """What a sighting is, against what we know of the Task."""

    NEW = "new"
    NEWER = "newer"
    KNOWN = "known"
    RECREATED = "recreated"
    """Expunged and created again under the same id."""
    STALE = "stale"
    """A lagging replica or a restored backup."""


VERDICTS = {
    (Move.FORWARD, Move.FORWARD): Verdict.NEWER,
    (Move.FORWARD, Move.SAME): Verdict.NEWER,
    (Move.FORWARD, Move.BACK): Verdict.NEWER,  # a stamp is when its transaction began: older ones follow newer ones
    (Move.SAME, Move.FORWARD): Verdict.RECREATED,  # version 1 again, after $expunge
    (Move.SAME, Move.SAME): Verdict.KNOWN,
    (Move.SAME, Move.BACK): Verdict.STALE,
    (Move.BACK, Move.FORWARD): Verdict.RECREATED,
    (Move.BACK, Move.SAME): Verdict.STALE,
    (Move.BACK, Move.BACK): Verdict.STALE,
    (Move.OTHER, Move.FORWARD): Verdict.NEWER,
    (Move.OTHER, Move.SAME): Verdict.NEWER,
    (Move.OTHER, Move.BACK): Verdict.STALE,
}
"""Measured on HAPI 8.8.0; `meta.lastUpdated` alone never decides."""


def number(version: str) -> int | None:
    """Read a versionId as HAPI writes it; None for an opaque one (FHIR R4 Resource, `Meta.versionId` is an id)."""
    return int(version) if version.isascii() and version.isdecimal() and len(version) <= 18 else None  # noqa: PLR2004 - SQLite's integers end at 19 digits


def rank(version: str, updated: Instant) -> int:
    """Order versions of one Task: by number, opaque ones by stamp."""
    count = number(version)
    return updated if count is None else count


def verdict(row: Row | None, task: Task) -> Verdict:
    """Say what a sighting is."""
    if row is None:
        return Verdict.NEW
    if task.version == row.version and (task.updated == row.updated or Anomaly.UNPARSABLE in task.anomalies):
        return Verdict.KNOWN  # an unreadable stamp is replaced by the page's clock, which moves
    return VERDICTS[_version_move(row.version, task.version), _move(row.updated, task.updated)]


def _version_move(before: str, after: str) -> Move:
    old, new = number(before), number(after)
    return Move.OTHER if old is None or new is None else _move(old, new)


def _move(before: int, after: int) -> Move:
    if after == before:
        return Move.SAME
    return Move.FORWARD if after > before else Move.BACK
