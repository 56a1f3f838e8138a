"""`watch`: follows one export job, Task or batch job in a terminal. Rules: docs/watch.md."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from .. import config
from ..config.values import InvalidValue, one_of, positive_duration
from ..errors import ConfigurationError
from .command import Command
from .options import WATCH_OPTIONS, Given, click_options, flags_of, settings_from

OWN = ("interval", "timeout", "output")
"""Options of `watch` alone that a resumed command needs too."""

_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "interval": positive_duration,
    "timeout": positive_duration,
    "output": one_of("text", "json"),
}


def _text(name: str, help_text: str, metavar: str) -> click.Option:
    return click.Option([f"--{name}", name], metavar=metavar, help=help_text)


WATCH_PARAMETERS: Sequence[click.Parameter] = (
    click.Argument(["target"], metavar="TARGET"),
    _text("interval", "Time between polls. [default: 5s for a Task, else 10s to 1m; Retry-After wins]", "DURATION"),
    _text("timeout", "Give up after this time. [default: none]", "DURATION"),
    _text("output", "Lines for people, or one JSON object a line. [default: text; one of text, json]", "FORM"),
    click.Option(["--cancel"], is_flag=True, help="Ask the server to cancel the export job, and exit."),
    click.Option(["--show-notes"], is_flag=True, help="Show the notes of the Task, which may name members."),
    *click_options(WATCH_OPTIONS),
)
EXAMPLES = (
    "watch 'https://cdr.example.org/fhir/$export-poll-status?_jobId=4f3c' --config.file exporter.yaml",
    "watch Task/123 --config.file exporter.yaml",
    "watch job/4f3c --config.file exporter.yaml",
)


@click.command(cls=Command, params=list(WATCH_PARAMETERS), examples=EXAMPLES)
def watch(target: str, cancel: bool, show_notes: bool, **given: Any) -> int:
    """Follow one export job, Task or batch job until it ends.

    TARGET is the status URL that the kick-off of the export answered with, Task/ and an id, or job/ and the id of a
    batch job of Smile CDR, for which --batch-jobs.url and --batch-jobs.module are needed.

    Exits 0 when it completed; 1 when it failed, was cancelled or is gone, or --timeout is over; 130 on Ctrl-C. Nothing
    is changed on the server, unless --cancel is given.
    """
    own, problems = _own(given)
    settings = _settings(given, problems)
    from ..app import commands as app
    from ..watch.run import WatchRequest

    flags = (*_again(given), *(("--show-notes",) if show_notes else ()))
    return app.watch(settings, WatchRequest(target=target, cancel=cancel, show_notes=show_notes, flags=flags, **own))


def _own(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Parse the options of `watch` alone; returns the values and the problems."""
    values, problems = dict[str, Any](), list[str]()
    for name in OWN:
        if given[name] is not None:
            try:
                values[name] = _PARSERS[name](given[name])
            except InvalidValue as invalid:
                problems.append(f"--{name}: {invalid}")
    return values, problems


def _settings(given: Mapping[str, Given], problems: Sequence[str]) -> config.Settings:
    """Load the settings; raises ConfigurationError with their problems and those of our own options."""
    try:
        settings = settings_from(given, config.load_settings)
    except ConfigurationError as error:
        raise ConfigurationError((*problems, *error.problems)) from None
    if problems:
        raise ConfigurationError(tuple(problems))
    return settings


def _again(given: Mapping[str, Any]) -> list[str]:
    """Return the flags that were given, for another command. Secrets are in files: no flag holds one."""
    flags = flags_of(given)
    words = [f"--{name}={given[name]}" for name in OWN if given[name] is not None]
    for option in WATCH_OPTIONS:
        texts = flags.get(option.name, ())
        if option.switch:
            words += [f"--{'' if text == 'true' else 'no-'}{option.name}" for text in texts]
        else:
            words += [f"{option.flag}={text}" for text in (texts if option.repeatable else texts[-1:])]
    return words
