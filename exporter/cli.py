"""The command line: the options as click knows them, and the only place that exits.

Options carry no type, default or envvar of click's: it would stop at the first fault and repeat the value. They are
handed as text to `config`, which answers with Settings or with every fault at once. What click itself cannot read, such
as a mistyped option, becomes a fault in the same list.

See docs/design.md#commands, docs/design.md#exit-codes.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar

import click

from . import bundle, config, logs
from .config import LogSettings, Option
from .errors import ConfigurationError, ExporterError

TROUBLE, WRONG_USAGE = 1, 2
logger = logging.getLogger(__name__)

Given = str | bool | Sequence[str] | None
Function = TypeVar("Function", bound=Callable[..., int])
Plan = TypeVar("Plan")

_FAULTS = "exporter.faults"
_ALIKE = 0.65
"""How alike two names are, of 1, for one to be a slip of the other: --password is one of --fhir.password-file."""
_NAME = re.compile(r"--[A-Za-z0-9._-]{1,60}|-[A-Za-z]?")
"""What is shown of an unknown option: what is glued to a short one, or follows an odd letter, may be a secret."""


class _Command(click.Command):
    """A command whose body returns its exit code, and whose failures become sentences."""

    allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what can be read; what cannot is kept for `_settled`, without its value: that may be a secret."""
        try:
            left = super().parse_args(ctx, list(args))
        except (click.NoSuchOption, click.BadOptionUsage) as error:
            at = next((at for at, word in enumerate(args) if _means(word, error.option_name)), None)
            if at is None:
                raise
            _faults(ctx).append(self._fault(ctx, args[at], error))
            return self.parse_args(ctx, args[:at] + args[_end(args, at) :])
        if left and not ctx.resilient_parsing:
            _faults(ctx).append("there are arguments that belong to no option")
        return left

    def _fault(self, ctx: click.Context, word: str, error: click.UsageError) -> str:
        """Say what is wrong with an option as it was written, and which one may be meant."""
        name = word.partition("=")[0]
        if isinstance(error, click.BadOptionUsage):
            return f"{name}: {'takes no value' if '=' in word else 'needs a value'}"
        known = [flag for option in self.get_params(ctx) for flag in (*option.opts, *option.secondary_opts)]
        close = get_close_matches(name, known, 1, _ALIKE)
        return f"{_shown(name)} is no option here{f'; did you mean {close[0]}?' if close else ''}"

    def invoke(self, ctx: click.Context) -> None:
        """Run the body and exit: 0 it went well, 1 it ran and found trouble, 2 the configuration is wrong."""
        try:
            code = super().invoke(ctx)
        except ConfigurationError as error:
            _complain("The configuration cannot be used:", *(f"  {fault}" for fault in error.faults), error.remedy)
            code = WRONG_USAGE
        except ExporterError as error:
            _complain(str(error), error.remedy)
            code = TROUBLE
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: a traceback would print the message, and what is in it
            _complain(f"An error of the programme itself: {type(error).__name__} at {logs.traceback_summary(error)}.")
            _complain(ExporterError.remedy)
            code = TROUBLE
        ctx.exit(code)


def _faults(ctx: click.Context) -> list[str]:
    """Give the list of what click could not read of this command line."""
    faults: list[str] = ctx.meta.setdefault(_FAULTS, [])
    return faults


def _shown(name: str) -> str:
    found = _NAME.match(name)
    return found[0] if found else "-"


def _means(word: str, option: str) -> bool:
    """Tell whether click spoke of this word: `--name=value`, or `-n` with whatever follows it."""
    return word.partition("=")[0] == option or (option[:2] != "--" and word.startswith(option))


def _end(args: Sequence[str], at: int) -> int:
    """Find where the option at a place ends: no command takes arguments, so a word after it is its value."""
    alone = "=" in args[at] or at + 1 == len(args) or args[at + 1].startswith("-")
    return at + (1 if alone else 2)


def _settled(settle: Callable[[], Plan]) -> Plan:
    """Decide what to do; raises ConfigurationError with every fault, those of click's reading first."""
    faults = tuple(_faults(click.get_current_context()))
    try:
        plan = settle()
    except ConfigurationError as error:
        raise ConfigurationError((*faults, *error.faults)) from error
    if faults:
        raise ConfigurationError(faults)
    return plan


