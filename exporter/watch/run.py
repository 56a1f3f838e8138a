"""What the command does with its request: cancel, or follow and show.

See docs/watch.md.
"""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass

import click

from ..errors import ConfigurationError
from ..task.dates import format_instant
from . import cancel
from .display import DISPLAYS, Following, Terminal
from .loop import Display, Watcher
from .model import EXIT_CODES, End
from .pace import every
from .subjects import Sources, make_subject
from .targets import KINDS, Kind, Target, read_target

PROGRAM = "fhir-task-exporter watch"
NOTES_WARNING = "Notes may name members. They are shown on this terminal only: do not keep or share what it shows."


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """What was asked for on the command line. `flags` are those to give again, none of which holds a secret."""

    target: str
    interval: float | None = None
    timeout: float | None = None
    output: str = "text"
    cancel: bool = False
    show_notes: bool = False
    flags: tuple[str, ...] = ()


def watch(request: WatchRequest, sources: Sources, pause: Callable[[float], None]) -> int:
    """Do it; returns the exit code. Raises ConfigurationError; for `--cancel` a ServerError, too."""
    target = read_target(request.target, sources.server.http.base)
    terminal = sys.stdout.isatty() and request.output == "text"
    _check(request, target, terminal)
    subject = make_subject(sources, target)
    if request.cancel:
        return _cancel(request, sources, subject.name)
    resume = shlex.join((*PROGRAM.split(), subject.name, *request.flags))
    following = Following(target.kind.value, target.word, resume)
    pace = KINDS[target.kind].pace if request.interval is None else every(request.interval)
    if request.show_notes:
        click.secho(NOTES_WARNING, fg="yellow", err=True)
    display = _display(request, following, sources, terminal=terminal)
    return EXIT_CODES[Watcher(subject, display, pace, sources.clock, pause).run(request.timeout)]


def _check(request: WatchRequest, target: Target, terminal: bool) -> None:
    """Refuse what does not fit together."""
    problems = []
    if request.cancel and target.kind is not Kind.EXPORT:
        problems.append(f"--cancel: is for export jobs; a {target.word} is never changed")
    if request.show_notes and target.kind is not Kind.TASK:
        problems.append("--show-notes: is for Tasks")
    elif request.show_notes and not terminal:
        problems.append("--show-notes: needs a terminal and --output text; notes may name members and must not be kept")
    if problems:
        raise ConfigurationError(tuple(problems))


def _display(request: WatchRequest, following: Following, sources: Sources, *, terminal: bool) -> Display:
    if terminal:
        return Terminal(following, sources.clock, show_notes=request.show_notes)
    return DISPLAYS[request.output](following, sources.clock)


def _cancel(request: WatchRequest, sources: Sources, address: str) -> int:
    try:
        answer = cancel.cancel(sources.exports, address, sources.server.settings.timeout)
    except KeyboardInterrupt:
        click.echo(cancel.INTERRUPTED, err=True)
        return EXIT_CODES[End.INTERRUPTED]
    code = int(not answer.cancelled)
    if request.output == "json":
        time = format_instant(sources.clock.wall())
        keys = {"cancelled": answer.cancelled, "message": answer.sentence, "exit_code": code}
        click.echo(json.dumps({"time": time, "event": "cancel", "kind": Kind.EXPORT.value, **keys}))
    else:
        click.echo(answer.sentence)
    return code
