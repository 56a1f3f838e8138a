from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from exporter.published import LastError, ServerStatus
from exporter.steps import Progress, WalkKind
from exporter.web.landing import Landing, TaskCounts, render

NOW = 1_790_000_000_000
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page as a browser would: its words, its addresses, and whether every element is closed."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self._open: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def landing(**figures: Any) -> Landing:
    return Landing("1.2.3", "cdr.example:8443", **figures)


def text_of(shown: Landing) -> str:
    return Reader(render(shown, NOW)).text


def status(up: bool | None, *, age_seconds: int = 60, error: LastError | None = None) -> ServerStatus:
    return ServerStatus(up, NOW - 1000 * age_seconds, error)


def counts(**by_status: int) -> TaskCounts:
    return TaskCounts({name.replace("_", "-"): count for name, count in by_status.items()}, overdue=3, stalled=1_234)


REFUSED = LastError("The connection was refused.", "Check the port.", NOW - 5_000, by_server=True)
DISK_FULL = LastError("The ledger cannot be written.", "Free some space.", NOW - 5_000, by_server=False)
BASELINE = Progress(WalkKind.BASELINE, window_number=3, tasks=4_200, expected=12_000)
POLL = Progress(WalkKind.POLL, window_number=2, tasks=1, expected=0)


def test_it_links_to_its_endpoints_and_the_documents_and_runs_nothing() -> None:
    page = Reader(render(landing(tasks=counts(failed=1), documents=[("Metrics", "https://docs.example/m.md")]), NOW))
    assert page.addresses == ["/metrics", "/probe", "/-/healthy", "/-/ready", "https://docs.example/m.md"]
    assert not {"script", "img", "link", "iframe", "form"} & set(page.elements)


def test_text_from_elsewhere_is_shown_as_text() -> None:
    hostile = "</style><script>alert(1)</script>&\"'"
    error = LastError(hostile, hostile, NOW, by_server=True)
    page = Reader(
        render(
            Landing(
                hostile,
                hostile,
                status(False, error=error),
                tasks=TaskCounts({hostile: 1}),
                documents=[(hostile, f"https://docs.example/{hostile}")],
            ),
            NOW,
        )
    )
    assert "script" not in page.elements
    assert page.text.count(hostile) == 6
    assert page.addresses[-1] == f"https://docs.example/{hostile}"
    assert hostile in Reader(render(Landing("1", "s", status(True, error=error)), NOW)).text


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (landing(), "FHIR server cdr.example:8443 not asked yet Last complete poll"),
        (landing(status=status(True)), "up since 2026-09-21 14:12:20 UTC (1 minute ago)"),
        (landing(status=status(False, error=REFUSED)), "down since 2026-09-21 14:12:20 UTC (1 minute ago)"),
        (landing(status=status(False, error=DISK_FULL)), "polls fail since 2026-09-21 14:12:20 UTC"),
        (
            landing(status=status(False, error=REFUSED)),
            "The connection was refused. Check the port. Last tried 5 seconds ago.",
        ),
        (landing(status=status(True, error=REFUSED)), "Last error (5 seconds ago): The connection was refused."),
        (landing(), "Last complete poll none yet"),
        (landing(last_complete_poll=NOW), "Last complete poll just now"),
        (landing(last_complete_poll=NOW - 1000), "1 second ago 2026-09-21 14:13:19 UTC"),
        (landing(last_complete_poll=NOW - 119_000), "1 minute ago"),
        (landing(last_complete_poll=NOW - 7_200_000), "2 hours ago"),
        (landing(last_complete_poll=NOW - 86_400_000 * 3), "3 days ago"),
        (landing(last_complete_poll=NOW + 60_000), "just now"),
        (landing(last_complete_poll=-(10**18)), "days ago"),
        (landing(), "Initial scan (baseline): no Task read yet. Task metrics appear when it is complete."),
        (
            landing(progress=BASELINE, status=status(True)),
            "Initial scan (baseline): 4,200 of 12,000 Tasks read (35%). Task metrics appear when it is complete. Tasks",
        ),
        (
            landing(progress=BASELINE, status=status(False, error=REFUSED)),
            "Task metrics appear when it is complete. It continues when polls succeed again.",
        ),
        (landing(progress=replace(BASELINE, expected=0)), "Initial scan (baseline): 4,200 Tasks read."),
        (landing(progress=replace(BASELINE, expected=None)), "Initial scan (baseline): 4,200 Tasks read."),
        (landing(progress=POLL, last_complete_poll=NOW, status=status(True)), "Poll: 1 Task read. Tasks"),
        (landing(last_complete_poll=NOW), "Overdue unknown Stalled unknown Failed unknown"),
        (landing(last_complete_poll=NOW), "No data: there was no complete poll yet, or the last one is too old."),
        (landing(tasks=counts(failed=7)), "Overdue 3 Stalled 1,234 Failed 7"),
        (landing(tasks=counts(completed=7)), "Overdue 3 Stalled 1,234 Failed 0"),
        (landing(tasks=counts()), "No Task yet"),
        (landing(tasks=counts(requested=12_345)), "requested 12,345"),
        (landing(source_payers=12), "Source payers 12"),
    ],
)
def test_each_figure_is_shown(shown: Landing, words: str) -> None:
    assert words in text_of(shown)


def test_an_error_that_is_over_names_no_remedy() -> None:
    assert "Check the port" not in text_of(landing(status=status(True, error=REFUSED)))


def test_a_walk_that_does_not_run_is_not_mentioned() -> None:
    text = text_of(landing(last_complete_poll=NOW))
    assert "Initial scan" not in text
    assert "Task read" not in text


def test_statuses_are_listed_in_the_order_of_a_life_cycle() -> None:
    text = text_of(landing(tasks=counts(on_hold=0, failed=0, completed=0, requested=0, in_progress=0)))
    order = ["requested", "in-progress", "completed", "failed", "on-hold"]
    text = text[text.index("Tasks by status") :]
    places = [text.index(f"{name} 0") for name in order]
    assert places == sorted(places)


def test_only_zeros_cause_no_division_by_zero() -> None:
    assert "completed 0" in text_of(landing(tasks=counts(completed=0)))
