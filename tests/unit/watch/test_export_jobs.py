"""`watch URL`: what is shown of an export job, when it is asked for, and how that ends."""

import re
from typing import Any

import pytest

from exporter.config import FhirSettings, Settings
from exporter.demo.server import Request, Response
from exporter.errors import ConfigurationError
from exporter.watch.subjects import EXPORT_RIGHT
from tests.support.canaries import hits
from tests.support.export_jobs import ANSWERS, AT, DATE, JSON, SECRET, manifest, outcome, running
from tests.support.fake import BASE, HandClock
from tests.support.watching import STATUS_URL, Watching, in_turn, on_terminal

RESUME = f"  fhir-task-exporter watch '{STATUS_URL}'"


def watching(capsys: Any, *answers: Response) -> Watching:
    return Watching(in_turn(*answers), HandClock(), capsys)


def states(lines: list[str]) -> list[str]:
    """The states of plain lines, without their time and what follows."""
    return [found[1] for line in lines if (found := re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (\w+)", line))]


def test_a_job_is_followed_from_the_queue_to_its_files(capsys: Any) -> None:
    watch = watching(
        capsys, *(ANSWERS[name] for name in ("queued", "in-progress", "in-progress", "finalize", "completed"))
    )
    assert watch() == 0
    lines, errors = watch.printed()
    assert states(lines) == ["queued", "in_progress", "finalize", "completed"]
    assert lines[-6:] == [
        "TYPE          FILES",
        "Organization      1",
        "Task              2",
        "unknown           1",
        "total             4",
        "As of 2026-11-20T11:58:20.000Z",
    ]
    assert errors == []
    assert watch.pauses == [120, 120, 120, 120]
    assert watch.methods == ["GET"] * 5


@pytest.mark.parametrize(
    ("last", "state", "sentence"),
    [
        ("failed", "failed", "The job failed."),
        ("separate-status", "failed", "The job failed."),
        ("cancelled", "cancelled", "The job was cancelled."),
        ("cancelled-old", "cancelled", "The job was cancelled."),
        ("purged", "gone", "The server does not know this job"),
    ],
)
def test_another_end_exits_1_and_says_which(capsys: Any, last: str, state: str, sentence: str) -> None:
    watch = watching(capsys, ANSWERS["in-progress"], ANSWERS[last])
    assert watch() == 1
    lines, errors = watch.printed()
    assert states(lines) == ["in_progress", state]
    assert lines[-1].startswith(sentence)
    assert errors == []


@pytest.mark.parametrize("name", sorted(ANSWERS))
@pytest.mark.parametrize("output", ["text", "json"])
def test_no_text_of_the_server_is_printed_where_it_may_be_kept(capsys: Any, name: str, output: str) -> None:
    watch = watching(capsys, ANSWERS["in-progress"], ANSWERS[name], ANSWERS["failed"])
    watch(output=output, timeout=1000.0)
    lines, errors = watch.printed()
    assert lines
    assert hits("\n".join(lines + errors), SECRET) == []
    assert "Build in progress" not in "\n".join(lines + errors)


def test_resources_error_files_and_the_end_of_the_files_are_told(capsys: Any) -> None:
    more = {"output": [{"type": "Task", "count": 1000}, {"type": "Task", "count": 234}, {"type": "Patient"}]}
    errors = {"error": [{"type": "OperationOutcome"}], "deleted": [{"type": "Bundle"}], "link": [{"relation": "next"}]}
    expires = ("Expires", "Fri, 20 Nov 2026 14:00:00 GMT")
    watch = watching(capsys, Response(200, (DATE, JSON, expires), manifest(**more, **errors)))
    assert watch() == 0
    assert watch.printed()[0][1:] == [
        "TYPE     FILES  RESOURCES",
        "Patient      1          -",
        "Task         2      1,234",
        "total        3      1,234",
        "",
        "TYPE              ERROR FILES",
        "OperationOutcome            1",
        "Files of deleted resources: 1",
        "The manifest has further pages, which are not counted here.",
        "As of 2026-11-20T11:58:20.000Z",
        "Files are kept until 2026-11-20T14:00:00.000Z",
    ]


def test_an_export_of_nothing_says_so(capsys: Any) -> None:
    watch = watching(capsys, Response(200, (JSON,), manifest(output=[])))
    assert watch() == 0
    assert watch.printed()[0][1] == "No files: the export found nothing."


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("18000", 300.0),
        ("Fri, 20 Nov 2026 12:01:30 GMT", 90.0),
        ("Fri, 20 Nov 2099 12:00:00 GMT", 300.0),
        ("soon", 10.0),
    ],
)
def test_retry_after_is_honored_up_to_five_minutes(capsys: Any, header: str, pause: float) -> None:
    watch = watching(capsys, running("QUEUED", header), ANSWERS["completed"])
    watch()
    assert watch.pauses == [pause]


