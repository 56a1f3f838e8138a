import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.negotiation import Format, accepts_gzip, join, negotiate

TEXT, OPENMETRICS = Format.TEXT, Format.OPENMETRICS

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_42_WITH_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_53 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_WITH_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + PROMETHEUS_3
)
PROMETHEUS_3_TEXT_ONLY = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (PROMETHEUS_2_42, OPENMETRICS),
        (PROMETHEUS_2_42_WITH_PROTOBUF, OPENMETRICS),
        (PROMETHEUS_2_53, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROMETHEUS_3_3, OPENMETRICS),
        (PROMETHEUS_3_WITH_PROTOBUF, OPENMETRICS),
        (PROMETHEUS_3_TEXT_ONLY, TEXT),
        (BROWSER, TEXT),
        ("*/*", TEXT),
        (None, TEXT),
        ("", TEXT),
    ],
)
def test_each_known_client_gets_its_preferred_format(accept: str | None, form: Format) -> None:
    assert negotiate(accept) is form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text ; Version=1.0.0", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/*", OPENMETRICS),
        ("text/*", TEXT),
        ("text/plain, application/openmetrics-text", OPENMETRICS),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.8", TEXT),
        ("text/plain;q=0.8, application/openmetrics-text;q=0.9", OPENMETRICS),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("text/plain;q=0, */*;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;q=0.1, */*;q=0.9", TEXT),
        (
            "application/openmetrics-text;version=1.0.0;q=0.2, application/openmetrics-text;q=0.9, text/plain;q=0.5",
            TEXT,
        ),
    ],
)
def test_weights_decide_and_the_most_specific_range_sets_the_weight(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;version=99.9",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=abc",
        "text/plain;version=1.0.0",
        "application/vnd.google.protobuf",
        "application/json",
        "application/openmetrics-text;q=0",
        "*/*;q=0",
        "text/plain;q=0",
    ],
)
def test_an_unknown_format_is_answered_with_text_and_never_refused(accept: str) -> None:
    assert negotiate(accept) is TEXT


@pytest.mark.parametrize(
    "accept",
    [
        ",;=;,,;",
        "application/openmetrics-text;q=high",
        "application/openmetrics-text;q=nan",
        "application/openmetrics-text;q=-1",
        "application/openmetrics-text;q=1e999",
        "application/openmetrics-text;q=",
        "openmetrics",
        "\x00\xff;q",
    ],
)
def test_garbage_is_answered_with_text(accept: str) -> None:
    assert negotiate(accept) is TEXT


def test_garbage_beside_a_good_range_is_ignored() -> None:
    assert negotiate("text/plain;q=high, ;;, application/openmetrics-text;version=1.0.0;q=0.1") is OPENMETRICS


@given(st.text())
def test_no_header_breaks_the_negotiation(header: str) -> None:
    assert negotiate(header) in Format
    assert accepts_gzip(header) in {True, False}


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZip", True),
        ("x-gzip", True),
        ("deflate, gzip;q=0.1", True),
        ("*", True),
        ("br, *;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*;q=0", False),
        ("gzip;q=high", False),
        ("identity", False),
        ("br, zstd", False),
        ("", False),
        (None, False),
    ],
)
def test_gzip_is_used_exactly_where_it_is_accepted(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_joined_openmetrics_ends_once() -> None:
    assert join([b"a 1\n# EOF\n", b"b 2\n# EOF\n"], OPENMETRICS) == b"a 1\nb 2\n# EOF\n"
    assert join([], OPENMETRICS) == b"# EOF\n"


def test_joined_text_is_the_texts_one_after_the_other() -> None:
    assert join([b"a 1\n", b"b 2\n"], TEXT) == b"a 1\nb 2\n"
