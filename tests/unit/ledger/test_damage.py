"""Damage at the start: each kind ends in a sentence, with the file set aside or refused; none in a silent zero.

The ledger is one whose exporter was killed: its first 60 Tasks are in the file, the events after them in its `-wal`.
"""

import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from exporter.errors import (
    ExporterError,
    LedgerDamaged,
    LedgerError,
    LedgerFailed,
    LedgerForeign,
    LedgerOfAnotherSource,
    LedgerUnreadable,
)
from exporter.ledger import Binding
from exporter.ledger.inspect import inspect_ledger
from exporter.ledger.open import _set_aside, hold_ledger
from exporter.ledger.validate import check_undamaged
from exporter.task.model import Event
from tests.support.exposition import errors, totals
from tests.support.fake import BASE
from tests.support.rig import SELECTION, Rig, filled

from .ledgers import ledger_at, version, write

EARLY, ALL = 5, 25
"""Tasks counted as created: those whose counts are in the file itself, and all."""

ASIDE, EXACT, EARLIER = "set aside", "as if nothing had been", "as it was before the last commits"
"""What a start may end in where it is not refused."""

Damage = Callable[[Path], object]


class Killed(NamedTuple):
    """An exporter that was killed, with its server; `path` is that of a copy for the next one."""

    rig: Rig
    path: Path

    def next(self) -> Rig:
        """Make the next process on the copy, before the same server."""
        rig = Rig(path=str(self.path), clock=self.rig.clock)
        rig.store, rig.transport = self.rig.store, self.rig.transport
        return rig


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def killed(folder: Path) -> Killed:
    origin, path = folder / "origin.db", folder / "killed" / "ledger.db"
    rig = filled(60, path=str(origin)).start().settle()
    rig.burst(EARLY, name="early")
    rig.scrape(60)
    rig.restart().settle()
    rig.burst(ALL - EARLY, name="late")
    rig.scrape(60)
    assert totals(rig, Event.CREATED) == {"": ALL}
    path.parent.mkdir()
    shutil.copy(origin, path)
    shutil.copy(log_of(origin), log_of(path))
    return Killed(rig, path)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    found = killed(tmp_path_factory.mktemp("killed"))
    yield found
    found.rig.stop()


@pytest.fixture
def case(source: Killed, tmp_path: Path) -> Killed:
    return copied(source, tmp_path)


def copied(source: Killed, folder: Path) -> Killed:
    path = folder / "ledger.db"
    shutil.copy(source.path, path)
    shutil.copy(log_of(source.path), log_of(path))
    return Killed(source.rig, path)


def outcome(case: Killed) -> str | type[ExporterError]:
    """Start on it, and poll; gives the class of what refused it, or what it went on with."""
    rig = case.next()
    try:
        rig.start()
    except LedgerError as error:
        return type(error)
    first = totals(rig, Event.CREATED).get("", 0)
    if list(case.path.parent.glob("*.damaged-*")):
        assert errors(rig) == {"ledger": 1}
    rig.scrape(60)
    rig.settle()
    rig.scrape(60)
    last = totals(rig, Event.CREATED).get("", 0)
    rig.stop()
    if list(case.path.parent.glob("*.damaged-*")):
        assert (first, last) == (0, 0)
        return ASIDE
    assert last == ALL
    return {ALL: EXACT, EARLY: EARLIER}.get(first, EARLIER if EARLY < first < ALL else f"showed {first}")


def nothing(_: Path) -> None:
    """Change nothing."""


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite_the_header(path: Path) -> None:
    path.write_bytes(b"\xa5" * 200 + path.read_bytes()[200:])


def overwrite_the_header_and_remove_log(path: Path) -> None:
    overwrite_the_header(path)
    log_of(path).unlink()


def remove(path: Path) -> None:
    path.unlink()


def by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def by_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def by_a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.db")


def by_a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def by_another_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (thing TEXT)")


