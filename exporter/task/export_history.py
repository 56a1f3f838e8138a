"""How long an export job has taken, from what several answers about it say. Pure.

Only a job that was seen running has a duration: when another one ended, no server says.
"""

from dataclasses import dataclass, replace

from .export_job import ExportJob
from .model import Instant


@dataclass(frozen=True, slots=True)
class JobHistory:
    """What the answers so far say. Instants are the server's; where it sends no time, they are ours.

    `started_at` is None until the job was seen running; `ended_at` is the time of the first answer that it has ended.
    """

    started_at: Instant | None = None
    ended_at: Instant | None = None

    def after(self, job: ExportJob, now: Instant) -> "JobHistory":
        """Add an answer; `now` is our own clock."""
        if self.started_at is None and job.ended:
            return self
        moment = job.answered_at or now
        told = [each for each in (self.started_at, job.started_at) if each is not None]
        started = replace(self, started_at=min(told, default=moment))
        if not job.ended:
            return replace(started, ended_at=None)
        return replace(started, ended_at=self.ended_at or moment)

    def seconds(self, job: ExportJob, now: Instant) -> float | None:
        """Return the duration as of an answer that was added; None if the job was never seen running."""
        if self.started_at is None:
            return None
        return max((self.ended_at or job.answered_at or now) - self.started_at, 0) / 1000
