from exporter.task.export_history import JobHistory
from exporter.task.export_job import ExportJob, ExportState
from exporter.task.export_manifest import Manifest

RUNNING = ExportJob(ExportState.IN_PROGRESS)
DONE = ExportJob(ExportState.COMPLETED)


def seconds(*answers: tuple[ExportJob, int]) -> float | None:
    """Add answers at their times, and give the duration as of the last one."""
    history = JobHistory()
    for job, at in answers:
        history = history.after(job, at)
    return history.seconds(*answers[-1])


def test_a_job_without_a_start_runs_from_the_first_answer_on() -> None:
    assert seconds((RUNNING, 10_000)) == 0
    assert seconds((RUNNING, 10_000), (RUNNING, 70_000)) == 60


def test_the_start_is_the_earliest_that_the_server_gives() -> None:
    told = ExportJob(ExportState.QUEUED, since=4_000)
    later = ExportJob(ExportState.IN_PROGRESS, since=8_000)
    assert seconds((told, 10_000)) == 6
    assert seconds((told, 10_000), (later, 20_000)) == 16
    manifest = ExportJob(ExportState.COMPLETED, manifest=Manifest(transaction_time=1_000))
    assert seconds((told, 10_000), (manifest, 20_000)) == 19


def test_the_end_is_the_first_answer_that_says_so() -> None:
    assert seconds((RUNNING, 10_000), (DONE, 40_000), (DONE, 100_000)) == 30
    gone = ExportJob(ExportState.GONE)
    assert seconds((RUNNING, 10_000), (DONE, 40_000), (gone, 9_000_000)) == 30


def test_a_job_that_was_never_seen_running_has_no_duration() -> None:
    manifest = ExportJob(ExportState.COMPLETED, manifest=Manifest(transaction_time=1_000))
    assert seconds((manifest, 9_000_000)) is None


def test_a_job_that_goes_on_after_all_has_not_ended() -> None:
    assert seconds((RUNNING, 10_000), (DONE, 40_000), (RUNNING, 50_000)) == 40


def test_the_servers_clock_is_taken_where_it_is_told_and_nothing_is_negative() -> None:
    ahead = ExportJob(ExportState.IN_PROGRESS, since=500_000, answered_at=510_000)
    assert seconds((ahead, 10_000)) == 10
    assert seconds((ExportJob(ExportState.IN_PROGRESS, since=500_000), 10_000)) == 0
