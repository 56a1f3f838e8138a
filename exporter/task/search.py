"""What a FHIR server is asked for: values that walks choose, the client writes as parameters, and the ledger counts by.

See docs/design.md#asking.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from .model import Instant, Status

NO_CODE = "urn:fhir-task-exporter|none"
"""A tag, and a code, that no Task has: a server that counts any with it does not know the search parameter."""

LAST_INSTANT: Instant = 32_503_680_000_000
"""The year 3000: past every stamp, and a date that every server reads."""


class Bound(NamedTuple):
    """The lower end of a search: a FHIR prefix (`ge`, `gt` or `eq`) and a stamp."""

    prefix: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Search:
    """What to ask beside the selection: from `since`, before `until`, and further `filters`.

    `narrow` lets the server check the code where there is no tag to ask for: polls do not, since it makes them slow.
    Answers come sorted by `_lastUpdated`, then `_id`.
    """

    since: Bound | None = None
    until: Instant | None = None
    filters: tuple[tuple[str, str], ...] = ()
    narrow: bool = False


class Slice(NamedTuple):
    """The Tasks of one status with stamps from `start`, before `end`."""

    status: Status
    start: Instant
    end: Instant


def with_status(status: Status) -> Search:
    """Ask for the Tasks of a status; unknown is what is none of the twelve."""
    if status is not Status.UNKNOWN:
        return Search(filters=(("status", status.value),))
    return Search(filters=(("status:not", ",".join(each for each in Status if each is not Status.UNKNOWN)),))


def search_of(part: Slice) -> Search:
    """Ask for a slice."""
    since = Bound("ge", part.start) if part.start else None
    until = part.end if part.end < LAST_INSTANT else None
    return replace(with_status(part.status), since=since, until=until, narrow=True)
