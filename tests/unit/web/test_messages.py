import pytest

from exporter.web.messages import DEFAULT_BUDGET_SECONDS, MAX_BUDGET_SECONDS, Request, parse_request


def asking(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return parse_request(method, "/metrics", raw, ("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("header", "offset", "budget"),
    [
        ("10", 1.0, 9.0),
        ("10.000000", 0.0, 10.0),
        ("1.5", 1.0, 0.75),
        ("1", 1.0, 0.5),
        ("2", 1.0, 1.0),
        ("10", 100.0, 5.0),
        ("1e6", 1.0, MAX_BUDGET_SECONDS),
    ],
)
def test_the_budget_is_the_header_less_the_offset_but_never_below_half(
    header: str, offset: float, budget: float
) -> None:
    assert asking(X_Prometheus_Scrape_Timeout_Seconds=header).budget_seconds(offset) == budget


@pytest.mark.parametrize("header", ["", "soon", "nan", "inf", "-inf", "-1", "0", "1e999", "10s", "10, 10", "\x00"])
def test_an_unusable_header_counts_as_none(header: str) -> None:
    assert asking(X_Prometheus_Scrape_Timeout_Seconds=header).budget_seconds(1.0) == DEFAULT_BUDGET_SECONDS
    assert asking().budget_seconds(1.0) == DEFAULT_BUDGET_SECONDS


def test_only_a_get_with_the_header_is_by_prometheus() -> None:
    assert asking(X_Prometheus_Scrape_Timeout_Seconds="soon").by_prometheus
    assert not asking("HEAD", X_Prometheus_Scrape_Timeout_Seconds="10").by_prometheus
    assert not asking().by_prometheus


def test_a_header_sent_twice_is_one_list() -> None:
    request = parse_request("GET", "/", [(b"Accept", b"a/b"), (b"accept", b"c/d;q=0.5")], None)
    assert request.headers["accept"] == "a/b, c/d;q=0.5"
