"""How SQLite finds rows: a statement that reads the whole table of Tasks would be slow only at a size no test has."""

from collections.abc import Callable

import pytest

from exporter.ledger import Ledger
from exporter.task.model import Status
from exporter.task.search import Slice
from tests.support.fake import START

from .ledgers import DAY, ledger_at, many, version, write
from .test_gauges import HOUR, look, statements

REQUESTED = Slice(Status.REQUESTED, 0, START + DAY)


def plans(ledger: Ledger, work: Callable[[], object]) -> set[str]:
    """How each statement of this work looks for Tasks."""
    sent = statements(ledger)
    work()
    ledger._connection.set_trace_callback(None)
    found: set[str] = set()
    for text in sent:
        if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            steps = [step for *_, step in ledger._read(f"EXPLAIN QUERY PLAN {text}")]
            found.update(step.partition(" (")[0] for step in steps if " task " in f"{step} ")
    return found


def test_a_baseline_finds_its_rows_by_place() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, *many(0, 500), baseline=True, close=False)
        assert plans(ledger, lambda: write(ledger, *many(400, 300), baseline=True, close=False)) == {
            "SEARCH task USING INTEGER PRIMARY KEY",
            "SEARCH task",  # max(place)
        }


def sees_every_list(ledger: Ledger) -> None:
    ledger.begin_comparison()
    write(ledger, version("b"))
    assert sum(map(len, ledger.missing_open(200))) == 500
    assert sum(map(len, ledger.missing_in(REQUESTED, 200))) == 500


def deletes(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.delete_removed(START)


WORK: dict[str, tuple[Callable[[Ledger], object], set[str]]] = {
    "a page": (lambda ledger: write(ledger, version("a", Status.FAILED, 2), close=False), {"task_id"}),
    "a scrape at rest": (lambda ledger: look(ledger, START + 1), {"task_due"}),
    "a scrape that bounds have passed": (
        lambda ledger: look(ledger, START + 30 * HOUR),
        {"task_due", "task_updated", "task_authored"},
    ),
    "a count": (lambda ledger: ledger.count_between(REQUESTED), {"task_stamp"}),
    "a stamp": (lambda ledger: ledger.stamp_at(REQUESTED, 250), {"task_stamp"}),
    "the end of a full comparison": (deletes, {"task_gone"}),
}


@pytest.mark.parametrize("name", WORK)
def test_what_is_done_often_seeks_in_an_index(name: str) -> None:
    work, indexes = WORK[name]
    with ledger_at(":memory:") as ledger:
        write(ledger, *many(0, 500), baseline=True)
        look(ledger, START)
        assert plans(ledger, lambda: work(ledger)) == {f"SEARCH task USING INDEX {index}" for index in indexes}


def test_a_comparison_reads_the_open_tasks_and_no_others() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, *many(0, 500), baseline=True)
        look(ledger, START)
        assert plans(ledger, lambda: sees_every_list(ledger)) - {
            "SEARCH task USING INDEX task_id",
            "SEARCH task USING INDEX task_due",
            "SEARCH task USING INDEX task_updated",
            "SEARCH task USING INDEX task_authored",
        } == {
            "SCAN task USING INDEX task_updated",  # a partial index: the open ones
            "SEARCH task USING INDEX task_stamp",
        }
