"""Renamed payers: totals over all pairs never change, and no series that was there before jumps."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from exporter.ledger import Ledger
from exporter.ledger.prune import prune
from exporter.ledger.renames import Renames
from exporter.ledger.state import NO_GENERATION, PollEnd
from exporter.task.lifecycle import Observation, compare
from exporter.task.model import OTHER_PAIR, Event, Pair, PairStatus, Series, Status
from exporter.task.payer_table import PayerTable
from exporter.task.payers import PairRule
from tests.support.fake import START

from .ledgers import DEADLINE, Interrupted, ledger_at, version, write

NAMES = st.sampled_from(("A", "B", "C", "New", "Other New"))
PAIRS = st.builds(Pair, NAMES, NAMES)
STATUSES = st.sampled_from((Status.REQUESTED, Status.COMPLETED, Status.FAILED))
NUMBERS = count()
RULE = PairRule(100)
TABLES = st.dictionaries(st.sampled_from(("A", "B", "C")), st.sampled_from(("New", "Other New")))


def fill(ledger: Ledger, tasks: list[tuple[Pair, Status]], *, shown: bool = True) -> None:
    """Commit one Task each of these pairs; what is counted is shown, or held."""
    for pair, status in tasks:
        task = version(f"task-{next(NUMBERS)}", status)
        if shown:
            write(ledger, task, pair=pair)
            continue
        with ledger.transaction() as tx:
            tx.slots([pair])
            tx.apply(compare({}, [(task, pair)], Observation(START, DEADLINE)))
            tx.end_poll(PollEnd(START, DEADLINE, 0, baseline=False, show_through=NO_GENERATION))


def totals(ledger: Ledger) -> dict[tuple[object, ...], tuple[float, ...]]:
    """Add up over all pairs what is counted and shown, and the Tasks in each status by the gauges and by their rows."""
    sums = {row[:3]: row[3:] for row in ledger._read(_COUNTERS)}
    gauges = {row[:1]: row[1:] for row in ledger._read("SELECT status, sum(n) FROM tally GROUP BY status")}
    rows = {("row", *row[:1]): row[1:] for row in ledger._read("SELECT status, count(*) FROM task GROUP BY status")}
    return {**sums, **gauges, **rows}


_COUNTERS = "SELECT fact, label, part, sum(counted), sum(shown) FROM counter GROUP BY fact, label, part"


def exposed(ledger: Ledger) -> dict[Series, int]:
    return dict(ledger.counters().counts)


@hypothesis_settings(deadline=None)
@given(shown=st.lists(st.tuples(PAIRS, STATUSES)), held=st.lists(st.tuples(PAIRS, STATUSES)), names=TABLES)
def test_totals_stay_and_no_known_series_jumps(
    shown: list[tuple[Pair, Status]], held: list[tuple[Pair, Status]], names: Mapping[str, str]
) -> None:
    table = PayerTable(shown_as=names)
    with ledger_at(":memory:") as ledger:
        write(ledger, baseline=True)
        fill(ledger, shown)
        fill(ledger, held, shown=False)
        before, total = exposed(ledger), totals(ledger)
        ledger.use_names(RULE, table.pair)
        after = exposed(ledger)
        assert totals(ledger) == {key: pytest.approx(sums, rel=1e-12) for key, sums in total.items()}
        assert all(after[series] == before[series] for series in after.keys() & before.keys())
        occupied = {Pair(*row) for row in ledger._read(_PAIRS_OF_TASKS)}
        assert all(table.pair(pair) == pair for pair in occupied)
        ended = {series.pair for series in after if series.pair and table.pair(series.pair) != series.pair}
        assert all(table.pair(pair) in {series.pair for series in before} for pair in ended)
        assert ledger.use_names(RULE, table.pair) == Renames()
        assert exposed(ledger) == after


_PAIRS_OF_TASKS = "SELECT source, requesting FROM task JOIN pair ON pair.id = task.pair"


def test_a_new_label_takes_over_the_counters_of_all_former_names_with_one_requester() -> None:
    table = PayerTable(shown_as={"A": "New", "B": "New"})
    with ledger_at(":memory:") as ledger:
        write(ledger, baseline=True)
        fill(ledger, [(Pair("A", "Us"), Status.FAILED)] * 2 + [(Pair("B", "Us"), Status.FAILED)] * 3)
        fill(ledger, [(Pair("B", "Them"), Status.FAILED), (OTHER_PAIR, Status.FAILED)])
        assert ledger.use_names(RULE, table.pair) == Renames(carried=3)
        created = {series.pair: n for series, n in exposed(ledger).items() if series.event is Event.CREATED}
        assert created == {
            Pair("New", "Us"): 5,
            Pair("New", "Them"): 1,
            OTHER_PAIR: 1,
            Pair("Old Payer", "New Payer"): 0,
        }
        assert ledger.figures.pairs == 4


def test_durations_are_carried_over_with_buckets_and_sum() -> None:
    with ledger_at(":memory:") as ledger:
        write(ledger, baseline=True)
        fill(ledger, [(Pair("A", "Us"), Status.COMPLETED), (Pair("B", "Us"), Status.COMPLETED)])
        before = ledger.counters().durations
        ledger.use_names(RULE, PayerTable(shown_as={"A": "New", "B": "New"}).pair)
        found = {key.pair: each for key, each in ledger.counters().durations.items() if key.status is Status.COMPLETED}
        assert sum(found[Pair("New", "Us")].counts) == 2
        assert found[Pair("New", "Us")].sum == sum(each.sum for each in before.values())


def test_a_label_that_has_series_keeps_them_and_gets_the_gauges(tmp_path: Path) -> None:
    path, table = tmp_path / "ledger.db", PayerTable({"Organization/1": "New"}, shown_as={"A": "New"})
    with ledger_at(path) as ledger:
        write(ledger, baseline=True)  # leaves a pair without a Task: Old Payer
        fill(ledger, [(Pair("A", "New"), Status.FAILED)] * 2 + [(Pair("New", "New"), Status.FAILED)])
        assert ledger.use_names(RULE, table.pair) == Renames(ended=1)
        snapshot = write(ledger, version("one-more", Status.FAILED), pair=Pair("New", "New"))
        assert Counter({series.pair: n for series, n in snapshot.counts.items() if series.event is Event.FAILURE}) == {
            Pair("A", "New"): 2,
            Pair("New", "New"): 2,
        }
        assert snapshot.gauges is not None
        assert snapshot.gauges.tasks[PairStatus(Pair("New", "New"), Status.FAILED)] == 4
        assert ledger.use_names(RULE, table.pair) == Renames()
    assert [each.pair.source for each in prune(str(path), table)] == ["A", "Old Payer"]


def test_a_rename_that_is_lost_leaves_nothing_behind() -> None:
    table = PayerTable(shown_as={"A": "New", "B": "New"})
    with ledger_at(":memory:") as ledger:
        write(ledger, baseline=True)
        fill(ledger, [(Pair("A", "Us"), Status.FAILED), (Pair("B", "Us"), Status.FAILED)])
        before, total = exposed(ledger), totals(ledger)
        with suppress(Interrupted), ledger.transaction() as tx:
            tx.rename_payers(table.pair)
            raise Interrupted
        assert (exposed(ledger), totals(ledger)) == (before, total)
        assert ledger.use_names(RULE, table.pair) == Renames(carried=2)
