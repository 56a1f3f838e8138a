"""What every walk is given: the parts of the exporter that it uses, and what the operator chose.

Rule: nothing here asks the server or writes the ledger. The parts keep their own state.
"""

from dataclasses import dataclass

from .clock import Clock
from .exemplars import Exemplars
from .fhir.client import FhirServer
from .history import HistoryReader
from .hold import SeriesHold
from .ledger.ledger import Ledger
from .ledger.state import StateKey
from .metrics.telemetry import Telemetry
from .names import Namer
from .task.deadline import Deadlines
from .task.model import Instant
from .watermark import ServerClock, Watermark


@dataclass(frozen=True, slots=True)
class WalkRules:
    """What the operator chose. The fingerprint is of the payers' names and of the cap (`names.fingerprint`)."""

    deadlines: Deadlines
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
    history: HistoryReader
    hold: SeriesHold
    exemplars: Exemplars
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
