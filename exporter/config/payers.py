"""The table `payers:` of the YAML file: first every entry by itself, then what must hold between them.

See docs/payers.md.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from yaml import Node

from ..task.labels import PEOPLE, clean
from ..task.model import OTHER_PAYER, UNKNOWN_PAYER
from ..task.payer_table import Patterns, PayerTable
from .patterns import quick
from .values import DeadlineLength, InvalidValue, deadline
from .yaml_file import LONGEST_NAME, NodeReader

_KEYS = {
    "references": (
        re.compile(r"(https?://\S+/)?[A-Z][A-Za-z]*/[A-Za-z0-9.-]{1,64}|urn:\S+"),
        "must be Organization/<id> or an absolute URL",
    ),
    "identifiers": (re.compile(r"([^|]*\|)?[^|]+"), "must be system|value or a value alone"),
}
"""What a payer is recognized by: how it is written, and what to say of anything else."""

_PATTERNS = ("reference_patterns", "identifier_patterns")
_ENTRY = ("name", *_KEYS, *_PATTERNS, "parent", "formerly", "deadline")
_RESERVED = frozenset({OTHER_PAYER, UNKNOWN_PAYER})


class Payers(NamedTuple):
    """What the file says of payers. `deadlines` are those of source payers, by their labels."""

    table: PayerTable
    deadlines: Mapping[str, DeadlineLength]


class _Name(NamedTuple):
    """A name of a payer, and where it is in the file."""

    node: Node
    text: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry, as far as it is valid by itself."""

    node: Node
    row: Mapping[str, Node]
    name: str
    parent: _Name | None = None
    formerly: tuple[_Name, ...] = ()

    @property
    def label(self) -> str:
        """What is shown: groups have one level."""
        return self.parent.text if self.parent else self.name


def payers(node: Node, reader: NodeReader) -> Payers:
    """Read `payers:`."""
    entries = list(_entries(node, reader))
    _check_parents(entries, reader)
    _check_former_names(entries, reader)
    _check_use(entries, reader)
    return Payers(_table(entries, reader), MappingProxyType(dict(_deadlines(entries, reader))))


def _entries(node: Node, reader: NodeReader) -> Iterator[_Entry]:
    known: set[str] = set()
    for entry in reader.rows(node, "payers"):
        row = reader.row(entry, "payers", _ENTRY)
        if row is None:
            continue
        name = _own_name(entry, row, reader)
        if name and name in known:
            reader.problem(row["name"], "payers.name", "duplicate name; list all references of a payer in one entry")
        known.add(name)
        parent = _name(row["parent"], "parent", reader) if "parent" in row else None
        formerly = [_name(each, "formerly", reader) for each in reader.rows(row.get("formerly"), "payers.formerly")]
        yield _Entry(entry, row, name, parent, tuple(each for each in formerly if each))


def _own_name(entry: Node, row: Mapping[str, Node], reader: NodeReader) -> str:
    if "name" not in row:
        reader.problem(entry, "payers.name", "is missing")
        return ""
    name = _name(row["name"], "name", reader)
    return name.text if name else ""


def _name(node: Node, key: str, reader: NodeReader) -> _Name | None:
    """Read a name as a label shows it; None, with a problem, for what can be none."""
    text = reader.text(node, f"payers.{key}")
    if len(text) > LONGEST_NAME:
        reader.problem(node, f"payers.{key}", f"must have at most {LONGEST_NAME} characters")
    if text in _RESERVED:
        reader.problem(node, f"payers.{key}", "must not be other or unknown; the exporter uses these names")
    elif key == "formerly" and text in PEOPLE:
        reader.problem(node, f"payers.{key}", "must not be a type such as Practitioner; persons stay unnamed")
    return _Name(node, clean(text)) if text else None


