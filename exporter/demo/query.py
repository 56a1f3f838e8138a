"""Search parameters, parsed into a Query. Pure: nothing here touches a store.

A parameter that is not in the tables is refused, as HAPI does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..task.model import Instant
from .dates import ALWAYS, Span, parse_span

Parameters = tuple[tuple[str, str], ...]


class Refused(Exception):
    """A request that cannot be served: the HTTP status and the text of its OperationOutcome."""

    def __init__(self, status: int, diagnostics: str) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.diagnostics = diagnostics


class Group(NamedTuple):
    """All that a search can distinguish besides id and stamp: resources of one group share one index."""

    kind: str
    status: str | None
    tags: frozenset[str]
    codes: frozenset[str]


Filter = Callable[[Group], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed search. `count_only` is `_summary=count`; `count` is the requested page size."""

    kind: str
    filters: tuple[Filter, ...] = ()
    span: Span = ALWAYS
    ids: frozenset[str] | None = None
    newest_first: bool = False
    count: int | None = None
    count_only: bool = False
    elements: frozenset[str] | None = None
    self_link: str = ""

    def matches(self, group: Group) -> bool:
        """Whether the resources of this group match, apart from id and stamp."""
        return group.kind == self.kind and all(each(group) for each in self.filters)


@dataclass(slots=True)
class Cursor:
    """A search that ran: a list of ids, whose resources are looked up when a page is fetched (measured on HAPI 8.8.0).

    `more`: the list ends with the first stage, and more ids would follow.
    """

    query: Query
    at: Instant
    ids: list[str] = field(default_factory=list)
    more: bool = False


def _status(value: str) -> Filter:
    wanted = frozenset(value.split(","))
    return lambda group: group.status in wanted


def _status_not(value: str) -> Filter:
    unwanted = frozenset(value.split(","))
    return lambda group: group.status not in unwanted


def _tag(value: str) -> Filter:
    return lambda group: _any_matches(value.split(","), group.tags)


def _code(value: str) -> Filter:
    return lambda group: _any_matches(value.split(","), group.codes)


def _any_matches(tokens: Iterable[str], held: frozenset[str]) -> bool:
    return any(_matches(token, held) for token in tokens)


def _matches(token: str, held: frozenset[str]) -> bool:
    """Match a FHIR token: `system|code`, `|code` (no system), `system|`, or `code` of any system."""
    if "|" not in token:
        return any(each.endswith("|" + token) for each in held)
    if token.endswith("|"):
        return any(each.startswith(token) for each in held)
    return token in held


FILTERS: dict[str, Callable[[str], Filter]] = {
    "status": _status,
    "status:not": _status_not,
    "_tag": _tag,
    "code": _code,
}
IGNORED = frozenset({"_format", "_pretty", "_total"})
SORTS = {
    "_lastUpdated": False,
    "_lastUpdated,_id": False,
    "-_lastUpdated": True,
    "-_lastUpdated,_id": True,
}


def parse(kind: str, parameters: Parameters, self_link: str = "") -> Query:
    """Parse a search. Raises Refused (400) for what this server does not support."""
    known = {*FILTERS, *IGNORED, "_lastUpdated", "_id", "_sort", "_count", "_elements", "_summary"}
    for name, _ in parameters:
        if name not in known:
            raise Refused(400, f'HAPI-0524: Unknown search parameter "{name}" for resource type "{kind}"')
    single = dict(parameters)
    return Query(
        kind=kind,
        filters=tuple(FILTERS[name](value) for name, value in parameters if name in FILTERS),
        span=_span([value for name, value in parameters if name == "_lastUpdated"]),
        ids=frozenset(single["_id"].split(",")) if "_id" in single else None,
        newest_first=_newest_first(single.get("_sort")),
        count=_number(single["_count"]) if "_count" in single else None,
        count_only=_count_only(single.get("_summary")),
        elements=frozenset(single["_elements"].split(",")) if "_elements" in single else None,
        self_link=self_link,
    )


def _newest_first(sort: str | None) -> bool:
    if sort is None:
        return False
    if sort not in SORTS:
        raise Refused(400, f"This server sorts by {', '.join(SORTS)} only")
    return SORTS[sort]


def _count_only(value: str | None) -> bool:
    if value not in {None, "count", "false"}:
        raise Refused(400, "This server knows _summary=count only")
    return value == "count"


def _number(value: str) -> int:
    if not value.isdecimal():
        raise Refused(400, "Not a number")
    return int(value)


def _span(values: list[str]) -> Span:
    """Combine the bounds of `_lastUpdated`; two lower or two upper ones are refused (measured on HAPI 8.8.0)."""
    prefixes = [value[:2] if value[:2].isalpha() else "eq" for value in values]
    for side in ("g", "l"):
        if sum(prefix.startswith(side) for prefix in prefixes) > 1:
            raise Refused(400, "Can not have multiple date range parameters that specify the same bound")
    span = ALWAYS
    for prefix, value in zip(prefixes, values, strict=True):
        span = span.intersect(_bound(prefix, value[2:] if value[:2].isalpha() else value))
    return span


def _bound(prefix: str, value: str) -> Span:
    try:
        low, high = parse_span(value)
    except (ValueError, TypeError) as error:
        raise Refused(400, "Invalid date/time format") from error
    bounds = {
        "eq": Span(low, high),
        "ge": Span(low=low),
        "gt": Span(low=high),
        "lt": Span(high=low),
        "le": Span(high=high),
    }
    if prefix not in bounds:
        raise Refused(400, "Unknown prefix")
    return bounds[prefix]
