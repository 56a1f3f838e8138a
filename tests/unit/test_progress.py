"""Progress for people: the display may be lost, the work may not."""

import errno
import io
import logging
import sys

import pytest

from exporter.progress import LOG_INTERVAL_SECONDS, LogLines, TerminalBar
from exporter.steps import Progress, WalkKind
from tests.support.fake import HandClock

FIRST = Progress(WalkKind.BASELINE, window_number=1, tasks=200, expected=None)
MIDDLE = Progress(WalkKind.BASELINE, window_number=1, tasks=400, expected=900)
LAST = Progress(WalkKind.BASELINE, ended=True, window_number=1, tasks=900, expected=900)


class Terminal(io.StringIO):
    """A terminal that somebody may close."""

    gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


@pytest.mark.parametrize("when", [0, 1, 2])
def test_a_terminal_that_goes_away_stops_the_drawing_and_not_the_work(
    monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = TerminalBar()
    for number, progress in enumerate((FIRST, MIDDLE, LAST)):
        terminal.gone = number >= when
        bar(progress)


def test_a_bar_is_drawn_once_the_length_is_known_and_ends_full(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = TerminalBar()
    bar(FIRST)
    assert terminal.getvalue() == ""
    bar(MIDDLE)
    assert "400/900" in terminal.getvalue()
    bar(LAST)
    assert "900/900" in terminal.getvalue()


def test_a_bar_without_a_count_has_no_length_and_takes_one_that_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = TerminalBar()
    bar(Progress(WalkKind.BASELINE, window_number=1, tasks=400, expected=0))
    assert terminal.getvalue().endswith("400")
    bar(Progress(WalkKind.BASELINE, window_number=1, tasks=600, expected=900))
    assert "600/900" in terminal.getvalue()
    bar(Progress(WalkKind.BASELINE, window_number=1, tasks=1_000, expected=0))
    assert terminal.getvalue().rstrip().endswith("1000")
    bar(Progress(WalkKind.BASELINE, ended=True, window_number=1, tasks=1_200, expected=0))
    assert "1200/1200" in terminal.getvalue()


def test_a_walk_of_a_single_page_shows_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    TerminalBar()(Progress(WalkKind.BASELINE, ended=True, window_number=1, tasks=3, expected=None))
    assert "3/3" in terminal.getvalue()


def test_the_log_has_a_line_every_interval_and_one_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = HandClock()
    report = LogLines(clock)
    for seconds, progress in ((1, FIRST), (LOG_INTERVAL_SECONDS - 1, FIRST), (1, MIDDLE), (1, LAST)):
        clock.advance(seconds)
        report(progress)
    assert [(each.message, each.__dict__["fields"]) for each in caplog.records] == [
        ("baseline running", {"tasks": 200}),
        ("baseline complete", {"tasks": 900}),
    ]


def test_the_log_names_the_servers_count_while_it_says_how_much_is_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = HandClock()
    report = LogLines(clock)
    clock.advance(LOG_INTERVAL_SECONDS)
    report(MIDDLE)
    assert [each.__dict__["fields"] for each in caplog.records] == [{"tasks": 400, "expected": 900}]


def test_a_walk_that_is_no_baseline_is_logged_as_a_poll(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    LogLines(HandClock())(Progress(WalkKind.POLL, ended=True, window_number=2, tasks=7, expected=0))
    assert [(each.message, each.__dict__["fields"]) for each in caplog.records] == [("poll complete", {"tasks": 7})]
