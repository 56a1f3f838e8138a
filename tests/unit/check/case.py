"""One check of a simulated server: what was printed, and what was asked."""

import dataclasses
import itertools
from collections.abc import Sequence

import pytest

from exporter.check import run as check
from exporter.config import FhirSettings, Settings
from exporter.fhir.auth import Anonymous, Auth
from exporter.fhir.client import FhirServer, SearchOptions
from exporter.fhir.http import Http
from exporter.task.reasons import classifier

from ...support import quirks
from ...support.builders import CODE, TAG, Resource, completed, failed, organization, task
from ...support.fake import BASE, HandClock, RecordingTransport, store, transport
from ...support.quirks import Quirk

CANARY = "hunter2canary"
FHIR = FhirSettings(url=BASE, tag=TAG, code=CODE)
SETTINGS = Settings(fhir=FHIR, ledger=":memory:")
PAYERS = (organization(), organization("new-payer", "New Payer"))
TASKS = (
    task("t-1"),
    task("t-2", "in-progress"),
    completed("t-3"),
    completed("t-4"),
    failed("t-5", "The member match failed"),
)


class Case:
    """One check of a simulated server: what was printed, and what was asked."""

    def __init__(self, capsys: pytest.CaptureFixture[str], resources: Sequence[Resource] = (*PAYERS, *TASKS)) -> None:
        self.capsys = capsys
        self.auth: Auth = Anonymous()
        self.clock = HandClock()
        self.ours = HandClock()
        self.store = store(self.clock)
        for resource in resources:
            self.store.put(resource)
            self.clock.advance(1)
            self.ours.advance(1)

    def run(self, *played: Quirk, settings: Settings = SETTINGS, page_size: int = 200) -> tuple[int, str]:
        self.transport: RecordingTransport = transport(quirks.played(self.store, *played))
        fhir = dataclasses.replace(settings.fhir, page_size=page_size)
        server = FhirServer(
            Http(fhir, self.auth, transport=self.transport), fhir, SearchOptions(classifier(settings.reasons), 60)
        )
        return check.examine(settings, server, self.ours), self.capsys.readouterr().out


def below(told: str, start: str) -> str:
    """Return what to do about the line that begins so."""
    lines = told.splitlines()
    found = [after for line, after in itertools.pairwise(lines) if line.startswith(start)]
    assert len(found) == 1, told
    assert found[0].startswith("      -> "), told
    return found[0]


def run(capsys: pytest.CaptureFixture[str], *resources: Resource, settings: Settings = SETTINGS) -> str:
    """Check a server that holds these resources."""
    return Case(capsys, resources).run(settings=settings)[1]
