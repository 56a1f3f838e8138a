"""Progress for people: it may be lost, the work may not."""

import errno
import io
import sys

import pytest

from exporter.context import Progress, WalkKind
from exporter.progress import Bar

BEGUN = Progress(WalkKind.BASELINE, window=1, walked=200, expected=None)
GOING = Progress(WalkKind.BASELINE, window=1, walked=400, expected=900)
ENDED = Progress(WalkKind.BASELINE, ended=True, window=1, walked=900, expected=900)


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
def test_a_terminal_that_goes_away_ends_the_drawing_and_not_the_work(
    monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = Bar()
    for number, turn in enumerate((BEGUN, GOING, ENDED)):
        terminal.gone = number >= when
        bar(turn)


def test_a_bar_is_drawn_once_the_length_is_known_and_ends_full(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = Bar()
    bar(BEGUN)
    assert terminal.getvalue() == ""
    bar(GOING)
    assert "400/900" in terminal.getvalue()
    bar(ENDED)
    assert "900/900" in terminal.getvalue()


def test_a_walk_of_a_single_page_shows_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Bar()(Progress(WalkKind.BASELINE, ended=True, window=1, walked=3, expected=None))
    assert "3/3" in terminal.getvalue()
