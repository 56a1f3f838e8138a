"""Where watching is shown: a terminal with a live line, plain lines, or an object a line.

The server's words and the notes go to a terminal only: what is not one may be kept, as a log is.

See docs/watch.md#output.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import click

from ..clock import Clock
from ..task.dates import format_instant
from . import texts
from .model import EXIT_CODES, LEFT_ALONE, End, Json, Observation, Problem

_CLEAR = "\r\x1b[2K"
_COLORS = {None: "cyan", End.COMPLETED: "green", End.FAILED: "red"}


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed, in words: its kind, and the command that follows it again."""

    kind: str
    word: str
    resume: str


class Lines:
    """One plain line for each change."""

    step = math.inf

    def __init__(self, following: Following, clock: Clock) -> None:
        self._following = following
        self._clock = clock
        self._show_notes = False
        self._last: Observation | None = None
        self._problem = ""

    def show(self, seen: Observation, _wait: float | None) -> None:
        """Write a line if there is news, or if the poll before failed."""
        news = self._last is None or self._last.news != seen.news
        if news or self._problem:
            self._line(self._styled(seen))
        for note in seen.notes if news and self._show_notes else ():
            click.echo(f"  {note}")
        self._last, self._problem = seen, ""

    def failed(self, problem: Problem, wait: float | None) -> None:
        """Write a line for the first of the same problems in a row."""
        if wait is None:
            click.echo(f"{problem.sentence}\n{problem.remedy}", err=True)
        elif problem.sentence != self._problem:
            self._line(f"poll failed: {problem.sentence} {problem.remedy} Next poll in {texts.span(wait)}.")
        self._problem = problem.sentence

    def tick(self, _left: float) -> None:
        """Stay quiet."""

    def end(self, end: End) -> None:
        """Write the report, or what was left alone."""
        for line in self._last.report if self._last is not None and end not in LEFT_ALONE else ():
            click.echo(line)
        for line in texts.farewell(end, self._following.word, self._following.resume):
            click.echo(line, err=True)

    def _styled(self, seen: Observation) -> str:
        return texts.line(seen)

    def _line(self, text: str) -> None:
        click.echo(f"{format_instant(self._clock.wall())[:19]}Z {text}")


class Terminal(Lines):
    """The same lines, and below them one that moves: time, countdown, a bar or a spinner, and the server's words."""

    step = 0.25

    def __init__(self, following: Following, clock: Clock, *, show_notes: bool = False) -> None:
        super().__init__(following, clock)
        self._show_notes = show_notes
        self._seen_at = clock.monotonic()
        self._turn = 0

    def show(self, seen: Observation, _wait: float | None) -> None:
        """Start to count from here."""
        self._seen_at = self._clock.monotonic()
        super().show(seen, _wait)

    def tick(self, _left: float) -> None:
        """Draw the live line."""
        self._turn += 1
        if self._last is None:
            text = f"{texts.SPINNER[self._turn % len(texts.SPINNER)]} next poll in {texts.span(_left + 0.999)}"
        else:
            text = texts.live_line(self._last, self._clock.monotonic() - self._seen_at, _left, self._turn)
        click.echo(_CLEAR + text[: shutil.get_terminal_size().columns - 1], nl=False)

    def end(self, end: End) -> None:
        """Take the live line away."""
        click.echo(_CLEAR, nl=False)
        super().end(end)

    def _styled(self, seen: Observation) -> str:
        state, comma, rest = texts.line(seen).partition(",")
        return click.style(state, fg=_COLORS[seen.end], bold=True) + comma + rest

    def _line(self, text: str) -> None:
        click.echo(_CLEAR, nl=False)
        super()._line(text)


class JsonLines:
    """One object a line: each answer, each failed poll, and the end. Keys: docs/watch.md#json."""

    step = math.inf

    def __init__(self, following: Following, clock: Clock) -> None:
        self._following = following
        self._clock = clock

    def show(self, seen: Observation, wait: float | None) -> None:
        """Write an answer."""
        self._write("status", texts.as_object(seen, wait))

    def failed(self, problem: Problem, wait: float | None) -> None:
        """Write a failed poll."""
        self._write("poll_failed", texts.problem_as_object(problem, wait))

    def tick(self, _left: float) -> None:
        """Stay quiet."""

    def end(self, end: End) -> None:
        """Write how it ended; `resume` where it goes on without us."""
        left_alone = {"resume": self._following.resume} if end in LEFT_ALONE else {}
        self._write("end", {"outcome": end.value, "exit_code": EXIT_CODES[end], **left_alone})

    def _write(self, event: str, keys: Mapping[str, Json]) -> None:
        head = {"time": format_instant(self._clock.wall()), "event": event, "kind": self._following.kind}
        click.echo(json.dumps({**head, **keys}))


DISPLAYS: Mapping[str, Callable[[Following, Clock], Lines | JsonLines]] = {"text": Lines, "json": JsonLines}
"""By --output, where stdout is not a terminal."""
