"""The values that are passed through the program, and the closed vocabularies they are made of.

Rule 1: every value here is frozen; properties only restate what the fields say.
Rule 2: after decoding, names of payers and ids of Tasks are the only text of the server in any value.

An *Instant* is whole milliseconds since 1970-01-01T00:00:00Z, as FHIR servers stamp versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

Instant = int


class Status(StrEnum):
    """The twelve codes of FHIR R4 `Task.status`, and one word for any other."""

    DRAFT = "draft"
    REQUESTED = "requested"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    READY = "ready"
    CANCELLED = "cancelled"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    FAILED = "failed"
    COMPLETED = "completed"
    ENTERED_IN_ERROR = "entered-in-error"
    UNKNOWN = "unknown"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.REJECTED, Status.ENTERED_IN_ERROR})
OPEN = frozenset(Status) - TERMINAL
DOCUMENTED = (
    Status.REQUESTED,
    Status.IN_PROGRESS,
    Status.COMPLETED,
    Status.CANCELLED,
    Status.FAILED,
)
"""The five that Smile CDR documents: every pair of payers shows them, at 0 where there is none."""

TIMED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.REJECTED})
"""The statuses whose entry observes a duration: an entered-in-error Task was never valid."""


class Anomaly(StrEnum):
    """The closed vocabulary of the label `kind`."""

    MISSING_AUTHORED_ON = "missing_authored_on"
    PARTIAL_AUTHORED_ON = "partial_authored_on"
    NEGATIVE_DURATION = "negative_duration"
    FUTURE_STAMP = "future_stamp"
    MISSING_STATUS = "missing_status"
    UNKNOWN_STATUS = "unknown_status"
    MISSING_OWNER = "missing_owner"
    MISSING_REQUESTER = "missing_requester"
    MISSING_FOCUS = "missing_focus"
    MISSING_FOR = "missing_for"
    WENT_BACK = "went_back"
    LATE_OLD = "late_old"
    FOREIGN = "foreign"
    UNPARSABLE = "unparsable"


LASTING = frozenset(Anomaly) - {Anomaly.WENT_BACK, Anomaly.LATE_OLD}
"""Anomalies that a Task can currently have; the other two are events of one moment."""

REASONS = (
    "auth",
    "member_match",
    "kickoff",
    "export",
    "download",
    "store",
    "timeout",
    "network",
    "tls",
    "no_data",
)
UNCLASSIFIED = "unclassified"
UNKNOWN_PAYER = "unknown"
OTHER_PAYER = "other"

MINUTE, HOUR, DAY = 60, 3600, 86400
DURATION_BUCKETS = (
    *(5 * MINUTE, 15 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR),
    *(1 * DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY),
)
"""Upper bounds in seconds: from a quick synchronous partner to two weeks, after which nobody waits any more."""


class Pair(NamedTuple):
    """Who answers (`Task.owner`) and who asks (`Task.requester`), as in the labels."""

    source: str
    requesting: str


OTHER_PAIR = Pair(OTHER_PAYER, OTHER_PAYER)
NO_PAIR = Pair("", "")
"""For Tasks that are no exchange, and counters that belong to no pair; never a label."""


class Coding(NamedTuple):
    """A FHIR token, written `system|code`."""

    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which Tasks are monitored: an absent coding turns its criterion off. `search` holds further parameters."""

    tag: Coding | None = None
    code: Coding | None = None
    search: tuple[tuple[str, str], ...] = ()


class Party(NamedTuple):
    """A FHIR Reference to a payer, with everything that may name it; not resolved yet."""

    reference: str | None = None
    kind: str | None = None
    identifier: str | None = None
    """`system|value`, as FHIR searches write tokens."""
    display: str | None = None
    contained: str | None = None
    """The name of the contained Organization that a `#id` reference means."""


DIGEST_PREFIX = "?"
"""The first character of the id that replaces an unreadable one; no FHIR id begins with it."""


