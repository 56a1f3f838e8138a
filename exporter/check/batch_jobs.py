"""What `check` says about the Admin API: which batch jobs the module has, by name and status.

Rule: no job's id, and nothing of a job but its name and status.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..batch_jobs.client import MOST_JOBS, BatchJobs
from ..batch_jobs.model import figures
from ..batch_jobs.remedies import remedy_for
from ..errors import ServerError
from ..metrics.vocabulary import BatchJobFigures, BatchJobStatus
from .findings import Finding, fail, info, ok, warn

UNKNOWN_STATUS = "Please report the version of Smile CDR. An alert about unfinished jobs includes them."


def list_jobs(batch_jobs: BatchJobs) -> Iterator[Finding]:
    """Read the jobs once, as `serve` does each minute."""
    try:
        found = figures(batch_jobs.read())
    except ServerError as error:
        yield fail(f"batch jobs: {error}", remedy_for(error))
        return
    yield from _listed(found, batch_jobs.module)


def _listed(found: BatchJobFigures, module: str) -> Iterator[Finding]:
    if not found.jobs:
        yield info(f"batch jobs: module {module} can be read and lists none")
        return
    yield ok(f"batch jobs: module {module} lists {sum(found.jobs.values())}")
    for name, statuses in sorted(_by_name(found).items()):
        counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
        yield info(f"batch jobs: {name}: {counts}")
        if BatchJobStatus.UNKNOWN in statuses:
            yield warn(f"batch jobs: {name}: some have a status that the exporter does not know", UNKNOWN_STATUS)
    if not found.complete:
        yield warn(
            f"batch jobs: there are more than {MOST_JOBS} or their list never ends; only the first were read",
            "Let Smile CDR purge ended jobs earlier.",
        )


def _by_name(found: BatchJobFigures) -> Mapping[str, Mapping[BatchJobStatus, int]]:
    """Group by name, with the statuses in their own order."""
    grouped: defaultdict[str, dict[BatchJobStatus, int]] = defaultdict(dict)
    for status in BatchJobStatus:
        for (name, known), count in found.jobs.items():
            if known is status:
                grouped[name][status] = count
    return grouped
