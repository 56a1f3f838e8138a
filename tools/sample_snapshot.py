"""Snapshots of invented payers, for the sizes in docs/metrics.md, for benchmarks and for tests of a whole page."""

from typing import NamedTuple

from exporter.task.model import (
    DURATION_BUCKETS,
    OPEN,
    REASONS,
    TIMED,
    UNCLASSIFIED,
    Event,
    Gauges,
    Histogram,
    Pair,
    PairStatus,
    Series,
    Snapshot,
    Status,
)

INSTANT = 1_700_000_000_123
"""A stamp with as many digits as current ones."""


class Content(NamedTuple):
    """Which statuses and failure reasons a pair of payers has met."""

    statuses: tuple[Status, ...]
    reasons: tuple[str, ...]


USUAL = Content((Status.REQUESTED, Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED), REASONS[:2])
EVERYTHING = Content(tuple(Status), (*REASONS, UNCLASSIFIED))


def sample_snapshot(pairs: int, content: Content) -> Snapshot:
    """Return a snapshot of this many pairs, each with the same content and names of thirty letters."""
    who = [
        Pair(f"Source payer with a long name {n:03d}"[-30:], f"Requesting payer, as long, {n:03d}")
        for n in range(pairs)
    ]
    keys = {status: [PairStatus(pair, status) for pair in who] for status in content.statuses}
    every = [key for status in keys for key in keys[status]]
    still_open = [key for key in every if key.status in OPEN]
    counts = {Series(Event.CREATED, pair): 1234 for pair in who}
    counts |= {Series(Event.TRANSITION, pair, status): 1234 for pair, status in every}
    counts |= {Series(Event.FAILURE, pair, reason): 1234 for pair in who for reason in content.reasons}
    ended = Histogram((123,) * (len(DURATION_BUCKETS) + 1), 12345678.9)
    gauges = Gauges(
        tasks=dict.fromkeys(every, 1234),
        oldest_authored=dict.fromkeys(still_open, INSTANT),
        oldest_updated=dict.fromkeys(still_open, INSTANT),
        last_transition=dict.fromkeys(every, INSTANT),
        stalled=dict.fromkeys(still_open, 12),
        next_due=dict.fromkeys(who, INSTANT),
        overdue=dict.fromkeys(who, 12),
    )
    return Snapshot(counts, {key: ended for key in every if key.status in TIMED}, gauges)
