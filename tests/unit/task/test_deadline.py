"""A deadline and its cutoff are two sides of one question."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.task.deadline import FixedTime

INSTANTS = st.integers(0, 2**43)
LENGTHS = st.integers(1, 2**33)


@given(LENGTHS, INSTANTS, INSTANTS)
def test_what_was_authored_before_the_cutoff_was_due_before_now(length: int, authored: int, now: int) -> None:
    deadline = FixedTime(length)
    assert (authored < deadline.cutoff(now)) == (deadline.due(authored) < now)


@given(LENGTHS, INSTANTS, INSTANTS)
def test_a_later_task_is_never_due_earlier(length: int, one: int, other: int) -> None:
    deadline = FixedTime(length)
    assert (deadline.due(one) <= deadline.due(other)) == (one <= other)


@given(LENGTHS, INSTANTS)
def test_a_task_is_not_late_at_the_very_moment_it_is_due(length: int, authored: int) -> None:
    deadline = FixedTime(length)
    due = deadline.due(authored)
    assert not authored < deadline.cutoff(due)
    assert authored < deadline.cutoff(due + 1)


def test_a_day_is_a_day() -> None:
    assert FixedTime(86_400_000).due(1_000) == 86_401_000