def test_without_retry_after_it_asks_less_often_while_nothing_changes(capsys: Any) -> None:
    quiet = Response(202, (DATE, ("X-Progress", "working")), b"")
    news = Response(202, (DATE, ("X-Progress", "queued")), b"")
    watch = watching(capsys, quiet, quiet, quiet, quiet, quiet, news, ANSWERS["completed"])
    watch()
    assert watch.pauses == [10, 20, 40, 60, 60, 10]


def test_an_interval_of_our_own_stays(capsys: Any) -> None:
    quiet = Response(202, (DATE,), b"")
    watch = watching(capsys, quiet, quiet, quiet, ANSWERS["completed"])
    watch(interval=30.0)
    assert watch.pauses == [30, 30, 30]


@pytest.mark.parametrize("name", ["too-many", "transient", "proxy"])
def test_a_failed_poll_is_reported_and_no_failed_job(capsys: Any, name: str) -> None:
    watch = watching(capsys, ANSWERS[name], ANSWERS["in-progress"], ANSWERS[name], ANSWERS[name], ANSWERS["completed"])
    assert watch() == 0
    lines, _ = watch.printed()
    assert states(lines) == ["poll", "in_progress", "poll", "completed"]
    assert "poll failed: fhir.example:80 answered" in lines[0]


def test_a_poll_that_works_again_gets_a_line(capsys: Any) -> None:
    watch = watching(capsys, ANSWERS["in-progress"], ANSWERS["proxy"], ANSWERS["in-progress"], ANSWERS["completed"])
    watch()
    assert states(watch.printed()[0]) == ["in_progress", "poll", "in_progress", "completed"]


def test_failed_polls_are_repeated_ever_less_often(capsys: Any) -> None:
    watch = watching(capsys, *[ANSWERS["proxy"]] * 7, ANSWERS["too-many"], ANSWERS["completed"])
    assert watch() == 0
    assert watch.pauses == [10, 20, 40, 80, 160, 300, 300, 7]


@pytest.mark.parametrize("name", ["unauthorized", "forbidden", "login-page"])
def test_a_first_poll_that_is_refused_for_good_ends_it(capsys: Any, name: str) -> None:
    answers = {"forbidden": Response(403, (), outcome("forbidden")), **ANSWERS}
    watch = watching(capsys, answers[name], ANSWERS["completed"])
    assert watch() == 1
    lines, (sentence, remedy) = watch.printed()
    assert lines == []
    assert sentence.startswith("fhir.example:80 answered")
    assert (remedy == EXPORT_RIGHT) == (name == "forbidden")
    assert hits(sentence + remedy, SECRET) == []
    assert watch(output="json") == 0  # the next answer
    watch = watching(capsys, answers[name])
    watch.printed()
    assert watch(output="json") == 1
    failed, end = watch.objects()
    assert (failed["event"], end["outcome"], end["exit_code"]) == ("poll_failed", "refused", 1)
    assert "resume" not in end


@pytest.mark.parametrize("name", ["unauthorized", "login-page"])
def test_a_later_one_is_only_a_failed_poll(capsys: Any, name: str) -> None:
    watch = watching(capsys, ANSWERS["in-progress"], ANSWERS[name], ANSWERS["completed"])
    assert watch() == 0
    assert states(watch.printed()[0]) == ["in_progress", "poll", "completed"]


def test_after_the_timeout_the_job_is_left_alone(capsys: Any) -> None:
    watch = watching(capsys, ANSWERS["in-progress"])
    assert watch(timeout=130.0, flags=("--fhir.url=http://fhir.example/fhir",)) == 1
    lines, errors = watch.printed()
    assert states(lines) == ["in_progress"]
    assert errors == [
        "The time of --timeout is over: the export job was left alone and may still be running. To go on watching:",
        f"{RESUME} --fhir.url=http://fhir.example/fhir",
    ]
    assert watch.pauses == [120, 10]
    assert watch.methods == ["GET", "GET"]


def test_ctrl_c_leaves_the_job_alone_and_says_how_to_go_on(capsys: Any) -> None:
    watch = watching(capsys, ANSWERS["in-progress"])
    watch.interrupt_after = 2
    assert watch() == 130
    assert watch.printed()[1] == [
        "Stopped: the export job was left alone and may still be running. To go on watching:",
        RESUME,
    ]
    assert watch.methods == ["GET", "GET"]


