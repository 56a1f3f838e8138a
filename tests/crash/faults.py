"""Faults of the disk, injected into a running exporter: what fails, how, and for how long is drawn anew in each round.

While it lasts: `/metrics` answers 200, no counter goes back or beyond the truth, and an error is counted with the
reason `ledger`. Afterwards, or after a kill and a restart, the counters are exact. There is never a traceback.
"""

import random
import re
import resource
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.process import Process, exporter, total

from .programs import OPTIONS, check_ledger, check_log, killed_when_listening, serve
from .truth import Violation, Witness, Writer, ready

CHANGES = 30
SCRAPES = 3
"""While a fault lasts."""

INJECTED = {
    "write: EIO": ("pwrite64", "error=EIO"),
    "write: EIO from the n-th on": ("pwrite64", "error=EIO:when={n}+"),
    "write: EIO now and then": ("pwrite64", "error=EIO:when={n}+{n}"),
    "write: ENOSPC": ("pwrite64", "error=ENOSPC"),
    "write: ENOSPC from the n-th on": ("pwrite64", "error=ENOSPC:when={n}+"),
    "write: nothing is written": ("pwrite64", "retval=0:when={n}+"),
    "write: EROFS": ("pwrite64", "error=EROFS"),
    "sync: EIO": ("fdatasync,fsync", "error=EIO"),
    "sync: EIO now and then": ("fdatasync,fsync", "error=EIO:when=1+2"),
    "sync: ENOSPC": ("fdatasync,fsync", "error=ENOSPC"),
    "read: EIO": ("pread64,read", "error=EIO"),
    "all: EIO": ("pwrite64,pread64,read,fdatasync,fsync,ftruncate", "error=EIO"),
}
"""System calls on the ledger's files, and what strace does to them (strace(1), "Tampering")."""

SHORT, FULL, START = "write: cut short", "file system full", "a start"


@contextmanager
def injected(process: Process, ledger: Path, calls: str, effect: str) -> Iterator[None]:
    """Let system calls on the ledger's files fail until the block ends."""
    command = ("strace", "-f", "-q", "-p", str(process.popen.pid), *_tampering(ledger, calls, effect))
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as tracer:
        try:
            _until_traced(process.popen.pid, tracer)
            yield
        finally:
            tracer.terminate()


def _tampering(ledger: Path, calls: str, effect: str) -> tuple[str, ...]:
    paths = [part for suffix in ("", "-wal") for part in ("-P", f"{ledger}{suffix}")]
    return (*paths, "-e", f"trace={calls}", "-e", f"inject={calls}:{effect}")


def _until_traced(pid: int, tracer: "subprocess.Popen[bytes]") -> None:
    """Wait until strace has all threads: it attaches to one after the other."""
    end = time.monotonic() + 10
    while time.monotonic() < end and tracer.poll() is None:
        states = [part.read_text() for part in Path(f"/proc/{pid}/task").glob("*/status")]
        if all(f"TracerPid:\t{tracer.pid}\n" in state for state in states):
            return
        time.sleep(0.01)
    raise RuntimeError("strace cannot trace: is it installed, and ptrace allowed here?")


