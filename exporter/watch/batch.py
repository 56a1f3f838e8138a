"""A batch job of Smile CDR's Admin API as an observation. PURE: no I/O, no clock.

What is read of a job is decided where it is decoded: its parameters and messages hold identifiers and never get here.
"""

from collections.abc import Mapping
from typing import Protocol

from ..task.model import Instant
from .model import End, Observation
from .texts import readable


class BatchJobFacts(Protocol):
    """What is known of a job."""

    @property
    def name(self) -> str:
        """The name of its kind."""

    @property
    def status(self) -> str:
        """HAPI's word, in lower case."""

    @property
    def since(self) -> Instant | None:
        """When it was created, or started."""

    @property
    def ended(self) -> Instant | None:
        """When it ended."""

    @property
    def errors(self) -> int:
        """How many errors it had."""

    @property
    def records(self) -> int | None:
        """How many records it has processed."""

    @property
    def progress(self) -> float | None:
        """From 0 to 1."""


ENDS: Mapping[str, End] = {"completed": End.COMPLETED, "failed": End.FAILED, "cancelled": End.FAILED}
"""By status; `errored` is tried again."""

ABSENT = Observation(
    state="gone",
    end=End.FAILED,
    report=(
        "The Admin API lists no such job: it was removed after it ended, or the id is of another module or wrong.",
    ),
)


def observe_batch(job: BatchJobFacts | None, now: Instant) -> Observation:
    """Judge what was listed at `now`, our own time; None where the job is not listed."""
    if job is None:
        return ABSENT
    state, end = str(job.status), ENDS.get(str(job.status))
    until = job.ended if end is not None and job.ended is not None else now
    return Observation(
        state=state,
        end=end,
        details=(readable(job.name), *((f"errors {job.errors:,}",) if job.errors else ())),
        elapsed=None if job.since is None else max(0, until - job.since) / 1000,
        ratio=None if end is not None else job.progress,
        data={"name": job.name, "errors": job.errors, "records": job.records},
    )
