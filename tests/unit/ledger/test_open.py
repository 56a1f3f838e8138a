"""The ledger's file: who may read it, who may open it, and what is refused."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.errors import LedgerFailed, LedgerForeign, LedgerInUse, LedgerOfAnotherSource
from exporter.ledger import Binding, Ledger, open_ledger, schema
from exporter.ledger.state import StateKey, WalkState
from exporter.task.model import Coding, Selection, Status
from exporter.task.payers import PairRule
from exporter.task.search import Bound
from tests.support.fake import START

from .ledgers import SOURCE, counts, ledger_at, mode, opened, version, write

# --- The file


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_read_a_ledger_and_its_log(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with ledger_at(tmp_path / "ledger.db") as ledger:
            write(ledger, version("a"))
            assert {path.name: mode(path) for path in tmp_path.iterdir()} == {
                "ledger.db": 0o600,
                "ledger.db-wal": 0o600,
            }
    finally:
        os.umask(before)


def test_a_ledger_that_became_readable_to_others_is_closed_to_them_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    opened(path).close()
    path.chmod(0o644)
    with ledger_at(path):
        assert mode(path) == 0o600


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"), baseline=True)
        write(ledger, version("a", Status.FAILED, 2))
        walk = WalkState("poll", START, Bound("ge", START), 7, None)
        with ledger.transaction() as tx:
            tx.save_walk(walk)
    with ledger_at(path) as ledger:
        assert counts(ledger.counters()) == {"transition failed": 1, "failure unclassified": 1}
        assert ledger.counters().gauges is None
        assert ledger.known(["a"])["a"].status is Status.FAILED
        assert ledger.state(StateKey.WATERMARK) == START
        assert ledger.walk_state == walk
        assert ledger.baseline_complete


def test_a_ledger_in_memory_is_a_ledger_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ledger_at(":memory:") as ledger, ledger_at(":memory:") as another:
        assert counts(write(ledger, version("a")))["created"] == 1
        assert another.known(["a"]) == {}
    assert list(tmp_path.iterdir()) == []


def test_settings_survive_power_loss(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db") as ledger:
        asked = {name: ledger._read(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "locking_mode")}
    assert asked == {"journal_mode": "wal", "synchronous": 2, "locking_mode": "exclusive"}


# --- Who may open it


SECOND = """
    import sys
    from exporter.ledger import Binding, open_ledger
    from exporter.errors import LedgerError
    from exporter.task.model import Coding, Selection
    from exporter.task.payers import PairRule

    try:
        source = Binding("http://fhir.example/fhir", Selection(Coding("urn:tags", "ours")))
        open_ledger(sys.argv[1], source, PairRule(100))
    except LedgerError as error:
        print(type(error).__name__, error, sep=": ")
    else:
        print("opened")
