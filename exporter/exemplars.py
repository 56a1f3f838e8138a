"""The Task behind the last event of each bucket of durations and each reason of failures, if the operator asks for it.

Rule 1: an exemplar is shown no earlier than the count that it stands for; until then it waits.
Rule 2: they are in memory only, one for each sample: after a restart there are none until something happens.

See docs/design.md#exemplars.
"""

from collections.abc import Mapping
from dataclasses import replace

from .clock import Clock
from .task.model import Event, Exemplar, ExemplarKey, PairStatus, Snapshot, Status


class Exemplars:
    """What waits, and what is shown. `first` is the snapshot with which the process starts; used by the worker only."""

    def __init__(self, clock: Clock, first: Snapshot, *, wanted: bool) -> None:
        self._clock = clock
        self._last = first
        self._wanted = wanted
        self._waiting: dict[ExemplarKey, Exemplar] = {}
        self._shown: dict[ExemplarKey, Exemplar] = {}

    def begin_again(self, first: Snapshot) -> None:
        """Forget them, as a restart does: payers were renamed."""
        self._last = first
        self._waiting.clear()
        self._shown.clear()

    def add(self, found: Mapping[ExemplarKey, Exemplar]) -> None:
        """Keep what a committed page brought; a later event of the same sample replaces it."""
        if self._wanted:
            self._waiting.update(found)

    def attach(self, snapshot: Snapshot) -> Snapshot:
        """Add to a snapshot the exemplars of all samples that now show what they counted: those that have grown."""
        if not self._wanted:
            return snapshot
        grown = [key for key in self._waiting if shown_count(snapshot, key) > shown_count(self._last, key)]
        for key in grown:
            self._shown[key] = self._waiting.pop(key)._replace(shown_at=self._clock.wall())
        self._last = snapshot
        return replace(snapshot, exemplars=dict(self._shown))


def shown_count(snapshot: Snapshot, key: ExemplarKey) -> int:
    """Find what the sample of an exemplar shows; of a bucket, without those below it."""
    series = key.series
    if series.event is not Event.DURATION or series.pair is None:
        return snapshot.counts.get(series, 0)
    histogram = snapshot.durations.get(PairStatus(series.pair, Status(series.label)))
    return 0 if histogram is None else histogram.counts[key.bucket]
