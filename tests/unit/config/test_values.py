"""A text becomes a value, or a sentence that says what would be one."""

import os
from pathlib import Path

import pytest

from exporter.config.values import InvalidValue, duration, host_name

from ...support.configuration import URL, flag_problems, load_with_file, settings

BEYOND_LATIN = "\N{ARABIC-INDIC DIGIT FIVE}s"


def test_a_trailing_slash_does_not_make_another_source() -> None:
    assert load_with_file({"fhir.url": [f" {URL}// "]}, {}).fhir.url == URL


@pytest.mark.parametrize(
    ("text", "host"), [("Metrics.example.org.", "metrics.example.org"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1")]
)
def test_a_host_name_is_compared_as_it_stands_in_a_request(text: str, host: str) -> None:
    assert host_name(text) == host


@pytest.mark.parametrize("text", ["example.org:9842", "http://example.org", "[::1]", "exa mple", "*.example.org", ""])
def test_what_is_no_host_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="must be a host name or an IP address, without port and scheme"):
        host_name(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("[::1]:1", "::1", 1), ("localhost:0", "localhost", 0), ("0.0.0.0:65535", "0.0.0.0", 65535), (":9842", "", 9842)],
)
def test_a_listen_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    web = settings(**{"web.listen-address": text}).web
    assert (web.host, web.port) == (host, port)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1h30m", 5400), ("1d", 86400), ("1w", 604800), ("1y", 31536000), ("0", 0)],
)
def test_durations_are_written_as_prometheus_writes_them(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 s", "1.5h", "30m1h", "-1s", "1h1h", "5S", "9" * 4000 + "s", BEYOND_LATIN])
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(InvalidValue, match="must be a duration such as"):
        duration(text)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("fhir.url", "cdr.example.org/fhir", "must be an absolute http:// or https:// URL"),
        ("fhir.url", "ftp://cdr.example.org", "must be an absolute http:// or https:// URL"),
        ("fhir.url", "https://cdr:port/fhir", "must be an absolute http:// or https:// URL"),
        ("fhir.url", "https://[::1/fhir", "must be an absolute http:// or https:// URL"),
        ("fhir.url", "https://ours\\@evil/fhir", "must be an absolute http:// or https:// URL"),
        ("fhir.url", "https://", "must be an absolute http:// or https:// URL"),
        (
            "fhir.url",
            "https://me:secret@cdr/fhir",
            "must not contain a user name or password; use --fhir.username and --fhir.password-file",
        ),
        ("fhir.url", f"{URL}?", "must not contain a query or fragment; use --fhir.search for search parameters"),
        ("fhir.url", f"{URL}#a", "must not contain a query or fragment; use --fhir.search for search parameters"),
        ("fhir.url", "", "must not be empty"),
        ("fhir.tag", "CDR_MANAGED", "must be system|code, or empty for any"),
        ("fhir.code", "a|b|c", "must be system|code, or empty for any"),
        ("fhir.search", "owner", "must be name=value, as in a FHIR search"),
        ("fhir.search", "_count=1", "must not set _count; the exporter sets it"),
        ("fhir.search", "_lastUpdated:not=1", "must not set _lastUpdated; the exporter sets it"),
        ("fhir.page-size", "0", "must be a whole number from 1 to 500"),
        ("fhir.page-size", "501", "must be a whole number from 1 to 500"),
        ("fhir.page-size", "1e3", "must be a whole number from 1 to 500"),
        ("fhir.timeout", "0s", "must be longer than 0s"),
        ("fhir.timeout", "10", "must be a duration such as 500ms, 30s, 5m, 1h30m or 1d"),
        ("fhir.rewrite-links", "maybe", "must be true or false"),
        ("fhir.ca-file", "/no/such/file", "file does not exist"),
        ("fhir.ca-file", "/dev/null/x", "file cannot be read (NotADirectoryError)"),
        ("fhir.ca-file", "/dev/null\0", "must be a file path"),
        ("fhir.ca-file", "/\ud800", "must be a file path"),
        ("fhir.client-cert-file", "/", "is a directory, not a file"),
        ("ledger", "postgresql://db/x", "PostgreSQL is not supported in this version; use a file path"),
        ("ledger", "sqlite:///x", "must be a file path or :memory:"),
        ("ledger", ".", "is a directory, not a file"),
        ("ledger", "a" * 300, "path cannot be used (OSError)"),
        ("deadline", "0bd", "must be from 1bd to 100bd"),
        ("deadline", "1.5bd", "must be a duration such as 24h or 1d12h, or business days such as 1bd"),
        ("timezone", "Mars/Olympus", "must be an IANA time zone such as America/New_York"),
        ("timezone", "../etc/passwd", "must be an IANA time zone such as America/New_York"),
        ("holidays", "us", "must be a country, or country and state, such as US or US-NY"),
        ("holidays", "XX", "is not a country or state whose holidays are known"),
        ("holidays", "US-XX", "is not a country or state whose holidays are known"),
        *(
            (
                "probe.path",
                text,
                "must be a path below the base URL such as $export-poll-status, without a slash at its ends",
            )
            for text in ("/a", "a/", "a//b", "..", "a/../b", ".", "a?b", "a%2fb", "a;b", "ü", "a b")
        ),
        ("pairs.max", "-1", "must be a whole number from 1 to 10000"),
        ("log.level", "loud", "must be one of debug, info, warning, error"),
        ("log.format", "xml", "must be one of logfmt, json"),
        *(
            (
                "web.listen-address",
                text,
                "must be host:port, such as 127.0.0.1:9842, [::1]:9842, or :9842 for every address",
            )
            for text in (":", "9842", "::1:9842", "host:65536", "host:http", "http://host:1")
        ),
    ],
)
def test_an_invalid_flag_is_described_in_a_sentence(name: str, text: str, sentence: str) -> None:
    assert flag_problems(**{name: text}) == (f"--{name}: {sentence}",)


def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    assert settings(**{"fhir.bearer-token-file": str(pipe)}).fhir.bearer_token_file == str(pipe)


@pytest.mark.parametrize("name", ["fhir.bearer-token-file", "fhir.password-file"])
def test_an_empty_secret_is_found_at_the_start(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    assert f"--{name}: file is empty" in flag_problems(**{name: str(tmp_path / "secret")})
