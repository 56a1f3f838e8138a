"""Which versions of a Task no search has shown, and which of its instance history fill that gap.

A Task may be written several times between two polls; a search shows the last version only.

See docs/design.md#history.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .lifecycle import Observation
from .model import Anomaly, Instant, Task
from .rows import ROWS_KEPT_MS, Row
from .versions import Verdict, verdict, version_number


class Gap(NamedTuple):
    """Versions that were not seen: numbers between the two, both excluded, stamped at `since` or later."""

    after: int
    before: int
    since: Instant


def find_gaps(
    known: Mapping[str, Row], tasks: Sequence[Task], observation: Observation, baseline_from: Instant
) -> dict[str, Gap]:
    """Find the Tasks of a page whose version is not the next one, by id; of a Task that is there twice, the first."""
    first = {task.id: task for task in reversed(tasks)} if observation.counting else {}
    gaps = {id_: _gap(known.get(id_), task, observation, baseline_from) for id_, task in first.items()}
    return {id_: gap for id_, gap in gaps.items() if gap is not None}


def _gap(row: Row | None, task: Task, observation: Observation, baseline_from: Instant) -> Gap | None:
    number = version_number(task.version)
    if number is None or not (task.named and task.tagged and task.usable):
        return None
    what = verdict(row, task)
    if row is None:  # it may have had a row, of a Task that was removed: what is as old was counted then
        joins_baseline = observation.joining is not None and task.updated < observation.joining
        since = max(baseline_from, observation.now - ROWS_KEPT_MS)
        gap = Gap(number if joins_baseline else 0, number, since)
    elif what is Verdict.RECREATED:
        gap = Gap(0, number, row.updated + 1)
    elif what is Verdict.NEWER:
        gap = Gap(row.max_version_counted, number, row.removed_at)
    else:
        return None
    return gap if number - gap.after > 1 else None


def unseen(gap: Gap, identifier: str, versions: Iterable[Task]) -> tuple[Task, ...]:
    """Choose the versions that fill a gap, the oldest first. What cannot be read, or is not tagged, leaves a gap."""
    found = {
        number: version
        for version in versions
        if version.id == identifier
        and version.tagged
        and Anomaly.UNPARSABLE not in version.anomalies
        and version.updated >= gap.since
        and (number := version_number(version.version)) is not None
        and gap.after < number < gap.before
    }
    return tuple(found[number] for number in sorted(found))


def reaches(gap: Gap, versions: Sequence[Task]) -> bool:
    """Whether a history, which begins with the newest version, has been read back to the last version seen."""
    numbers = [number for version in versions if (number := version_number(version.version)) is not None]
    return min(numbers, default=gap.before) <= gap.after + 1


def below(gap: Gap, versions: Sequence[Task]) -> int | None:
    """Return the number of the version before the oldest one that was read; None if it is not needed.

    Numbers below a version that was deleted, or of another life of the Task, are of no use.
    """
    if reaches(gap, versions) or not versions:
        return None
    oldest = min(versions, key=lambda version: version_number(version.version) or gap.before)
    number = version_number(oldest.version)
    return None if number is None or oldest.updated < gap.since else number - 1


def with_unseen(tasks: Iterable[Task], found: Mapping[str, Sequence[Task]]) -> list[Task]:
    """Put the versions of a gap before the version behind it."""
    filled: list[Task] = []
    left = dict(found)
    for task in tasks:
        filled += left.pop(task.id, ())
        filled.append(task)
    return filled
