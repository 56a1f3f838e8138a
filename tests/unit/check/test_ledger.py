"""What `check` says about the ledger."""

import dataclasses
from pathlib import Path

import pytest

from exporter.ledger import Binding, open_ledger
from exporter.task.payers import PairRule

from ...support import quirks
from ...support.fake import BASE
from ..ledger.ledgers import version, write
from .case import FHIR, SETTINGS, Case


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (BASE, "INFO  ledger: in use by another process\n"),
        ("http://elsewhere.example/fhir", "INFO  ledger: in use by another process\n"),
    ],
)
def test_a_ledger_in_use_is_information(case: Case, tmp_path: Path, url: str, told: str) -> None:
    ledger, _ = open_ledger(str(tmp_path / "l.db"), Binding(url, FHIR.selection), PairRule(100))
    code, text = case.run(settings=dataclasses.replace(SETTINGS, ledger=str(tmp_path / "l.db")))
    ledger.close()
    assert code == 0
    assert told in text


def test_a_ledger_of_another_source_is_a_problem_beside_the_servers(case: Case, tmp_path: Path) -> None:
    path = str(tmp_path / "l.db")
    ledger, _ = open_ledger(path, Binding("http://elsewhere.example/fhir", FHIR.selection), PairRule(100))
    write(ledger, version("a"))
    ledger.close()
    code, told = case.run(quirks.down, settings=dataclasses.replace(SETTINGS, ledger=path))
    assert code == 1
    assert f"FAIL  ledger: the ledger {path} is not used: it was made for the FHIR server elsewhere.example:80" in told
    assert told.endswith("2 problems found. Fix them and run check again.\n")
    code, told = case.run(settings=dataclasses.replace(SETTINGS, ledger=path, ledger_rebind=True))
    assert code == 0
    assert "WARN  ledger: made for another address or selection; serve will look for its Tasks here" in told


def test_a_damaged_ledger_is_a_problem_that_says_what_serve_will_do(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    open_ledger(str(path), Binding(BASE, FHIR.selection), PairRule(100))[0].close()
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * 8192)
    code, told = case.run(settings=dataclasses.replace(SETTINGS, ledger=str(path)))
    assert code == 1
    assert f"FAIL  ledger: the ledger {path} is damaged\n" in told
    assert "serve sets the file aside and creates a new ledger; its counters start at 0." in told
    assert "permissions" not in told
