"""What `check` says about the Tasks of the sample."""

import re

import pytest

from ...support import quirks
from ...support.builders import (
    CODE,
    TAG,
    concept,
    failed,
    meta,
    note,
    task,
)
from ...support.fake import START
from .case import PAYERS, Case, below, run


def test_an_empty_server_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = Case(capsys, ()).run()
    assert code == 0
    assert "WARN  Tasks: none matches the search; without the tag it would be 0" in told
    assert "_sort" not in told


def test_a_wrong_tag_is_recognised_by_the_tasks_that_do_not_carry_it(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", meta=meta()), task("b", meta=meta(CODE)))
    assert "Check --fhir.tag" in below(told, "WARN  Tasks: none matches the search; without the tag it would be 2")


def test_tasks_with_our_tag_and_another_code_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "INFO  foreign: of 2 Tasks with our tag, 1 with another code" in run(
        capsys, *PAYERS, task("a"), task("b", code=concept(TAG))
    )


def test_untagged_tasks_are_told_where_the_server_ignores_the_tag(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = Case(capsys, (*PAYERS, task("a"), task("b", meta=meta()))).run(quirks.ignoring("_tag"))
    assert code == 0
    assert "sample: 2 Tasks read, 1 with the tag" in told
    assert "WARN  search by _tag: ignored; of 2 Tasks, 1 without it, left out here" in told


def test_failures_without_a_reason_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, failed("a", "It failed"), failed("b", "timed out"))
    assert "OK    failures: timeout 1, unclassified 1\nWARN  failures: no reason matches 1 of 2" in told


def test_anomalies_are_told_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", focus=None), task("b", focus=None, authoredOn="2026"))
    assert "WARN  anomalies: missing_focus 2, partial_authored_on 1\n" in told


def test_a_stamp_in_the_future_is_an_anomaly(case: Case) -> None:
    case.store.put(task("t-9"), stamp=START + 3_600_000)
    assert "WARN  anomalies: future_stamp 1\n" in case.run()[1]


def test_the_sample_is_of_the_newest_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    case = Case(capsys, PAYERS)
    for days, status in ((40, "cancelled"), (3, "failed"), (2, "failed")):
        case.store.put(task(f"t-{days}", status, note=note("timed out")), stamp=START - days * 86_400_000)
    told = case.run(page_size=2)[1]
    assert "sample: 2 Tasks read" in told
    assert "Tasks: 3 (" in told


def test_one_task_is_no_plural(capsys: pytest.CaptureFixture[str]) -> None:
    told = Case(capsys, (*PAYERS, task("a", code=concept(TAG)), task("b", meta=meta()))).run(
        quirks.ignoring("_tag"), page_size=1
    )[1]
    assert "OK    pages: of 1 Task, as asked for\n" in told
    alone = run(capsys, *PAYERS, task("a", code=concept(TAG)))
    assert "sample: 1 Task read, 1 with the tag\n" in alone
    assert "foreign: of 1 Task with our tag, 1 with another code" in alone
    for text in (told, alone):
        assert not re.search(r"\b1 (Tasks|problems|seconds|pages)\b", text), text
