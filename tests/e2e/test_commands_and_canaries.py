"""What `once`, `check` and `watch` print about a hostile server, at level debug, holds none of its canaries."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..hostile.plays import answers, json_text, sends
from ..hostile.subject import Kind, Subject
from ..hostile.wire import Play, good
from ..support import loaded
from ..support.canaries import canary, hits_in
from .program import environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

COMMANDS: dict[str, tuple[str, ...]] = {
    "once": ("once",),
    "check": ("check",),
    "watch": ("watch", "Task/h-first-0"),
    "watch a job": ("watch", "$export-poll-status?_jobId=1"),
}


PLAYS: dict[str, Play] = {
    "good": good,
    "a manifest": answers(200, json_text(loaded.manifest()), kind="application/json"),
    "an outcome with 200": answers(200),
    "an outcome with 500": answers(500),
    "401": answers(401, None, ("www-authenticate", f'Basic realm="{canary("realm")}"')),
    "a page to sign in": answers(200, f"<p>{canary('body')}", kind="text/html"),
    "another protocol": sends(b"220 " + canary("body").encode() + b"\r\n"),
}

PAYERS = tuple(
    canary(f"Task.{side}.identifier.{part}") for side in ("owner", "requester") for part in ("system", "value")
)
"""How Tasks identify payers: `check` proposes them as keys of the table of payers."""


@pytest.mark.parametrize("name", COMMANDS)
def test_what_commands_print_holds_no_canary(name: str, tmp_path: Path) -> None:
    with Subject(tmp_path, Kind.BASIC) as subject:
        for does, play in PLAYS.items():
            subject.front.switch(play)
            said = _said(*COMMANDS[name], *subject.options, "--fhir.timeout", "1s", folder=tmp_path)
            assert said.strip(), does
            assert "Traceback" not in said
            for each in PAYERS if name == "check" else ():
                said = said.replace(each, "")
            assert hits_in([(does, said)]) == []


def _said(*words: str, folder: Path) -> str:
    """Run a command, `watch` for some seconds of output: it ends only with what it watches."""
    command = [sys.executable, "-m", "exporter", *words, "--log.level", "debug"]
    with (folder / "said").open("w+") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=output, stderr=output)
        end = time.monotonic() + 60
        while process.poll() is None and not (folder / "said").stat().st_size and time.monotonic() < end:
            time.sleep(0.1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30 if words[0] in {"once", "check"} else 3)
        process.kill()
        process.wait()
        return (folder / "said").read_text()
