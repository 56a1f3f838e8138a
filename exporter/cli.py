"""The command line: the options as click knows them, and the only place that exits.

click reads words; `config` validates them together with the environment and the file, and reports every problem in one
list. Usage errors, such as an unknown option, are click's: docs/decisions/0022-options-are-resolved-without-click.md.

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
from .config import DemoSettings, Option, Settings
from .errors import ConfigurationError, ExporterError

PROBLEM, WRONG_USAGE = 1, 2
logger = logging.getLogger(__name__)

Given = bool | Sequence[str] | None
"""What click hands over for an option: texts, of a switch whether it is on, or None."""
AnySettings = TypeVar("AnySettings", Settings, DemoSettings)

_SIMILARITY = 0.65
"""How similar a name must be to be suggested, of 1: --password is a slip for --fhir.password-file."""
_NAME = re.compile(r"--[A-Za-z0-9._-]{1,60}|-[A-Za-z]?")
"""What is shown of an unknown option: the text after a short one, or after an unusual character, may be a secret."""


class _Command(click.Command):
    """A command whose body returns its exit code, and whose failures become sentences."""

    allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; where click's own error would repeat a value, it is replaced by one that does not."""
        try:
            left = super().parse_args(ctx, list(args))
        except click.NoSuchOption as error:
            ctx.fail(self._no_such_option(ctx, args, error.option_name))
        if left and not ctx.resilient_parsing:
            ctx.fail("Unexpected argument; a value must follow its option.")
        return left

    def _no_such_option(self, ctx: click.Context, args: Sequence[str], name: str) -> str:
        """Describe an unknown option. click names only the first letter of `-fhir.url`; the word itself has a match."""
        word = name if name.startswith("--") else next((word for word in args if word.startswith(name)), name)
        known = [flag for option in self.get_params(ctx) for flag in (*option.opts, *option.secondary_opts)]
        close = get_close_matches(word.partition("=")[0], known, 1, _SIMILARITY)
        shown = _NAME.match(word)
        return f"No such option {shown[0] if shown else '-'}.{f' Did you mean {close[0]}?' if close else ''}"

    def invoke(self, ctx: click.Context) -> None:
        """Run the body and exit: 0 success, 1 it ran and found a problem, 2 wrong configuration."""
        try:
            code = super().invoke(ctx)
        except ConfigurationError as error:
            _complain("Invalid configuration:", *(f"  {fault}" for fault in error.problems), error.remedy)
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


def _click_options(options: Sequence[Option]) -> list[click.Parameter]:
    return [_click_option(option) for option in options]


def _click_option(option: Option) -> click.Option:
    """Return click no type, default or variable: it would stop at the first problem, and repeat the value."""
    help_text = f"{option.help} [{_default(option)}]"
    if option.switch:
        flags = f"{option.flag}/--no-{option.name}"
        return click.Option([flags, option.identifier], default=None, help=help_text)
    return click.Option([option.flag, option.identifier], multiple=True, metavar=option.metavar, help=help_text)


def _default(option: Option) -> str:
    if option.required:
        return "required"
    if option.repeatable:
        return "may be repeated"
    return f"default: {'off' if option.switch else option.default}" if option.default else "default: none"


_SETTINGS_OPTIONS = (config.CONFIG_FILE, *config.OPTIONS)


def _load(load: Callable[[config.Flags, Mapping[str, str]], AnySettings], given: Mapping[str, Given]) -> AnySettings:
    """Resolve the settings of a command and start the log; raises ConfigurationError with every problem."""
    settings = load(_flags(given), os.environ)
    logs.configure(settings.log.level, settings.log.format)
    for name in config.unknown_variables(os.environ):
        logs.log_event(logger, logging.WARNING, "ignoring unknown environment variable", variable=name)
    return settings


def _flags(given: Mapping[str, Given]) -> config.Flags:
    """Return what was on the command line as texts, by the name of the option."""
    return {
        option.name: (str(value).lower(),) if isinstance(value, bool) else value
        for option in (*_SETTINGS_OPTIONS, *config.DEMO_OPTIONS)
        if (value := given.get(option.identifier)) is not None
    }


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="fhir-task-exporter", message="%(package)s %(version)s")
def main() -> None:
    """Prometheus metrics of payer-to-payer exchange Tasks on a FHIR server.

    Every option of serve, check, once and demo is also an environment variable: --fhir.url is
    FHIR_TASK_EXPORTER_FHIR_URL. Options of serve, check and once can also be set in the YAML file of --config.file.
    """


@main.command(cls=_Command, params=_click_options(_SETTINGS_OPTIONS))
def serve(**given: Given) -> int:
    """Serve the metrics until stopped."""
    settings = _load(config.load_settings, given)
    from . import app

    return app.serve(settings)


@main.command(cls=_Command, params=_click_options(_SETTINGS_OPTIONS))
def check(**given: Given) -> int:
    """Test the configuration and the connection, and explain what to fix."""
    settings = _load(config.load_settings, given)
    from . import app

    return app.check(settings)


@main.command(cls=_Command, params=_click_options(_SETTINGS_OPTIONS))
def once(**given: Given) -> int:
    """Read all Tasks once and write the metrics to standard output."""
    settings = _load(config.load_settings, given)
    from . import app

    return app.once(settings)


@main.command(cls=_Command, params=_click_options(config.DEMO_OPTIONS))
def demo(**given: Given) -> int:
    """Run a simulated payer network and an exporter of it."""
    settings = _load(config.load_demo_settings, given)
    from . import app

    return app.demo(settings)


@main.command(cls=_Command)
def dashboard() -> int:
    """Print the bundled Grafana dashboard."""
    click.echo(bundle.dashboard(), nl=False)
    return 0


@main.command(cls=_Command)
@click.option("--job", default=bundle.JOB, show_default=True, help="Name of the scrape job in Prometheus.")
@click.option("--runbook-url", default=bundle.RUNBOOKS, show_default=True, help="Base URL of your runbooks.")
@click.option("--grafana-url", default=bundle.GRAFANA, show_default=True, help="Base URL of your Grafana.")
def rules(job: str, runbook_url: str, grafana_url: str) -> int:
    """Print the bundled Prometheus recording and alerting rules as one file."""
    click.echo(bundle.rules(job, runbook_url, grafana_url), nl=False)
    return 0
