"""`watch` against a real HAPI FHIR server: its `$export`, and a Task that changes meanwhile.

HAPI moves jobs on once a minute, so one export takes a minute or more. It is started first, and the others run beside
it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.builders import completed, failed, task
from .hapi_server import HapiServer, hapi, load_tasks, require_hapi
from .program import environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TASKS = 30
EXPORT_WITHIN = 600.0
"""Seconds; an export of so few Tasks takes one to three minutes."""


@pytest.fixture(scope="module")
def server() -> Iterator[HapiServer]:
    require_hapi()
    with hapi() as running:
        load_tasks(running.base, (completed(f"exported-{number}") for number in range(TASKS)))
        yield running


def export(server: HapiServer) -> str:
    """Start an export of Tasks, and return its status URL."""
    headers = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
    answer = server.http.get(f"{server.base}/$export", params={"_type": "Task"}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.headers["Content-Location"]


def watch(server: HapiServer, folder: Path, target: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "exporter", "watch", target, "--fhir.url", server.base, *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=environment(), text=True
    )


def ended(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out.splitlines(), err


def until_asked(process: subprocess.Popen[str]) -> str:
    """Wait for the first line."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_an_export_is_followed_to_its_files_and_another_is_cancelled(server: HapiServer, tmp_path: Path) -> None:
    followed, stopped = export(server), export(server)
    watching = watch(server, tmp_path, followed, "--output", "json", "--timeout", "10m")
    first = json.loads(until_asked(watching))
    assert first["state"] in {"queued", "in_progress"}
    assert first["next_poll_seconds"] == 120

    code, lines, err = ended(watch(server, tmp_path, stopped, "--cancel"))
    assert (code, err) == (0, "")
    assert lines[0].startswith("The server accepted the request to cancel")
    code, lines, _ = ended(watch(server, tmp_path, stopped))
    assert code == 1
    assert lines[-1] == "The job was cancelled."

    code, lines, err = ended(watching, EXPORT_WITHIN)
    assert (code, err) == (0, "")
    *_, last, end = (json.loads(line) for line in lines)
    assert last["state"] == "completed"
    assert last["files"] == {"Task": 1}
    assert last["error_files"] == {}
    assert end["outcome"] == "completed"

    code, lines, _ = ended(watch(server, tmp_path, followed))
    assert code == 0
    assert lines[1:3] == ["TYPE  FILES", "Task      1"]
    code, lines, _ = ended(watch(server, tmp_path, followed, "--cancel"))
    assert code == 1
    assert lines == ["The export job has completed: a completed job cannot be cancelled."]
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_the_server_does_not_know_is_gone(server: HapiServer, tmp_path: Path) -> None:
    code, lines, err = ended(watch(server, tmp_path, "00000000-0000-0000-0000-000000000000"))
    assert (code, err) == (1, "")
    assert lines[-1].startswith("The server does not know this job")


@pytest.mark.parametrize(("ending", "code"), [("completed", 0), ("failed", 1), ("deleted", 1)])
def test_a_task_is_followed_while_it_changes(server: HapiServer, tmp_path: Path, ending: str, code: int) -> None:
    id_ = f"watched-{ending}"
    server.put(task(id_))
    watching = watch(server, tmp_path, f"Task/{id_}", "--interval", "1s", "--timeout", "5m")
    first = until_asked(watching)
    assert " requested, elapsed " in first
    server.put(task(id_, "in-progress"))
    time.sleep(3)  # so that a poll sees it
    if ending == "deleted":
        server.delete(f"Task/{id_}")
    else:
        server.put(completed(id_) if ending == "completed" else failed(id_, "Member match failed for Jane"))
    found, lines, err = ended(watching)
    assert (found, err) == (code, "")
    assert [line.split()[1].rstrip(",") for line in lines[:2]] == ["in-progress", ending]
    assert "Jane" not in "\n".join(lines)
    if ending == "failed":
        assert "reason member_match, 1 note (member_match 1)" in lines[-1]
