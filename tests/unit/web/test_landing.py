from html.parser import HTMLParser

import pytest

from exporter.web.landing import Landing, render

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


def text_of(landing: Landing) -> str:
    return Reader(render(landing, NOW)).text


def test_it_links_only_to_itself_and_runs_nothing() -> None:
    page = Reader(render(Landing("1.2.3", tasks={"failed": 1}), NOW))
    assert page.addresses == ["/metrics", "/probe", "/-/healthy", "/-/ready"]
    assert not {"script", "img", "link", "iframe", "form"} & set(page.elements)


def test_text_from_elsewhere_is_shown_as_text() -> None:
    hostile = "</style><script>alert(1)</script>&\"'"
    page = Reader(render(Landing(hostile, tasks={hostile: 1}), NOW))
    assert "script" not in page.elements
    assert page.text.count(hostile) == 2


@pytest.mark.parametrize(
    ("landing", "words"),
    [
        (Landing("1"), "FHIR server unknown"),
        (Landing("1", up=True), "FHIR server up"),
        (Landing("1", last_complete_poll=NOW), "FHIR server down"),
        (Landing("1", baseline_progress=0.1), "FHIR server down"),
        (Landing("1"), "Last complete poll none yet"),
        (Landing("1", last_complete_poll=NOW), "Last complete poll just now"),
        (Landing("1", last_complete_poll=NOW - 1000), "1 second ago 2026-09-21 14:13:19 UTC"),
        (Landing("1", last_complete_poll=NOW - 119_000), "1 minute ago"),
        (Landing("1", last_complete_poll=NOW - 7_200_000), "2 hours ago"),
        (Landing("1", last_complete_poll=NOW - 86_400_000 * 3), "3 days ago"),
        (Landing("1", last_complete_poll=NOW + 60_000), "just now"),
        (Landing("1", last_complete_poll=-(10**18)), "days ago"),
        (Landing("1", baseline_progress=0.424), "Initial scan (baseline): 42 %"),
        (Landing("1", baseline_progress=7.0), "Initial scan (baseline): 100 %"),
        (Landing("1"), "No data: there was no complete poll yet"),
        (Landing("1", tasks={"requested": 12_345}), "requested 12,345"),
        (Landing("1", source_payers=12), "Source payers 12"),
    ],
)
def test_each_figure_is_shown(landing: Landing, words: str) -> None:
    assert words in text_of(landing)


def test_a_baseline_that_does_not_run_is_not_mentioned() -> None:
    assert "Initial scan" not in text_of(Landing("1"))


def test_statuses_are_listed_in_the_order_of_a_life_cycle() -> None:
    text = text_of(Landing("1", tasks={"on-hold": 0, "failed": 0, "completed": 0, "requested": 0, "in-progress": 0}))
    order = ["requested", "in-progress", "completed", "failed", "on-hold"]
    places = [text.index(f"{status} 0") for status in order]
    assert places == sorted(places)


def test_only_zeros_cause_no_division_by_zero() -> None:
    assert "completed 0" in text_of(Landing("1", tasks={"completed": 0}))
