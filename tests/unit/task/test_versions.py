"""What a sighting is, where the table of moves does not say it alone."""

import pytest

from exporter.task.model import NO_PAIR, Anomaly, Instant, Status, Task
from exporter.task.rows import Row
from exporter.task.versions import Verdict, verdict

AT: Instant = 1_000_000
ROW = Row("p2p-task-1", "1", AT, 1, Status.REQUESTED, NO_PAIR, None, AT, False, 0)


@pytest.mark.parametrize(
    ("anomalies", "expected"),
    [
        ((), Verdict.RECREATED),
        ((Anomaly.FOREIGN,), Verdict.RECREATED),
        ((Anomaly.UNPARSABLE,), Verdict.KNOWN),
    ],
)
def test_the_same_version_with_a_later_stamp_is_made_anew_but_where_the_stamp_could_not_be_read(
    anomalies: tuple[Anomaly, ...], expected: Verdict
) -> None:
    seen = Task(ROW.id, ROW.version, AT + 1, Status.REQUESTED, anomalies=frozenset(anomalies))
    assert verdict(ROW, seen) is expected
