"""Snapshots made by hand, one per situation: the input of the rendering tests."""

from collections.abc import Mapping

from exporter.task.model import (
    DURATION_BUCKETS,
    Anomaly,
    Event,
    Gauges,
    Histogram,
    Instant,
    Pair,
    PairStatus,
    Series,
    Snapshot,
    Status,
)

NOON: Instant = 1_700_049_600_000
"""Noon of an arbitrary day."""
MINUTE = 60_000

EAST = Pair("East Health", "Our Plan")
WEST = Pair("West Mutual", "Our Plan")


def created(*pairs: Pair) -> dict[Series, int]:
    """Pairs that have counted nothing yet."""
    return {Series(Event.CREATED, pair): 0 for pair in pairs}


def lasting(*seconds: float) -> Histogram:
    """Observe durations, as the ledger keeps them: by bucket, not cumulated."""
    bounds = (*DURATION_BUCKETS, float("inf"))
    at = [next(n for n, bound in enumerate(bounds) if second <= bound) for second in seconds]
    return Histogram(tuple(at.count(n) for n in range(len(bounds))), sum(seconds))


def one_of_each_status() -> Snapshot:
    """Twelve Tasks and one of a status nobody knows, all in the baseline."""
    tasks = {PairStatus(EAST, status): 1 for status in Status}
    oldest = {PairStatus(EAST, status): NOON for status in (Status.REQUESTED, Status.ON_HOLD, Status.UNKNOWN)}
    gauges = Gauges(
        tasks=tasks,
        oldest_authored=oldest,
        oldest_updated={key: instant + MINUTE for key, instant in oldest.items()},
        stalled={PairStatus(EAST, Status.ON_HOLD): 1},
        overdue={EAST: 2},
        next_due={EAST: NOON + 90 * MINUTE + 1},
        anomalous={Anomaly.UNKNOWN_STATUS: 1},
    )
    return Snapshot(created(EAST), {}, gauges)


def busy() -> Snapshot:
    """Two pairs, of which one has met everything that is counted."""
    counts = created(EAST, WEST) | {
        Series(Event.CREATED, EAST): 5,
        Series(Event.TRANSITION, EAST, Status.REQUESTED): 5,
        Series(Event.TRANSITION, EAST, Status.COMPLETED): 3,
        Series(Event.TRANSITION, EAST, Status.FAILED): 2,
        Series(Event.TRANSITION, EAST, Status.ON_HOLD): 1,
        Series(Event.FAILURE, EAST, "timeout"): 1,
        Series(Event.FAILURE, EAST, "unclassified"): 1,
        Series(Event.DEADLINE_MISSED, EAST): 1,
        Series(Event.ARCHIVED_DOCUMENT, EAST): 12,
        Series(Event.COMPLETED_EMPTY, EAST): 1,
        Series(Event.REOPENED, EAST): 1,
        Series(Event.VANISHED, EAST): 4,
        Series(Event.ANOMALY, None, Anomaly.MISSING_OWNER): 2,
    }
    durations: Mapping[PairStatus, Histogram] = {
        PairStatus(EAST, Status.COMPLETED): lasting(12.5, 301, 86400),
        PairStatus(EAST, Status.FAILED): lasting(2_000_000),
        PairStatus(EAST, Status.CANCELLED): lasting(),
    }
    return Snapshot(counts, durations, Gauges(last_transition={PairStatus(EAST, Status.FAILED): NOON + 1}))


SNAPSHOTS: Mapping[str, Snapshot] = {
    "before_the_baseline": Snapshot(),
    "empty_server": Snapshot({}, {}, Gauges()),
    "new_pair": Snapshot(created(EAST), {}, Gauges()),
    "one_of_each_status": one_of_each_status(),
    "busy": busy(),
    "gauges_unknown": Snapshot(busy().counts, busy().durations, None),
    "odd_names": Snapshot(created(Pair('Qui"te\\ odd\npayer', "Ünïted 健康")), {}, Gauges()),
}
