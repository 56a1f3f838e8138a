"""The exposition is the specification: one text for each situation, as Prometheus is given it.

`UPDATE_GOLDEN=1` writes the texts again; read what changed before it is committed.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.demo.server import Response

from ..support import quirk_tasks
from ..support.builders import Resource, at, by_display, completed, concept, failed, meta, organization, output, task
from ..support.exposition import own_metrics
from ..support.promtool import complaints
from ..support.quirks import clamped, repeated_entry
from ..support.rig import FULL_ONLY, Rig, settled

GOLDEN = Path(__file__).parent / "golden"

OWN = frozenset(
    {
        *("fhir_task_up", "fhir_task_exporter_polls_total", "fhir_task_exporter_baseline_complete"),
        *("fhir_task_exporter_watermark_timestamp_seconds", "fhir_task_exporter_last_complete_poll_timestamp_seconds"),
        *("fhir_task_exporter_tracked_tasks", "fhir_task_exporter_pairs", "fhir_task_exporter_pairs_capped"),
    }
)
"""The exporter's own metrics that depend on nothing but what a test does."""

Situation = Callable[[Path], str]
SITUATIONS: dict[str, Situation] = {}


def situation(play: Situation) -> Situation:
    SITUATIONS[play.__name__] = play
    return play


def network(*resources: Resource, **options: Any) -> Rig:
    """Put an exporter on a server that knows its two payers, and let it end its baseline."""
    payers = organization("old-payer", "Old Payer"), organization("new-payer", "New Payer")
    return settled(*payers, *resources, seconds_apart=0, **options)


def whole(rig: Rig, text: str) -> str:
    """Append the exporter's own metrics, as far as they are the same on every machine."""
    kept = [line for line in own_metrics(rig).splitlines(keepends=True) if _name(line) in OWN]
    return text + "".join(kept)


def _name(line: str) -> str:
    return line.split()[2] if line.startswith("#") else line.partition("{")[0].partition(" ")[0]


def now(rig: Rig) -> str:
    """Give the text without asking for a poll."""
    return whole(rig, rig.published_text())


def scraped(rig: Rig, seconds: float = 15) -> str:
    return whole(rig, rig.scrape(seconds))


def broken(_: object) -> Response:
    return Response(500, (), b"")


@situation
def before_the_baseline(_: Path) -> str:
    rig = Rig()
    rig.store.put(task())
    return now(rig.start())


@situation
def empty_server(_: Path) -> str:
    return scraped(network())


@situation
def one_of_each_status(_: Path) -> str:
    return scraped(network(*quirk_tasks.of_each_status()))


@situation
def one_of_each_status_counted(_: Path) -> str:
    rig = network()
    for resource in quirk_tasks.of_each_status():
        rig.store.put(resource)
    return scraped(rig)


@situation
def failed_poll(_: Path) -> str:
    rig = network(task("a"))
    rig.store.put(failed("b", "The member match failed"))
    rig.scrape()
    rig.store.put(completed("a"))
    rig.transport.answer = broken
    return scraped(rig)


@situation
def stale_snapshot(_: Path) -> str:
    rig = network(task("a"))
    rig.store.put(failed("b", "The member match failed"))
    rig.scrape()
    rig.transport.answer = broken
    for _minute in range(5):
        rig.scrape(60)
    return scraped(rig)


def _restarted(folder: Path) -> Rig:
    rig = network(task("a"), task("b"), path=str(folder / "ledger.db"))
    rig.store.put(completed("a"))
    rig.scrape()
    rig.stop()
    rig.store.put(failed("b", "It timed out"))
    rig.clock.advance(600)
    return rig.start()


@situation
def restart(folder: Path) -> str:
    return now(_restarted(folder))


@situation
def restart_and_poll(folder: Path) -> str:
    return scraped(_restarted(folder))


def _with_new_payer() -> Rig:
    rig = network(task("a"), hold=120)
    rig.scrape()
    rig.store.put(organization("third-payer", "Third Payer"))
    rig.store.put(failed("b", "The export was aborted", owner={"reference": "Organization/third-payer"}))
    return rig


@situation
def new_payer(_: Path) -> str:
    return scraped(_with_new_payer())


@situation
def new_payer_after_the_hold(_: Path) -> str:
    rig = _with_new_payer()
    for _minute in range(3):
        rig.scrape(60)
    return scraped(rig)