@contextmanager
def short_writes(process: Process, ledger: Path, dice: random.Random) -> Iterator[None]:
    """Let no file grow past a limit: a write that crosses it is cut there, and the next one fails (setrlimit(2))."""
    pid = process.popen.pid
    grown = max(part.stat().st_size for part in (Path(f"{ledger}-wal"), process.log))
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (grown + dice.randrange(20_000), before[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed meanwhile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill a file system until the block ends."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 512):
                _fill(file.write, b"\0" * size)
        yield
    finally:
        filler.unlink()


def _fill(write: Callable[[bytes], object], block: bytes) -> None:
    while True:
        try:
            write(block)
        except OSError:
            return


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """Mount a file system in memory, with room for a `-wal` of 32 MB; None where that is not permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass
class Faults:
    """The rounds: one exporter, started anew where it was killed."""

    folder: Path
    dice: random.Random
    rounds: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """What the rounds came to."""
    looks: int = 0

    def run(self, wanted: int) -> None:
        """Break the disk so often; raises Violation at the first thing that must not be."""
        self.folder.mkdir()
        if not wanted:
            return
        with small_disk(self.folder / "disk") as disk:
            place = disk or self.folder / "disk"
            kinds = [*INJECTED, SHORT, START] + ([FULL] if disk else [])
            case = Disturbed(self, place / "ledger.db", kinds * (wanted // len(kinds) + 1))
            while sum(self.rounds.values()) < wanted:
                case.live(wanted)
            self.looks = case.witness.looks


class Disturbed:
    """An exporter on a disk with faults. `kinds` are those still to come."""

    def __init__(self, faults: Faults, ledger: Path, kinds: list[str]) -> None:
        self._faults, self._dice, self._ledger, self._kinds = faults, faults.dice, ledger, kinds
        self.writer = Writer(faults.dice)
        self.witness = Witness(self.writer.truth)

    def live(self, wanted: int) -> None:
        """Run one process from its start to its end, which may be a kill in the middle of a fault."""
        base = self.writer.server.base
        with exporter(base, self._faults.folder, *OPTIONS, ledger=str(self._ledger)) as process:
            self.witness.see(process.scrape(timeout=0.02))
            ready(process, self.witness)
            self.witness.until_exact(process.scrape)
            while sum(self._faults.rounds.values()) < wanted and process.popen.poll() is None:
                self._round(process)
        check_log(process.log)
        check_ledger(self._ledger)

    def _round(self, process: Process) -> None:
        kind = self._kinds.pop()
        self._faults.rounds[kind] += 1
        if kind == START:
            process.kill()
            self.writer.change(CHANGES)
            self._start()
            return
        before = _ledger_errors(process.scrape())
        self.writer.change(CHANGES)
        with self._fault(kind, process):
            self._disturbed(process, before, kind)
            if self._dice.random() < 0.25:
                self._faults.seen["ended by kill -9"] += 1
                process.kill()
                return
        try:
            self.witness.until_exact(process.scrape)
        except Violation as violation:
            raise Violation(f"after {kind}: {violation}\n{_state(process)}") from violation
        self._faults.seen["exact again in the same process"] += 1

    def _fault(self, kind: str, process: Process) -> AbstractContextManager[None]:
        if kind == SHORT:
            return short_writes(process, self._ledger, self._dice)
        if kind == FULL:
            return full(self._ledger.parent)
        calls, effect = INJECTED[kind]
        return injected(process, self._ledger, calls, effect.format(n=self._dice.randrange(2, 9)))

    def _disturbed(self, process: Process, before: float, kind: str) -> None:
        """Scrape while the fault lasts: what is not written must be said. `before` are the errors counted so far."""
        for _ in range(SCRAPES):
            text = process.scrape()
            self.witness.see(text)
        counted = _ledger_errors(text) - before
        exact = all(self.witness.shown[name] == self.writer.truth[name] for name in self.witness.shown)
        if not (exact or counted):
            raise Violation(f"{kind}: what the disk refused was not counted as an error of the ledger")
        self._faults.seen["an error was counted" if counted else "nothing was refused"] += 1

    def _start(self) -> None:
        """Start while the disk fails: it ends in a sentence, or serves; a good ledger is not set aside."""
        calls, effect = self._dice.choice(list(INJECTED.values()))
        if self._dice.random() < 0.5:
            calls, effect = "pread64", "error=EIO:when={n}"
        tampering = _tampering(self._ledger, calls, effect.format(n=1 + int(20 * self._dice.random() ** 2)))
        log = self._faults.folder / "start.log"
        command = (
            "strace",
            "-D",
            "-f",
            "-q",
            "-o",
            "/dev/null",
            *tampering,
            *serve(self.writer.server.base, self._ledger),
        )
        code = killed_when_listening(command, log)
        check_log(log)
        check_ledger(self._ledger)
        if code not in {1, -9}:
            raise Violation(f"a start on a failing disk ended with exit code {code}: {log.read_text()[-500:]}")
        if code == 1 and "ledger" not in log.read_text():
            raise Violation(f"a start on a failing disk ended without a sentence: {log.read_text()[-500:]}")
        self._faults.seen["a start was refused" if code == 1 else "a start succeeded"] += 1


def _state(process: Process) -> str:
    """Say how a process was found, for whoever looks for the reason."""
    threads = [part.read_text() for part in Path(f"/proc/{process.popen.pid}/task").glob("*/status")]
    states = [line for text in threads for line in text.splitlines() if line.startswith(("State", "TracerPid"))]
    own = [line for line in process.scrape().splitlines() if re.match(r"fhir_task_exporter_(polls|errors)_total", line)]
    return "\n".join([*states, *own, process.log.read_text()[-1500:]])


def _ledger_errors(text: str) -> float:
    return total(text, "fhir_task_exporter_errors_total", reason="ledger")
