"""Figures of many jobs: by name and status, bounded whatever the names are."""

import pytest

from exporter.batch_jobs.model import MOST_NAMES, BatchJob, JobList, figures, find_job
from exporter.metrics.vocabulary import BatchJobStatus


def made(name: str = "BULK_EXPORT", status: str = "in_progress", **values: int) -> BatchJob:
    return BatchJob(name, f"{name}-{status}-{values}", BatchJobStatus(status), **values)


def test_jobs_are_counted_by_name_and_status() -> None:
    found = figures(JobList((made(), made(created=1), made(status="failed"), made("REINDEX", "queued"))))
    assert found.jobs == {
        ("BULK_EXPORT", "in_progress"): 2,
        ("BULK_EXPORT", "failed"): 1,
        ("REINDEX", "queued"): 1,
    }
    assert found.complete


@pytest.mark.parametrize("status", ["queued", "in_progress", "finalize", "errored", "unknown"])
def test_the_oldest_unfinished_job_counts_from_its_creation(status: str) -> None:
    jobs = (made(status=status, created=5000, started=9000), made(status=status, created=4000, started=4500))
    assert figures(JobList(jobs)).oldest_unfinished == {"BULK_EXPORT": 4000}
    assert figures(JobList((made(status=status, started=7000),))).oldest_unfinished == {"BULK_EXPORT": 7000}
    assert figures(JobList((made(status=status),))).oldest_unfinished == {}


@pytest.mark.parametrize(("status", "end"), [("completed", 9), ("failed", 9), ("cancelled", 9), ("unknown", 9)])
def test_a_job_that_ended_is_not_unfinished(status: str, end: int) -> None:
    assert figures(JobList((made(status=status, created=1, ended=end),))).oldest_unfinished == {}


def test_the_last_end_is_by_outcome() -> None:
    jobs = (
        made(status="failed", ended=5),
        made(status="failed", ended=8),
        made(status="completed", ended=9),
        made(status="cancelled"),
        made(status="in_progress", ended=99),
    )
    assert figures(JobList(jobs)).last_end == {("BULK_EXPORT", "failed"): 8, ("BULK_EXPORT", "completed"): 9}


def test_errors_are_added_up_over_every_status() -> None:
    jobs = (made(errors=2), made(status="failed", errors=3), made("REINDEX"))
    assert figures(JobList(jobs)).errors == {"BULK_EXPORT": 5, "REINDEX": 0}


def test_names_past_the_limit_are_other_and_the_same_at_each_read() -> None:
    jobs = [made(f"JOB_{n:05}", created=n + 1, errors=1) for n in range(10_000)]
    found, again = figures(JobList(tuple(jobs))), figures(JobList(tuple(reversed(jobs))))
    assert found == again
    assert len(found.errors) == MOST_NAMES + 1
    assert found.errors["other"] == 10_000 - MOST_NAMES == found.jobs["other", BatchJobStatus.IN_PROGRESS]
    assert found.oldest_unfinished["other"] == MOST_NAMES + 1


def test_one_job_is_found_by_its_id() -> None:
    jobs = (made("A"), made("B"))
    assert find_job(jobs, jobs[1].id) is jobs[1]
    assert find_job(jobs, "no-such-job") is None


def test_an_id_is_not_shown_by_repr() -> None:
    assert "in_progress-" not in repr(made())
