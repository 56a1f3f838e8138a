"""What an option is. One row in a Settings class yields its flag, variable, key in the file, check and documentation.

A row is a dataclass field made by `option` (or, where there is no default, by `field(metadata=row(…))`), so that
mypy sees that the parser makes what the field holds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TypeVar, cast, get_type_hints, overload

from .parsers import Parser

VARIABLE_PREFIX = "FHIR_TASK_EXPORTER_"
_KEY = "option"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row. `default` is text, as an operator would write it; None means there is none."""

    name: str
    parse: Parser
    default: str | None
    help: str
    metavar: str
    required: bool = False
    repeatable: bool = False
    switch: bool = False
    empty: bool = False
    """Whether empty text is a value of its own."""

    @property
    def flag(self) -> str:
        """How it is written on the command line."""
        return f"--{self.name}"

    @property
    def identifier(self) -> str:
        """How it is written where only letters, digits and _ may stand."""
        return self.name.replace(".", "_").replace("-", "_")

    @property
    def variable(self) -> str:
        """How it is written in the environment."""
        return VARIABLE_PREFIX + self.identifier.upper()


@overload
def option(name: str, parse: Callable[[str], T], default: str, told: str, metavar: str = ...) -> T: ...
@overload
def option(name: str, parse: Callable[[str], T], default: None, told: str, metavar: str = ...) -> T | None: ...
def option(name: str, parse: Callable[[str], T], default: str | None, told: str, metavar: str = "DURATION") -> T | None:
    """Make the field of an option that may be left out; its default goes through the same parser."""
    row = Option(name=name, parse=parse, default=default, help=told, metavar=metavar)
    value = None if default is None else parse(default)
    return field(default=value, metadata={_KEY: row})


def clearable(name: str, parse: Callable[[str], T], default: str, told: str, metavar: str) -> T:
    """Make the field of an option for which empty text is a value: it clears the default."""
    row = Option(name=name, parse=parse, default=default, help=told, metavar=metavar, empty=True)
    return field(default=parse(default), metadata={_KEY: row})


def switch(name: str, parse: Callable[[str], bool], told: str) -> bool:
    """Make the field of an option that is off unless it is named."""
    row = Option(name=name, parse=parse, default="false", help=told, metavar="", switch=True)
    return field(default=False, metadata={_KEY: row})


def repeatable(name: str, parse: Callable[[str], T], told: str, metavar: str) -> tuple[T, ...]:
    """Make the field of an option that may be given several times."""
    row = Option(name=name, parse=parse, default=None, help=told, metavar=metavar, repeatable=True)
    return field(default=(), metadata={_KEY: row})


def required(name: str, parse: Parser, told: str, metavar: str) -> Mapping[str, Option]:
    """Make the metadata of a field that has no default: `field(metadata=required(…))`."""
    return {_KEY: Option(name=name, parse=parse, default=None, help=told, metavar=metavar, required=True)}


def options_of(kind: type) -> tuple[Option, ...]:
    """List the rows of a Settings class and of the groups in it, in the order they are written."""
    return tuple(_rows(kind))


def _rows(kind: type) -> Iterator[Option]:
    hints = get_type_hints(kind)
    for each in fields(kind):
        if _KEY in each.metadata:
            yield each.metadata[_KEY]
        elif is_dataclass(hints[each.name]):
            yield from _rows(hints[each.name])


def build(kind: Callable[..., T], values: Mapping[str, object]) -> T:
    """Fill a Settings class and the groups in it with values by option name; other fields by their own name."""
    hints = get_type_hints(kind)
    filled: dict[str, object] = {}
    for each in fields(cast("type", kind)):
        name = each.metadata[_KEY].name if _KEY in each.metadata else each.name
        if name in values:
            filled[each.name] = values[name]
        elif is_dataclass(hints[each.name]):
            filled[each.name] = build(cast("type", hints[each.name]), values)
    return kind(**filled)
