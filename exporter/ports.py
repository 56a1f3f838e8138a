"""The seams: what the middle of the programme asks of the outside, in its own words.

Nothing here does anything. `fhir/`, `ledger/` and `metrics/` keep these promises for real, `tests/` with fakes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from .errors import ErrorReason
from .task.deadline import Deadline
from .task.lifecycle import Changes
from .task.model import Instant, Page, Pair, Snapshot, Status
from .task.rows import Row


class Operation(StrEnum):
    """What a request to the FHIR server is for; a label."""

    SEARCH = "search"
    PAGE = "page"
    COUNT = "count"
    READ = "read"
    ORGANIZATION = "organization"
    METADATA = "metadata"
    TOKEN = "token"  # noqa: S105 - a word for a request, not a secret


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


class Window(Protocol):
    """Requests that share one time limit (`--poll.timeout`). Each raises a ServerError."""

    def first(self, search: Search) -> Page:
        """Ask anew; raises Cached when the answer is an old one."""

    def follow(self, link: str) -> Page:
        """Fetch the page behind a `next` link; raises LinkRefused when it leads elsewhere."""

    def read(self, ids: Sequence[str]) -> Page:
        """Fetch Tasks by id, tagged or not, within the operator's further search parameters.

        A Task that is missing here may still exist: `status_of` decides.
        """

    def status_of(self, id_: str) -> int:
        """Read one Task for its HTTP status alone: 200, 404 or 410; raises a ServerError for any other."""

    def count(self, search: Search) -> int:
        """Ask the server's own count; raises WrongResource when it gives none."""

    def organization(self, reference: str) -> str | None:
        """Read the name of `Organization/…`; None where it has none or we may not read it (403, 404, 410).

        Raises a ServerError for whatever else comes, such as a login page.
        """


class Server(Protocol):
    """A FHIR server that holds Tasks."""

    @property
    def criterion(self) -> str | None:
        """The search parameter that keeps other Tasks out of a count: `_tag`, else `code`, else none."""

    @property
    def filtered(self) -> bool:
        """Whether the operator gave further search parameters, which a Task can leave."""

    def window(self, patience: int = 1) -> AbstractContextManager[Window]:
        """Open a connection and start its time limit, `patience` times `--poll.timeout`."""

    def ask_tag_again(self) -> None:
        """Search by tag from now on, though the server may have refused it before."""


class Remembered(StrEnum):
    """The names of what is kept beside Tasks and counters; Instants but for the last four. Never to be renamed."""

    WATERMARK = "watermark"
    """From where the next poll asks; there once the baseline is complete."""
    MARKED_WALL = "marked_wall"
    """Our wall time when the walk that set the watermark began, or was resumed."""
    LAST_COMPLETE = "last_complete"
    """Our wall time at the end of the last complete poll."""
    BASELINE_BEGAN = "baseline_began"
    COMPARED_WALL = "compared_wall"
    """Our wall time at the end of the last full comparison, or of the baseline."""
    NAMES = "names"
    """The fingerprint of names and cap under which everything was last walked; none where it was under several."""
    PAIRS_CAPPED = "pairs_capped"
    """How many pairs were met past the cap since everything was last walked."""
    WALK = "walk"
    """The WalkState of a background walk."""
    SOURCE = "source"
    """The digest of the server and selection that the ledger belongs to."""


class WalkState(NamedTuple):
    """Where a baseline or catch-up stands: `searched` is the server's clock at the first search of its last window."""

    kind: str
    searched: Instant
    cursor: Bound | None
    walked: int
    expected: int | None


class Slice(NamedTuple):
    """The Tasks of one status stamped from `start`, before `end`."""

    status: Status
    start: Instant
    end: Instant


@dataclass(frozen=True, slots=True)
class PollEnd:
    """How a complete poll ends.

    `now` is the server's clock; `baseline` marks the first complete walk. `show` is the number of the newest picture
    whose series have been held long enough; None shows all.
    """

    now: Instant
    deadline: Deadline
    stalled_before: Instant
    baseline: bool
    show: int | None


class Transaction(Protocol):
    """What is written together."""

    def slots(self, pairs: Iterable[Pair]) -> Mapping[Pair, Pair]:
        """Tell in whose series each pair shows; a new one gets its slot, for good, in the order given."""

    def learn(self, answers: Mapping[str, str | None]) -> None:
        """Keep names of Organizations by reference, None where there is none or we may not read it; read last."""

    def recount_capped(self) -> None:
        """Let `pairs_capped` be what this sweep, which walked everything, met past the cap."""

    def apply(self, changes: Changes) -> None:
        """Write what a page changed."""

    def remember(self, walk: WalkState | None) -> None:
        """Keep where a background walk stands; None when it has ended."""

    def note(self, name: Remembered, at: Instant | None) -> None:
        """Keep a time under a name."""

    def forget(self, before: Instant) -> None:
        """Drop Tasks gone since before then."""

    def close(self, closing: PollEnd) -> Snapshot:
        """End a complete poll and read the new picture."""