def _check_parents(entries: Sequence[_Entry], reader: NodeReader) -> None:
    with_parent = {entry.name for entry in entries if entry.parent}
    for entry in entries:
        if entry.parent and entry.parent.text == entry.name:
            reader.problem(entry.parent.node, "payers.parent", "must not be the payer itself")
        elif entry.parent and entry.parent.text in with_parent:
            sentence = "has a parent itself; groups have one level, so name the topmost payer"
            reader.problem(entry.parent.node, "payers.parent", sentence)


def _check_former_names(entries: Sequence[_Entry], reader: NodeReader) -> None:
    current = {entry.name for entry in entries} | {entry.label for entry in entries}
    known: set[str] = set()
    for node, text in (former for entry in entries for former in entry.formerly):
        if text in current:
            sentence = "is still a name in this table; a former name must no longer be used as a name"
            reader.problem(node, "payers.formerly", sentence)
        elif text in known:
            reader.problem(node, "payers.formerly", "duplicate former name; a series can go on under one name only")
        known.add(text)


def _check_use(entries: Sequence[_Entry], reader: NodeReader) -> None:
    """Report entries that do nothing: a name alone is good for a parent, which its children lead to."""
    parents = {entry.label for entry in entries if entry.parent}
    for entry in entries:
        if not entry.row.keys() & {*_KEYS, *_PATTERNS, "parent", "formerly"} and entry.name not in parents:
            sentence = "an entry needs references, identifiers or patterns, or a parent, or former names"
            reader.problem(entry.node, "payers", sentence)


def _deadlines(entries: Sequence[_Entry], reader: NodeReader) -> Iterator[tuple[str, DeadlineLength]]:
    for entry in entries:
        if "deadline" not in entry.row:
            continue
        node = entry.row["deadline"]
        if entry.parent:
            sentence = "counts for a whole group; give it to the entry of the parent"
            reader.problem(node, "payers.deadline", sentence)
            continue
        try:
            yield entry.name, deadline(reader.text(node, "payers.deadline"))
        except InvalidValue as invalid:
            reader.problem(node, "payers.deadline", str(invalid))


# From the entries to the table


def _table(entries: Sequence[_Entry], reader: NodeReader) -> PayerTable:
    keys = _keys(entries, reader)
    references, identifiers = (_patterns(entries, kind, reader) for kind in _PATTERNS)
    return PayerTable(MappingProxyType(keys), references, identifiers, MappingProxyType(dict(_shown_as(entries))))


def _keys(entries: Sequence[_Entry], reader: NodeReader) -> dict[str, str]:
    keys: dict[str, str] = {}
    for entry in entries:
        for kind, (written, wanted) in _KEYS.items():
            for node, text in _texts(entry, kind, reader):
                if not written.fullmatch(text):
                    reader.problem(node, f"payers.{kind}", wanted)
                elif text in keys:
                    reader.problem(node, "payers", "duplicate reference or identifier")
                else:
                    keys[text] = entry.label
    return keys


def _patterns(entries: Sequence[_Entry], kind: str, reader: NodeReader) -> Patterns:
    patterns: dict[str, tuple[re.Pattern[str], str]] = {}
    for entry in entries:
        for node, text in _texts(entry, kind, reader):
            if text in patterns:
                reader.problem(node, f"payers.{kind}", "duplicate pattern; the first one in the file counts")
                continue
            try:
                patterns[text] = (quick(text), entry.label)
            except InvalidValue as invalid:
                reader.problem(node, f"payers.{kind}", str(invalid))
    return tuple(patterns.values())


def _texts(entry: _Entry, kind: str, reader: NodeReader) -> Iterator[tuple[Node, str]]:
    for node in reader.rows(entry.row.get(kind), f"payers.{kind}"):
        text = reader.text(node, f"payers.{kind}")
        if text:
            yield node, text


def _shown_as(entries: Sequence[_Entry]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if entry.parent:
            yield entry.name, entry.label
        yield from ((former.text, entry.label) for former in entry.formerly)
