"""The table of counters: what each series has counted, and what it shows (docs/design.md#series-hold).

`part` is 0 for a plain counter; of a histogram it is the index of a bucket, or SUM_PART for the sum in seconds.
`born` is the generation of the first snapshot of this process that has the series, 0 for one from an earlier process.
"""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from ..task.lifecycle import bucket_index
from ..task.model import NO_PAIR, Event, Histogram, PairStatus, Series, Status
from .pairs import PairTable
from .schema import SUM_PART


class ShownCounters(NamedTuple):
    """The counted half of a Snapshot."""

    counts: Mapping[Series, int]
    durations: Mapping[PairStatus, Histogram]


class CounterTable:
    """Counters, with what they show kept in memory until a write. Only a transaction writes."""

    def __init__(self, connection: sqlite3.Connection, pairs: PairTable) -> None:
        self._connection = connection
        self._pairs = pairs
        self._shown: ShownCounters | None = None

    def add(self, series: Series, n: int, generation: int) -> None:
        """Add to a counter; one that is new shows 0 first, in the snapshot of `generation`.

        The parts of a histogram are created together, so that all of them are first shown in one generation.
        """
        for part in range(SUM_PART + 1) if series.event is Event.DURATION else (0,):
            self._add_to_part(series, part, n, generation)

    def observe(self, key: PairStatus, seconds: float, generation: int) -> None:
        """Add a duration to its histogram."""
        series = Series(Event.DURATION, key.pair, key.status)
        self.add(series, 0, generation)
        self._add_to_part(series, bucket_index(seconds), 1, generation)
        self._add_to_part(series, SUM_PART, seconds, generation)

    def _add_to_part(self, series: Series, part: int, n: float, generation: int) -> None:
        self._shown = None
        self._connection.execute(
            """
            INSERT INTO counter (fact, pair, label, part, counted, shown, born)
            VALUES (:event, :pair, :label, :part, :n, 0, :generation)
            ON CONFLICT (fact, pair, label, part) DO UPDATE SET counted = counter.counted + excluded.counted
            """,
            {
                "event": series.event,
                "pair": self._pairs.number(series.pair or NO_PAIR),
                "label": series.label,
                "part": part,
                "n": n,
                "generation": generation,
            },
        )

    def hides(self, generation: int) -> bool:
        """Whether `show` would change what a series shows."""
        found = self._connection.execute(
            "SELECT 1 FROM counter WHERE shown <> counted AND born <= :generation LIMIT 1", {"generation": generation}
        )
        return found.fetchone() is not None

    def show(self, generation: int) -> None:
        """Let the series up to this generation show what they count."""
        self._shown = None
        self._connection.execute(
            "UPDATE counter SET shown = counted WHERE shown <> counted AND born <= :generation",
            {"generation": generation},
        )

    def shown(self) -> ShownCounters:
        """Read what every series shows."""
        if self._shown is None:
            self._shown = self._read()
        return self._shown

    def _read(self) -> ShownCounters:
        counts: dict[Series, int] = {}
        parts: dict[PairStatus, list[float]] = {}
        for event, number, label, part, shown in self._connection.execute(
            "SELECT fact, pair, label, part, shown FROM counter ORDER BY fact, pair, label, part"
        ):
            pair = self._pairs.pair(number)
            if event == Event.DURATION:
                parts.setdefault(PairStatus(pair, Status(label)), [0.0] * (SUM_PART + 1))[part] = shown
            else:
                counts[Series(Event(event), pair if number else None, label)] = int(shown)
        return ShownCounters(counts, {key: _histogram(each) for key, each in parts.items()})


def _histogram(parts: list[float]) -> Histogram:
    *buckets, total = parts
    return Histogram(tuple(map(int, buckets)), total)


def reset_generations(connection: sqlite3.Connection) -> None:
    """Begin a process: generations are numbered from 1 again, and no series waits for its first snapshot."""
    connection.execute("UPDATE counter SET born = 0 WHERE born <> 0")
