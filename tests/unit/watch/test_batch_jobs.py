"""`watch job/<id>`: a batch job of the Admin API, by what its client knows of one."""

from dataclasses import dataclass
from typing import Any

import pytest

from exporter.errors import ConfigurationError, ServerFault
from exporter.watch.subjects import BatchSource
from tests.support.builders import HOUR
from tests.support.fake import START, HandClock
from tests.support.watching import Watching, in_turn


@dataclass(frozen=True)
class Job:
    status: str
    name: str = "BULK_EXPORT"
    since: int | None = START - HOUR
    ended: int | None = None
    errors: int = 0
    records: int | None = None
    progress: float | None = None


def watching(capsys: Any, *answers: Job | Exception | None) -> Watching:
    left = list(answers)

    def job(id_: str) -> Job | None:
        assert id_ == "4f3c"
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = Watching(in_turn(), HandClock(), capsys)
    watch.batch_jobs = BatchSource(job, lambda error: f"What to do about {type(error).__name__}.")
    return watch


@pytest.mark.parametrize(("last", "code"), [("completed", 0), ("failed", 1), ("cancelled", 1)])
def test_a_batch_job_is_followed_to_its_end(capsys: Any, last: str, code: int) -> None:
    end = Job(last, ended=START + 60_000, errors=2)
    watch = watching(capsys, Job("queued"), Job("in_progress", progress=0.25), Job("errored"), end)
    assert watch("job/4f3c") == code
    assert [line.partition("Z ")[2] for line in watch.printed()[0]] == [
        "queued, elapsed 1h, BULK_EXPORT",
        "in_progress, 25%, elapsed 1h, BULK_EXPORT",
        "errored, elapsed 1h, BULK_EXPORT",
        f"{last}, after 1h1m, BULK_EXPORT, errors 2",
    ]
    assert watch.pauses == [10, 10, 10]


def test_a_job_that_is_not_listed_is_gone(capsys: Any) -> None:
    watch = watching(capsys, Job("queued"), None)
    assert watch("job/4f3c") == 1
    assert watch.printed()[0][-1].startswith("The Admin API lists no such job")


def test_a_failed_poll_has_the_remedy_of_the_admin_api(capsys: Any) -> None:
    watch = watching(capsys, Job("queued"), ServerFault("It failed."), Job("completed"))
    assert watch("job/4f3c", output="json") == 0
    _, failed, last, _ = watch.objects()
    assert failed["remedy"] == "What to do about ServerFault."
    assert (last["kind"], last["name"], last["errors"]) == ("batch_job", "BULK_EXPORT", 0)


def test_without_the_admin_api_there_is_none(capsys: Any) -> None:
    with pytest.raises(ConfigurationError, match="a batch job needs --batch-jobs.url and --batch-jobs.module"):
        Watching(in_turn(), HandClock(), capsys)("job/4f3c")


def test_a_batch_job_is_not_cancelled(capsys: Any) -> None:
    with pytest.raises(ConfigurationError, match="a batch job is never changed"):
        watching(capsys)("job/4f3c", cancel=True)
