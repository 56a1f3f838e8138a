"""The row about batch jobs of Smile CDR, collapsed: it has data only with --batch-jobs.url."""

from .kinds import Ready, areas, bars_now, lines, number
from .limits import BATCH_JOBS, ORANGE, RED, above, below
from .queries import own, server
from .spec import COUNT, HALF, Measure, Query, Size, Words

NOT_READ = "not configured, or not readable"
BY_NAME = "{{exported_job}} {{fhir_source}}"
FAILED = 'status="failed"'


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (_up(), _cut(), _failed(), _oldest(), _by_status(), _ends(), _errors())


def _up() -> Ready:
    words = Words(
        "Admin API up",
        "1 if at least one replica could read the batch jobs in the last minute, else 0.",
        "run `fhir-task-exporter check`, which names the permission that is missing. Exchanges are not affected.",
        "not configured",
        ("P2PBatchJobsDown",),
    )
    measure = COUNT._replace(steps=below(1, ORANGE))
    return number(words, Query(server(own("smilecdr_batch_jobs_up"))), measure)


def _cut() -> Ready:
    words = Words(
        "Batch job list cut off",
        "1 if there are more batch jobs than the exporter reads at once; unfinished ones are read first.",
        "let Smile CDR purge ended jobs earlier; counts of ended jobs are too low meanwhile.",
        NOT_READ,
    )
    return number(words, Query(server(own("smilecdr_batch_jobs_truncated"))))


def _failed() -> Ready:
    words = Words(
        "Time since the last failed batch job",
        "By job definition, as far as failed jobs are still listed. Orange within an hour.",
        "open the job in the Web Portal (Runtime, Batch Jobs); a failed export must be requested again.",
        "none failed, or none is listed",
        ("P2PBatchJobFailed",),
    )
    last = server(own("smilecdr_batch_jobs_last_end_timestamp_seconds", FAILED), "exported_job")
    measure = Measure("s", below(BATCH_JOBS["failed_within_seconds"], ORANGE), 1, (0, None))
    return bars_now(words, Query(f"sort(time() - {last})", BY_NAME), measure, Size(12, 4))


def _oldest() -> Ready:
    words = Words(
        "Oldest unfinished batch job",
        "Time since the oldest unfinished job was created, by job definition. The line is at 24 h.",
        "an export that another payer waits for is due within one business day: see the job in the Web Portal.",
        "nothing unfinished",
        ("P2PBatchJobOverdue",),
    )
    oldest = server(own("smilecdr_batch_jobs_oldest_unfinished_timestamp_seconds"), "exported_job")
    measure = Measure("s", above(BATCH_JOBS["unfinished_seconds"], RED))
    return lines(words, (Query(f"time() - {oldest}", BY_NAME),), measure)


def _by_status() -> Ready:
    words = Words(
        "Batch jobs by status",
        "Jobs that the Admin API lists. Ended jobs are purged after a while, so these are no counts of events.",
        "many queued: the node is busy, or its maintenance service does not run.",
        NOT_READ,
    )
    jobs = server(own("smilecdr_batch_jobs"), "exported_job", "status")
    return areas(words, Query(f"{jobs} > 0", "{{exported_job}} {{status}} {{fhir_source}}"), HALF)


def _ends() -> Ready:
    words = Words(
        "Time since a batch job last ended",
        "By job definition and outcome, as far as such jobs are still listed.",
        "compare with how often the job should run.",
        "none is listed",
    )
    last = server(own("smilecdr_batch_jobs_last_end_timestamp_seconds"), "exported_job", "status")
    return lines(words, (Query(f"time() - {last}", "{{exported_job}} {{status}} {{fhir_source}}"),), Measure("s"))


def _errors() -> Ready:
    words = Words(
        "Errors of the listed batch jobs",
        "Sum of the error counts, by job definition. A step that failed and was retried counts, too.",
        "growing: the job will fail, or take longer; see the log of Smile CDR.",
        NOT_READ,
    )
    return lines(words, (Query(server(own("smilecdr_batch_jobs_errors"), "exported_job"), BY_NAME),))
