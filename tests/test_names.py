"""Names of payers and their slots over time: named late, renamed, refused, granted, and past the cap."""

import sqlite3
from contextlib import closing
from pathlib import Path

from exporter.demo.server import Response
from exporter.jobs import Timing

from . import fake, quirks
from .builders import Resource, completed, organization, reference
from .quirks import played
from .readings import own
from .rig import Rig, value

ONLY_FULL = Timing(open_interval=1e9)
"""No sweep of the open Tasks, so that nothing but the full comparison can move a gauge."""


def at_rest(rig: Rig) -> Rig:
    """Do all that is due, without time passing."""
    for _ in range(100_000):
        if rig.worker._rest() > 0:
            return rig
        rig.worker.step()
    raise AssertionError("the worker does not come to rest")


def compared(rig: Rig) -> Rig:
    """Let an hour pass, and with it a full comparison."""
    rig.clock.advance(3_601)
    return at_rest(rig)


def restarted(rig: Rig, **options: object) -> Rig:
    """End the process and start another one, with other options, and let it do what is due at once."""
    rig.stop()
    for name, option in options.items():
        setattr(rig, name, option)
    return at_rest(rig.start())


def by_payer(rig: Rig, metric: str = "fhir_tasks", label: str = "source_payer") -> dict[str, float]:
    """Add a metric up by payer, as a scrape now shows it; what is 0 is left out."""
    found: dict[str, float] = {}
    for line in rig.scrape().splitlines():
        if line.startswith(metric + "{"):
            name = line.partition(f'{label}="')[2].partition('"')[0]
            found[name] = found.get(name, 0) + float(line.rsplit(" ", 1)[1])
    return {name: n for name, n in found.items() if n}


def capped(rig: Rig) -> float | None:
    return value(own(rig), "fhir_task_exporter_pairs_capped")


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Ask the file of an exporter that has ended."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def filled(*resources: Resource, **options: object) -> Rig:
    """Put a server with these resources before an exporter that is not started."""
    rig = Rig(**options)  # type: ignore[arg-type]
    for resource in resources:
        rig.store.put(resource)
        rig.clock.advance(0.01)
    rig.clock.advance(60)
    return rig


# --- Payers that the operator names


def owned(identifier: str, payer: str = "Organization/one") -> Resource:
    return completed(identifier, owner=reference(payer), requester=None)


def long_baseline(path: Path) -> Rig:
    return filled(*(owned(f"t{n:04}") for n in range(700)), path=str(path / "ledger.db"), timing=ONLY_FULL)


def test_payers_named_while_the_baseline_runs_have_their_names_after_it(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.worker.step()
    restarted(rig, payers={"Organization/one": "One"})
    assert by_payer(rig) == {"One": 700}


def test_payers_named_and_unnamed_again_while_the_baseline_runs_leave_no_trace(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.stop()
    rig.payers = {"Organization/one": "One"}
    rig.start().worker.step()
    restarted(rig, payers={})
    assert by_payer(rig) == {"unknown": 700}


def test_names_taken_back_in_the_middle_of_a_walk_of_everything_leave_no_trace(tmp_path: Path) -> None:
    rig = at_rest(long_baseline(tmp_path).start())
    rig.stop()
    rig.payers = {"Organization/one": "One"}
    rig.start()
    rig.transport.answer = played(rig.store, quirks.when(quirks.is_page, quirks.always(Response(500, (), b""))))
    at_rest(rig)
    assert set(by_payer(rig)) == {"unknown", "One"}
    rig.transport.answer = fake.honest(rig.store)
    restarted(rig, payers={})
    assert by_payer(rig) == {"unknown": 700}


def test_a_baseline_whose_names_stay_is_not_walked_twice(tmp_path: Path) -> None:
    rig = long_baseline(tmp_path).start()
    rig.worker.step()
    rig.stop()
    rig.store.put(organization("one", "Read"))
    at_rest(rig.start())
    restarted(rig)
    assert len([request for request in rig.transport.requests if quirks.is_page(request)]) <= 8