def _complain(*lines: str) -> None:
    for line in lines:
        click.echo(logs.mask_secrets(line), err=True)


def _with(options: Sequence[Option]) -> Callable[[Function], Function]:
    """Give a command one click option for each row."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = _click_option(option)(function)
        return function

    return decorate


def _click_option(option: Option) -> Callable[[Function], Function]:
    flags = f"{option.flag}/--no-{option.name}" if option.switch else option.flag
    told = f"{option.help} [{_aside(option)}]"
    if option.switch:
        return click.option(flags, option.identifier, default=None, help=told)
    return click.option(flags, option.identifier, multiple=option.repeatable, metavar=option.metavar, help=told)


def _aside(option: Option) -> str:
    if option.required:
        return "required"
    if option.repeatable:
        return "may be repeated"
    return f"default: {'off' if option.switch else option.default}" if option.default else "default: none"


_ALL = (config.CONFIG_FILE, *config.OPTIONS)
_NAMES = {option.identifier: option.name for option in (*_ALL, *config.DEMO_OPTIONS)}


def _flags(given: Mapping[str, Given]) -> config.Flags:
    """Hand on as text, by option name, what stood on the command line."""
    flags: dict[str, Sequence[str]] = {}
    for identifier, value in given.items():
        name = _NAMES[identifier]
        if isinstance(value, bool):
            flags[name] = (str(value).lower(),)
        elif isinstance(value, str):
            flags[name] = (value,)
        elif value is not None:
            flags[name] = tuple(value)
    return flags


def _settings(given: Mapping[str, Given]) -> config.Settings:
    settings = _settled(lambda: config.load_settings(_flags(given), os.environ))
    _start_log(settings.log)
    return settings


def _start_log(chosen: LogSettings) -> None:
    logs.configure(chosen.level, chosen.format)
    for name in config.unknown_variables(os.environ):
        logs.event(logger, logging.WARNING, "no option is called like this variable; it is ignored", variable=name)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="fhir-task-exporter", message="%(package)s %(version)s")
def main() -> None:
    """Prometheus metrics of payer-to-payer exchange Tasks on a FHIR server.

    Every option of serve, check, once and demo may also stand in the environment (--fhir.url as
    FHIR_TASK_EXPORTER_FHIR_URL); those of serve, check and once also in the YAML file of --config.file.
    """


@main.command(cls=_Command)
@_with(_ALL)
def serve(**given: Given) -> int:
    """Answer Prometheus' scrapes until told to stop."""
    settings = _settings(given)
    from . import app as run

    return run.serve(settings)


@main.command(cls=_Command)
@_with(_ALL)
def check(**given: Given) -> int:
    """Try configuration and connection; say in plain words what was found and what to fix."""
    settings = _settings(given)
    from . import app as run

    return run.check(settings)


@main.command(cls=_Command)
@_with(_ALL)
def once(**given: Given) -> int:
    """Read everything once and write the metrics to standard output."""
    settings = _settings(given)
    from . import app as run

    return run.once(settings)


@main.command(cls=_Command)
@_with(config.DEMO_OPTIONS)
def demo(**given: Given) -> int:
    """Run a simulated network of payers, and the exporter on it."""
    settings = _settled(lambda: config.load_demo_settings(_flags(given), os.environ))
    _start_log(settings.log)
    from . import app as run

    return run.demo(settings)


@main.command(cls=_Command)
def dashboard() -> int:
    """Print the bundled Grafana dashboard."""
    click.echo(_settled(bundle.dashboard), nl=False)
    return 0


@main.command(cls=_Command)
@click.option("--job", default=bundle.JOB, show_default=True, help="Name of the scrape job in your Prometheus.")
@click.option("--runbook-url", default=bundle.RUNBOOKS, show_default=True, help="Where your runbooks are.")
@click.option("--grafana-url", default=bundle.GRAFANA, show_default=True, help="Where your Grafana is.")
def rules(job: str, runbook_url: str, grafana_url: str) -> int:
    """Print the bundled recording and alert rules of Prometheus, as one file."""
    click.echo(_settled(lambda: bundle.rules(job, runbook_url, grafana_url)), nl=False)
    return 0