"""


def second_process(path: Path) -> str:
    command = [sys.executable, "-c", textwrap.dedent(SECOND), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_second_process_is_refused_while_the_first_has_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        assert second_process(path) == f"LedgerInUse: the ledger {path} is in use by another process"
        write(ledger, version("a"))
    assert second_process(path) == "opened"


def test_a_second_opening_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db"), pytest.raises(LedgerInUse):
        opened(tmp_path / "ledger.db")


OTHERS = {
    "another server": (
        Binding("http://other.example/fhir", SOURCE.selection),
        "it was made for the FHIR server fhir.example:80, and --fhir.url names other.example:80",
    ),
    "another port": (
        Binding("https://fhir.example:8443/fhir", SOURCE.selection),
        "it was made for the FHIR server fhir.example:80, and --fhir.url names fhir.example:8443",
    ),
    "another path": (
        Binding("http://fhir.example/other", SOURCE.selection),
        "it was made for another path or scheme of --fhir.url on fhir.example:80",
    ),
    "another tag": (
        Binding(SOURCE.url, Selection(Coding("urn:tags", "theirs"))),
        "it was made for another selection of Tasks on fhir.example:80; different: --fhir.tag",
    ),
    "another server and code": (
        Binding("http://b.example/fhir", Selection(SOURCE.selection.tag, Coding("urn:codes", "other"))),
        "it was made for the FHIR server fhir.example:80, and --fhir.url names b.example:80; different: --fhir.code",
    ),
    "a search parameter": (
        Binding(SOURCE.url, Selection(SOURCE.selection.tag, search=(("code", "canary"),))),
        "it was made for another selection of Tasks on fhir.example:80; different: --fhir.search (then none, now code)",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_source_is_refused_in_a_sentence_that_names_both(tmp_path: Path, name: str) -> None:
    other, sentence = OTHERS[name]
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        write(ledger, version("a"), baseline=True)
    with pytest.raises(LedgerOfAnotherSource) as raised:
        opened(path, other)
    assert str(raised.value) == f"the ledger {path} is not used: {sentence}"
    with ledger_at(path) as ledger:
        assert ledger.known(["a"])


def test_a_search_parameter_of_another_value_is_named_without_its_values(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    then, now = (Binding(SOURCE.url, Selection(search=(("patient", f"canary-{n}"),))) for n in (1, 2))
    ledger = opened(path, then)
    write(ledger, version("a"), baseline=True)
    ledger.close()
    with pytest.raises(LedgerOfAnotherSource, match=r"different: --fhir.search \(values of patient\)$") as raised:
        opened(path, now)
    assert "canary" not in str(raised.value)
    assert b"canary" not in path.read_bytes()


@pytest.mark.parametrize("baseline_complete", [False, True])
def test_an_empty_ledger_belongs_to_whoever_asks_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, baseline_complete: bool
) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger, ledger.transaction() as tx:
        tx.set_state(StateKey.BASELINE_BEGAN, START)
        tx.save_walk(None if baseline_complete else WalkState("baseline", START, Bound("ge", START), 0, None))
        tx.set_state(StateKey.WATERMARK, START if baseline_complete else None)
        tx.save_organizations({"Organization/1": "Theirs"})
    other = Binding("http://other.example/fhir", SOURCE.selection)
    with caplog.at_level("INFO"):
        ledger = opened(path, other)
    assert "the empty ledger now belongs to another server or selection" in caplog.text
    assert (ledger.walk_state, ledger.baseline_complete, ledger.state(StateKey.BASELINE_BEGAN)) == (None, False, None)
    assert ledger.organizations() == {}
    write(ledger, version("a"), baseline=True)
    ledger.close()
    with pytest.raises(LedgerOfAnotherSource, match=r"other\.example:80, and --fhir\.url names fhir\.example:80"):
        opened(path)


def note_nothing(ledger: Ledger) -> None:
    """Learn nothing."""


def one_page_of_a_baseline(ledger: Ledger) -> None:
    write(ledger, version("a"), baseline=True, close=False)


def nothing_but_counters(ledger: Ledger) -> None:
    """Count a Task, and forget its row as 30 days after its removal."""
    write(ledger, version("a"))
    with ledger.transaction() as tx:
        tx._begin()
        tx._connection.execute("DELETE FROM task")


@pytest.mark.parametrize(
    ("learn", "empty"), [(note_nothing, True), (one_page_of_a_baseline, False), (nothing_but_counters, False)]
)
def test_what_makes_a_ledger_empty(tmp_path: Path, learn: Callable[[Ledger], None], empty: bool) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger:
        learn(ledger)
    other = Binding("http://other.example/fhir", SOURCE.selection)
    with contextlib.nullcontext() if empty else pytest.raises(LedgerOfAnotherSource):
        opened(path, other).close()


def test_a_slash_at_the_end_of_the_address_is_no_other_source(tmp_path: Path) -> None:
    opened(tmp_path / "ledger.db").close()
    opened(tmp_path / "ledger.db", Binding(SOURCE.url + "/", SOURCE.selection)).close()


def foreign_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (thing TEXT)")


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a foreign database": foreign_database,
    "a text": lambda path: path.write_text("precious\n" * 2000),
    "a short text": lambda path: path.write_text("x"),
    "an emptied file": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_ledger_is_refused_and_left_as_it_was(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "ledger.db"
    FOREIGN[kind](path)
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(LedgerForeign):
        opened(path)
    assert path.read_bytes() == before
    assert mode(path) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.db"]


def test_a_folder_is_refused_and_stays_open_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "ledgers"
    folder.mkdir(mode=0o755)
    with pytest.raises(LedgerFailed):
        opened(folder)
    assert mode(folder) == 0o755


@pytest.mark.parametrize("path", ["missing/ledger.db", "file/ledger.db", "x" * 300])
def test_a_path_where_no_file_can_be_is_reported(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerFailed, match="cannot be"):
        opened(tmp_path / path)


def test_a_first_start_that_fails_leaves_nothing_that_would_be_refused_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", ("CREATE TABLE nonsense (",))
        with pytest.raises(LedgerFailed):
            opened(path)
    opened(path).close()


def test_a_first_start_that_was_killed_leaves_nothing_that_would_be_refused_later(tmp_path: Path) -> None:
    path, killed = tmp_path / "ledger.db", 0
    for step in range(12):
        script = f"""
            import sqlite3, os, sys
            from exporter.ledger import open as files
            from exporter.task.model import Selection

            steps = iter(range(1000))

            class Dying(sqlite3.Connection):
                def _step(self):
                    if next(steps) == {step}:
                        os.kill(os.getpid(), 9)

                def execute(self, *args):
                    self._step()
                    return super().execute(*args)

                def executescript(self, *args):
                    self._step()
                    return super().executescript(*args)

            connect = sqlite3.connect
            files.sqlite3.connect = lambda *args, **more: connect(*args, factory=Dying, **more)
            files.open_ledger(sys.argv[1], files.Binding("http://x/y", Selection()), files.PairRule(100))
        """
        command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
        killed += subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL
        ledger, aside = open_ledger(str(path), Binding("http://x/y", Selection()), PairRule(100))
        assert aside is None
        ledger.close()
        path.unlink()
    assert killed >= 8