class Task(NamedTuple):
    """One version of one Task, as the server sent it.

    `reason` is set for failed Tasks only; `documents` counts the DocumentReference outputs, `outputs` all.
    `tagged`: whether it has the tag of the selection; one without it is not monitored (any more).
    `anomalies` are those that can be seen in this version alone.
    """

    id: str
    version: str
    updated: Instant
    status: Status
    tagged: bool = True
    authored: Instant | None = None
    owner: Party | None = None
    requester: Party | None = None
    reason: str = UNCLASSIFIED
    documents: int = 0
    outputs: int = 0
    anomalies: frozenset[Anomaly] = frozenset()

    @property
    def named(self) -> bool:
        """Whether `id` is the server's: that of an unreadable Task is a digest of its bytes, no FHIR id."""
        return not self.id.startswith(DIGEST_PREFIX)

    @property
    def usable(self) -> bool:
        """Whether it is an exchange that could be read: not foreign, not unparsable."""
        return not self.anomalies & {Anomaly.FOREIGN, Anomaly.UNPARSABLE}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search. `clock` is the server's own, None if it sent none.

    `matches` counts the entries that answer the search, usable or not; included ones and outcomes are no matches.
    """

    tasks: tuple[Task, ...]
    next: str | None = None
    clock: Instant | None = None
    matches: int = 0


class Event(StrEnum):
    """What is counted. Each event has one metric in `metrics/catalogue`."""

    CREATED = "created"
    TRANSITION = "transition"
    DURATION = "duration"
    FAILURE = "failure"
    DEADLINE_MISSED = "deadline_missed"
    ARCHIVED_DOCUMENT = "archived_document"
    COMPLETED_EMPTY = "completed_empty"
    REOPENED = "reopened"
    VANISHED = "vanished"
    ANOMALY = "anomaly"


class Series(NamedTuple):
    """One counted series: `pair` is None for anomalies; `label` is the status, reason or kind, or empty."""

    event: Event
    pair: Pair | None
    label: str = ""


class ExemplarKey(NamedTuple):
    """The sample that an exemplar belongs to: a counter, or a bucket of a histogram by its index."""

    series: Series
    bucket: int = 0


class Exemplar(NamedTuple):
    """A Task that was counted in a sample. `value` is what it added: a duration in seconds, or one.

    `shown_at` is when it was first shown, by our own clock.
    """

    task_id: str
    value: float
    shown_at: Instant = 0


FIRST_SHOWN: tuple[tuple[Event, str], ...] = (
    (Event.CREATED, ""),
    *((Event.TRANSITION, status) for status in DOCUMENTED),
    *((Event.DURATION, status) for status in (Status.COMPLETED, Status.FAILED)),
    (Event.DEADLINE_MISSED, ""),
    (Event.ARCHIVED_DOCUMENT, ""),
    (Event.COMPLETED_EMPTY, ""),
    (Event.REOPENED, ""),
    (Event.VANISHED, ""),
)
"""Event and label of the series that every pair has from the start, at 0; others appear with their first event."""


class Histogram(NamedTuple):
    """Observations per bucket, not cumulative; one more than DURATION_BUCKETS, for those past the last."""

    counts: tuple[int, ...]
    sum: float
    """Seconds."""


class PairStatus(NamedTuple):
    """The key of most gauges."""

    pair: Pair
    status: Status


@dataclass(frozen=True, slots=True)
class Gauges:
    """The values at the last complete poll. Instants are those of the FHIR server."""

    tasks: Mapping[PairStatus, int] = field(default_factory=dict)
    oldest_authored: Mapping[PairStatus, Instant] = field(default_factory=dict)
    oldest_updated: Mapping[PairStatus, Instant] = field(default_factory=dict)
    last_transition: Mapping[PairStatus, Instant] = field(default_factory=dict)
    stalled: Mapping[PairStatus, int] = field(default_factory=dict)
    next_due: Mapping[Pair, Instant] = field(default_factory=dict)
    overdue: Mapping[Pair, int] = field(default_factory=dict)
    anomalous: Mapping[Anomaly, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `/metrics` shows about Tasks. Empty before the baseline; `gauges` is None while they are unknown.

    `counts` and `durations` hold what is *shown*, which may lag behind what is counted (docs/design.md#series-hold).
    `exemplars` is empty unless the operator asks for them.
    """

    counts: Mapping[Series, int] = field(default_factory=dict)
    durations: Mapping[PairStatus, Histogram] = field(default_factory=dict)
    gauges: Gauges | None = None
    exemplars: Mapping[ExemplarKey, Exemplar] = field(default_factory=dict)
