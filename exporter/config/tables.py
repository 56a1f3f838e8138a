"""The tables that only the YAML file can hold: payers, reasons of failures, days on which the company is closed."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from yaml import Node

from ..task.model import OTHER_PAYER, UNKNOWN_PAYER
from .calendar import ClosedDay, ClosedDays, closed_day
from .options import Reasons
from .values import DeadlineLength, InvalidValue, deadline
from .yaml_file import LONGEST_NAME, NodeReader, TableReader

_PAYER_KEYS = {
    "references": (
        re.compile(r"(https?://\S+/)?[A-Z][A-Za-z]*/[A-Za-z0-9.-]{1,64}|urn:\S+"),
        "must be Organization/<id> or an absolute URL",
    ),
    "identifiers": (re.compile(r"([^|]*\|)?[^|]+"), "must be system|value or a value alone"),
}
"""What a payer is recognized by: how it is written, and what to say of anything else."""

_REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")


class PayerTable(NamedTuple):
    """Names by reference or `system|value`, and the deadlines of source payers by their names."""

    names: Mapping[str, str]
    deadlines: Mapping[str, DeadlineLength]


def payers(node: Node, reader: NodeReader) -> PayerTable:
    """Read `payers:`."""
    names: dict[str, str] = {}
    deadlines: dict[str, DeadlineLength] = {}
    known: set[str] = set()
    for entry in reader.rows(node, "payers"):
        row = reader.row(entry, "payers", ("name", *_PAYER_KEYS, "deadline"))
        if row is None:
            continue
        name = _name(entry, row, known, reader)
        own = _deadline(row["deadline"], reader) if "deadline" in row else None
        if own is not None:
            deadlines[name] = own
        for key_node, key in _keys(entry, row, reader):
            if key in names:
                reader.problem(key_node, "payers", "duplicate reference or identifier")
            names.setdefault(key, name)
    return PayerTable(MappingProxyType(names), MappingProxyType(deadlines))


def _deadline(node: Node, reader: NodeReader) -> DeadlineLength | None:
    try:
        return deadline(reader.text(node, "payers.deadline"))
    except InvalidValue as invalid:
        reader.problem(node, "payers.deadline", str(invalid))
        return None


def _name(entry: Node, row: Mapping[str, Node], known: set[str], reader: NodeReader) -> str:
    if "name" not in row:
        reader.problem(entry, "payers.name", "is missing")
        return ""
    name = reader.text(row["name"], "payers.name")
    if len(name) > LONGEST_NAME:
        reader.problem(row["name"], "payers.name", f"must have at most {LONGEST_NAME} characters")
    if name in (OTHER_PAYER, UNKNOWN_PAYER):
        reader.problem(row["name"], "payers.name", "must not be other or unknown; the exporter uses these names")
    if name and name in known:
        reader.problem(row["name"], "payers.name", "duplicate name; list all references of a payer in one entry")
    known.add(name)
    return name


def _keys(entry: Node, row: Mapping[str, Node], reader: NodeReader) -> Iterator[tuple[Node, str]]:
    """Yield what a payer can be recognized by, and where each is in the file."""
    if not _PAYER_KEYS.keys() & row.keys():
        reader.problem(entry, "payers", "an entry needs references or identifiers")
    for key, (pattern, wanted) in _PAYER_KEYS.items():
        for node in reader.rows(row.get(key), f"payers.{key}"):
            text = reader.text(node, f"payers.{key}")
            if text and not pattern.fullmatch(text):
                reader.problem(node, f"payers.{key}", wanted)
            elif text:
                yield node, text


def reasons(node: Node, reader: NodeReader) -> Reasons:
    """Read `reasons:` into words and patterns, in their order: the first pattern that is found in a note wins."""
    found = []
    for entry in reader.rows(node, "reasons"):
        row = reader.row(entry, "reasons", ("reason", "pattern"))
        if row is None:
            continue
        reason = _reason(row["reason"], reader) if "reason" in row else None
        pattern = _pattern(row["pattern"], reader) if "pattern" in row else None
        for missing in ("reason", "pattern"):
            if missing not in row:
                reader.problem(entry, f"reasons.{missing}", "is missing")
        if reason and pattern:
            found.append((reason, pattern))
    return tuple(found)


def _reason(node: Node, reader: NodeReader) -> str:
    text = reader.text(node, "reasons.reason")
    if text and not _REASON.fullmatch(text):
        reader.problem(node, "reasons.reason", "must be lowercase letters, digits and _, such as member_match")
    return text


def _pattern(node: Node, reader: NodeReader) -> re.Pattern[str] | None:
    text = reader.text(node, "reasons.pattern")
    try:
        return re.compile(text, re.IGNORECASE) if text else None
    except (re.error, RecursionError, OverflowError):
        reader.problem(node, "reasons.pattern", "is not a valid Python regular expression")
        return None


def closed_days(node: Node, reader: NodeReader) -> ClosedDays:
    """Read `closed_days:`, the days that are no business days beside weekends and public holidays."""
    found: set[ClosedDay] = set()
    for entry in reader.rows(node, "closed_days"):
        try:
            found.add(closed_day(reader.text(entry, "closed_days")))
        except InvalidValue as invalid:
            reader.problem(entry, "closed_days", str(invalid))
    return frozenset(found)


TABLES: Mapping[str, TableReader] = {"payers": payers, "reasons": reasons, "closed_days": closed_days}