@situation
def purge(_: Path) -> str:
    rig = network(task("a"), comparisons=FULL_ONLY)
    rig.store.put(completed("b"))
    rig.store.put(failed("c"))
    rig.scrape()
    quirk_tasks.purge(rig.store)
    rig.compare(full=True)
    return scraped(rig)


@situation
def late_version(_: Path) -> str:
    rig = network(task("a", "in-progress"))
    rig.clock.advance(300)
    rig.scrape()
    quirk_tasks.put_late(rig.store, completed("a"), 200)
    rig.scrape()
    rig.compare()
    return scraped(rig)


@situation
def reopened(_: Path) -> str:
    rig = network(task("a", "in-progress"))
    for status in ("failed", "in-progress", "failed"):
        rig.store.put(task("a", status))
        rig.scrape()
    return scraped(rig)


@situation
def same_task_twice(_: Path) -> str:
    rig = network(task("a"))
    rig.play(clamped(1), repeated_entry)
    rig.store.put(completed("a", 2))
    rig.store.put(task("b"))
    rig.scrape()
    return scraped(rig)


@situation
def unknown_status(_: Path) -> str:
    rig = network(task("a", "under-review"))
    rig.store.put(task("b"))
    rig.scrape()
    rig.store.put(task("b", "under-review"))
    rig.store.put(task("c", None))
    return scraped(rig)


@situation
def status_left(_: Path) -> str:
    """A status beyond the five, once met, is 0 when no Task has it."""
    rig = network(task("a", "on-hold"))
    rig.store.put(task("a", "in-progress"))
    return scraped(rig)


@situation
def missing_dates(_: Path) -> str:
    rig = network(task("a", authoredOn=None))
    rig.store.put(completed("a", authoredOn=None))
    rig.store.put(completed("b", authoredOn="2026-11"))
    rig.store.put(task("c", authoredOn="2026-11-20"))
    return scraped(rig)


@situation
def deadline_missed(_: Path) -> str:
    rig = network(task("overdue-in-the-baseline", authoredOn=at(-30)), task("overdue-later", authoredOn=at(-23.9)))
    rig.scrape(600)
    rig.store.put(completed("ended-late", authoredOn=at(-30)))
    return scraped(rig)


@situation
def anomalies(_: Path) -> str:
    rig = network(task("a", owner=None), task("foreign", code=concept()))
    rig.store.put(task("b", focus=None, for_=None, requester=None))
    rig.store.put(completed("c", authoredOn=at(2)))
    quirk_tasks.put_in_the_future(rig.store, task("d"), 5)
    rig.store.put(task("e", output="none"))
    return scraped(rig)


@situation
def pairs_capped(_: Path) -> str:
    rig = network(*(task(f"t{n}", owner=by_display(f"Payer {n}")) for n in range(2)), pairs_max=2)
    rig.store.put(task("late", owner=by_display("Payer 2")))
    rig.store.put(failed("later", owner=by_display("Payer 3")))
    return scraped(rig)


@situation
def renamed_payer(folder: Path) -> str:
    rig = network(task("a"), path=str(folder / "ledger.db"))
    rig.store.put(completed("b"))
    rig.scrape()
    rig.stop()
    rig.payers = {"Organization/old-payer": "Old Payer of Ohio"}
    rig.start()
    rig.scrape()
    rig.store.put(task("a", "in-progress"))
    return scraped(rig)


@situation
def archived_documents(_: Path) -> str:
    rig = network()
    rig.store.put(completed("a", 3))
    rig.store.put(task("b", "completed", output=output(1, 1)))
    rig.store.put(task("c", "completed", output=output(0, 1)))
    rig.store.put(task("d", "completed"))
    return scraped(rig)


@situation
def vanished_and_untagged(_: Path) -> str:
    rig = network(task("a"), task("b"), task("c", meta=meta()))
    rig.store.delete("a")
    quirk_tasks.untag(rig.store, "b")
    rig.compare()
    return scraped(rig)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_gives_its_text(name: str, tmp_path: Path) -> None:
    text, file = SITUATIONS[name](tmp_path), GOLDEN / f"{name}.prom"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("name", SITUATIONS)
def test_promtool_finds_no_problem_in_a_golden_text(name: str) -> None:
    assert complaints((GOLDEN / f"{name}.prom").read_bytes()) == ""


def test_every_golden_text_has_a_situation() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(SITUATIONS)
