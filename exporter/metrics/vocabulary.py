"""What the parts of the exporter report about themselves: closed label values, and the ledger's figures.

Rule: values only. The reasons of errors are in `errors`, the words of Tasks in `task/model`.
"""

from collections.abc import Mapping
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


class AdminOperation(StrEnum):
    """What a request to the Admin API is for; in the log and in messages, not a label."""

    BATCH_JOBS = "batch_jobs"


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


class ConfigFile(StrEnum):
    """A file of configuration that is read again while the exporter runs."""

    CONFIG = "config"
    """`--config.file`"""
    WEB = "web"
    """`--web.config.file`"""


class BatchJobStatus(StrEnum):
    """The state of a batch job; a label. HAPI's words in lower case; `errored` is retried, so it still runs."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    FINALIZE = "finalize"
    ERRORED = "errored"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class BatchJobFigures(NamedTuple):
    """Batch jobs as the Admin API listed them, by name. `complete`: the list was read to its end."""

    jobs: Mapping[tuple[str, BatchJobStatus], int]
    oldest_unfinished: Mapping[str, Instant]
    errors: Mapping[str, int]
    last_end: Mapping[tuple[str, BatchJobStatus], Instant]
    complete: bool


class BatchJobsReport(NamedTuple):
    """What is known of the batch jobs now. `up`: the last read succeeded; figures that are too old are absent."""

    up: bool
    figures: BatchJobFigures | None


class LedgerFigures(NamedTuple):
    """Figures of the ledger after a commit. Instants are the server's, but `last_complete` is ours."""

    tracked: int
    pairs: int
    pairs_capped: int
    bytes: int
    watermark: Instant | None
    last_complete: Instant | None
    baseline_complete: bool
