"""The Admin API of the simulated Smile CDR: its batch jobs, as both generations of the API list them.

The jobs of the demo follow from the time alone. As real ones do, they hold parameters, which nobody should read.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..task.model import Instant
from .dates import format_stamp
from .server import Request, Response

Job = Mapping[str, Any]

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
MODULE = "persistence"
EVERY_MS, KEPT = 20 * 60_000, 40
"""A job begins every 20 simulated minutes; older ones than these have been purged."""
NAMES = ("BULK_EXPORT", "BULK_EXPORT", "BULK_EXPORT", "REINDEX", "BULK_EXPORT", "BULK_IMPORT_PULL")


class AdminApi:
    """An honest Admin API. `jobs` are asked for at each request; `earlier` makes it one of before 2023."""

    def __init__(self, jobs: Callable[[], Iterable[Job]], *, earlier: bool = False) -> None:
        self.jobs = jobs
        self.earlier = earlier

    def answer(self, request: Request) -> Response:
        """Answer a GET, wherever the API is mounted."""
        module = f"batch-job/{MODULE}" if self.earlier else f"batch2-job/modules/{MODULE}"
        if request.method != "GET" or not request.path.endswith("/" + module):
            return respond({"errorCode": 404, "message": "Unknown path"}, 404)
        jobs = list(self.jobs())
        return respond(spring(jobs) if self.earlier else _listed(jobs, dict(request.query)))


def respond(body: object, status: int = 200) -> Response:
    """Write JSON, as the API does."""
    return Response(status, (("content-type", "application/json"),), json.dumps(body).encode())


def _listed(jobs: Sequence[Job], query: Mapping[str, str]) -> object:
    if "ended" in query:
        jobs = [job for job in jobs if (job["status"] in ENDED) is (query["ended"] == "true")]
    start, count = int(query.get("start", 0)), int(query.get("count", 20))
    named: dict[str, list[Job]] = {}
    for job in jobs[start : start + count]:
        named.setdefault(job["name"], []).append(job)
    return {"jobs": named}


def spring(jobs: Iterable[Job]) -> object:
    """Write jobs in the shape of Spring Batch."""
    words = {"QUEUED": "STARTING", "IN_PROGRESS": "STARTED", "CANCELLED": "STOPPED"}
    instances = []
    for job in jobs:
        status = words.get(job["status"], job["status"])
        times = {name: job[name] for name in ("createTime", "startTime", "endTime") if name in job}
        execution = {"id": 1, "status": status, "exitStatus": {"exitCode": status, "exitDescription": "…"}, **times}
        instances.append({"id": job["id"], "jobName": job["name"], "jobExecutions": [execution]})
    return {"jobInstances": instances}


def jobs_at(now: Instant, began: Instant, speed: float) -> list[Job]:
    """List the jobs of the demo: as many before it began as are kept, and a new one every 20 simulated minutes."""
    every = EVERY_MS / speed
    newest = int((now - began) // every)
    return [_job(number, began + round(number * every), now, every) for number in range(newest - KEPT, newest + 1)]


def _job(number: int, created: Instant, now: Instant, every: float) -> Job:
    dice = number * 7919 % 100
    started, ended = created + round(every / 20), created + round(every * (0.3 + dice / 40))
    failed = dice in {13, 43, 88}
    job = {
        "name": NAMES[number % len(NAMES)],
        "id": f"job-{number + 100_000}",
        "version": 1,
        "status": "QUEUED" if now < started else "IN_PROGRESS" if now < ended else "FAILED" if failed else "COMPLETED",
        "createTime": format_stamp(created),
        "errorCount": 3 if failed and now >= ended else 0,
        "combinedRecordsProcessed": dice * 11,
        "parameters": {"patientIds": [f"Patient/{number}"]},
    }
    times = {"startTime": started, "endTime": ended}
    return job | {name: format_stamp(at) for name, at in times.items() if at <= now}
