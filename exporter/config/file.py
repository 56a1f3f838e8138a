"""The YAML file: which texts it gives for which options, and its tables, with a line number for every fault.

Nodes are read, never constructed: `yes`, `1:30` and `0x10` stay the text that was written, as on the command line, and
no tag can make an object. Only keys that we know are followed, so an alias that holds itself is no trap.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from .fault import Fault, Given
from .tables import Reader, Table, line_of

_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Document:
    """What a file gives. `whole` is False where it could not be read to its end, so that options may be missing."""

    options: Mapping[str, Given] = field(default_factory=dict)
    tables: Mapping[str, object] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    whole: bool = True


def read(text: str, repeatable: Mapping[str, bool], tables: Mapping[str, Table]) -> Document:
    """Read a file. `repeatable` says of each option name whether it may be a list; `tables` how to read the rest."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        return Document(faults=(_malformed(error, text),), whole=False)
    reading = _Reading(repeatable, tables, [])
    options, filled = {}, {}
    for name, key, value in reading.entries(node, ""):
        if name in tables:
            filled[name] = tables[name](value, reading)
        else:
            options[name] = Given(source(key, name), reading.texts(name, key, value))
    return Document({n: g for n, g in options.items() if g.texts}, filled, tuple(reading.faults))


def source(node: yaml.Node, name: str) -> str:
    """Name the place of an option in the file."""
    return f"--config.file line {line_of(node)}, {name}"


def _malformed(error: Exception, text: str) -> Fault:
    """Say where YAML ends to be YAML; the library's own words repeat what it read."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    if mark is not None:
        where = f"--config.file line {mark.line + 1}"
    elif isinstance(position, int):
        where = f"--config.file line {text.count(chr(10), 0, position) + 1}"
    else:
        where = "--config.file"
    return Fault(where, "is not well-formed YAML; look at quotes, indentation and colons here and just above")


class _Reading(Reader):
    """One walk over the nodes of a file; faults are gathered on the way."""

    def __init__(self, repeatable: Mapping[str, bool], tables: Mapping[str, Table], faults: list[Fault]) -> None:
        super().__init__(faults)
        self._repeatable = repeatable
        self._known = {*repeatable, *tables}

    def entries(self, node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Yield name, key and value of each known entry below a mapping."""
        for key, value in self.mapping(node, prefix.rstrip(".")):
            name = f"{prefix}{key.value}"
            if name in self._known:
                yield name, key, value
            elif any(known.startswith(f"{name}.") for known in self._known):
                yield from self.entries(value, f"{name}.")
            else:
                self.fault(key, name, "is not a key that the exporter knows")

    def texts(self, name: str, key: yaml.Node, value: yaml.Node) -> tuple[str, ...]:
        """Take the text of a value, or the texts of a list where the option may be one; none at a fault."""
        several = isinstance(value, yaml.SequenceNode) and self._repeatable[name]
        found = tuple(each.value for each in (value.value if several else (value,)) if _is_text(each))
        if not several and not found:
            self.fault(key, name, "must have one value")
        elif several and len(found) != len(value.value):
            self.fault(key, name, "must be a list of texts")
            return ()
        return found


def _is_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag != _NULL
