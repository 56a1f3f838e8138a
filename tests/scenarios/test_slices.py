"""Comparisons by counts, in slices of the stamps.

See docs/decisions/0021-how-a-full-comparison-cuts.md.
"""

import pytest

from exporter.task.model import Anomaly, Event, Selection

from ..support import quirk_tasks, quirks
from ..support.builders import CODE, TAG, completed, concept, meta, task
from ..support.exposition import own_value, tasks, totals
from ..support.fake import is_count
from ..support.quirk_tasks import skewed
from ..support.rig import FULL_ONLY, Rig, prepared, settled


def test_a_full_comparison_finds_deleted_terminal_tasks_by_counts() -> None:
    rig = settled(
        *(completed(f"p2p-task-{number:06}") for number in range(3_000)), seconds_apart=0.5, comparisons=FULL_ONLY
    )
    for number in (7, 1_500, 1_501):
        rig.store.delete(f"p2p-task-{number:06}")
    before = rig.transport.count
    rig.compare(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": 2_997}
    assert totals(rig, Event.VANISHED) == {"": 3}
    assert rig.transport.count - before < 50


@pytest.mark.parametrize("hours", [1 / 60, 5, -5])
def test_a_comparison_by_counts_halves_by_the_servers_clock(hours: float) -> None:
    rig = Rig(comparisons=FULL_ONLY)
    rig.store.clock = skewed(rig.clock, hours)
    for number in range(300):
        rig.store.put(completed(f"known-{number:05}"))  # all in one instant, which cannot be cut in half
    rig.start().settle()
    for number in range(2_600):
        rig.store.put(completed(f"late-{number:05}", meta=meta()), stamp=rig.store.clock() + 15 * number)
    rig.clock.advance(1)
    for number in range(2_600):
        rig.store.meta_add(f"late-{number:05}", TAG)
    before = rig.transport.count
    rig.compare(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": 2_900}
    assert rig.transport.count - before < 70


@pytest.mark.parametrize(("count", "deleted"), [(3, 1), (150, 148), (3_000, 2_998), (3_000, 900)])
def test_opposite_differences_do_not_cancel(count: int, deleted: int) -> None:
    rig = Rig(comparisons=FULL_ONLY)
    rig.store.put(completed("tagged-later", meta=meta()))
    for number in range(count):
        rig.store.put(completed(f"p2p-task-{number:06}"))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.delete(f"p2p-task-{deleted:06}")
    rig.store.meta_add("tagged-later", TAG)
    for _ in range(12):
        rig.compare(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": count}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.ANOMALY) == {Anomaly.LATE_OLD: 1}


def test_q18_a_comparison_finds_all_open_tasks_in_few_searches_those_without_a_status_too() -> None:
    rig = settled(*quirk_tasks.of_each_status(), *(task(f"open-{n}", None if n % 2 else "ready") for n in range(300)))
    rig.scrape(3_600)
    before = rig.transport.count
    rig.worker.step()
    rig.settle()
    assert rig.transport.count - before <= 5
    assert not any(dict(request.query).get("_id") for request in rig.transport.requests[before:])


def test_q18_a_full_comparison_agrees_on_statuses_nobody_knows() -> None:
    rig = settled(*quirk_tasks.of_each_status(), comparisons=FULL_ONLY)
    rig.compare(full=True)
    before = rig.transport.count
    rig.compare(full=True)
    assert rig.transport.count - before < 20
    assert own_value(rig, 'fhir_task_exporter_reconcile_corrections_total{sweep="full"}') == 0


# --- Servers whose counts mean nothing


@pytest.mark.parametrize("prefixes", [("lt",), ("ge",), ("lt", "ge")])
def test_q14_a_full_comparison_is_exact_where_a_bound_is_ignored(prefixes: tuple[str, ...]) -> None:
    rig = prepared(*(completed(f"t{n:04}") for n in range(300)), seconds_apart=60, comparisons=FULL_ONLY)
    rig.play(quirks.bound_ignored(*prefixes))
    rig.start().settle()
    for n in (3, 77, 299):
        rig.store.delete(f"t{n:04}")
    rig.compare(full=True)
    rig.scrape()
    assert tasks(rig) == {"completed": 297}
    assert totals(rig, Event.VANISHED) == {"": 3}


def test_without_a_tag_counts_are_asked_for_by_code() -> None:
    rig = Rig(comparisons=FULL_ONLY, selection=Selection(None, CODE))
    for number in range(3_000):
        rig.store.put(completed(f"ours-{number:05}"))
        rig.store.put(completed(f"other-{number:05}", code=concept(TAG)))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.delete("ours-00007")
    before = rig.transport.count
    rig.compare(full=True)
    assert rig.transport.count - before < 80
    rig.scrape()
    assert tasks(rig) == {"completed": 2_999}
    before = rig.transport.count
    rig.compare(full=True)
    assert rig.transport.count - before < 40


@pytest.mark.parametrize("kept", ["ge", "lt"])
def test_a_server_that_obeys_one_bound_of_two_is_walked(kept: str) -> None:
    rig = prepared(
        *(completed(f"p2p-task-{number:05}") for number in range(600)), seconds_apart=0.5, comparisons=FULL_ONLY
    )

    def obeyed(query: quirks.Query) -> quirks.Query:
        pairs = list(query)
        bounds = [bound for name, bound in pairs if name == "_lastUpdated"]
        dropped = [bound for bound in bounds if not bound.startswith(kept)] if len(bounds) > 1 else []
        return [pair for pair in pairs if pair[1] not in dropped]

    rig.play(quirks.asking(obeyed))
    rig.start().settle()
    rig.store.delete("p2p-task-00007")
    before = sum(map(is_count, rig.transport.requests))
    rig.compare(full=True)
    assert sum(map(is_count, rig.transport.requests)) - before == 1
    rig.scrape()
    assert tasks(rig) == {"completed": 599}


@pytest.mark.parametrize("parameter", ["_tag", "code"])
def test_a_server_that_ignores_the_criterion_is_walked(parameter: str) -> None:
    selection = Selection(TAG, CODE) if parameter == "_tag" else Selection(None, CODE)
    rig = Rig(comparisons=FULL_ONLY, selection=selection)
    for number in range(600):
        rig.store.put(completed(f"ours-{number:05}"))
        rig.store.put(completed(f"other-{number:05}", meta=meta(), code=concept(TAG)))
        rig.clock.advance(0.5)
    rig.clock.advance(60)
    rig.play(quirks.ignoring(parameter))
    rig.start().settle()
    before = sum(map(is_count, rig.transport.requests))
    rig.compare(full=True)
    assert sum(map(is_count, rig.transport.requests)) - before <= 2
    assert tasks(rig) == {"completed": 600}
    assert totals(rig, Event.VANISHED) == {}
