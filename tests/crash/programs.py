"""Exporters and commands that are killed, and a look at the ledger that they leave."""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.e2e.program import environment

from .truth import Violation

PROGRAM = (sys.executable, "-m", "exporter")
OPTIONS = ("--series.hold", "0s", "--poll.min-interval", "0s", "--fhir.page-size", "10")
SWEEPING = ("--reconcile.open-interval", "150ms", "--reconcile.full-interval", "400ms", "--reconcile.lookback", "1h")
"""Options with which comparisons run nearly all the time."""

WRITES = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "link")
"""System calls with which a ledger, or a copy of it, changes."""


def serve(base: str, ledger: Path, *options: str) -> tuple[str, ...]:
    """Give the command that serves from a ledger."""
    listen = ("--web.listen-address", "127.0.0.1:0")
    return (*PROGRAM, "serve", "--fhir.url", base, "--ledger", str(ledger), *listen, *OPTIONS, *options)


def killed_after(command: Sequence[str], seconds: float, log: Path) -> int:
    """Run a command and kill it after so many seconds; gives its exit code."""
    with log.open("wb") as stream:
        popen = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent, env=environment())
        try:
            return popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            popen.kill()
            return popen.wait()


def killed_when_listening(command: Sequence[str], log: Path) -> int:
    """Run `serve` until it listens, and kill it then; gives its exit code, also where it ended before."""
    with log.open("wb") as stream:
        popen = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent, env=environment())
        while popen.poll() is None and "msg=listening" not in log.read_text():
            time.sleep(0.02)
        popen.kill()
        return popen.wait()


def killed_at(command: Sequence[str], call: str, number: int, log: Path, seconds: float = 3) -> int:
    """Run a command and kill it at the n-th system call of a kind, or after so many seconds; gives its exit code.

    strace is not the parent (`-D`), so that a killed command is waited for as if it ran alone. With `--seccomp-bpf`,
    which would be faster, it injects no signals.
    """
    inject = f"inject={call}:signal=KILL:when={number}"
    traced = ("strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
    return killed_after((*traced, *command), seconds, log)


def killed_somewhere(command: Sequence[str], dice: random.Random, log: Path) -> int:
    """Run a command and kill it at one of its writes."""
    call = dice.choice(WRITES[:2] * 3 + WRITES)
    most = 40 if call == "pwrite64" else 4
    return killed_at(command, call, 1 + int(most * dice.random() ** 2), log)  # small numbers first: most write little


def was_killed(code: int) -> bool:
    """Whether an exit code is that of signal 9."""
    return code == -signal.SIGKILL


def check_log(log: Path) -> None:
    """No traceback, and no bug that was caught."""
    text = log.read_text(errors="replace")
    for word in ("Traceback", "internal error"):
        if word in text:
            raise Violation(f"{word} in the log: {text[-1500:]}")


def check_ledger(ledger: Path) -> None:
    """A copy passes SQLite's integrity_check; the file itself is left as the killed process left it."""
    if not ledger.exists():
        return
    with tempfile.TemporaryDirectory(prefix="copy-") as folder:
        for part in (ledger, Path(f"{ledger}-wal")):
            if part.exists():
                shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / ledger.name)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise Violation(f"integrity_check of {ledger}: {found}")
    if aside := list(ledger.parent.glob("*.damaged-*")):
        raise Violation(f"a good ledger was set aside: {aside}")
