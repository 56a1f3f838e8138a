"""The FHIR server that a ledger belongs to: a mistyped first URL, another server, and a server at a new address."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exporter.errors import LedgerNotRebound, LedgerOfAnotherSource
from exporter.ledger.rebind import ENOUGH, SAMPLE
from exporter.task.model import Event, Selection

from ..support import fake, quirks
from ..support.builders import CODE, TAG, completed, failed, task
from ..support.exposition import errors, tasks, totals
from ..support.rig import Rig, prepared, settled

WRONG = "http://fhir.example:8000/fhir"
MOVED = "http://new.example:8443/fhir"
CANARY = "patient-canary"


def moved(rig: Rig, **options: Any) -> Rig:
    """Let the exporter of this rig be started for the same Tasks at another address."""
    rig.stop()
    rig.store.base = MOVED
    for name, option in ({"fhir": {"url": MOVED}, "rebind": True} | options).items():
        setattr(rig, name, option)
    return rig


def counting(tmp_path: Path, count: int = 5) -> Rig:
    """An exporter that has counted a failure and a completion, among so many Tasks."""
    rig = settled(*(task(f"exchange-{n}") for n in range(count)), path=str(tmp_path / "ledger.db"), seconds_apart=1)
    rig.store.put(failed("exchange-0", "It timed out"))
    rig.store.put(completed("exchange-1"))
    for _ in range(3):
        rig.scrape(60)
    return rig


def counted(rig: Rig) -> dict[str, dict[str, int]]:
    return {event.value: totals(rig, event) for event in (Event.CREATED, Event.TRANSITION, Event.FAILURE)}


@pytest.mark.parametrize("answers", [False, True])
def test_a_mistyped_first_url_does_no_harm(tmp_path: Path, answers: bool) -> None:
    """Neither where nothing answers nor where a server without Tasks does, whose baseline is then complete."""
    rig = Rig(path=str(tmp_path / "ledger.db"), fhir={"url": WRONG})
    rig.play(*() if answers else (quirks.down,))
    rig.start().settle()
    assert rig.ledger.baseline_complete == answers
    for number in range(3):
        rig.store.put(task(f"exchange-{number}"))
    rig.play()
    rig.restart(fhir={}).settle()
    rig.scrape()
    assert tasks(rig) == {"requested": 3}
    assert counted(rig) == {"created": {}, "transition": {}, "failure": {}}
    assert errors(rig) == {}


def test_a_ledger_with_tasks_is_refused_and_kept_for_its_own_server(tmp_path: Path) -> None:
    rig = moved(counting(tmp_path), rebind=False)
    before = Path(rig.path).read_bytes()
    asked = rig.transport.count
    with pytest.raises(
        LedgerOfAnotherSource, match=r"server fhir\.example:80, and --fhir\.url names new\.example:8443"
    ):
        rig.start()
    assert rig.transport.count == asked
    assert Path(rig.path).read_bytes() == before


def test_a_server_at_a_new_address_is_counted_on_without_a_gap(tmp_path: Path) -> None:
    rig = counting(tmp_path)
    before = counted(rig)
    rig = moved(rig)
    rig.store.put(failed("exchange-2", "It timed out"))
    rig.clock.advance(600)
    rig.start().settle()
    for _ in range(3):
        rig.scrape(60)
    assert tasks(rig) == {"requested": 2, "failed": 2, "completed": 1}
    assert before == {"created": {}, "transition": {"failed": 1, "completed": 1}, "failure": {"timeout": 1}}
    assert counted(rig) == {"created": {}, "transition": {"failed": 2, "completed": 1}, "failure": {"timeout": 2}}


def test_a_rebound_ledger_is_that_of_the_new_address_and_the_switch_may_stay(tmp_path: Path) -> None:
    rig = moved(counting(tmp_path))
    rig.start().stop()
    asked = rig.transport.count
    rig.start().stop()
    assert rig.transport.count == asked
    rig.rebind, rig.fhir = False, {}
    with pytest.raises(
        LedgerOfAnotherSource, match=r"server new\.example:8443, and --fhir\.url names fhir\.example:80"
    ):
        rig.start()


def test_a_baseline_that_was_broken_off_goes_on_at_the_new_address(tmp_path: Path) -> None:
    rig = prepared(*(task(f"exchange-{n}") for n in range(9)), path=str(tmp_path / "ledger.db"), seconds_apart=1)
    rig.store.page_limit = 3
    rig.start()
    rig.worker.step()
    moved(rig).start().settle()
    rig.scrape()
    assert tasks(rig) == {"requested": 9}
    assert counted(rig) == {"created": {}, "transition": {}, "failure": {}}


def no_tasks(rig: Rig) -> None:
    """Let another server answer, without a Task."""
    rig.store = fake.store(rig.clock)
    rig.store.base = MOVED
    rig.play()


def other_tasks(rig: Rig) -> None:
    """Let another server have as many Tasks, with other ids."""
    no_tasks(rig)
    for number in range(5):
        rig.store.put(task(f"other-{number}"))


def the_same_ids(rig: Rig) -> None:
    """Let another server have Tasks with the same ids and higher versions, which were authored at other times."""
    no_tasks(rig)
    for number in range(5):
        rig.clock.advance(1)
        rig.store.put(task(f"exchange-{number}", authoredOn="2026-11-20T11:11:11Z"), version="9")


@pytest.mark.parametrize("become", [other_tasks, the_same_ids, no_tasks])
def test_another_server_is_refused_and_nothing_is_written(tmp_path: Path, become: Any) -> None:
    rig = moved(counting(tmp_path))
    become(rig)
    before = Path(rig.path).read_bytes()
    with pytest.raises(LedgerNotRebound, match=r"found 0 of 5 of its Tasks on new\.example:8443") as raised:
        rig.start()
    assert "exchange-1" not in str(raised.value)
    assert Path(rig.path).read_bytes() == before


@pytest.mark.parametrize(("deleted", "taken"), [(10, True), (11, False)])
def test_most_of_the_newest_tasks_must_be_found(tmp_path: Path, deleted: int, taken: bool) -> None:
    assert (SAMPLE, ENOUGH) == (50, 0.8)
    rig = moved(counting(tmp_path, 60))
    for number in range(59, 59 - deleted, -1):
        rig.store.delete(f"exchange-{number}")
    if taken:
        rig.start()
    else:
        with pytest.raises(LedgerNotRebound, match="found 39 of 50"):
            rig.start()


def test_a_server_that_does_not_answer_is_refused_in_a_sentence_that_says_so(tmp_path: Path) -> None:
    rig = moved(counting(tmp_path))
    rig.play(quirks.down)
    with pytest.raises(LedgerNotRebound, match="since its Tasks were not read") as raised:
        rig.start()
    assert "Task?" not in str(raised.value)
    rig.play()
    rig.rebind, rig.fhir = False, {}
    rig.start().scrape()
    assert errors(rig) == {}


def test_another_selection_is_never_rebound_and_values_are_not_repeated(tmp_path: Path) -> None:
    rig = moved(counting(tmp_path), selection=Selection(TAG, CODE, (("owner", CANARY),)))
    asked = rig.transport.count
    with pytest.raises(LedgerNotRebound, match=r"different: --fhir\.search \(then none, now owner\)") as raised:
        rig.start()
    assert CANARY not in str(raised.value)
    assert rig.transport.count == asked


def test_the_ledger_of_an_earlier_version_is_rebound_once_it_knows_its_names(tmp_path: Path) -> None:
    rig = counting(tmp_path)
    rig.stop()
    forget_names(rig)
    rig.fhir, rig.rebind = {"url": MOVED}, False
    with pytest.raises(LedgerOfAnotherSource, match=r"another FHIR server or selection of Tasks; .* new\.example:8443"):
        rig.start()
    rig.rebind = True
    with pytest.raises(LedgerNotRebound, match="only an earlier version has used it"):
        rig.start()
    rig.fhir = {}
    rig.start().stop()
    rig.fhir = {"url": MOVED}
    rig.start()


def forget_names(rig: Rig) -> None:
    """Make the ledger one that only earlier versions have used."""
    with closing(sqlite3.connect(rig.path)) as connection:
        connection.execute("DELETE FROM state WHERE name = 'source_parts'")
        connection.commit()
