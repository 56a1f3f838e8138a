"""The YAML file: which option has which text in it, and its tables, with a line number for every problem.

Nodes are read, never constructed: `yes`, `1:30` and `0x10` remain the text that was written, as on the command line,
and no tag can create an object. Only known keys are followed, so an alias that contains itself cannot loop.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from .fields import Option
from .values import ConfigProblem, RawValue

LONGEST_NAME = 80
"""Characters; as many as Prometheus is usually allowed in a label value."""
_SIMILARITY = 0.7
"""How similar a known key must be to be suggested, of 1."""
_NULL = "tag:yaml.org,2002:null"
_ERRORS = (yaml.YAMLError, RecursionError, ValueError, OverflowError)
"""All that the library raises on a bad text: an escape that is no character, a very long version raise no YAMLError."""

TableReader = Callable[[Node, "NodeReader"], object]
"""Turns the node of a table into its value; problems go to the NodeReader."""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a file contains. `is_complete` is False if it could not be read to its end, so options may be missing."""

    options: Mapping[str, RawValue] = field(default_factory=dict)
    tables: Mapping[str, object] = field(default_factory=dict)
    problems: tuple[ConfigProblem, ...] = ()
    is_complete: bool = True


def read(text: str, options: Iterable[Option], tables: Mapping[str, TableReader]) -> YamlFile:
    """Read the text of a file; every problem is in the result."""
    try:
        root = compose(text)
    except Malformed as error:
        return YamlFile(problems=(error.problem,), is_complete=False)
    by_name = {option.name: option for option in options}
    reader = NodeReader()
    values, filled = {}, {}
    for name, key, value in _entries(reader, root, {*by_name, *tables}):
        if name in tables:
            filled[name] = tables[name](value, reader)
        elif texts := _texts(reader, by_name[name], key, value):
            values[name] = RawValue(reader.source(key, name), texts)
    return YamlFile(values, filled, tuple(reader.problems))


class Malformed(Exception):
    """A text is not YAML; `problem` says where it stops being so."""

    def __init__(self, problem: ConfigProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def compose(text: str, flag: str = "--config.file") -> Node | None:
    """Return the root of a YAML text, None if it is empty; `flag` names the file. Raises Malformed."""
    try:
        root: Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except _ERRORS as error:
        raise Malformed(_malformed(error, text, flag)) from None
    return root


def is_null(node: Node) -> bool:
    """Whether a value was left out, or is `null` or `~`."""
    return node.tag == _NULL


class NodeReader:
    """Takes nodes apart and collects what is wrong with them; `flag` names the file."""

    def __init__(self, flag: str = "--config.file") -> None:
        self.flag = flag
        self.problems: list[ConfigProblem] = []

    def source(self, node: Node, name: str) -> str:
        """Name a place in the file. A key may be anything that YAML allows; only what can be printed is shown."""
        printable = "".join(each if each.isprintable() else "?" for each in name[:LONGEST_NAME])
        return f"{self.flag} line {_line(node)}" + (f", {printable}" if name else "")

    def problem(self, node: Node, name: str, sentence: str) -> None:
        """Add a problem at the line of a node; `name` is the key, or empty for the whole file."""
        self.problems.append(ConfigProblem(self.source(node, name), sentence))

    def mapping(self, node: Node | None, name: str, *, secret: bool = False) -> Iterator[tuple[ScalarNode, Node]]:
        """Yield the entries of a mapping, each key once. No value at all is an empty mapping.

        `secret`: the keys are not to be repeated in a problem.
        """
        if node is None or (isinstance(node, ScalarNode) and not node.value):
            return
        if not isinstance(node, MappingNode):
            self.problem(node, name, "must be a mapping of keys to values")
            return
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.problem(key, name, "has a key that is not a string")
            elif key.value in lines:
                self.problem(
                    key, name if secret else below(name, key.value), f"duplicate key, first on line {lines[key.value]}"
                )
            else:
                lines[key.value] = _line(key)
                yield key, value

    def unknown_key(self, key: Node, name: str, known: Iterable[str]) -> None:
        """Add the problem of a key that means nothing here; it names the known key that is most like it."""
        above, dot, last = name.rpartition(".")
        beside = (each.removeprefix(above + dot) for each in known if each.startswith(above + dot))
        close = get_close_matches(last, beside, 1, _SIMILARITY)
        self.problem(key, name, f"unknown key; did you mean {above}{dot}{close[0]}?" if close else "unknown key")

    def rows(self, node: Node | None, name: str) -> Iterator[Node]:
        """Yield the entries of a list. No value at all, or no key, is an empty list."""
        if isinstance(node, SequenceNode):
            yield from node.value
        elif node is not None and (not isinstance(node, ScalarNode) or node.value):
            self.problem(node, name, "must be a list")

    def row(self, node: Node, name: str, keys: tuple[str, ...]) -> Mapping[str, Node] | None:
        """Return the values of one row by key; other keys are problems. None if it is not a mapping."""
        if not isinstance(node, MappingNode):
            self.problem(node, name, f"must be a list of entries with {', '.join(keys)}")
            return None
        return self.section(node, name, keys)

    def section(self, node: Node | None, name: str, keys: Iterable[str]) -> Mapping[str, Node]:
        """Return the values of a mapping by key; other keys are problems."""
        known = tuple(keys)
        found = {}
        for key, value in self.mapping(node, name):
            if key.value in known:
                found[key.value] = value
            else:
                self.unknown_key(key, below(name, key.value), (below(name, each) for each in known))
        return found

    def text(self, node: Node, name: str) -> str:
        """Return a printable text; empty, with a problem, if there is none."""
        text = str(node.value).strip() if isinstance(node, ScalarNode) else ""
        if not text or not text.isprintable():
            self.problem(node, name, "must be a string without control characters")
            return ""
        return text


def _entries(
    reader: NodeReader, node: Node | None, known: set[str], prefix: str = ""
) -> Iterator[tuple[str, Node, Node]]:
    """Yield name, key and value of each known entry; names are nested at their dots."""
    for key, value in reader.mapping(node, prefix.rstrip(".")):
        name = f"{prefix}{key.value}"
        if name in known:
            yield name, key, value
        elif any(each.startswith(f"{name}.") for each in known):
            yield from _entries(reader, value, known, f"{name}.")
        else:
            reader.unknown_key(key, name, sorted(known))


def _texts(reader: NodeReader, option: Option, key: Node, value: Node) -> tuple[str, ...]:
    """Return the text of a value, or those of a list if the option is repeatable; none, with a problem, for others."""
    is_list = isinstance(value, SequenceNode) and option.repeatable
    nodes = value.value if is_list else (value,)
    texts = tuple(node.value for node in nodes if isinstance(node, ScalarNode) and not is_null(node))
    if len(texts) == len(nodes):
        return texts
    reader.problem(key, option.name, "must be a list of strings" if is_list else "must have a single value")
    return ()


def _malformed(error: Exception, text: str, flag: str) -> ConfigProblem:
    """Say where the text stops being YAML; the words of the library would repeat what it read."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    where = flag
    if mark is not None:
        where += f" line {mark.line + 1}"
    elif isinstance(position, int):
        where += f" line {text.count(chr(10), 0, position) + 1}"
    return ConfigProblem(where, "is not valid YAML; check quotes, indentation and colons here and just above")


def _line(node: Node) -> int:
    """Return the line on which a node begins, counted from 1."""
    return int(node.start_mark.line) + 1


def below(name: str, key: str) -> str:
    """Name a key inside the mapping called `name`, or at the top where that is empty."""
    return f"{name}.{key}" if name else key
