"""`watch --cancel`: asks the server to cancel an export job, and says what it answered.

See docs/watch.md#cancel.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..errors import ServerError
from ..fhir.export_status import Cancellation, ExportStatus
from ..task.export_job import ExportState


class Answer(NamedTuple):
    """What to tell the person, and whether the job is cancelled, or will be."""

    sentence: str
    cancelled: bool = False


ACCEPTED = Answer(
    "The server accepted the request to cancel the export job. It may go on for a minute until it stops.", True
)
REFUSED: Mapping[ExportState, Answer] = {
    ExportState.COMPLETED: Answer("The export job has completed: a completed job cannot be cancelled."),
    ExportState.FAILED: Answer("The export job has failed already; there is nothing to cancel."),
    ExportState.CANCELLED: Answer("The export job was cancelled before.", True),
    ExportState.GONE: Answer(
        "The server does not know this job: it was removed after it ended, the id is wrong, or the server shows it "
        "only to the user that started it."
    ),
}
"""By the state of a job that the server did not cancel."""

NOT_CANCELLED = Answer("The server refused to cancel the export job: it has ended already, or it is not known.")
INTERRUPTED = "Stopped before the server answered: the request to cancel may have reached it."


def cancel(exports: ExportStatus, address: str, seconds: float) -> Answer:
    """Ask once. A refusal says little, so the state is asked for too. Raises a ServerError."""
    if exports.cancel(address, seconds) is Cancellation.ACCEPTED:
        return ACCEPTED
    try:
        state = exports.read(address, seconds).state
    except ServerError:
        return NOT_CANCELLED
    return REFUSED.get(state, NOT_CANCELLED)
