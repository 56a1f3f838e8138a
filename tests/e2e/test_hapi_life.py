"""The exporter against a real HAPI FHIR server: its result cache on and off, its tags kept in three ways.

Each test has an exporter and a tag of its own; the server is shared, since starting it takes longer than most of them.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import ClassVar

import pytest

from exporter.demo.dates import format_stamp
from exporter.metrics.catalogue import EVENTS, GAUGES

from ..support.builders import output
from .driver import Driver, scraped
from .exchanges import HOUR, OWNERS, ending, now, odd
from .hapi_server import TagStorage, hapi, require_hapi
from .process import Process, exporter, total, until, until_above
from .truth import TERMINAL, differences

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

COMPARISONS = ("--reconcile.open-interval", "2s", "--reconcile.full-interval", "3s")
COMPARED = "fhir_task_exporter_reconciles_total"
USUAL = ("create", "create", "post", "move", "move", "end", "end", "patch", "rare", "rare")
RARE = ("delete", "expunge", "recreate", "untag", "bring back", "repeat", "give to another payer")
CATALOGUE = [
    *(each.name for each in EVENTS.values() if each.kind == "counter"),
    *(each.name for each in GAUGES.values()),
]
UNPLAYED = {"fhir_tasks_stalled"}
"""Metrics that stay at 0: four hours are too long for a test."""
ROUNDS = 4
WRITES = 30

Make = Callable[[str], Driver]


@pytest.fixture(scope="class")
def drivers(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A server of the class' kind; ask it for a driver by name."""
    require_hapi()
    kind: type[Life] = request.cls
    with hapi(tags=kind.tags, cache=kind.cached) as server:
        if kind.tags == "INLINE":
            server.retire_tag_search()
        yield lambda name: Driver(server, name, kind.tags)


class Life:
    """What must hold with each kind of server. The tests of a class share one, and `--dist loadscope` a process."""

    tags: ClassVar[TagStorage]
    cached: ClassVar[bool]
    """Whether an identical search gets an earlier answer."""

    def test_at_rest_a_scrape_is_one_search_and_the_next_one_sees_what_changed(
        self, drivers: Make, tmp_path: Path
    ) -> None:
        driver = started(drivers("rest"), 5)
        with exporter(driver.server.base, tmp_path, *driver.options) as process:
            until(process, "fhir_task_exporter_baseline_complete", 1)
            driver.truth.counting = True
            before = driver.agree(process)
            for _ in range(5):
                after = process.scrape()
            assert asked(after) - asked(before) == 5
            assert asked(after, operation="search") - asked(before, operation="search") == 5

            driver.create(driver.make("rest-new", "failed"))
            assert driver.differences(process.scrape(timeout=60)) == []

    def test_every_number_is_the_truth_whatever_is_written_while_it_is_scraped(
        self, drivers: Make, tmp_path: Path
    ) -> None:
        driver = started(drivers("life"), 60)
        dice = random.Random(20261122)
        with exporter(driver.server.base, tmp_path, *driver.options, *COMPARISONS) as process:
            until(process, "fhir_task_exporter_baseline_complete", 1)
            driver.truth.counting = True
            driver.agree(process)
            with scraped(process):
                each_thing_once(driver, dice, process)
                for number in range(ROUNDS):
                    for place in range(WRITES):
                        write(driver, dice, f"life-{number}-{place}", dice.choice(USUAL))
                    driver.agree(process)
            wait_for_comparisons(process)
            text = driver.agree(process)
        assert total(text, "fhir_task_exporter_errors_total") == 0
        assert "Traceback" not in process.log.read_text()
        assert {name for name in CATALOGUE if not total(text, name)} == UNPLAYED
        with exporter(driver.server.base, tmp_path, *driver.options) as process:
            driver.agree(process)

    def test_once_says_what_there_is(self, drivers: Make) -> None:
        driver = ended(drivers("once"))
        done = driver.command("once", "--ledger", ":memory:")
        assert done.returncode == 0, done.stderr
        assert differences(done.stdout, driver.truth.afresh(), now()) == []

    def test_check_says_what_there_is(self, drivers: Make, tmp_path: Path) -> None:
        driver = ended(drivers("check"))
        done = driver.command("check", "--ledger", str(tmp_path / "none.db"))
        assert done.returncode == 0, done.stdout
        there = Counter(facts.status for facts in driver.truth.tasks.values())
        if driver.storage == "INLINE":
            assert "search by _tag: refused" in done.stdout
            return
        assert f"Tasks: {there.total()} (requested {there['requested']}, in-progress 0, completed 1" in done.stdout
        assert "search by _tag: obeyed" in done.stdout
        for label in {facts.pair[0] for facts in driver.truth.tasks.values()}:
            assert f"payer {label} (" in done.stdout


