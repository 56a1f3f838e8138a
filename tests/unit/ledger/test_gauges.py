"""What is remembered between two pictures, and what is synced: never wrong, whatever happened in between."""

import random
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from exporter.ledger import Ledger, schema
from exporter.ledger import open as files
from exporter.ledger.state import ALL_GENERATIONS, NO_GENERATION, PollEnd, StateKey, WalkState
from exporter.task.deadline import Deadlines, FixedTime
from exporter.task.lifecycle import Observation, compare, vanish
from exporter.task.model import Gauges, Instant, Pair, Status, Task
from tests.support.fake import START

from .ledgers import Interrupted, ledger_at, version, write

HOUR = 3_600_000
DAY = Deadlines(FixedTime(24 * HOUR))
BASELINE = Observation(START, DAY, counting=False)
PAIRS = [Pair("Old Payer", "New Payer"), Pair("Older Payer", "New Payer")]
STATUSES = [Status.REQUESTED, Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED]


def look(ledger: Ledger, now: Instant) -> Gauges:
    """Close a poll that found nothing."""
    with ledger.transaction() as tx:
        tx.set_state(StateKey.WATERMARK, now)
        gauges = tx.end_poll(PollEnd(now, DAY, now - 4 * HOUR, baseline=False, show_through=ALL_GENERATIONS)).gauges
    assert gauges is not None
    return gauges


def read_again(ledger: Ledger, now: Instant) -> Gauges:
    ledger._load()
    return look(ledger, now)


def change(ledger: Ledger, dice: random.Random, now: Instant) -> None:
    """Let some Tasks of some pair be seen, or vanish; sometimes it is broken off."""
    pair, ids = dice.choice(PAIRS), [f"t{dice.randrange(40)}" for _ in range(dice.randrange(4))]
    known = ledger.known(ids)
    with suppress(Interrupted), ledger.transaction() as tx:
        tx.slots([pair])
        seen = []
        for each in dict.fromkeys(ids):
            number = int(known[each].version) + 1 if each in known else 1
            authored = dice.choice([None, now - dice.randrange(48) * HOUR])
            seen.append((Task(each, str(number), now - dice.randrange(9) * HOUR, dice.choice(STATUSES),
                              authored=authored), pair))  # fmt: skip
        tx.apply(compare(known, seen, Observation(now, DAY)))
        if known and dice.random() < 0.2:
            tx.apply(vanish([next(iter(known.values()))], now))
        if dice.random() < 0.3:
            raise Interrupted


@pytest.mark.parametrize("seed", range(6))
def test_what_is_remembered_is_what_would_be_counted(seed: int) -> None:
    dice, now = random.Random(seed), START
    with ledger_at(":memory:") as ledger:
        for _ in range(150):
            now += dice.choice([0, 1, 60_000, HOUR, 30 * HOUR, -HOUR, -40 * HOUR])
            if dice.random() < 0.4:
                change(ledger, dice, now)
            remembered = look(ledger, now)
            assert remembered == read_again(ledger, now)


def statements(ledger: Ledger) -> list[str]:
    """Note what SQLite is sent from now on."""
    sent: list[str] = []
    ledger._connection.set_trace_callback(lambda text: sent.append(" ".join(text.split())))
    return sent


def test_at_rest_no_task_is_counted_until_a_bound_passes_one() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, version("a"), version("b"), baseline=True)
        look(ledger, START)
        sent = statements(ledger)
        look(ledger, START + HOUR)
        assert not [text for text in sent if "count(*) FROM task" in text and "missed" not in text]
        assert sum(look(ledger, START + 5 * HOUR).stalled.values()) == 2
        assert [text for text in sent if "count(*) FROM task" in text and "missed" not in text]


# --- What is shown


def shown(ledger: Ledger, through: int) -> int:
    """End a poll that shows the series up to a generation; gives what all series show."""
    with ledger.transaction() as tx:
        return sum(tx.end_poll(PollEnd(START, DAY, 0, baseline=False, show_through=through)).counts.values())


def test_only_series_up_to_a_generation_show_what_they_count() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, version("a"), baseline=True)
        assert (ledger.generation, shown(ledger, NO_GENERATION)) == (1, 0)
        for generation, pair in enumerate(PAIRS, start=3):
            write(ledger, version(pair.source), pair=pair, close=False)
            assert (shown(ledger, NO_GENERATION), ledger.generation) == (0, generation)
        assert shown(ledger, 2) == 2  # created and entered a status, in the series of the first pair
        assert shown(ledger, 4) == 4
        write(ledger, version("b"), close=False)
        assert shown(ledger, NO_GENERATION) == 4
        assert shown(ledger, ALL_GENERATIONS) == 6


# --- What is synced


def syncs(sent: list[str]) -> list[str]:
    """How each transaction since was to be synced, in turn."""
    return [text.rpartition(" ")[2] for text in sent if text.startswith("PRAGMA synchronous")]


