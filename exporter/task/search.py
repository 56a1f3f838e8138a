"""What a FHIR server is asked for: values that walks choose, the client writes as parameters, and the ledger counts by.

See docs/design.md#asking.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .model import Instant, Status


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
