"""What every walk is given: the parts of the exporter it uses, what the operator chose, and its plan.

Rule: nothing here asks the server or writes the ledger. The parts keep their own state.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from .clock import Clock
from .errors import Throttled
from .fhir.client import FhirServer
from .hold import SeriesHold
from .ledger.ledger import Ledger
from .ledger.state import StateKey
from .metrics.telemetry import Telemetry
from .names import Namer
from .task.deadline import Deadline
from .task.model import Instant, Snapshot
from .task.search import Search
from .watermark import ServerClock, Watermark


class WalkKind(StrEnum):
    """What a walk is for. A poll of more than one window is a catch-up. The values are in ledgers."""

    BASELINE = "baseline"
    POLL = "poll"
    COMPARISON = "sweep"


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """A question, and how far it was answered before.

    `resumed` marks a walk that was interrupted; `joining` marks a walk of a comparison (`Observation.joining`).
    """

    kind: WalkKind
    search: Search = field(default_factory=Search)
    resumed: bool = False
    walked: int = 0
    expected: int | None = None
    joining: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """What one page of a walk did.

    `walked` counts Tasks that were new or changed; `expected` is the server's own count at the start, 0 where it gave
    none. The last page of a poll or baseline brings the `snapshot`; `started_seconds` is our monotonic time when the
    walk began.
    """

    kind: WalkKind
    window_number: int
    ended: bool = False
    walked: int = 0
    expected: int | None = None
    corrections: int = 0
    snapshot: Snapshot | None = None
    started_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Compared:
    """What one request of a comparison did: how many Tasks it corrected, and whether the server asks to wait."""

    corrections: int = 0
    throttled: Throttled | None = None


class PollFirst:
    """A comparison needs a complete poll before it goes on."""


Step = Progress | Compared | PollFirst
"""What a comparison yields after each request, so that a poll can come between."""


@dataclass(frozen=True, slots=True)
class WalkRules:
    """What the operator chose. The fingerprint is of the payers' names and of the cap (`names.fingerprint`)."""

    deadline: Deadline
    overlap_ms: int
    stalled_after_ms: int
    names_fingerprint: int


@dataclass(frozen=True, slots=True)
class WalkContext:
    """The parts that every walk uses. `timeout_factor` is how many times `--poll.timeout` a window may take."""

    server: FhirServer
    ledger: Ledger
    clock: Clock
    telemetry: Telemetry
    namer: Namer
    hold: SeriesHold
    rules: WalkRules
    server_clock: ServerClock
    watermark: Watermark
    timeout_factor: int = 1

    @property
    def baseline_from(self) -> Instant | None:
        """Before this stamp a Task belongs to the baseline, whenever it is found: later ones polls have looked for."""
        began = self.ledger.state(StateKey.BASELINE_BEGAN)
        return None if began is None else began - self.rules.overlap_ms

    @property
    def names_changed(self) -> bool:
        """Whether some Tasks may show under other names than the ones in force, until everything is walked again."""
        started = self.ledger.baseline_complete or self.ledger.walk_state is not None
        return started and self.ledger.state(StateKey.NAMES) != self.rules.names_fingerprint
