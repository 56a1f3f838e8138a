"""What the ledger forgets, and what a comparison has not seen."""

from exporter.task.lifecycle import vanish
from exporter.task.model import Status
from exporter.task.search import Slice
from tests.support.builders import task
from tests.support.fake import START
from tests.support.rig import settled

from .ledgers import DAY, counts, ledger_at, many, version, write


def test_rows_of_tasks_gone_for_longer_than_asked_are_dropped_and_no_other() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, version("here"), version("old"), version("young"), baseline=True)
        for identifier, gone in (("old", START - 31 * DAY), ("young", START - 29 * DAY)):
            with ledger.transaction() as tx:
                tx.apply(vanish([ledger.known([identifier])[identifier]], gone))
        with ledger.transaction() as tx:
            tx.delete_removed(START - 30 * DAY)
        assert set(ledger.known(["here", "old", "young"])) == {"here", "young"}
        assert counts(write(ledger)) == {"vanished": 2}


def test_a_full_comparison_forgets_after_thirty_days() -> None:
    rig = settled(task("stays"), task("goes"))
    rig.store.delete("goes")
    rig.compare()
    for days in (29, 2):
        remembered = rig.ledger.known(["goes"])
        assert set(remembered) == {"goes"}
        rig.clock.advance(days * 86_400)
        rig.scrape()
        rig.run_due()
    assert set(rig.ledger.known(["goes", "stays"])) == {"stays"}


def test_what_a_comparison_misses_comes_in_lists_and_once() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, *many(0, 23), version("ended", Status.COMPLETED), baseline=True)
        ledger.begin_comparison()
        write(ledger, *many(0, 3))
        lists = list(ledger.missing_open(7))
        assert [len(each) for each in lists] == [7, 7, 6]
        assert len({identifier for each in lists for identifier in each}) == 20
        assert list(ledger.missing_in(Slice(Status.COMPLETED, 0, START + DAY), 7)) == [["ended"]]
        ledger.end_comparison()
        ledger.begin_comparison()
        assert sum(map(len, ledger.missing_open(50))) == 23
