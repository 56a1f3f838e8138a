"""Kills with signal 9 at random moments of everything that an exporter does with its ledger; one kind of round each.

After each kill: a copy of the ledger passes SQLite's integrity_check, and what the next process shows first is not less
than what was shown last, and never more than the truth, to which it is equal after one full poll.
"""

import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.e2e.process import Process, exporter

from .programs import (
    OPTIONS,
    PROGRAM,
    SWEEPING,
    check_ledger,
    check_log,
    killed_after,
    killed_at,
    killed_somewhere,
    serve,
    was_killed,
)
from .truth import VANISHED, Figures, Violation, Witness, Writer, figures, ready

SCHEMAS = Path(__file__).parent.parent / "unit" / "ledger"
CHANGES = 60


@dataclass
class Case:
    """One ledger, its server and the truth; `killed` counts the kills by what was under way."""

    folder: Path
    dice: random.Random
    killed: Counter[str]
    options: tuple[str, ...] = ()
    writer: Writer = field(init=False)
    witness: Witness = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.writer = Writer(self.dice)
        self.witness = Witness(self.writer.truth)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def log(self) -> Path:
        return self.folder / "program.log"

    @property
    def base(self) -> str:
        return self.writer.server.base

    @contextmanager
    def serving(self) -> Iterator[Process]:
        """Run an exporter, until it is killed or the block ends."""
        with exporter(self.base, self.folder, *OPTIONS, *self.options) as process:
            yield process
        check_log(process.log)
        process.log.unlink()
        check_ledger(self.ledger)

    def kill(self, process: Process, what: str) -> None:
        process.kill()
        self.killed[what] += 1

    def count(self, code: int, what: str) -> None:
        """Take note of a command that was killed, unless it was too quick."""
        self.killed[what] += was_killed(code)
        check_log(self.log)
        check_ledger(self.ledger)

    def verify(self, process: Process, *, vanished: bool = False) -> None:
        """Look at what it shows first, before it can have polled, and then until all is exact."""
        self.witness.see(process.scrape(timeout=0.02))
        ready(process, self.witness)
        self.witness.until_exact(process.scrape, vanished=vanished)


Round = Callable[[Case], None]


def in_a_poll(case: Case) -> None:
    """Kill it in a poll, or a little later."""
    with case.serving() as process:
        case.verify(process)
        case.writer.change(CHANGES)
        under_way = interrupt(process.url, case.dice)
        case.kill(process, "in a poll" if under_way else "after a poll")


def by_sigterm(case: Case) -> None:
    """End it in order in the middle of a poll: its exit code is 0, and nothing is lost either."""
    with case.serving() as process:
        case.verify(process)
        case.writer.change(CHANGES)
        interrupt(process.url, case.dice)
        if code := process.stop():
            raise Violation(f"SIGTERM ended with exit code {code}")
        case.killed["SIGTERM in a poll (not a kill)"] += 1


def at_a_start(case: Case) -> None:
    """Kill it between its first instruction and its first answer, with changes waiting."""
    case.writer.change(CHANGES)
    case.count(killed_after(serve(case.base, case.ledger), case.dice.uniform(0.2, 0.8), case.log), "at a start")


def at_a_write_of_a_start(case: Case) -> None:
    """Kill it at one of the first writes to its ledger."""
    call, number = case.dice.choice((("pwrite64", 12), ("fdatasync", 3), ("ftruncate", 2)))
    command = serve(case.base, case.ledger)
    code = killed_at(command, call, case.dice.randrange(1, number), case.log)
    case.count(code, "at a write of a start")


def in_a_comparison(case: Case) -> None:
    """Kill it while comparisons run, with Tasks deleted on the server."""
    with case.serving() as process:
        case.verify(process, vanished=True)
        for _ in range(3):
            case.writer.delete()
        process.scrape()
        time.sleep(case.dice.uniform(0, 0.7))
        case.kill(process, "in comparisons")


def in_a_baseline(case: Case) -> None:
    """Kill it while it reads what was there before it; the Tasks count nothing, and what comes then counts once."""
    case.writer.fill(400)
    for _ in range(3):
        command = serve(case.base, case.ledger)
        case.count(killed_after(command, case.dice.uniform(0.45, 1.1), case.log), "in a baseline")
    in_a_poll(case)
    with case.serving() as process:
        case.verify(process)


def in_a_migration(case: Case) -> None:
    """Kill it while it brings the ledger of the first version up to date; the counters stay as they were."""
    with closing(sqlite3.connect(case.ledger)) as connection:
        connection.executescript((SCHEMAS / "ledger-schema-1.sql").read_text())
        connection.execute("DELETE FROM state WHERE name = 'source'")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.commit()
        before = _stored(connection)
    for _ in range(3):
        call, number = case.dice.choice((("pwrite64", 45), ("fdatasync", 8)))
        code = killed_at(serve(case.base, case.ledger), call, case.dice.randrange(1, number), case.log)
        case.count(code, "in a migration")
    with case.serving() as process:
        if (now := figures(process.scrape(timeout=0.02))) != before:
            raise Violation(f"after a migration {now} is shown, not {before}")
        case.writer.truth.update({name: int(value) for name, value in before.items()})
        case.writer.truth[VANISHED] = 1_000  # the Tasks of the earlier ledger are not on this server
        case.writer.change(5)
        case.witness.until_exact(process.scrape)


