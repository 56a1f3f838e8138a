"""When the batch jobs are read, what is shown meanwhile, and what the log says; no thread and no time passes."""

import logging
import threading
from pathlib import Path

import pytest

from exporter.batch_jobs.reader import INTERVAL_SECONDS, MAX_AGE_SECONDS, BatchJobsReader
from exporter.demo.server import Request, Response
from exporter.logs import FORMS, LineFormatter
from exporter.metrics.batch_jobs import BatchJobsCollector
from exporter.metrics.catalogue import BATCH_JOBS
from exporter.metrics.families import FamilyTexts
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import Telemetry

from ...support.admin import CANARY, FIRST, always, api, client, job
from ...support.canaries import hits
from ...support.exposition import sample_value
from ...support.fake import Answer, HandClock
from ...support.promtool import complaints


class Case:
    """A reader and its clock; `answer` may be replaced."""

    def __init__(self, answer: Answer) -> None:
        self.clock = HandClock()
        batch_jobs, self.transport = client(answer)
        self.reader = BatchJobsReader(batch_jobs, self.clock)
        self.telemetry = Telemetry()
        self.telemetry.registry.register(BatchJobsCollector(self.reader.report))

    def text(self, form: Format = Format.TEXT) -> str:
        return self.telemetry.render(form).decode()

    @property
    def up(self) -> float | None:
        return sample_value(self.text(), "smilecdr_batch_jobs_up")


JOBS = (
    job(1),
    job(2, "COMPLETED", endTime=FIRST),
    job(3, "FAILED", errorCount=4, endTime=FIRST),
    job(4, name="REINDEX"),
)


def test_before_the_first_read_only_up_is_shown() -> None:
    case = Case(api(*JOBS).answer)
    assert [line for line in case.text().splitlines() if line.startswith("smilecdr")] == ["smilecdr_batch_jobs_up 0.0"]


def test_a_read_shows_every_metric_of_the_catalogue() -> None:
    case = Case(api(*JOBS).answer)
    assert case.reader.step() == INTERVAL_SECONDS
    text = case.text()
    for series, value in {
        "smilecdr_batch_jobs_up": 1,
        'smilecdr_batch_jobs{job="BULK_EXPORT",status="in_progress"}': 1,
        'smilecdr_batch_jobs{job="BULK_EXPORT",status="failed"}': 1,
        'smilecdr_batch_jobs{job="BULK_EXPORT",status="queued"}': 0,
        'smilecdr_batch_jobs{job="REINDEX",status="in_progress"}': 1,
        'smilecdr_batch_jobs_oldest_unfinished_timestamp_seconds{job="BULK_EXPORT"}': 1_795_186_800,
        'smilecdr_batch_jobs_errors{job="BULK_EXPORT"}': 4,
        'smilecdr_batch_jobs_last_end_timestamp_seconds{job="BULK_EXPORT",status="failed"}': 1_795_186_800,
        "smilecdr_batch_jobs_truncated": 0,
    }.items():
        assert sample_value(text, series) == value, series
    assert all(f"# HELP {metric.name} {metric.help}\n" in text for metric in BATCH_JOBS.values())
    assert hits(text, CANARY, "job-1") == []


