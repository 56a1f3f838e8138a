"""How many pairs of payers are past the cap, across comparisons and lost transactions."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from exporter.ledger import Ledger, open_ledger
from exporter.task.model import OTHER_PAIR, Pair
from exporter.task.payers import PairRule

from .ledgers import SOURCE, Interrupted


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    found, _ = open_ledger(":memory:", SOURCE, PairRule(limit=1))
    yield found
    found.close()


def pair(name: str) -> Pair:
    return Pair(name, "New Payer")


def meet(ledger: Ledger, *names: str, recount: bool = False) -> int:
    """Commit a page with pairs of these source payers; gives how many are past the cap then."""
    with ledger.transaction() as tx:
        slots = tx.slots(map(pair, names))
        if recount:
            tx.recount_capped()
    assert {slots[pair(name)] for name in names if name != "first"} <= {OTHER_PAIR}
    return ledger.figures.pairs_capped


def test_a_pair_past_the_cap_is_counted_once(ledger: Ledger) -> None:
    assert meet(ledger, "first", "b", "c") == 2
    assert meet(ledger, "first", "b", "b", "d") == 3


def test_a_comparison_of_everything_forgets_the_pairs_that_it_did_not_meet(ledger: Ledger) -> None:
    meet(ledger, "first", "b", "c")
    ledger.begin_comparison()
    assert meet(ledger, "b") == 2
    assert meet(ledger, "first", recount=True) == 1
    ledger.end_comparison()
    assert meet(ledger, "d") == 2


def test_pairs_of_a_lost_transaction_are_not_counted(ledger: Ledger) -> None:
    meet(ledger, "first", "b")
    with suppress(Interrupted), ledger.transaction() as tx:
        tx.slots([pair("c"), pair("d")])
        raise Interrupted
    assert meet(ledger, "e") == 2
