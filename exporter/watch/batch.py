"""A batch job of Smile CDR's Admin API as an observation. PURE: no I/O, no clock.

What is read of a job is decided where it is decoded: its parameters and messages hold identifiers and never get here.

See docs/watch.md#batch-jobs.
"""

from collections.abc import Mapping

from ..batch_jobs.model import BatchJob
from ..metrics.vocabulary import BatchJobStatus
from ..task.model import Instant
from .model import End, Observation
from .texts import readable

ENDS: Mapping[BatchJobStatus, End] = {
    BatchJobStatus.COMPLETED: End.COMPLETED,
    BatchJobStatus.FAILED: End.FAILED,
    BatchJobStatus.CANCELLED: End.FAILED,
    BatchJobStatus.UNKNOWN: End.FAILED,
}
"""By the status of a job that has ended; `errored` is tried again."""

ABSENT = Observation(
    state="gone",
    end=End.FAILED,
    report=(
        "The Admin API lists no such job: it was removed after it ended, or the id is of another module or wrong.",
    ),
)


def observe_batch(job: BatchJob | None, now: Instant) -> Observation:
    """Judge what was listed at `now`, our own time; None where the job is not listed."""
    if job is None:
        return ABSENT
    end = None if job.unfinished else ENDS.get(job.status)
    until = job.ended if end is not None and job.ended is not None else now
    return Observation(
        state=job.status.value,
        end=end,
        details=(readable(job.name), *((f"errors {job.errors:,}",) if job.errors else ())),
        elapsed=None if job.since is None else max(0, until - job.since) / 1000,
        ratio=None if end is not None else job.progress,
        data={"name": job.name, "errors": job.errors, "records": job.records},
    )