def test_whatever_is_listed_adds_no_more_samples_than_the_page_says() -> None:
    """Every name has an unfinished job, and one of each outcome."""
    names = [f"JOB_{n}" for n in range(200)]
    statuses = ("IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED")
    listed = [
        job(4 * n + m, status, name, endTime=FIRST if m else None)
        for n, name in enumerate(names)
        for m, status in enumerate(statuses)
    ]
    case = Case(api(*listed).answer)
    case.reader.step()
    assert sum(line.startswith("smilecdr") for line in case.text().splitlines()) == 665
    assert "so that 665 are to be added" in (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()


def test_promtool_accepts_what_is_shown() -> None:
    case = Case(api(*JOBS).answer)
    case.reader.step()
    assert complaints(case.text().encode()) == ""
    assert case.text(Format.OPENMETRICS).endswith("# EOF\n")


def test_figures_outlive_failures_for_five_minutes_and_up_does_not() -> None:
    case = Case(api(*JOBS).answer)
    case.reader.step()
    case.transport.answer = always(403)
    case.clock.advance(MAX_AGE_SECONDS)
    case.reader.step()
    assert case.up == 0
    assert "smilecdr_batch_jobs{" in case.text()
    case.clock.advance(1)
    assert "smilecdr_batch_jobs{" not in case.text()
    assert case.up == 0


def test_it_recovers_by_itself() -> None:
    case = Case(always(200, b"<html>", {"content-type": "text/html"}))
    case.reader.step()
    assert case.up == 0
    case.transport.answer = api(*JOBS).answer
    case.reader.step()
    assert case.up == 1


def test_jobs_that_were_purged_are_gone_with_the_next_read() -> None:
    jobs = [*JOBS]
    case = Case(lambda request: api(*jobs).answer(request))
    case.reader.step()
    jobs.clear()
    case.reader.step()
    assert "smilecdr_batch_jobs{" not in case.text()
    assert case.up == 1


def test_a_read_begins_at_most_once_a_minute_however_long_it_takes() -> None:
    case = Case(api().answer)
    honest = case.transport.answer

    def slow(request: Request) -> Response:
        case.clock.advance(10)
        return honest(request)

    case.transport.answer = slow
    assert case.reader.step() == INTERVAL_SECONDS - 20  # two requests


def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    assert Case(always(429, headers={"retry-after": "200"})).reader.step() == 200
    assert Case(always(429, headers={"retry-after": "1"})).reader.step() == INTERVAL_SECONDS
    assert Case(always(429, headers={"retry-after": "99999999"})).reader.step() == 300


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [LineFormatter(FORMS["logfmt"]).format(record) for record in caplog.records]


def test_a_failure_is_logged_once_with_its_remedy_and_the_recovery_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    case = Case(always(403, CANARY.encode()))
    for _ in range(3):
        case.reader.step()
    case.transport.answer = api(*JOBS).answer
    for _ in range(3):
        case.reader.step()
    failure, recovery = lines(caplog)
    assert "reading the batch jobs failed" in failure
    assert "VIEW_BATCH_JOBS" in failure
    assert "can be read again" in recovery
    assert hits(failure + recovery, CANARY) == []


def test_at_debug_nothing_of_a_job_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Case(api(*JOBS).answer).reader.step()
    found = "\n".join(lines(caplog))
    assert "operation=batch_jobs" in found
    assert hits(found, CANARY, "job-1", "persistence") == []


def test_a_bug_is_logged_without_its_message_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Request) -> Response:
        raise ZeroDivisionError(CANARY)

    case = Case(broken)
    assert case.reader.step() == INTERVAL_SECONDS
    assert case.up == 0
    (line,) = lines(caplog)
    assert "ZeroDivisionError" in line
    assert hits(line, CANARY) == []
    case.transport.answer = api(*JOBS).answer
    case.reader.step()
    assert case.up == 1


def test_the_thread_ends_when_it_is_asked_to() -> None:
    case = Case(api(*JOBS).answer)
    thread = threading.Thread(target=case.reader.run, daemon=True)
    thread.start()
    case.reader.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_the_text_of_a_family_is_made_anew_only_when_it_changed() -> None:
    """The registry's cache of texts holds for these families, too: figures that went must not come back."""
    case, texts = Case(api(*JOBS).answer), FamilyTexts()
    case.reader.step()
    first = texts.render(case.telemetry.registry, Format.TEXT)
    assert texts.render(case.telemetry.registry, Format.TEXT) == first
    case.clock.advance(MAX_AGE_SECONDS + 1)
    assert b"smilecdr_batch_jobs{" not in texts.render(case.telemetry.registry, Format.TEXT)
