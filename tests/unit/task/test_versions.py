"""What a sighting is, where the table of moves does not say it alone."""

import pytest

from exporter.task.model import NO_PAIR, Anomaly, Instant, Status, Task
from exporter.task.rows import Row
from exporter.task.versions import Verdict, verdict

AT: Instant = 1_000_000
ROW = Row(
    id="p2p-task-1",
    version="1",
    updated=AT,
    max_version_counted=1,
    status=Status.REQUESTED,
    pair=NO_PAIR,
    authored=None,
    first_seen=AT,
    deadline_missed=False,
    anomaly_bits=0,
)


@pytest.mark.parametrize(
    ("anomalies", "expected"),
    [
        ((), Verdict.RECREATED),
        ((Anomaly.FOREIGN,), Verdict.RECREATED),
        ((Anomaly.UNPARSABLE,), Verdict.KNOWN),
    ],
)
def test_the_same_version_with_a_later_stamp_is_recreated_but_where_the_stamp_could_not_be_read(
    anomalies: tuple[Anomaly, ...], expected: Verdict
) -> None:
    seen = Task(ROW.id, ROW.version, AT + 1, Status.REQUESTED, anomalies=frozenset(anomalies))
    assert verdict(ROW, seen) is expected
