"""What the parts of the exporter report about themselves: closed label values, and the ledger's figures.

Rule: values only. The reasons of errors are in `errors`, the words of Tasks in `task/model`.
"""

from enum import StrEnum
from typing import NamedTuple

from ..task.model import Instant


class Operation(StrEnum):
    """What a request to the FHIR server is for; a label."""

    SEARCH = "search"
    PAGE = "page"
    COUNT = "count"
    READ = "read"
    ORGANIZATION = "organization"
    METADATA = "metadata"
    TOKEN = "token"  # noqa: S105 - a word for a request, not a secret


class Outcome(StrEnum):
    """How a poll or a comparison ended: `partial` kept some pages, `failed` none."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class Comparison(StrEnum):
    """Which comparison by timer: the open Tasks and the recent, or everything by counts."""

    OPEN = "open"
    FULL = "full"


class ScrapeAnswer(StrEnum):
    """What a scrape was given."""

    FRESH = "fresh"
    """The snapshot of a poll of its own."""
    REUSED = "reused"
    """A snapshot younger than `--poll.min-interval`."""
    LATE = "late"
    """The last snapshot, because the poll still runs."""
    STALE = "stale"
    """The last snapshot, because the poll failed."""


class LedgerFigures(NamedTuple):
    """Figures of the ledger after a commit. Instants are the server's, but `last_complete` is ours."""

    tracked: int
    pairs: int
    pairs_capped: int
    bytes: int
    watermark: Instant | None
    last_complete: Instant | None
    baseline_complete: bool
