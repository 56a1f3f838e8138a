"""What a sighting is: version and stamp against what is known. See docs/design.md#version-order."""

import pytest

from exporter.task.model import NO_PAIR, Anomaly, Instant, Status, Task
from exporter.task.rows import Row
from exporter.task.versions import Verdict, verdict, version_number, version_rank

from .sightings import UUIDS, known, version

KNOWN, NEWER, RECREATED, STALE = Verdict.KNOWN, Verdict.NEWER, Verdict.RECREATED, Verdict.STALE


TABLE = [
    ("4", "5", +1, NEWER),
    ("4", "5", 0, NEWER),
    ("4", "5", -1, NEWER),
    ("9", "10", +1, NEWER),
    ("4", "4", 0, KNOWN),
    ("4", "4", +1, RECREATED),
    ("4", "4", -1, STALE),
    ("4", "1", +1, RECREATED),
    ("10", "9", 0, STALE),
    ("4", "1", 0, STALE),
    ("4", "1", -1, STALE),
    (UUIDS[0], UUIDS[1], +1, NEWER),
    (UUIDS[0], UUIDS[1], 0, NEWER),
    (UUIDS[0], UUIDS[1], -1, STALE),
    (UUIDS[0], UUIDS[0], 0, KNOWN),
    (UUIDS[0], "5", +1, NEWER),
    ("5", UUIDS[0], +1, NEWER),
    ("5", UUIDS[0], -1, STALE),
    ("", "", 0, KNOWN),
    ("", "", +1, NEWER),
]


@pytest.mark.parametrize(("before", "after", "minutes", "expected"), TABLE)
def test_version_and_stamp_together_decide_the_verdict(
    before: str, after: str, minutes: int, expected: Verdict
) -> None:
    assert verdict(known(version(before)), version(after, -10 + minutes)) is expected


def test_a_task_never_seen_is_new() -> None:
    assert verdict(None, version()) is Verdict.NEW


@pytest.mark.parametrize("text", ["", "-1", "1.0", "٣", "0x10", "9" * 19, "1e3", " 1"])
def test_what_is_no_plain_number_is_an_opaque_version(text: str) -> None:
    assert version_number(text) is None
    assert version_rank(text, 77) == 77


# --- Stamps that could not be read

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
