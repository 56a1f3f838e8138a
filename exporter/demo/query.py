"""What a search asks for: the parameters that this server knows, as one table.

Nothing here touches a store. A parameter that is not in the table is refused, as HAPI does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..task.model import Instant
from .dates import ALWAYS, Span, meant

Parameters = tuple[tuple[str, str], ...]


class Refused(Exception):
    """A request that cannot be served: the HTTP status and the text of its OperationOutcome."""

    def __init__(self, status: int, diagnostics: str) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.diagnostics = diagnostics


class Group(NamedTuple):
    """All that a search can tell apart beside id and stamp: resources of one group share one index."""

    kind: str
    status: str | None
    tags: frozenset[str]
    codes: frozenset[str]


Test = Callable[[Group], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A search, understood. `counting` means `_summary=count`; `count` is the page size asked for."""

    kind: str
    tests: tuple[Test, ...] = ()
    span: Span = ALWAYS
    ids: frozenset[str] | None = None
    newest_first: bool = False
    count: int | None = None
    counting: bool = False
    elements: frozenset[str] | None = None
    self_link: str = ""

    def wants(self, group: Group) -> bool:
        """Tell whether every resource of this group fits, but for id and stamp."""
        return group.kind == self.kind and all(test(group) for test in self.tests)


@dataclass(slots=True)
class Cursor:
    """A search that ran: a list of ids, whose bodies are looked up when a page is fetched (measured on HAPI 8.8.0).

    `more` says that the list stops at the first stage, and that others would follow.
    """

    query: Query
    at: Instant
    ids: list[str] = field(default_factory=list)
    more: bool = False


def _status(value: str) -> Test:
    wanted = frozenset(value.split(","))
    return lambda group: group.status in wanted


def _status_not(value: str) -> Test:
    unwanted = frozenset(value.split(","))
    return lambda group: group.status not in unwanted


def _tag(value: str) -> Test:
    return lambda group: _any_matches(value.split(","), group.tags)


def _code(value: str) -> Test:
    return lambda group: _any_matches(value.split(","), group.codes)


def _any_matches(tokens: Iterable[str], held: frozenset[str]) -> bool:
    return any(_matches(token, held) for token in tokens)


def _matches(token: str, held: frozenset[str]) -> bool:
    """Compare as FHIR tokens: `system|code`, `|code` (no system), `system|`, or `code` of any system."""
    if "|" not in token:
        return any(each.endswith("|" + token) for each in held)
    if token.endswith("|"):
        return any(each.startswith(token) for each in held)
    return token in held


TESTS: dict[str, Callable[[str], Test]] = {"status": _status, "status:not": _status_not, "_tag": _tag, "code": _code}
SILENT = frozenset({"_format", "_pretty", "_total"})
SORTS = {
    "_lastUpdated": False,
    "_lastUpdated,_id": False,
    "-_lastUpdated": True,
    "-_lastUpdated,_id": True,
}


def parse(kind: str, parameters: Parameters, self_link: str = "") -> Query:
    """Read a search. Raises Refused (400) on what this server does not know."""
    known = {*TESTS, *SILENT, "_lastUpdated", "_id", "_sort", "_count", "_elements", "_summary"}
    for name, _ in parameters:
        if name not in known:
            raise Refused(400, f'HAPI-0524: Unknown search parameter "{name}" for resource type "{kind}"')
    single = dict(parameters)
    return Query(
        kind=kind,
        tests=tuple(TESTS[name](value) for name, value in parameters if name in TESTS),
        span=_span([value for name, value in parameters if name == "_lastUpdated"]),
        ids=frozenset(single["_id"].split(",")) if "_id" in single else None,
        newest_first=_order(single.get("_sort")),
        count=_number(single["_count"]) if "_count" in single else None,
        counting=_summary(single.get("_summary")),
        elements=frozenset(single["_elements"].split(",")) if "_elements" in single else None,
        self_link=self_link,
    )


def _order(sort: str | None) -> bool:
    if sort is None:
        return False
    if sort not in SORTS:
        raise Refused(400, f"This server sorts by {', '.join(SORTS)} only")
    return SORTS[sort]


def _summary(value: str | None) -> bool:
    if value not in {None, "count", "false"}:
        raise Refused(400, "This server knows _summary=count only")
    return value == "count"


def _number(value: str) -> int:
    if not value.isdecimal():
        raise Refused(400, "Not a number")
    return int(value)


def _span(values: list[str]) -> Span:
    """Join the bounds of `_lastUpdated`; two lower or two upper ones are refused (measured on HAPI 8.8.0)."""
    prefixes = [value[:2] if value[:2].isalpha() else "eq" for value in values]
    for side in ("g", "l"):
        if sum(prefix.startswith(side) for prefix in prefixes) > 1:
            raise Refused(400, "Can not have multiple date range parameters that specify the same bound")
    span = ALWAYS
    for prefix, value in zip(prefixes, values, strict=True):
        span = span.within(_bound(prefix, value[2:] if value[:2].isalpha() else value))
    return span


def _bound(prefix: str, value: str) -> Span:
    try:
        low, high = meant(value)
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