class TestNonVersionedTags(Life):
    """As Smile CDR keeps them."""

    tags = "NON_VERSIONED"
    cached = True


class TestVersionedTags(Life):
    """As HAPI keeps them."""

    tags = "VERSIONED"
    cached = False


class TestInlineTags(Life):
    """Kept in the resource itself; and the search parameter `_tag` is retired, so that searches by tag are refused."""

    tags = "INLINE"
    cached = True


def started(driver: Driver, count: int) -> Driver:
    """Let there be some Tasks before the exporter looks."""
    driver.anchor()
    names = [f"{driver.name}-old-{number}" for number in range(count)]
    driver.load([driver.make(name, "requested", owner) for name, owner in zip(names, cycle(OWNERS), strict=False)], 50)
    driver.truth = driver.truth.afresh()
    return driver


def asked(text: str, **labels: str) -> float:
    return total(text, "fhir_task_exporter_requests_total", **labels)


def each_thing_once(driver: Driver, dice: random.Random, process: Process) -> None:
    """Do all that can happen to a Task, and bring back what went, so that no roll of the dice leaves anything out."""
    for place, what in enumerate((*sorted(set(USUAL)), *RARE)):
        write(driver, dice, f"life-once-{place}", what)
    driver.agree(process)
    for identifier in driver.free(driver.truth.hidden):
        driver.bring_back(identifier)
    driver.agree(process)


def write(driver: Driver, dice: random.Random, identifier: str, what: str) -> None:
    """Do one thing to one Task."""
    there = driver.free(driver.truth.tasks)
    match what:
        case "create":
            driver.create(some(driver, dice, identifier, dice.choice(["requested", "in-progress", None])))
        case "post":
            driver.create(some(driver, dice, identifier, **ending(dice)), by_post=True)
        case "move":
            driver.move(dice.choice(there), status=dice.choice(["in-progress", "on-hold", "requested", "received"]))
        case "end":
            driver.move(dice.choice(there), **ending(dice))
        case "patch":
            chosen = dice.choice(there)
            others = {"completed", "in-progress", "ready"} - {driver.truth.tasks[chosen].status}
            driver.patch(chosen, dice.choice(sorted(others)))
        case _:
            rare(driver, dice, dice.choice(RARE) if what == "rare" else what)


def rare(driver: Driver, dice: random.Random, what: str) -> None:
    """Do what happens to few Tasks; not to those with a number for an id, which HAPI lets no client choose again."""
    there = [each for each in driver.free(driver.truth.tasks) if not each.isdecimal()]
    chosen, away = dice.choice(there), driver.free(driver.truth.hidden)
    match what:
        case "delete":
            driver.delete(chosen)
        case "expunge":
            driver.expunge(chosen)
        case "recreate":
            driver.recreate(chosen, dice.choice(["in-progress", "failed"]))
        case "untag":
            driver.untag(chosen)
        case "bring back" if away:
            driver.bring_back(dice.choice(away))
        case "repeat":
            driver.repeat(chosen)
        case _:
            driver.move(chosen, **OWNERS[0].elements | {"status": "completed", "output": output(3)})


def some(driver: Driver, dice: random.Random, identifier: str, status: str | None, **more: object) -> dict[str, object]:
    made = driver.make(identifier, status, dice.choice(OWNERS), **{"authoredOn": format_stamp(ago(dice)), **more})
    return {name: value for name, value in (made | odd(dice)).items() if value is not None}


def ago(dice: random.Random) -> int:
    return now() - round(dice.uniform(0.01, 19) * HOUR)


def wait_for_comparisons(process: Process) -> None:
    """Wait for two more comparisons of each kind: the first may have been under way."""
    before = process.scrape()
    for sweep in ("open", "full"):
        ended = {"sweep": sweep, "outcome": "complete"}
        until_above(process, COMPARED, total(before, COMPARED, **ended) + 1, 120, **ended)


def ended(driver: Driver) -> Driver:
    """Let there be Tasks of each status."""
    started(driver, 7)
    for number, status in enumerate(sorted(TERMINAL)):
        driver.create(driver.make(f"{driver.name}-{status}", status, OWNERS[number % len(OWNERS)]))
    driver.create(driver.make(f"{driver.name}-none", None))
    return driver
