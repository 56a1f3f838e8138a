"""How lengths of time, bars and tables are written, and how long is waited."""

import pytest

from exporter.watch import texts
from exporter.watch.pace import Pace, every
from exporter.watch.targets import Kind, Target, read_target

BASE = "https://cdr.example/fhir"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (3600, "1h"),
        (3604, "1h"),
        (3664, "1h1m"),
        (86400 + 7200 + 59, "1d2h"),
        (86400 * 400 + 59, "400d"),
    ],
)
def test_a_length_of_time_has_two_units(seconds: float, text: str) -> None:
    assert texts.span(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "drawn"),
    [(0.0, "[--------------------]   0%"), (0.5, "[##########----------]  50%"), (1.0, "[####################] 100%")],
)
def test_a_bar_is_full_at_the_end(ratio: float, drawn: str) -> None:
    assert texts.bar(ratio) == drawn


def test_a_table_aligns_words_left_and_numbers_right() -> None:
    assert texts.table(("TYPE", "FILES"), [("A", "10"), ("Longer", "1")]) == (
        "TYPE    FILES",
        "A          10",
        "Longer      1",
    )


@pytest.mark.parametrize(("asked", "wait"), [(0.0, 1.0), (7.0, 7.0), (86400.0, 300.0)])
def test_what_the_server_asks_for_wins_within_limits(asked: float, wait: float) -> None:
    assert Pace(10, 60).after_answer(asked, 5) == wait
    assert Pace(10, 60).after_failure(asked, 5) == wait


def test_polls_become_rare_without_news_and_without_answers() -> None:
    assert [Pace(10, 60).after_answer(None, times) for times in (0, 1, 2, 3, 10_000)] == [10, 20, 40, 60, 60]
    assert [Pace(10, 60).after_failure(None, times) for times in (1, 2, 6, 10_000)] == [10, 20, 300, 300]


def test_an_interval_above_five_minutes_stays() -> None:
    assert every(600).after_answer(None, 3) == 600
    assert every(0.001).after_answer(None, 3) == 1


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Task/1", Target(Kind.TASK, "1")),
        (f"{BASE}/Task/a-1.b", Target(Kind.TASK, "a-1.b")),
        ("job/4f_3c", Target(Kind.BATCH_JOB, "4f_3c")),
        ("4f3c", Target(Kind.EXPORT, "4f3c")),
        (f" {BASE}/$x?_jobId=1 ", Target(Kind.EXPORT, f"{BASE}/$x?_jobId=1")),
        ("https://other.example/fhir/Task/1", Target(Kind.EXPORT, "https://other.example/fhir/Task/1")),
    ],
)
def test_the_beginning_of_a_target_tells_its_kind(text: str, target: Target) -> None:
    assert read_target(text, BASE) == target
