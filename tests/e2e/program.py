"""Programs that a test starts: what happens where one is not installed, and how one runs until its test is done."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


def require(program: str, package: str) -> None:
    """Skip the test if a program is not installed; in CI, fail it."""
    if shutil.which(program) is None:
        skip_or_fail(f"{program} is not installed: `apt-get install {package}` brings it")


def skip_or_fail(reason: str) -> None:
    """Skip the test because this machine lacks something: a laptop may, but CI may not, so there it fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def environment() -> dict[str, str]:
    """Give this process' environment without the exporter's own variables, which would change what it does."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FHIR_TASK_EXPORTER_")}


def free_port() -> int:
    """Find a port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str], log: Path, *patterns: str, within: float
) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """Run a program until the block ends, then kill it: nothing that it keeps is needed.

    Gives it once its log shows each of the patterns, within so many seconds, and what the group of each has found.
    """
    with log.open("wb") as stream:
        popen = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent, env=environment())
        try:
            yield popen, _announced(popen, log, patterns, within)
        finally:
            popen.kill()
            popen.wait()


def _announced(popen: subprocess.Popen[bytes], log: Path, patterns: Sequence[str], within: float) -> list[str]:
    end = time.monotonic() + within
    while time.monotonic() < end and popen.poll() is None:
        text = log.read_text()
        found = [match[1] for match in (re.search(pattern, text) for pattern in patterns) if match]
        if len(found) == len(patterns):
            return found
        time.sleep(0.02)
    raise AssertionError(f"it did not start: {log.read_text()[-4000:]}")
