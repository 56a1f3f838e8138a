import pytest

from exporter.web.request import LONGEST_BUDGET, USUAL_BUDGET, Request, read


def asking(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return read(method, "/metrics", raw, ("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("header", "offset", "budget"),
    [
        ("10", 1.0, 9.0),
        ("10.000000", 0.0, 10.0),
        ("1.5", 1.0, 0.75),
        ("1", 1.0, 0.5),
        ("2", 1.0, 1.0),
        ("10", 100.0, 5.0),
        ("1e6", 1.0, LONGEST_BUDGET),
    ],
)
def test_the_budget_is_the_header_less_the_offset_but_never_below_half(
    header: str, offset: float, budget: float
) -> None:
    assert asking(X_Prometheus_Scrape_Timeout_Seconds=header).budget(offset) == budget


@pytest.mark.parametrize("header", ["", "soon", "nan", "inf", "-inf", "-1", "0", "1e999", "10s", "10, 10", "\x00"])
def test_an_unusable_header_is_as_good_as_none(header: str) -> None:
    assert asking(X_Prometheus_Scrape_Timeout_Seconds=header).budget(1.0) == USUAL_BUDGET
    assert asking().budget(1.0) == USUAL_BUDGET


def test_only_a_get_with_the_header_is_a_scrape() -> None:
    assert asking(X_Prometheus_Scrape_Timeout_Seconds="soon").scrapes
    assert not asking("HEAD", X_Prometheus_Scrape_Timeout_Seconds="10").scrapes
    assert not asking().scrapes


def test_a_header_sent_twice_is_one_list() -> None:
    request = read("GET", "/", [(b"Accept", b"a/b"), (b"accept", b"c/d;q=0.5")], None)
    assert request.headers["accept"] == "a/b, c/d;q=0.5"
