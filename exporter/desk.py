"""What every walk works with: the parts, the operator's rules, and the plans they are given.

Rule: values and choices only; nothing here asks the server or writes the ledger.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from .clock import Clock
from .errors import Throttled
from .fhir.client import FhirServer
from .ledger.ledger import Ledger
from .ledger.state import ALL_GENERATIONS, StateKey
from .ledger.transaction import Transaction
from .metrics.telemetry import Telemetry
from .names import Namer
from .task.deadline import Deadline
from .task.model import Instant, Snapshot
from .task.search import Bound, Search


class Kind(StrEnum):
    """What a walk is for. A poll of more than one window is a catch-up."""

    BASELINE = "baseline"
    POLL = "poll"
    SWEEP = "sweep"


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """A question, and how far it was answered before.

    `resumed` marks a walk that was broken off; `joining` marks the full comparison (`Observation.joining`).
    """

    kind: Kind
    search: Search = field(default_factory=Search)
    resumed: bool = False
    walked: int = 0
    expected: int | None = None
    joining: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """What one page did. `wants_poll` asks for a complete poll before the walk goes on, `throttled` for silence.

    `walked` counts Tasks that were news; `expected` is the server's own count at the start, 0 where it gave none.
    """

    kind: Kind = Kind.SWEEP
    ended: bool = False
    window: int = 0
    walked: int = 0
    expected: int | None = None
    corrections: int = 0
    wants_poll: bool = False
    throttled: Throttled | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator chose; spans in milliseconds. `names` is the fingerprint of the payers' names and the cap."""

    deadline: Deadline
    overlap: int = 30_000
    stalled_after: int = 4 * 3_600_000
    names: int = 0


@dataclass(slots=True)
class Desk:
    """What every walk works with. `publish` takes a picture and our monotonic time when its walk began.

    `shown` tells which pictures' series may show in full; `marked` is our time at the walk that set the watermark.
    `patience` says how many times `--poll.timeout` a window may take, where one was not enough before. `skew_ms` is the
    server's clock minus ours, when it was last read. `uncounted`: no more progress counts, since one was throttled.
    """

    server: FhirServer
    ledger: Ledger
    clock: Clock
    telemetry: Telemetry
    namer: Namer
    rules: Rules
    publish: Callable[[Snapshot, float], None] = lambda _snapshot, _began: None
    shown: Callable[[], int] = lambda: ALL_GENERATIONS
    marked: float | None = None
    resync: bool = False
    patience: dict[Kind, int] = field(default_factory=dict)
    skew_ms: int = 0
    uncounted: bool = False

    @property
    def server_now(self) -> Instant:
        """The server's clock now, from when it was last read: the best there is where an answer carries no time."""
        return self.clock.wall() + self.skew_ms

    @property
    def baseline_from(self) -> Instant | None:
        """Before this stamp a Task belongs to the baseline, whenever it is found: later ones polls have looked for."""
        began = self.ledger.instant(StateKey.BASELINE_BEGAN)
        return None if began is None else began - self.rules.overlap

    @property
    def renamed(self) -> bool:
        """Whether some Tasks may show under other names than these, so that gauges are to move once all is walked."""
        begun = self.ledger.baseline_complete or self.ledger.walk_state is not None
        return begun and self.ledger.instant(StateKey.NAMES) != self.rules.names

    def keep_names(self, tx: Transaction) -> None:
        """Keep, with a page, what was read for it, and under which names its Tasks show."""
        tx.save_organizations(self.namer.unsaved)
        noted = self.ledger.instant(StateKey.NAMES)
        if not (self.ledger.baseline_complete or self.ledger.walk_state):
            tx.set_instant(StateKey.NAMES, self.rules.names)
        elif noted not in {None, self.rules.names}:
            tx.set_instant(StateKey.NAMES, None)  # names may be taken back before everything was walked

    def next_plan(self) -> WalkPlan:
        """Choose what to walk: the walk that was broken off, the baseline, or what changed since the watermark."""
        walk = self.ledger.walk_state
        if walk is not None:
            search = Search(_settled(walk.cursor, walk.searched - self.rules.overlap))
            return WalkPlan(Kind(walk.kind), search, resumed=True, walked=walk.walked, expected=walk.expected)
        watermark = self.ledger.instant(StateKey.WATERMARK)
        if watermark is None:
            return WalkPlan(Kind.BASELINE)
        return WalkPlan(Kind.POLL, Search(Bound("ge", watermark)))


def _settled(cursor: Bound | None, at: Instant) -> Bound | None:
    """Take a cursor back to `at`, the overlap before the last search: what was written later may show only now."""
    return cursor if cursor is None or cursor.at <= at else Bound("ge", at)
