"""Which path answers what, over real sockets."""

import gzip

import pytest

from exporter.metrics.negotiation import Format
from exporter.metrics.vocabulary import ScrapeAnswer

from .fake_backend import FakeBackend, ask, serving


def test_metrics_are_text_unless_openmetrics_is_asked_for() -> None:
    with serving(FakeBackend()) as address:
        plain, text = ask(address)
        asked, openmetrics = ask(address, Accept="application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert (plain.status, plain.headers["Content-Type"], text) == (200, Format.TEXT.value, b"TEXT one\n")
    assert (asked.status, asked.headers["Content-Type"]) == (200, Format.OPENMETRICS.value)
    assert openmetrics == b"OPENMETRICS one\n"


def test_metrics_are_compressed_only_where_that_is_accepted() -> None:
    with serving(FakeBackend()) as address:
        packed, body = ask(address, Accept_Encoding="gzip")
        plain, text = ask(address, Accept_Encoding="gzip;q=0")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == text == b"TEXT one\n"
    assert plain.headers["Content-Encoding"] is None


def test_responses_forbid_caching_and_do_not_name_the_server() -> None:
    with serving(FakeBackend()) as address:
        for path in ("/metrics", "/", "/-/ready", "/nothing"):
            response, _ = ask(address, path)
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Content-Security-Policy"].startswith("default-src 'none';")
            assert response.headers["Server"] is None


@pytest.mark.parametrize(
    "path", ["/metrics/", "/favicon.ico", "/-/", "//", "/metricsx", "/-/reload/", "/%2e%2e/metrics"]
)
def test_every_other_path_is_not_found(path: str) -> None:
    with serving(FakeBackend()) as address:
        assert ask(address, path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_and_head_are_allowed(method: str) -> None:
    backend = FakeBackend()
    with serving(backend) as address:
        response, _ = ask(address, method=method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert backend.scrapes == 0


def test_a_head_gets_the_headers_of_its_get_and_counts_as_not_exposed() -> None:
    backend = FakeBackend()
    with serving(backend) as address:
        head, nothing = ask(address, method="HEAD", **{"X-Prometheus-Scrape-Timeout-Seconds": "10"})
        get, body = ask(address)
        counted = backend.wait_for_counted(2)
    assert nothing == b""
    assert int(head.headers["Content-Length"]) == len(body)
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert counted[0] == (ScrapeAnswer.REUSED, "one", False)


def test_a_query_changes_nothing() -> None:
    with serving(FakeBackend()) as address:
        assert ask(address, "/metrics?name[]=up")[1] == b"TEXT one\n"


def test_healthy_while_it_answers_and_ready_unless_the_backend_gives_a_reason() -> None:
    backend = FakeBackend(unready="The ledger is not open.")
    with serving(backend) as address:
        assert ask(address, "/-/healthy")[0].status == 200
        refused, sentence = ask(address, "/-/ready")
        backend.unready = None
        assert ask(address, "/-/ready")[0].status == 200
    assert (refused.status, sentence) == (503, b"The ledger is not open.\n")


def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 4099
    with serving(FakeBackend(body=body)) as address:
        assert ask(address)[1] == body


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072])
def test_no_size_of_body_is_cut_or_left_open(size: int) -> None:
    with serving(FakeBackend(body=b"x" * size)) as address:
        assert ask(address)[1] == b"x" * size