def _stored(connection: sqlite3.Connection) -> Figures:
    """Read from the tables of an earlier version what `figures` reads from an exposition."""
    found = dict.fromkeys(figures(""), 0.0)
    rows = connection.execute("SELECT fact, label, sum(shown) FROM counter WHERE part = 0 GROUP BY fact, label")
    for fact, label, shown in rows.fetchall():
        if fact == "transition" and label in found:
            found[label] = shown
        if fact == "vanished":
            found[VANISHED] = shown
    return found


def in_a_backup(case: Case) -> None:
    """Kill a backup: the ledger is as it was, and the copy is whole or not there."""
    before, copy = case.ledger.read_bytes(), case.folder / "copy.db"
    command = (*PROGRAM, "ledger", "backup", "--ledger", str(case.ledger), str(copy))
    case.count(killed_somewhere(command, case.dice, case.log), "in a backup")
    if case.ledger.read_bytes()[100:] != before[100:]:
        raise Violation("a backup changed the ledger")
    check_ledger(copy)
    for left in case.folder.glob("copy.db*"):
        left.unlink()


def in_a_prune(case: Case) -> None:
    """Kill a prune: the pair without a Task is there with all of its counters, or with none; no other has changed."""
    kept = case.folder / "kept.db"
    shutil.copy(case.ledger, kept)
    with closing(sqlite3.connect(case.ledger, isolation_level=None)) as connection:
        connection.execute("INSERT INTO pair (source, requesting) VALUES ('Dead Payer', 'New Payer')")
        connection.execute("INSERT INTO counter SELECT fact, last_insert_rowid(), label, part, 5, 5, 0 FROM counter")
        before = _by_pair(connection)
    command = (*PROGRAM, "ledger", "prune", "--yes", "--ledger", str(case.ledger))
    case.count(killed_somewhere(command, case.dice, case.log), "in a prune")
    with closing(sqlite3.connect(case.ledger)) as connection:
        after = _by_pair(connection)
    dead = max(before)
    if after not in (before, {pair: rows for pair, rows in before.items() if pair != dead}):
        raise Violation("a prune left half of a pair, or changed another")
    kept.replace(case.ledger)
    Path(f"{case.ledger}-wal").unlink(missing_ok=True)


def _by_pair(connection: sqlite3.Connection) -> dict[int, list[tuple[object, ...]]]:
    found: dict[int, list[tuple[object, ...]]] = {}
    for pair, *rest in connection.execute("SELECT pair, fact, label, part, shown FROM counter ORDER BY 1, 2, 3, 4"):
        found.setdefault(pair, []).append(tuple(rest))
    return found


def interrupt(url: str, dice: random.Random) -> bool:
    """Start a scrape and come back while it runs, or a little later; says whether it was still under way."""
    done = threading.Event()

    def scrape() -> None:
        try:
            httpx.get(f"{url}/metrics", headers={"X-Prometheus-Scrape-Timeout-Seconds": "10"}, verify=False)
            done.set()
        except httpx.HTTPError:
            pass

    threading.Thread(target=scrape, daemon=True).start()
    time.sleep(dice.uniform(0.0, 0.08))
    return not done.is_set()


KEPT: tuple[Round, ...] = (in_a_poll, in_a_poll, in_a_poll, by_sigterm, at_a_start, at_a_write_of_a_start)
"""Rounds on one ledger that lives through all of them."""


@dataclass
class Kills:
    """The rounds, until there were so many kills."""

    folder: Path
    dice: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    looks: int = 0

    @property
    def done(self) -> int:
        return sum(n for what, n in self.killed.items() if "not a kill" not in what)

    def run(self, wanted: int) -> None:
        """Kill so often; raises Violation at the first thing that must not be."""
        self.folder.mkdir()
        if not wanted:
            return
        long_lived = Case(self.folder / "kept", self.dice, self.killed)
        sweeping = Case(self.folder / "sweeping", self.dice, self.killed, SWEEPING)
        sweeping.writer.fill(30)
        number = 0
        in_a_poll(long_lived)
        while self.done < wanted:
            number += 1
            self._round(number, long_lived, sweeping)
        for case in (long_lived, sweeping):
            with case.serving() as process:
                case.verify(process, vanished=bool(case.options))
            self.looks += case.witness.looks

    def _round(self, number: int, long_lived: Case, sweeping: Case) -> None:
        """Do one round of each kind in turn; what needs a fresh ledger gets one."""
        self.dice.choice(KEPT)(long_lived)
        if number % 2 == 0:
            in_a_comparison(sweeping)
        if number % 8 == 1:
            self._fresh(in_a_baseline)
        if number % 8 == 5:
            self._fresh(in_a_migration)
        if number % 4 == 3:
            self._stopped(long_lived, self.dice.choice((in_a_backup, in_a_prune)))

    def _fresh(self, do: Round) -> None:
        case = Case(self.folder / f"fresh-{time.monotonic_ns()}", self.dice, self.killed)
        do(case)
        self.looks += case.witness.looks
        shutil.rmtree(case.folder)

    def _stopped(self, case: Case, do: Round) -> None:
        """Do something with the ledger of an exporter that has ended in order."""
        with case.serving() as process:
            case.verify(process)
            process.stop()
        do(case)
