"""The options as click knows them, and from what it read to the settings of a command."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import click

from .. import config, logs
from ..config import DemoSettings, LedgerSettings, Option, Settings
from ..config.values import InvalidValue
from ..errors import ConfigurationError

logger = logging.getLogger(__name__)

Given = bool | Sequence[str] | None
"""What click hands over for an option: texts, of a switch whether it is on, or None."""
T = TypeVar("T")
AnySettings = TypeVar("AnySettings", Settings, DemoSettings, LedgerSettings)

SETTINGS_OPTIONS = (config.CONFIG_FILE, *config.OPTIONS)
ONCE_OPTIONS = (config.CONFIG_FILE, *config.ONCE_OPTIONS)
LEDGER_OPTIONS = (config.CONFIG_FILE, *config.LEDGER_OPTIONS)
REBIND_OPTIONS = (config.CONFIG_FILE, *config.REBIND_OPTIONS)
WATCH_OPTIONS = (config.CONFIG_FILE, *config.WATCH_OPTIONS)


WATCHING = "Watching"
HEADINGS: Mapping[str, str] = {
    **{option.flag: config.group_of(option) for option in (*SETTINGS_OPTIONS, *config.DEMO_OPTIONS)},
    **dict.fromkeys(("--interval", "--timeout", "--output", "--cancel", "--show-notes"), WATCHING),
}
"""Under which heading of the help a flag stands."""


def click_options(options: Sequence[Option]) -> list[click.Parameter]:
    """Return the parameters of a command that takes these options."""
    return [_click_option(option) for option in options]


def _click_option(option: Option) -> click.Option:
    """Return click no type, default or variable: it would stop at the first problem, and repeat the value."""
    help_text = f"{option.help} [{_note(option)}]"
    if option.switch:
        return click.Option([f"{option.flag}/{option.off_flag}", option.identifier], default=None, help=help_text)
    return click.Option([option.flag, option.identifier], multiple=True, metavar=option.metavar, help=help_text)


def _note(option: Option) -> str:
    """Describe the default and the range."""
    return f"{_default(option)}; {option.allowed}" if option.allowed else _default(option)


def _default(option: Option) -> str:
    if option.required:
        return "required"
    if option.repeatable:
        return "may be repeated"
    if option.switch:
        return f"default: {'on' if option.on_by_default else 'off'}"
    return f"default: {option.default}" if option.default else "default: none"


def settings_from(
    given: Mapping[str, Given], load: Callable[[config.Flags, Mapping[str, str]], AnySettings]
) -> AnySettings:
    """Resolve the settings of a command and start the log; raises ConfigurationError with every problem."""
    unknown = config.unknown_variables(os.environ)
    try:
        settings = load(flags_of(given), os.environ)
    except ConfigurationError as error:  # a misspelled variable may be why something is missing
        misspelled = tuple(f"{name}: unknown variable" for name in unknown)
        raise ConfigurationError(error.problems + misspelled) from None
    logs.configure(settings.log.level, settings.log.format)
    for name in unknown:
        logs.log_event(logger, logging.WARNING, "ignoring unknown environment variable", variable=name)
    return settings


def reload_from(given: Mapping[str, Given]) -> Callable[[], Settings] | None:
    """Return what resolves the settings of `serve` again; None where no file is named, so that nothing can change."""
    flags = flags_of(given)
    return partial(config.reload_settings, flags, os.environ) if config.names_file(flags, os.environ) else None


def parsed(flag: str, parse: Callable[[str], T], text: str) -> T:
    """Parse the text of an option of one command alone; raises ConfigurationError."""
    try:
        return parse(text.strip())
    except InvalidValue as invalid:
        raise ConfigurationError((f"{flag}: {invalid}",)) from None


def flags_of(given: Mapping[str, Given]) -> config.Flags:
    """Return what was on the command line as texts, by the name of the option."""
    return {
        option.name: (str(value).lower(),) if isinstance(value, bool) else value
        for option in (*SETTINGS_OPTIONS, *config.DEMO_OPTIONS)
        if (value := given.get(option.identifier)) is not None
    }
