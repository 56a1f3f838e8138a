"""`watch` as tests run it: a simulated server, a clock that waiting moves, and what is printed."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from exporter.app import commands as app
from exporter.config import FhirSettings, Settings
from exporter.demo.server import Request, Response
from exporter.watch.run import WatchRequest, watch

from .fake import BASE, HandClock, RecordingTransport

STATUS_URL = f"{BASE}/$export-poll-status?_jobId=4f3c-1"


class Watching:
    """One run of the command. `pauses` are the seconds that it waited, one for each poll."""

    def __init__(self, answer: Callable[[Request], Response], clock: HandClock, capsys: Any) -> None:
        self.clock = clock
        self.transport = RecordingTransport(answer)
        self.pauses: list[float] = []
        self.interrupt_after: int | None = None
        """Ctrl-C at this wait."""
        self.meanwhile: Callable[[int], None] = lambda _: None
        """Called at each wait with its number."""
        self._capsys = capsys

    def __call__(self, target: str = STATUS_URL, settings: Settings | None = None, **request: Any) -> int:
        sources = app.watch_sources(settings or Settings(fhir=FhirSettings(url=BASE)), self.clock, self.transport)
        return watch(WatchRequest(target=target, **request), sources, self.pause)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.interrupt_after is not None and len(self.pauses) >= self.interrupt_after:
            raise KeyboardInterrupt
        self.clock.advance(seconds)
        self.meanwhile(len(self.pauses))

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.transport.requests]

    def printed(self) -> tuple[list[str], list[str]]:
        """Return the lines of stdout and stderr since it was last asked."""
        out, err = self._capsys.readouterr()
        return out.splitlines(), err.splitlines()

    def objects(self) -> list[dict[str, Any]]:
        """Return what --output json printed."""
        return [json.loads(line) for line in self.printed()[0]]


def in_turn(*answers: Response) -> Callable[[Request], Response]:
    """Answer in turn, the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stdout be a terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