def test_ctrl_c_in_a_poll_ends_it_too(capsys: Any) -> None:
    def answer(_: Request) -> Response:
        raise KeyboardInterrupt

    watch = Watching(answer, HandClock(), capsys)
    assert watch() == 130
    assert watch.printed()[1][1] == RESUME


def test_json_has_an_object_for_each_answer_and_for_the_end(capsys: Any) -> None:
    watch = watching(capsys, ANSWERS["percentage"], ANSWERS["too-many"], ANSWERS["with-errors"])
    assert watch(output="json") == 0
    first, failed, last, end = watch.objects()
    assert first == {
        "time": "2026-11-20T12:00:00.000Z",
        "event": "status",
        "kind": "export_job",
        "state": "in_progress",
        "elapsed_seconds": 0.0,
        "progress_ratio": 0.3,
        "next_poll_seconds": 300.0,
    }
    assert failed | {"error": "", "remedy": ""} == {
        "time": "2026-11-20T12:05:00.000Z",
        "event": "poll_failed",
        "kind": "export_job",
        "reason": "throttled",
        "error": "",
        "remedy": "",
        "next_poll_seconds": 7.0,
    }
    assert last == {
        "time": "2026-11-20T12:05:07.000Z",
        "event": "status",
        "kind": "export_job",
        "state": "completed",
        "elapsed_seconds": 100.0,
        "files": {"Task": 2, "Organization": 1, "unknown": 1},
        "error_files": {"OperationOutcome": 1},
        "deleted_files": 0,
        "transaction_time": "2026-11-20T11:58:20.000Z",
    }
    assert {"outcome": "completed", "exit_code": 0}.items() <= end.items()


@pytest.mark.parametrize(("stop", "outcome_", "code"), [({"timeout": 5.0}, "timed_out", 1), ({}, "interrupted", 130)])
def test_json_says_how_to_go_on(capsys: Any, stop: dict[str, Any], outcome_: str, code: int) -> None:
    watch = watching(capsys, ANSWERS["in-progress"])
    watch.interrupt_after = None if stop else 1
    assert watch(output="json", **stop) == code
    end = watch.objects()[-1]
    assert (end["event"], end["outcome"], end["exit_code"]) == ("end", outcome_, code)
    assert end["resume"] == RESUME.strip()


def test_a_terminal_shows_a_bar_where_the_server_gives_a_percentage(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "120")
    watch = watching(capsys, ANSWERS["percentage"], ANSWERS["completed"])
    assert watch() == 0
    drawn = capsys.readouterr().out
    assert "[######--------------]  30% in_progress, elapsed 0s, next poll in 5m" in drawn
    assert "next poll in 1s  in progress (30%)" in drawn


def test_a_terminal_shows_a_spinner_and_the_words_of_the_server_else(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "120")
    watch = watching(capsys, ANSWERS["queued"], ANSWERS["completed"])
    watch()
    drawn = capsys.readouterr().out
    assert f"queued, elapsed 1m40s, next poll in 2m  Build in progress - Status set to QUEUED at {AT}" in drawn
    assert "elapsed 3m39s, next poll in 1s" in drawn
    assert all(f"\x1b[2K{mark} queued" in drawn for mark in "|/-\\")
    assert "%" not in drawn


def test_a_line_is_no_longer_than_the_terminal(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "50")
    watch = watching(capsys, ANSWERS["queued"], ANSWERS["completed"])
    watch()
    live = [each for each in capsys.readouterr().out.split("\r\x1b[2K") if each[:1] in tuple("|/-\\")]
    assert live
    assert max(map(len, live)) == 49


def test_a_terminal_is_not_told_what_to_do_by_the_server(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch)
    evil = Response(202, (DATE, ("X-Progress", "a\x1b[31mb\x07c" + "x" * 300), ("Retry-After", "1")), b"")
    watch = watching(capsys, evil, ANSWERS["completed"])
    watch()
    drawn = capsys.readouterr().out
    assert "\x1b[31m" not in drawn
    assert "\x07" not in drawn
    assert "x" * 101 not in drawn


