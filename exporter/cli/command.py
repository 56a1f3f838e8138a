"""What all commands have in common: how their help looks, and how failures become sentences and exit codes.

Nothing else in the exporter exits.

See docs/design.md#exit-codes.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any

import click

from .. import documents, logs
from ..errors import ConfigurationError, ExporterError
from .options import HEADINGS

PROBLEM, WRONG_USAGE = 1, 2

_SIMILARITY = 0.65
"""How similar a name must be to be suggested, of 1: --password is a slip for --fhir.password-file."""
_NAME = re.compile(r"--[A-Za-z0-9._-]{1,60}|-[A-Za-z]?")
"""What is shown of an unknown option: the text after a short one, or after an unusual character, may be a secret."""


OTHER_OPTIONS = "Other options"


def print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print name and version, and exit, where `--version` was given."""
    if wanted and not ctx.resilient_parsing:
        click.echo(version_line())
        ctx.exit()


def version_line() -> str:
    """Return the name of the distribution and its version."""
    return f"fhir-task-exporter {version('fhir-task-exporter')}"


def version_option() -> click.Option:
    """Return the option `--version`, which every command has."""
    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=print_version,
        help="Show the version and exit.",
    )


def no_such_option(ctx: click.Context, args: Sequence[str], name: str) -> str:
    """Describe an unknown option. click names only the first letter of `-fhir.url`; the word itself has a match."""
    word = name if name.startswith("--") else next((word for word in args if word.startswith(name)), name)
    known = [flag for option in ctx.command.get_params(ctx) for flag in (*option.opts, *option.secondary_opts)]
    close = get_close_matches(word.partition("=")[0], known, 1, _SIMILARITY)
    shown = _NAME.match(word)
    return f"No such option {shown[0] if shown else '-'}.{f' Did you mean {close[0]}?' if close else ''}"


class Group(click.Group):
    """Commands, listed in the order in which they are defined."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the names."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; the message about an unknown option is ours."""
        try:
            return super().parse_args(ctx, list(args))
        except click.NoSuchOption as error:
            ctx.fail(no_such_option(ctx, args, error.option_name))


class Command(click.Command):
    """A command whose body returns its exit code, and whose failures become sentences.

    `examples` are shown before the options, without the name of the program.
    """

    allow_extra_args = True

    def __init__(self, name: str | None, *, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.params.append(version_option())
        self._examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, then the examples."""
        super().format_help_text(ctx, formatter)
        if self._examples:
            with formatter.section("Examples"):
                formatter.write_text("\b\n" + "\n".join(f"fhir-task-exporter {words}" for words in self._examples))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None and row[1]:  # an argument is in the usage line, and has no help
                sections.setdefault(HEADINGS.get(parameter.opts[0], OTHER_OPTIONS), []).append(row)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; where click's own error would repeat a value, it is replaced by one that does not."""
        try:
            left = super().parse_args(ctx, list(args))
        except click.NoSuchOption as error:
            ctx.fail(no_such_option(ctx, args, error.option_name))
        if left and not ctx.resilient_parsing:
            ctx.fail("Unexpected argument; a value must follow its option.")
        return left

    def invoke(self, ctx: click.Context) -> None:
        """Run the body and exit: 0 success, 1 it ran and found a problem, 2 wrong configuration."""
        try:
            code = super().invoke(ctx)
        except ConfigurationError as error:
            _complain("Invalid configuration:", *(f"  {fault}" for fault in error.problems), error.remedy)
            _complain(f"Every option is described at {documents.url('configuration.md')}")
            code = WRONG_USAGE
        except ExporterError as error:
            _complain(str(error), error.remedy)
            code = PROBLEM
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: a traceback would print the message, and what is in it
            _complain(f"Internal error: {type(error).__name__} at {logs.traceback_summary(error)}.")
            _complain(ExporterError.remedy)
            code = PROBLEM
        ctx.exit(code)


def _complain(*lines: str) -> None:
    for line in lines:
        click.echo(logs.mask_secrets(line), err=True)
