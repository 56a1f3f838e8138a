"""Fifty Organizations of one insurer on a real HAPI server: one label by patterns and parents, and renamed later."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.builders import Resource, completed, failed, organization, reference
from .hapi_server import HapiServer, hapi, load_tasks, put_entry, require_hapi
from .process import Process, exporter, total, until
from .truth import shown

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PLANS = 50
QUICK = ("--poll.min-interval", "0s", "--series.hold", "0s", "--poll.overlap", "30s")
GROUPED = r"""
payers:
  - name: Northwind
    reference_patterns: ['Organization/nw-plan-[0-3][0-9]']
  - name: Northwind of Ohio
    parent: Northwind
    reference_patterns: ['.*/Organization/nw-plan-4[0-4]']
  - name: Northwind of Texas
    parent: Northwind
"""
RENAMED = GROUPED.replace("name: Northwind\n", "name: Contoso\n    formerly: [Northwind]\n").replace(
    "parent: Northwind", "parent: Contoso"
)


@pytest.fixture(scope="module")
def server() -> Iterator[HapiServer]:
    """Fifty plans: most are found by their ids, the last five are all called Northwind of Texas."""
    require_hapi()
    with hapi() as found:
        names = ("Northwind of Texas" if n >= 45 else f"Northwind Health Plan {n}" for n in range(PLANS))
        organizations = [organization(plan(n), name) for n, name in enumerate(names)]
        found.transaction([put_entry(each) for each in (*organizations, organization("us", "Us"))])
        load_tasks(found.base, [ended("old", n) for n in range(PLANS)])
        yield found


def plan(number: int) -> str:
    return f"nw-plan-{number:02}"


def ended(name: str, number: int, *, well: bool = True) -> Resource:
    owner, us = reference(f"Organization/{plan(number)}"), reference("Organization/us")
    return (completed if well else failed)(f"{name}-{number:02}", owner=owner, requester=us)


def sources(text: str) -> set[str]:
    """The source payers of all series of Tasks."""
    return {dict(labels)["source_payer"] for name, labels in shown(text) if "source_payer" in dict(labels)}


def test_fifty_plans_are_one_label_that_keeps_its_totals_under_another_name(server: HapiServer, tmp_path: Path) -> None:
    file = tmp_path / "exporter.yaml"
    options = ("--config.file", str(file), *QUICK)

    told = subprocess.run(
        [sys.executable, "-m", "exporter", "check", "--fhir.url", server.base, "--ledger", str(tmp_path / "none.db")],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "with it, the sample has 46 pairs of payers" in told
    file.write_text("\n".join(["payers:", *told.partition("\npayers:\n")[2].partition("\n\n")[0].splitlines()]))
    with exporter(server.base, tmp_path, *options, ledger=str(tmp_path / "proposed.db")) as process:
        until(process, "fhir_tasks", PLANS)
        assert len(sources(process.scrape())) == 46

    file.write_text(GROUPED)
    with exporter(server.base, tmp_path, *options) as process:
        until(process, "fhir_tasks", PLANS, source_payer="Northwind", requesting_payer="Us")
        load_tasks(server.base, [ended("bad", n, well=False) for n in range(PLANS)])
        text = failures(process, PLANS)
        assert sources(text) == {"Northwind"}
        assert total(text, "fhir_task_exporter_pairs") == 1

    load_tasks(server.base, [ended("while-down", n, well=False) for n in range(10)])
    file.write_text(RENAMED)
    with exporter(server.base, tmp_path, *options) as process:
        text = failures(process, PLANS + 10)
        assert sources(text) == {"Contoso"}
        assert total(text, "fhir_task_created_total", source_payer="Contoso") == PLANS + 10
        assert total(text, "fhir_task_exporter_pairs") == 1
        until(process, "fhir_tasks", 2 * PLANS + 10, source_payer="Contoso")
        assert 'msg="payers were renamed" carried=1 ended=0' in process.log.read_text()


def failures(process: Process, count: int) -> str:
    return until(process, "fhir_task_failures_total", count)
