"""A ledger of an earlier version is opened and continued, and what is stored has not changed since.

`ledger-schema-4-*.sql` were dumped by the version of 2026-11-25, which did what `live` and `break_off` do. The same
steps today give the server as it then was, and the ledger to compare with.
"""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.ledger import Binding
from exporter.task.model import Coding, Event, Selection, Snapshot
from tests.support.builders import by_display, completed, concept, failed, meta, task
from tests.support.exposition import errors, tasks, totals
from tests.support.fake import BASE
from tests.support.rig import SELECTION, Rig

HOLD = 120.0
HOUR = 3600
FOREIGN_CODE = Coding("http://example.com/codes", "something-else")


def live(rig: Rig) -> None:
    """A complete baseline, then Tasks that move, vanish and are late; the last ones count in series still held."""
    store = rig.store
    for status in ("requested", "in-progress", "on-hold", "cancelled", "no-such-status"):
        store.put(task(f"is-{status}", status))
        rig.clock.advance(1)
    for name in ("ends", "fails", "late", "goes", "loses-its-tag", "reopens"):
        store.put(task(name, owner=by_display("Second Payer")))
        rig.clock.advance(1)
    store.put(completed("done", 3))
    store.put(failed("failed", "It timed out"))
    store.put(task("undated", authoredOn=None, focus=None))
    store.put(task("opaque"), version="f0e1d2c3")
    store.put(task("foreign", code=concept(FOREIGN_CODE)))
    rig.clock.advance(60)
    rig.start().settle()
    for _ in range(4):
        rig.scrape(60)
    store.put(completed("ends", 2, owner=by_display("Second Payer")))
    store.put(failed("fails", owner=by_display("Second Payer")))
    store.put(completed("done", 3), version="1", stamp=rig.clock.at)
    store.put(failed("reopens", owner=by_display("Second Payer")))
    rig.scrape(60)
    store.put(task("reopens", "in-progress", owner=by_display("Second Payer")))
    store.put(task("opaque", "completed"), version="f0e1d2c4")
    store.put(task("loses-its-tag", meta=meta(), owner=by_display("Second Payer")))
    store.delete("goes")
    rig.scrape(60)
    rig.compare()
    rig.scrape(25 * HOUR)
    for _ in range(4):
        rig.scrape(60)
    store.put(failed("new", "no data", owner=by_display("Third Payer")))
    store.put(completed("late", 0, owner=by_display("Second Payer")))
    rig.scrape(60)
    rig.stop()


def break_off(rig: Rig) -> None:
    """A baseline of three pages that ends after the second."""
    rig.store.page_limit = 3
    for number in range(8):
        rig.store.put(task(f"t{number}", owner=by_display(f"Payer {number % 2}")))
        rig.clock.advance(1)
    rig.clock.advance(60)
    rig.start()
    rig.worker.step()
    rig.worker.step()
    rig.stop()


HISTORIES: dict[str, Callable[[Rig], None]] = {"complete": live, "broken-off": break_off}


def dump(path: Path) -> str:
    """Write a ledger as SQL, as the files beside this one were written."""
    with closing(sqlite3.connect(path)) as connection:
        names = ("application_id", "user_version")
        pragmas = [f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};" for name in names]
        return "\n".join([*pragmas, *connection.iterdump(), ""])


@dataclass(frozen=True)
class Continued:
    """The server after a history, and two ledgers of it: the earlier version's, and today's."""

    rig: Rig
    earlier: Path
    today: Path

    def start(self, ledger: Path) -> Rig:
        """Start an exporter on one of the ledgers."""
        self.rig.path = str(ledger)
        return self.rig.start()


def continued(folder: Path, name: str) -> Continued:
    rig, path = Rig(path=str(folder / "today.db"), hold=HOLD), folder / "earlier.db"
    HISTORIES[name](rig)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / f"ledger-schema-4-{name}.sql").read_text())
    return Continued(rig, path, Path(rig.path))


def counted(rig: Rig, *events: Event) -> dict[str, dict[str, int]]:
    return {event.value: totals(rig, event) for event in events}


WALKED = re.compile(r"(?<=\], )\d+(?=, \d+\]'\);$)", re.MULTILINE)
"""How many Tasks a walk had read: the earlier version left out the page that was committed with the number."""