@pytest.mark.parametrize(
    "target",
    [
        "https://other.example/fhir/$export-poll-status?_jobId=4f3c-1",
        "http://fhir.example:81/fhir/$export-poll-status?_jobId=4f3c-1",
        "http://fhir.example/other/$export-poll-status?_jobId=4f3c-1",
        "http://user:hunter2@fhir.example/fhir/$export-poll-status?_jobId=4f3c-1",
        "http://fhir.example/fhir/Patient?_jobId=4f3c-1",
        "http://fhir.example/fhir/$export-poll-status?_jobId=4f3c-1&x=1",
        "http://fhir.example/fhir/$export-poll-status",
    ],
)
@pytest.mark.parametrize("cancel", [False, True])
def test_an_address_elsewhere_is_refused_unasked(capsys: Any, target: str, cancel: bool) -> None:
    watch = watching(capsys, ANSWERS["completed"])
    with pytest.raises(ConfigurationError) as refused:
        watch(target, cancel=cancel)
    assert str(refused.value).startswith("TARGET: The target is n")
    assert target not in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert watch.methods == []


@pytest.mark.parametrize(
    "target", ["4f3c-1", "/fhir/$export-poll-status?_jobId=4f3c-1", f"{BASE}/%24export-poll-status?_jobId=4f3c-1"]
)
def test_the_resumed_command_has_the_whole_address(capsys: Any, target: str) -> None:
    watch = watching(capsys, ANSWERS["in-progress"])
    watch.interrupt_after = 1
    watch(target)
    assert watch.printed()[1][1] == RESUME


def test_the_path_of_a_status_url_can_be_set(capsys: Any) -> None:
    watch = watching(capsys, ANSWERS["completed"])
    settings = Settings(fhir=FhirSettings(url=BASE), probe_path="$my-status")
    assert watch(f"{BASE}/$my-status?_jobId=1", settings) == 0


ACCEPTED = Response(202, (DATE,), b"")
REFUSED = Response(404, (DATE,), outcome("not-found", f"{SECRET} already cancelled or has completed"))


@pytest.mark.parametrize(
    ("answers", "code", "sentence"),
    [
        ([ACCEPTED], 0, "The server accepted the request to cancel the export job."),
        ([REFUSED, ANSWERS["completed"]], 1, "The export job has completed: a completed job cannot be cancelled."),
        ([REFUSED, ANSWERS["failed"]], 1, "The export job has failed already"),
        ([REFUSED, ANSWERS["cancelled"]], 0, "The export job was cancelled before."),
        ([REFUSED, ANSWERS["purged"]], 1, "The server does not know this job"),
        ([REFUSED, ANSWERS["in-progress"]], 1, "The server refused to cancel the export job"),
        ([REFUSED, ANSWERS["proxy"]], 1, "The server refused to cancel the export job"),
    ],
)
def test_cancel_asks_once_and_says_what_the_server_answered(
    capsys: Any, answers: list[Response], code: int, sentence: str
) -> None:
    watch = watching(capsys, *answers)
    assert watch(cancel=True) == code
    assert watch.methods == ["DELETE", "GET"][: len(answers)]
    assert watch.transport.urls[0].endswith("_jobId=4f3c-1")
    lines, errors = watch.printed()
    assert lines[0].startswith(sentence)
    assert hits("\n".join(lines + errors), SECRET) == []
    watch = watching(capsys, *answers)
    assert watch(cancel=True, output="json") == code
    (said,) = watch.objects()
    assert (said["event"], said["cancelled"], said["exit_code"]) == ("cancel", code == 0, code)


def test_a_request_to_cancel_that_was_stopped_may_have_arrived(capsys: Any) -> None:
    def answer(_: Request) -> Response:
        raise KeyboardInterrupt

    watch = Watching(answer, HandClock(), capsys)
    assert watch(cancel=True) == 130
    assert watch.printed()[1] == ["Stopped before the server answered: the request to cancel may have reached it."]


@pytest.mark.parametrize(
    ("target", "request_", "problem"),
    [
        ("Task/1", {"cancel": True}, "--cancel: is for export jobs; a Task is never changed"),
        ("4f3c-1", {"show_notes": True}, "--show-notes: is for Tasks"),
        ("Task/1", {"show_notes": True}, "--show-notes: needs a terminal"),
        ("Task/", {}, "TARGET: must be Task/ and an id"),
        ("Task/a b", {}, "TARGET: must be Task/ and an id"),
        ("Task/1/_history/2", {}, "TARGET: must be Task/ and an id"),
        ("job/../1", {}, "TARGET: must be job/ and an id"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    capsys: Any, target: str, request_: dict[str, Any], problem: str
) -> None:
    watch = watching(capsys, ANSWERS["completed"])
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        watch(target, **request_)
    assert watch.methods == []
