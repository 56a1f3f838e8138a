"""The tables that only the YAML file can hold: payers, reasons of failures, days on which the company is closed."""

import re
from collections.abc import Mapping

from yaml import Node

from .calendar import ClosedDay, ClosedDays, closed_day
from .options import Reasons
from .patterns import quick
from .payers import payers
from .values import InvalidValue
from .yaml_file import NodeReader, TableReader

_REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")


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
        return quick(text, re.IGNORECASE) if text else None
    except InvalidValue as invalid:
        reader.problem(node, "reasons.pattern", str(invalid))
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
