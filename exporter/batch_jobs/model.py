"""A batch job as the exporter knows it, and figures of many. PURE: no I/O, no clock.

Rule: a name is a label value from the start; parameters, reports, messages and users of a job are never here.

See docs/design.md#batch-jobs.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from ..metrics.vocabulary import BatchJobFigures, BatchJobStatus
from ..task.model import Instant

ENDED = frozenset({BatchJobStatus.COMPLETED, BatchJobStatus.FAILED, BatchJobStatus.CANCELLED})

MOST_NAMES = 50
"""Job names with series of their own."""

OTHER = "other"
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One run of a job. `progress` is from 0 to 1."""

    name: str
    id: str = field(repr=False)
    status: BatchJobStatus
    created: Instant | None = None
    started: Instant | None = None
    ended: Instant | None = None
    errors: int = 0
    records: int | None = None
    progress: float | None = None

    @property
    def unfinished(self) -> bool:
        """Whether it still runs or waits. A status that we do not know is unfinished until the job has an end."""
        return self.status not in ENDED and (self.status is not BatchJobStatus.UNKNOWN or self.ended is None)

    @property
    def since(self) -> Instant | None:
        """From when on somebody waits for it: a queue is waiting, too."""
        return self.started if self.created is None else self.created


@dataclass(frozen=True, slots=True)
class JobList:
    """The jobs that were read, each once. `complete`: there were no more."""

    jobs: tuple[BatchJob, ...]
    complete: bool = True


def find_job(jobs: Iterable[BatchJob], id_: str) -> BatchJob | None:
    """Return the job with this id; None if there is none."""
    return next((job for job in jobs if job.id == id_), None)


def figures(listed: JobList) -> BatchJobFigures:
    """Count by name and status."""
    named = _namer(job.name for job in listed.jobs)
    errors: Counter[str] = Counter()
    oldest: dict[str, Instant] = {}
    last_end: dict[tuple[str, BatchJobStatus], Instant] = {}
    for job in listed.jobs:
        name = named(job.name)
        errors[name] += job.errors
        if job.unfinished and job.since is not None:
            oldest[name] = min(job.since, oldest.get(name, job.since))
        if job.status in ENDED and job.ended is not None:
            last_end[name, job.status] = max(job.ended, last_end.get((name, job.status), job.ended))
    jobs = Counter((named(job.name), job.status) for job in listed.jobs)
    return BatchJobFigures(jobs, oldest, errors, last_end, listed.complete)


def _namer(names: Iterable[str]) -> Callable[[str], str]:
    """Let the first names of the alphabet have series of their own: the same ones at each read."""
    kept = frozenset(sorted(set(names))[:MOST_NAMES])
    return lambda name: name if name in kept else OTHER
