"""What an option is, and how a Settings class has one: as a dataclass field made by one of the functions below.

The type of the field is what the parser returns, so mypy checks the two against each other.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, cast, get_type_hints, overload

from . import values
from .values import Limited, Parser

VARIABLE_PREFIX = "FHIR_TASK_EXPORTER_"
_ROW = "option"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row. `default` is text, as an operator would write it; None means that there is none."""

    name: str
    parse: Parser
    default: str | None
    help: str
    metavar: str
    required: bool = False
    repeatable: bool = False
    switch: bool = False
    empty_is_value: bool = False
    """Whether empty text is a value, so that an empty environment variable does not count as unset."""
    credential: bool = False
    """Whether it makes the exporter send credentials, which do not travel unencrypted unless that is allowed."""

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return f"--{self.name}"

    @property
    def off_flag(self) -> str:
        """What turns a switch off on the command line."""
        return f"--no-{self.name}"

    @property
    def on_by_default(self) -> bool:
        """Whether it is a switch that someone must turn off."""
        return self.switch and self.default == "true"

    @property
    def allowed(self) -> str:
        """Which values it takes, where only some of its kind are allowed; empty otherwise."""
        return self.parse.allowed if isinstance(self.parse, Limited) else ""

    @property
    def identifier(self) -> str:
        """The name where only letters, digits and underscores are allowed."""
        return self.name.replace(".", "_").replace("-", "_")

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return VARIABLE_PREFIX + self.identifier.upper()


@overload
def option(name: str, parse: Callable[[str], T], default: str, help_text: str, metavar: str = ...) -> T: ...
@overload
def option(name: str, parse: Callable[[str], T], default: None, help_text: str, metavar: str = ...) -> T | None: ...
def option(
    name: str, parse: Callable[[str], T], default: str | None, help_text: str, metavar: str = "DURATION"
) -> T | None:
    """Define an option that may be omitted. Its default goes through the same parser."""
    row = Option(name=name, parse=parse, default=default, help=help_text, metavar=metavar)
    return field(default=None if default is None else parse(default), metadata={_ROW: row})


def credential(name: str, parse: Callable[[str], T], help_text: str, metavar: str) -> T | None:
    """Define an option that may be omitted, and that makes the exporter send credentials."""
    row = Option(name=name, parse=parse, default=None, help=help_text, metavar=metavar, credential=True)
    return field(default=None, metadata={_ROW: row})


def clearable(name: str, parse: Callable[[str], T], default: str, help_text: str, metavar: str) -> T:
    """Define an option whose default is cleared by empty text."""
    row = Option(name=name, parse=parse, default=default, help=help_text, metavar=metavar, empty_is_value=True)
    return field(default=parse(default), metadata={_ROW: row})


def switch(name: str, help_text: str, *, on: bool = False) -> bool:
    """Define an option that is `on` or off by default: `--NAME` turns it on, `--no-NAME` off."""
    default = "true" if on else "false"
    row = Option(name=name, parse=values.switch, default=default, help=help_text, metavar="", switch=True)
    return field(default=on, metadata={_ROW: row})


def repeatable(name: str, parse: Callable[[str], T], help_text: str, metavar: str) -> tuple[T, ...]:
    """Define an option that may be given several times."""
    row = Option(name=name, parse=parse, default=None, help=help_text, metavar=metavar, repeatable=True)
    return field(default=(), metadata={_ROW: row})


def required(name: str, parse: Parser, help_text: str, metavar: str) -> Mapping[str, Option]:
    """Define an option without a default: `field(metadata=required(...))`, so that mypy sees a required argument."""
    return {_ROW: Option(name=name, parse=parse, default=None, help=help_text, metavar=metavar, required=True)}


def option_of(of: "Field[Any]") -> Option | None:
    """Return the row of a field; None if it is a group, or a table of the file."""
    return of.metadata.get(_ROW)


def options_of(settings_class: type) -> tuple[Option, ...]:
    """List the options of a Settings class and of the groups in it, in the order in which they are defined."""
    return tuple(_rows(settings_class))


def _rows(settings_class: type) -> Iterator[Option]:
    hints = get_type_hints(settings_class)
    for each in fields(settings_class):
        if _ROW in each.metadata:
            yield each.metadata[_ROW]
        elif is_dataclass(hints[each.name]):
            yield from _rows(hints[each.name])


def build(settings_class: Callable[..., T], chosen: Mapping[str, object]) -> T:
    """Fill a Settings class and the groups in it: options by their name, tables by the name of their field."""
    hints = get_type_hints(settings_class)
    filled: dict[str, object] = {}
    for each in fields(cast("type", settings_class)):
        name = each.metadata[_ROW].name if _ROW in each.metadata else each.name
        if name in chosen:
            filled[each.name] = chosen[name]
        elif is_dataclass(hints[each.name]):
            filled[each.name] = build(cast("type", hints[each.name]), chosen)
    return settings_class(**filled)