def change(statement: str) -> Damage:
    def do(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(statement)

    return do


def of_log(do: Damage) -> Damage:
    return lambda path: do(log_of(path))


def flip_a_bit_early(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 10] ^= 4
    path.write_bytes(data)


DAMAGES: dict[str, tuple[Damage, object]] = {
    "none": (nothing, EXACT),
    "cut to 0 bytes": (empty, LedgerForeign),
    "cut in half": (cut_in_half, ASIDE),
    "its header overwritten": (overwrite_the_header, EXACT),
    "its header overwritten, its -wal removed": (overwrite_the_header_and_remove_log, LedgerForeign),
    "removed, its -wal left": (remove, ASIDE),
    "a folder in its place": (by_a_folder, LedgerFailed),
    "a FIFO in its place": (by_a_fifo, LedgerFailed),
    "a link to nothing in its place": (by_a_link_to_nothing, LedgerFailed),
    "a link to itself in its place": (by_a_link_to_itself, LedgerFailed),
    "another database in its place": (by_another_database, LedgerForeign),
    "another application_id": (change("PRAGMA application_id = 7"), LedgerForeign),
    "an unknown word": (change("UPDATE counter SET fact = 'misspelt' WHERE fact = 'created'"), LedgerUnreadable),
    "a text for a number": (change("UPDATE state SET value = 'late' WHERE name = 'watermark'"), LedgerUnreadable),
    "a part that no histogram has": (change("UPDATE counter SET part = 99 WHERE part = 1"), LedgerUnreadable),
    "bytes that are no text": (change("UPDATE state SET value = CAST(x'80ff' AS TEXT)"), LedgerUnreadable),
    "a table missing": (change("DROP TABLE counter"), LedgerUnreadable),
    "its -wal removed": (of_log(remove), EARLIER),
    "its -wal cut to 0 bytes": (of_log(empty), EARLIER),
    "its -wal cut in half": (of_log(cut_in_half), EARLIER),
    "a bit flipped early in its -wal": (of_log(flip_a_bit_early), EARLIER),
    "a folder in place of its -wal": (of_log(by_a_folder), LedgerFailed),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_ends_as_it_should(case: Killed, name: str) -> None:
    damage, expected = DAMAGES[name]
    damage(case.path)
    assert outcome(case) == expected


@pytest.mark.parametrize("name", DAMAGES)
def test_commands_on_a_damaged_ledger_end_in_a_sentence_too(case: Killed, name: str) -> None:
    DAMAGES[name][0](case.path)
    for command in (lambda: inspect_ledger(str(case.path), Binding(BASE, SELECTION)), lambda: hold(str(case.path))):
        with suppress(LedgerError):
            command()


def hold(path: str) -> None:
    with hold_ledger(path):
        pass


def overwrite(path: Path, dice: random.Random) -> None:
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data) - 200)
    data[at : at + 200] = dice.randbytes(200)
    path.write_bytes(data)


def flip(path: Path, dice: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 1, 8, 64))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


RANDOM: dict[str, tuple[Callable[[Path, random.Random], None], Callable[[Path], Path], set[object]]] = {
    "200 bytes of the file": (overwrite, Path, {EXACT, ASIDE, LedgerForeign, LedgerUnreadable}),
    "bits of the file": (flip, Path, {EXACT, ASIDE, LedgerForeign, LedgerUnreadable}),
    "bits of the -wal": (flip, log_of, {EXACT, EARLIER}),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_damage_ends_in_a_sentence_or_in_right_counters(source: Killed, tmp_path: Path, name: str) -> None:
    do, which, allowed = RANDOM[name]
    dice, found = random.Random(name), Counter[object]()
    for number in range(25):
        (folder := tmp_path / str(number)).mkdir()
        case = copied(source, folder)
        do(which(case.path), dice)
        found[outcome(case)] += 1
    assert set(found) <= allowed, found
    assert set(found) != {EXACT}, found


def test_the_wal_of_a_ledger_of_another_source_is_not_mixed_in(case: Killed, tmp_path: Path) -> None:
    with ledger_at(tmp_path / "other.db") as other:
        write(other, version("a"), baseline=True)
        shutil.copy(log_of(tmp_path / "other.db"), log_of(case.path))
    assert outcome(case) in {ASIDE, LedgerOfAnotherSource}


# --- A disk that cannot read, which SQLite calls damage


def test_what_could_not_be_read_for_a_moment_is_not_set_aside(case: Killed, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def once_damaged(connection: sqlite3.Connection, path: str) -> None:
        tries.append(path)
        if len(tries) == 1:
            raise sqlite3.DatabaseError("database disk image is malformed")
        check_undamaged(connection, path)

    monkeypatch.setattr("exporter.ledger.open.check_undamaged", once_damaged)
    assert outcome(case) == EXACT
    assert len(tries) == 2


def test_a_ledger_that_the_disk_cannot_read_is_refused_and_left_alone(
    case: Killed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    cut_in_half(case.path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", unreadable)
        with pytest.raises(LedgerFailed, match="Input/output error"):
            case.next().start()
    assert case.path.exists()
    assert list(case.path.parent.glob("*.damaged-*")) == []


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ("Tree 2 page 7: unable to get the page. error code=266", LedgerFailed),
        ("Tree 2 page 7: unable to get the page. error code=11", LedgerDamaged),
        ("row 3 missing from index task_id", LedgerDamaged),
        ("ok", None),
    ],
)
def test_what_quick_check_says_is_damage_or_the_disk(found: str, error: type[LedgerError] | None) -> None:
    class Connection:
        def execute(self, _: str) -> "Connection":
            return self

        def fetchone(self) -> tuple[str]:
            return (found,)

    with nullcontext() if error is None else pytest.raises(error):
        check_undamaged(cast(sqlite3.Connection, Connection()), "ledger.db")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: be someone else for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("closed", ["the file", "its folder"])
def test_a_ledger_that_may_not_be_read_is_refused_with_the_user_and_left_alone(source: Killed, closed: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        case = copied(source, Path(name))
        before = case.path.read_bytes()
        case.path.chmod(0)
        case.path.parent.chmod(0 if closed == "its folder" else 0o755)
        with as_nobody(), pytest.raises(LedgerFailed, match=f"by user {os.geteuid() or 65534}"):
            case.next().start()
        case.path.parent.chmod(0o700)
        case.path.chmod(0o600)
        assert case.path.read_bytes() == before


def test_what_was_set_aside_is_named_as_it_is_called_now(tmp_path: Path) -> None:
    """A `-wal` that was left alone is no file of the ledger's own name."""
    ledger = tmp_path / "ledger.db"
    log_of(ledger).write_bytes(b"pages")
    assert _set_aside(ledger).read_bytes() == b"pages"
