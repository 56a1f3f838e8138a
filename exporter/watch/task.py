"""A Task as an observation. PURE: no I/O, no clock.

See docs/watch.md#tasks.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from ..task.dates import format_instant
from ..task.deadline import Deadline
from ..task.model import NO_PAIR, TERMINAL, UNCLASSIFIED, Anomaly, Instant, Pair, Status, Task
from ..task.watched import Note, WatchedTask
from .model import End, Json, Observation
from .texts import readable, span


def observe_task(found: WatchedTask, pair: Pair, deadline: Deadline, at: Instant) -> Observation:
    """Judge a version at `at`. `pair` is NO_PAIR where its payers are not known."""
    task = found.task
    ended = task.status in TERMINAL
    until = task.updated if ended else at
    due = None if task.authored is None else deadline.due(task.authored)
    return Observation(
        state=task.status.value,
        end=_end(task),
        details=tuple(_details(found, pair, due)),
        elapsed=None if task.authored is None else max(0, until - task.authored) / 1000,
        left=None if due is None or ended else (due - at) / 1000,
        notes=tuple(
            f"note {number} ({note.reason}): {readable(note.text)}" for number, note in enumerate(found.notes, 1)
        ),
        data=_data(found, pair, due, at),
    )


def absent(deleted: bool) -> Observation:
    """Return what a 410 or a 404 says."""
    said = "The Task was deleted." if deleted else "The server has no such Task: it was removed, or the id is wrong."
    return Observation(state="deleted" if deleted else "gone", end=End.FAILED, report=(said,))


def _end(task: Task) -> End | None:
    if task.status not in TERMINAL:
        return None
    return End.COMPLETED if task.status is Status.COMPLETED else End.FAILED


def _details(found: WatchedTask, pair: Pair, due: Instant | None) -> Iterator[str]:
    task = found.task
    if pair != NO_PAIR:
        yield f"source payer {readable(pair.source)}"
        yield f"requesting payer {readable(pair.requesting)}"
    if Anomaly.UNPARSABLE in task.anomalies:
        yield "cannot be read completely"
    if task.status in TERMINAL and due is not None:
        yield f"overdue by {span((task.updated - due) / 1000)}" if task.updated > due else "before its deadline"
    if task.status is Status.COMPLETED:
        yield "1 document" if task.documents == 1 else f"{task.documents} documents"
    if task.status is Status.FAILED:
        yield f"reason {task.reason}"
    if found.notes:
        yield _counted(found.notes)


def _counted(notes: tuple[Note, ...]) -> str:
    """Count the notes, with the reasons that they speak of."""
    reasons = Counter(note.reason for note in notes if note.reason != UNCLASSIFIED)
    words = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    return f"{'1 note' if len(notes) == 1 else f'{len(notes)} notes'}{f' ({words})' if words else ''}"


def _data(found: WatchedTask, pair: Pair, due: Instant | None, at: Instant) -> Mapping[str, Json]:
    task = found.task
    known = pair != NO_PAIR
    return {
        "source_payer": pair.source if known else None,
        "requesting_payer": pair.requesting if known else None,
        "authored_on": None if task.authored is None else format_instant(task.authored),
        "last_updated": format_instant(task.updated),
        "due": None if due is None else format_instant(due),
        "overdue": None if due is None else (task.updated if task.status in TERMINAL else at) > due,
        "reason": task.reason if task.status is Status.FAILED else None,
        "note_reasons": [note.reason for note in found.notes],
        "documents": task.documents if task.status is Status.COMPLETED else None,
    }