def test_only_a_commit_of_times_alone_is_not_synced(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db") as ledger:
        write(ledger, version("a"), baseline=True)
        sent = statements(ledger)
        look(ledger, START + 1)
        write(ledger, version("a"))  # known
        with ledger.transaction() as tx:
            tx.save_walk(WalkState("poll", START, None, 0, None))
        assert syncs(sent) == ["NORMAL"] * 3
        sent.clear()
        write(ledger, version("a", Status.FAILED, 2))  # a row and counters
        with ledger.transaction() as tx:
            tx.slots([PAIRS[1]])  # a pair
        with ledger.transaction() as tx:
            tx.apply(vanish([ledger.known(["a"])["a"]], START))
        look(ledger, START + 2)  # shows what was counted
        with ledger.transaction() as tx:
            tx.delete_removed(START - 1)
        assert syncs(sent) == ["FULL"] * 5
        sent.clear()
        look(ledger, START + 3)
        assert syncs(sent) == ["NORMAL"]


def test_a_deadline_that_is_booked_is_synced(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db") as ledger:
        write(ledger, version("a"))
        look(ledger, START)
        sent = statements(ledger)
        look(ledger, START + 25 * HOUR)
        assert syncs(sent) == ["FULL"]


def test_a_transaction_that_says_nothing_writes_nothing(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db") as ledger:
        sent = statements(ledger)
        with ledger.transaction():
            pass
        assert sent == []


# --- Before the indexes are built


def indexes(ledger: Ledger) -> int:
    return len(ledger._read("SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'task\\_%' ESCAPE '\\'"))


def test_the_indexes_are_built_when_the_first_walk_closes_and_with_it(tmp_path: Path) -> None:
    with ledger_at(tmp_path / "ledger.db") as ledger:
        write(ledger, version("a"), baseline=True, close=False)
        assert indexes(ledger) == 0
        with suppress(Interrupted), ledger.transaction() as tx:
            tx.end_poll(PollEnd(START, DAY, 0, baseline=True, show_through=ALL_GENERATIONS))
            raise Interrupted
        assert indexes(ledger) == 0
        write(ledger, version("a"), version("b"), baseline=True)
        assert indexes(ledger) == len(schema.INDEXES)
        assert ledger._read("SELECT count(*) FROM task_hash") == [(0,)]
        write(ledger, version("b"), version("c"))
        assert set(ledger.known(["a", "b", "c", "d"])) == {"a", "b", "c"}


def test_a_baseline_finds_its_tasks_across_pages_and_restarts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with ledger_at(path) as ledger, ledger.transaction() as tx:
        tx.slots(PAIRS)
        tx.apply(compare({}, [(version("a"), PAIRS[0]), (version("b"), PAIRS[0])], BASELINE))
    with ledger_at(path) as ledger:
        for number in (2, 3):
            known = ledger.known(["a", "c"])
            assert known["a"].version == str(number - 1)
            with ledger.transaction() as tx:
                seen = [(version("a", Status.IN_PROGRESS, number), PAIRS[1]), (version("c"), PAIRS[0])]
                tx.apply(compare(known, seen, BASELINE))
        assert ledger._read("SELECT id, version FROM task ORDER BY id") == [("a", "3"), ("b", "1"), ("c", "1")]
        gauges = look(ledger, START)
        assert {(pair.source, status): n for (pair, status), n in gauges.tasks.items()} == {
            ("Old Payer", "requested"): 2,
            ("Older Payer", "in-progress"): 1,
        }


def test_two_ids_of_one_hash_are_two_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.ledger.tasks.hash", lambda _: 7, raising=False)
    with ledger_at(":memory:") as ledger:
        for each in "abca":
            write(ledger, version(each), baseline=True, close=False)
        assert set(ledger.known(["a", "b", "c", "d"])) == {"a", "b", "c"}
        assert len(ledger._read("SELECT id FROM task")) == 3


def test_a_ledger_of_the_first_release_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        connection = sqlite3.connect(path, isolation_level=None)
        files.migrate(connection, str(path))
        row = "('{}', '1', 5, 1, 'requested', 1, 4, 4, 0, 0, NULL, 0, 1)"
        connection.execute("INSERT INTO pair VALUES (1, 'Old Payer', 'New Payer', 1)")
        connection.execute("INSERT INTO tally VALUES (1, 'requested', 2)")
        connection.execute(f"INSERT INTO task VALUES {row.format('a')}, {row.format('b')}")
        connection.execute("INSERT INTO state VALUES ('watermark', '5')")
        connection.close()
    with ledger_at(path) as ledger:
        assert indexes(ledger) == len(schema.INDEXES)
        assert set(ledger.known(["a", "b"])) == {"a", "b"}
        assert sum(look(ledger, START).stalled.values()) == 2
