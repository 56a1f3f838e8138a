"""The first minute of somebody who has cloned the repository: Python, pip and make are all there is."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from .process import Process, total, until_above
from .program import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""Seconds for what takes a machine as long as it takes."""
A_MINUTE = 60.0
"""Seconds; the simulation goes by the clock, however busy the machine is."""
PACKAGE = "fhir_task_exporter"
COMMAND = Path(".venv") / "bin" / "fhir-task-exporter"


def newcomer() -> dict[str, str]:
    """Give an environment that knows nothing of this checkout; what pip needs to find packages stays."""
    ours = os.path.realpath(ROOT)
    path = [
        part for part in os.environ["PATH"].split(os.pathsep) if not os.path.realpath(part).startswith(ours + os.sep)
    ]
    left_out = ("FHIR_TASK_EXPORTER_", "VIRTUAL_ENV", "PYTHON", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"PATH": os.pathsep.join(path)}


def run(*command: str | Path, folder: Path) -> str:
    """Run a command to its end, which must be a good one; gives its output."""
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=newcomer(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:]
    return ended.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Clone what is committed: a file that was never added is missing here, as it will be for everybody."""
    if not (ROOT / ".git").exists():
        pytest.skip("these are no sources under git")
    run("git", "clone", "--quiet", ROOT, tmp_path / "clone", folder=tmp_path)
    return tmp_path / "clone"


@contextmanager
def make_demo(clone: Path) -> Iterator[Process]:
    """Run `make demo` as from a terminal, in a process group of its own, and end all of it whatever happens."""
    address = f"127.0.0.1:{free_port()}"
    log = clone.parent / "demo.log"
    command = ["make", "demo", f"ARGS=--web.listen-address {address}"]
    with log.open("wb") as stream:
        popen = subprocess.Popen(
            command, cwd=clone, env=newcomer(), stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            yield Process(popen, f"http://{address}", log)
        finally:
            with_all(popen, signal.SIGKILL)
            popen.wait()


def with_all(popen: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a whole process group, as a terminal does."""
    try:
        os.killpg(popen.pid, number)
    except ProcessLookupError:
        return


def listens(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/healthy", trust_env=False, timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def wait_until_it_listens(process: Process) -> None:
    end = time.monotonic() + PATIENCE
    while not listens(process.url):
        assert process.popen.poll() is None, process.log.read_text()
        assert time.monotonic() < end, process.log.read_text()
        time.sleep(0.2)


def test_make_demo_shows_live_metrics_and_a_page_and_ends_on_ctrl_c(clone: Path) -> None:
    with make_demo(clone) as process:
        wait_until_it_listens(process)
        until_above(process, "fhir_tasks", 0, PATIENCE)
        for _ in range(3):
            shown = total(process.scrape(), "fhir_task_transitions_total")
            until_above(process, "fhir_task_transitions_total", shown, A_MINUTE)
        page = httpx.get(process.url, trust_env=False)
        assert page.headers["content-type"].startswith("text/html")
        assert re.search(r"in-progress\D+\d", page.text), page.text

        with_all(process.popen, signal.SIGINT)
        process.popen.wait(timeout=60)
        assert not listens(process.url)
        said = process.log.read_text()
        assert "msg=stopping" in said
        assert "Traceback" not in said
    assert not list(clone.glob("*.db*")), "a demo leaves nothing behind"
    assert run("git", "status", "--porcelain", folder=clone) == ""


def test_make_install_leaves_the_command_and_no_more(clone: Path) -> None:
    run("make", "install", folder=clone)
    assert re.fullmatch(r"fhir-task-exporter \d+\.\S+\n", run(COMMAND, "--version", folder=clone))
    assert not (clone / ".venv" / "bin" / "pytest").exists(), "what tests need comes with `make setup`"
    again = run("make", "install", folder=clone)
    assert "Nothing to be done" in again


def test_the_wheel_works_alone_and_carries_what_it_prints(clone: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--outdir", tmp_path / "dist", clone, folder=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"{PACKAGE}/_bundle/{path}" for path in ("dashboards/p2p-exchanges.json", "rules/alerts.yaml")} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {PACKAGE}

    python = tmp_path / "venv" / "bin" / "python"
    run("python3", "-m", "venv", tmp_path / "venv", folder=tmp_path)
    pip = (python, "-m", "pip", "install", "--quiet")
    run(*pip, "--require-hashes", "--requirement", clone / "requirements.lock", folder=tmp_path)
    run(*pip, "--no-index", wheel, folder=tmp_path)
    shutil.rmtree(clone)
    command = python.with_name("fhir-task-exporter")
    assert run(command, "--version", folder=tmp_path).startswith("fhir-task-exporter ")
    addresses = ("--runbook-url", "https://runbooks.example.org", "--cdr-url", "https://cdr.example.org")
    assert json.loads(run(command, "dashboard", *addresses, folder=tmp_path))["uid"] == "p2p-exchanges"
    assert 'job="elsewhere"' in run(command, "rules", "--job", "elsewhere", folder=tmp_path)
    assert "serve" in run(command, "--help", folder=tmp_path)
    run(python, "-c", f"import {PACKAGE}.app, {PACKAGE}.check.run, {PACKAGE}.bundle", folder=tmp_path)