@pytest.mark.parametrize("name", HISTORIES)
def test_what_is_stored_is_what_the_earlier_version_stored(tmp_path: Path, name: str) -> None:
    found = continued(tmp_path, name)
    for path in (found.earlier, found.today):
        found.start(path).stop()
    earlier, today = (WALKED.sub("walked", dump(path)) for path in (found.earlier, found.today))
    assert sorted(earlier.splitlines()) == sorted(today.splitlines())


def test_an_earlier_ledger_shows_the_counters_that_it_showed_and_goes_on_counting(tmp_path: Path) -> None:
    found = continued(tmp_path, "complete")
    rig = found.start(found.earlier)
    assert errors(rig) == {}
    before = {
        "created": {"": 1},
        "transition": {"in-progress": 1, "completed": 4, "failed": 2},
        "failure": {"unclassified": 2},
        "deadline_missed": {"": 7},
        "archived_document": {"": 5},
        "completed_empty": {"": 2},
        "reopened": {"": 1},
        "vanished": {"": 3},
        "anomaly": {},
    }
    assert counted(rig, *map(Event, before)) == before
    rig.scrape(60)
    assert counted(rig, *map(Event, before)) == before
    rig.store.put(completed("reopens", 2, owner=by_display("Second Payer")))
    for _ in range(4):
        rig.scrape(60)
    assert counted(rig, *map(Event, before)) == before | {
        "created": {"": 2},
        "transition": {"in-progress": 1, "completed": 5, "failed": 3},
        "failure": {"unclassified": 3},
        "deadline_missed": {"": 8},
        "archived_document": {"": 7},
    }
    assert tasks(rig) == {
        "requested": 2, "on-hold": 1, "unknown": 1, "in-progress": 1, "cancelled": 1, "completed": 5, "failed": 3,
    }  # fmt: skip


def test_a_baseline_that_an_earlier_version_began_is_continued_and_counts_nothing(tmp_path: Path) -> None:
    found = continued(tmp_path, "broken-off")
    rig = found.start(found.earlier)
    assert not rig.ledger.baseline_complete
    assert rig.ledger.counters() == Snapshot()
    asked = rig.transport.count
    rig.settle()
    rig.scrape()
    assert "_lastUpdated=ge2026-11-20T12%3A00%3A03" in rig.transport.urls[asked].replace(":", "%3A")
    assert tasks(rig) == {"requested": 8}
    assert counted(rig, Event.CREATED, Event.TRANSITION) == {"created": {}, "transition": {}}
    rig.store.put(failed("t0", owner=by_display("Payer 0")))
    rig.scrape(60)
    for _ in range(3):
        rig.scrape(60)
    assert counted(rig, Event.CREATED, Event.TRANSITION) == {"created": {}, "transition": {"failed": 1}}


# --- The source that a ledger belongs to


DIGESTS = [
    ("http://fhir.example/fhir", Selection(), "085ff3755d414c95d1b11d4ac5f063b194412908244fd524ce816d00ce13f6ca"),
    (
        "http://fhir.example/fhir/",
        Selection(Coding("urn:tags", "ours")),
        "a29a63b2c51b9c19daad964fbc709df30ca5b1e8da18ec8ac39828358aa4e8a9",
    ),
    (
        "https://fhir.example/fhir",
        Selection(
            Coding("urn:tags", "it's"),
            Coding("http://x/y", "data-request"),
            (("patient", "Patient/1"), ("owner", "a\"b'c\\d\u00e9")),
        ),
        "f1a68a817b813dba5dc07edcf0dc3b34fa5c9e16f6eef81e32fa520bd62e61b0",
    ),
    (
        "https://fhir.example/fhir",
        Selection(search=(("status:not", "on-hold"),)),
        "eb4273b5fdbce5e46e3568ebf62417c72ca96c555826f676b1464c5e5ffaa088",
    ),
    (BASE, SELECTION, "2aea48ad69906b99f30b1927854f064eefec992ed9b04484dccb37b7b49be3fc"),
]


@pytest.mark.parametrize(("url", "selection", "expected"), DIGESTS)
def test_the_digest_of_a_source_is_the_one_that_ledgers_hold(url: str, selection: Selection, expected: str) -> None:
    assert Binding(url, selection).digest == expected