class Ledger(Protocol):
    """What the exporter remembers. Every method may raise a LedgerError."""

    number: int

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Do all or nothing."""

    def known(self, ids: Sequence[str]) -> dict[str, Row]:
        """Find what is remembered of these Tasks, gone ones included."""

    @property
    def walk(self) -> WalkState | None:
        """The background walk that did not end."""

    def instant(self, name: Remembered) -> Instant | None:
        """Read a time kept by `note`."""

    @property
    def baseline_complete(self) -> bool:
        """Whether the first complete walk has ended."""

    @property
    def state(self) -> "LedgerState":
        """Figures for our own metrics."""

    def organizations(self) -> dict[str, str | None]:
        """Read what `learn` kept, oldest read first."""

    def counters(self) -> Snapshot:
        """Read the counters last shown, without gauges; empty before the baseline."""

    def begin_sweep(self) -> None:
        """Note from now on which Tasks are seen."""

    def end_sweep(self) -> None:
        """Stop noting."""

    def saw_any(self) -> bool:
        """Whether the sweep has seen any Task at all."""

    def miss(self, part: Slice | None, limit: int) -> Iterator[list[str]]:
        """Tell which Tasks of a slice, or which open ones, the sweep has not seen."""

    def count_between(self, part: Slice) -> int:
        """Count the Tasks of a slice, flagged ones included."""

    def stamp_at(self, part: Slice, place: int) -> Instant | None:
        """Find the stamp at a place of a slice, counted from 0 in the order of stamps."""

    def close(self) -> None:
        """Let go of the file."""


class Clock(Protocol):
    """Our own time: never used to judge Tasks where the server tells its own."""

    def wall(self) -> Instant:
        """Now, in milliseconds since 1970 UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back, with those that the machine slept where the system counts them."""


class Outcome(StrEnum):
    """How a poll or a reconciliation ended: `partial` kept some pages, `failed` none."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class Sweep(StrEnum):
    """Which comparison by timer: the open Tasks and the recent, or everything by counts."""

    OPEN = "open"
    FULL = "full"


class Answer(StrEnum):
    """What a scrape was given.

    A poll of its own; a picture still young; the last one, since the poll still runs; the last one, since it failed.
    """

    FRESH = "fresh"
    REUSED = "reused"
    LATE = "late"
    STALE = "stale"


class Scrape(NamedTuple):
    """What a scrape gets: an answer at once, or a poll to wait for (its result: whether it was complete)."""

    immediate: Answer | None = None
    poll: "Future[bool] | None" = None


class RequestLog(Protocol):
    """Told of each request to the FHIR server."""

    def requested(self, operation: Operation, status: int | None, seconds: float) -> None:
        """`status` is None when no answer came."""

    def received(self, count: int) -> None:
        """Count bytes on the wire."""


class LedgerState(NamedTuple):
    """Figures of the ledger after a commit. Instants are the server's, but for `last_complete`, which is ours."""

    tracked: int
    pairs: int
    pairs_capped: int
    bytes: int
    watermark: Instant | None
    last_complete: Instant | None
    baseline_complete: bool


class Telemetry(Protocol):
    """The exporter's own life, as the worker tells it."""

    def up(self, value: bool) -> None:
        """Say whether the last page of a poll, baseline or catch-up succeeded and was committed."""

    def polled(self, outcome: Outcome, seconds: float) -> None:
        """Count a poll (a catch-up is one poll, and so is the baseline)."""

    def count_error(self, reason: ErrorReason) -> None:
        """Count an error."""

    def reconciled(self, sweep: Sweep, outcome: Outcome) -> None:
        """Count a finished sweep."""

    def corrected(self, sweep: Sweep, count: int) -> None:
        """Count Tasks that a sweep found to differ."""

    def progressed(self, ratio: float) -> None:
        """Tell how far the baseline is, 0 to 1."""

    def late(self, seconds: float) -> None:
        """Tell how long after its stamp a version became visible; the largest is kept."""

    def skewed(self, seconds: float) -> None:
        """Tell the server's clock minus ours."""

    def ledger(self, state: LedgerState) -> None:
        """Show the ledger's figures."""
