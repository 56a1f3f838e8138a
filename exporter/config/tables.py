"""The two tables that only the YAML file can hold: names of payers, and reasons of failures."""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import yaml

from ..task.model import OTHER_PAYER, UNKNOWN_PAYER
from .fault import Fault

LONGEST_NAME = 80
"""As long as a label value may be, so that no limit of Prometheus is met."""

Node = yaml.Node
Table = Callable[[Node, "Reader"], object]


class Reader:
    """Takes nodes apart, and gathers what is wrong with them."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults

    def fault(self, node: Node, name: str, sentence: str) -> None:
        """Note a fault at a node."""
        where = f"--config.file line {line_of(node)}"
        self.faults.append(Fault(f"{where}, {_shown(name)}" if name else where, sentence))

    def mapping(self, node: Node | None, name: str) -> Iterator[tuple[yaml.ScalarNode, Node]]:
        """Yield the entries of a mapping, each key once; nothing at all may stand for an empty one."""
        if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
            return
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, name, "must be a mapping of keys to values")
            return
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key, name, "has a key that is no text")
            elif key.value in lines:
                self.fault(key, _below(name, key.value), f"is given twice, first on line {lines[key.value]}")
            else:
                lines[key.value] = line_of(key)
                yield key, value

    def rows(self, node: Node, name: str) -> Iterator[Node]:
        """Yield the entries of a list; nothing at all may stand for an empty one."""
        if isinstance(node, yaml.SequenceNode):
            yield from node.value
        elif not isinstance(node, yaml.ScalarNode) or node.value:
            self.fault(node, name, "must be a list")

    def row(self, node: Node, name: str, keys: tuple[str, ...]) -> Mapping[str, Node] | None:
        """Take the known keys of one row; others are faults. None where it is no row at all."""
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, name, f"must be a list of entries with {', '.join(keys)}")
            return None
        found = {}
        for key, value in self.mapping(node, name):
            if key.value in keys:
                found[key.value] = value
            else:
                self.fault(key, _below(name, key.value), "is not a key that the exporter knows")
        return found

    def text(self, node: Node, name: str) -> str:
        """Take a text; empty, with a fault, where there is none that can be shown."""
        given = str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""
        if not given or not given.isprintable():
            self.fault(node, name, "must be a text without control characters")
            return ""
        return given


def line_of(node: Node) -> int:
    """Tell the line on which a node begins, counted from 1."""
    return int(node.start_mark.line) + 1


def payers(node: Node, reader: Reader) -> Mapping[str, str]:
    """Read `payers:` into names by reference or `system|value`."""
    names: dict[str, str] = {}
    known: set[str] = set()
    for entry in reader.rows(node, "payers"):
        row = reader.row(entry, "payers", ("name", "references", "identifiers"))
        if row is None:
            continue
        name = _name(entry, row, known, reader)
        keys = [*_references(row, reader), *_identifiers(row, reader)]
        if not keys and not {"references", "identifiers"} & row.keys():
            reader.fault(
                entry, "payers", "has an entry without references and identifiers: nothing would ever get its name"
            )
        for at, key in keys:
            if key in names:
                reader.fault(at, "payers", "has a reference or identifier that stands further up too")
            names.setdefault(key, name)
    return MappingProxyType(names)


def _name(entry: Node, row: Mapping[str, Node], known: set[str], reader: Reader) -> str:
    if "name" not in row:
        reader.fault(entry, "payers.name", "is missing")
        return ""
    name = reader.text(row["name"], "payers.name")
    if len(name) > LONGEST_NAME:
        reader.fault(row["name"], "payers.name", f"must have at most {LONGEST_NAME} characters")
    if name in (OTHER_PAYER, UNKNOWN_PAYER):
        reader.fault(row["name"], "payers.name", "must not be other or unknown: the exporter uses these itself")
    if name and name in known:
        reader.fault(
            row["name"], "payers.name", "stands further up too; give one payer all its references in one entry"
        )
    known.add(name)
    return name


def _references(row: Mapping[str, Node], reader: Reader) -> Iterator[tuple[Node, str]]:
    for node in reader.rows(row["references"], "payers.references") if "references" in row else ():
        given = reader.text(node, "payers.references")
        if given and not re.fullmatch(r"(https?://\S+/)?[A-Z][A-Za-z]*/[A-Za-z0-9.-]{1,64}|urn:\S+", given):
            reader.fault(node, "payers.references", "must be Organization/<id>, or the absolute URL of one")
        elif given:
            yield node, given


def _identifiers(row: Mapping[str, Node], reader: Reader) -> Iterator[tuple[Node, str]]:
    for node in reader.rows(row["identifiers"], "payers.identifiers") if "identifiers" in row else ():
        given = reader.text(node, "payers.identifiers")
        if given and not re.fullmatch(r"([^|]*\|)?[^|]+", given):
            reader.fault(node, "payers.identifiers", "must be system|value, or the value alone")
        elif given:
            yield node, given


def reasons(node: Node, reader: Reader) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Read `reasons:` into words and patterns, in their order: the first that is found in a note wins."""
    found = []
    for entry in reader.rows(node, "reasons"):
        row = reader.row(entry, "reasons", ("reason", "pattern"))
        if row is None:
            continue
        word = _word(row["reason"], reader) if "reason" in row else None
        pattern = _pattern(row["pattern"], reader) if "pattern" in row else None
        for missing in ("reason", "pattern"):
            if missing not in row:
                reader.fault(entry, f"reasons.{missing}", "is missing")
        if word and pattern:
            found.append((word, pattern))
    return tuple(found)


def _word(node: Node, reader: Reader) -> str:
    given = reader.text(node, "reasons.reason")
    if given and not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", given):
        reader.fault(node, "reasons.reason", "must be a word of small letters, digits and _, such as member_match")
    return given


def _pattern(node: Node, reader: Reader) -> re.Pattern[str] | None:
    given = reader.text(node, "reasons.pattern")
    try:
        return re.compile(given, re.IGNORECASE) if given else None
    except (re.error, RecursionError, OverflowError):
        reader.fault(node, "reasons.pattern", "is not a regular expression that Python can read")
        return None


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _shown(name: str) -> str:
    """Make a key fit to be printed: it may be anything that YAML allows."""
    return "".join(each if each.isprintable() else "?" for each in name[:LONGEST_NAME])


TABLES: Mapping[str, Table] = {"payers": payers, "reasons": reasons}
