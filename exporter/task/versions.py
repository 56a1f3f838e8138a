"""Which of two versions of a Task is newer, and what a version that was just seen therefore means.

Rule: `meta.lastUpdated` alone never decides. It is when the writing transaction began, so a newer version
may have an older stamp (measured on HAPI 8.8.0).

See docs/design.md#version-order.
"""

from enum import StrEnum

from .model import Anomaly, Instant, Task
from .rows import Row


class Move(StrEnum):
    """How a version number, or a stamp, compares with the one in the row."""

    FORWARD = "forward"
    SAME = "same"
    BACK = "back"
    OTHER = "other"
    """Versions that are no integers have no order."""


class Verdict(StrEnum):
    """What a version that was just seen is, compared with the row of its Task."""

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
"""By the moves of version number and stamp, in this order; measured on HAPI 8.8.0."""


def version_number(version: str) -> int | None:
    """Read a versionId as HAPI writes it; None for an opaque one (FHIR R4 Resource, `Meta.versionId` is an id)."""
    return int(version) if version.isascii() and version.isdecimal() and len(version) <= 18 else None  # noqa: PLR2004 - SQLite's integers end at 19 digits


def version_rank(version: str, updated: Instant) -> int:
    """Order versions of one Task: by number, opaque ones by stamp."""
    number = version_number(version)
    return updated if number is None else number


def verdict(row: Row | None, task: Task) -> Verdict:
    """Compare a version that was just seen with the row of its Task, None if it has none."""
    if row is None:
        return Verdict.NEW
    if task.version == row.version and (task.updated == row.updated or Anomaly.UNPARSABLE in task.anomalies):
        return Verdict.KNOWN  # an unreadable stamp is replaced by the page's clock, which moves
    return VERDICTS[_version_move(row.version, task.version), _move(row.updated, task.updated)]


def continues(row: Row, task: Task) -> bool:
    """Whether it is the Task of the row, as it was or newer: on another server an id may mean another Task.

    There its stamp, the time it was authored, or its version number are others.
    """
    same = task.usable and task.authored == row.authored
    return same and verdict(row, task) in {Verdict.KNOWN, Verdict.NEWER}


def _version_move(before: str, after: str) -> Move:
    old, new = version_number(before), version_number(after)
    return Move.OTHER if old is None or new is None else _move(old, new)


def _move(before: int, after: int) -> Move:
    if after == before:
        return Move.SAME
    return Move.FORWARD if after > before else Move.BACK
