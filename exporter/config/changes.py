"""What differs between the settings in force and those that were read again, and which of it needs no restart.

See docs/configuration.md#reload.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

from .fields import option_of, options_of
from .options import Settings

RELOADED = (
    *("payers", "payer_deadlines", "closed_days", "reasons"),
    *("deadline", "timezone", "holidays", "stalled_after", "pairs_max", "log"),
)
"""The fields of Settings that can change while the exporter runs."""

_TABLES = {"payer_deadlines": "payers"}
"""Fields that are read from a table of another name."""


class Changes(NamedTuple):
    """What the settings become, and the options (`--deadline`) and tables (`payers`) whose values differ.

    `waiting` ones keep the value in force until the exporter is restarted.
    """

    settings: Settings
    effective: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def find_changes(in_force: Settings, read: Settings) -> Changes:
    """Take over what can be taken over."""
    settings = replace(in_force, **{name: getattr(read, name) for name in RELOADED})
    return Changes(settings, _differing(in_force, settings), _differing(settings, read))


def _differing(before: Settings, after: Settings) -> tuple[str, ...]:
    pairs = zip(_values(before), _values(after), strict=True)
    return tuple(dict.fromkeys(name for (name, old), (_, new) in pairs if old != new))


def _values(settings: Any) -> Iterator[tuple[str, object]]:
    """Yield every value under the name that an operator knows."""
    for each in fields(settings):
        value, row = getattr(settings, each.name), option_of(each)
        if row is not None:
            yield row.flag, value
        elif is_dataclass(value) and options_of(type(value)):
            yield from _values(value)
        else:
            yield _TABLES.get(each.name, each.name), value
