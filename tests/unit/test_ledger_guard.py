"""Watching the ledger's file: each look that finds trouble is counted, each change is logged once."""

import logging
from pathlib import Path
from typing import cast

import pytest

from exporter.errors import LedgerError, LedgerLost, LedgerReplaced
from exporter.ledger.file import LedgerFile
from exporter.ledger_guard import LedgerGuard
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import Telemetry


class FakeFile:
    """A file to which happens what a test says."""

    def __init__(self) -> None:
        self.found: LedgerError | None = None
        self.looks = 0

    def trouble(self) -> LedgerError | None:
        self.looks += 1
        return self.found


class Case:
    def __init__(self) -> None:
        self.file, self.telemetry = FakeFile(), Telemetry()
        self.guard = LedgerGuard(cast(LedgerFile, self.file), self.telemetry)

    @property
    def errors(self) -> int:
        text = self.telemetry.render(Format.TEXT).decode()
        line = next(x for x in text.splitlines() if x.startswith('fhir_task_exporter_errors_total{reason="ledger"}'))
        return int(float(line.rsplit(" ", 1)[1]))


def test_trouble_is_counted_at_each_look_and_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    case = Case()
    case.guard.look()
    assert (case.errors, case.guard.trouble, caplog.records) == (0, None, [])
    with caplog.at_level("INFO"):
        for found in (LedgerLost("gone"), LedgerLost("gone"), LedgerReplaced("another"), LedgerReplaced("another")):
            case.file.found = found
            case.guard.look()
            assert case.guard.trouble is found
        case.file.found = None
        case.guard.look()
        case.guard.look()
    assert case.errors == 4
    assert case.guard.trouble is None
    said = [(record.levelno, getattr(record, "fields", {}).get("error")) for record in caplog.records]
    assert said == [(logging.ERROR, "gone"), (logging.ERROR, "another"), (logging.INFO, None)]
    assert getattr(caplog.records[0], "fields", {})["remedy"] == LedgerLost.remedy


def test_it_looks_again_and_again_until_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.ledger_guard.INTERVAL_SECONDS", 0.001)
    case = Case()

    def stop_at_third() -> LedgerError | None:
        case.file.looks += 1
        if case.file.looks == 3:
            case.guard.stop()
        return LedgerLost("gone")

    case.file.trouble = stop_at_third  # type: ignore[method-assign]
    case.guard.run()
    assert (case.file.looks, case.errors) == (3, 2)


def test_a_ledger_in_memory_is_not_watched(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    guard = LedgerGuard(None, Telemetry())
    guard.look()
    assert guard.trouble is None
    assert caplog.records == []
