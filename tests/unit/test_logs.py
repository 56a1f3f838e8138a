"""A log line is one line, readable by machines, and contains no secrets."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exporter import logs
from exporter.logs import Field, LineFormatter

CANARY = "hunter2canary"
FORMS = tuple(logs.FORMS)


def record(message: object = "hello", *arguments: object, **fields: Field) -> logging.LogRecord:
    made = logging.LogRecord("exporter.worker", logging.INFO, "file.py", 1, message, arguments, None)
    made.created = 1_600_000_000.123
    made.fields = fields
    return made


def line(form: str, made: logging.LogRecord) -> str:
    return LineFormatter(logs.FORMS[form]).format(made)


@contextmanager
def logging_to_text(level: str, form: str) -> Iterator[io.StringIO]:
    """Configure the process' logging for a while."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    text = io.StringIO()
    try:
        logs.configure(level, form, text)
        yield text
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)


def test_logfmt_has_time_level_logger_message_and_fields() -> None:
    assert line("logfmt", record("poll complete", tasks=3, took=0.5, fresh=True, wait=None, why="it = so")) == (
        'ts=2020-09-13T12:26:40.123Z level=info logger=exporter.worker msg="poll complete" '
        'tasks=3 took=0.5 fresh=true wait=null why="it = so"'
    )


def test_json_has_the_same_fields() -> None:
    assert json.loads(line("json", record("poll complete", tasks=3))) == {
        "ts": "2020-09-13T12:26:40.123Z",
        "level": "info",
        "logger": "exporter.worker",
        "msg": "poll complete",
        "tasks": 3,
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "hostile",
    ["a\nlevel=error", "a\r\nb", "\x1b[2J", "\x00", "\x7f", "\x85", "\u2028", "\u202e", "\ud800", 'a" b="c', "\\"],
)
def test_no_field_can_forge_a_line_or_control_a_terminal(form: str, hostile: str) -> None:
    for made in (record(hostile), record("%s", hostile), record(why=hostile)):
        written = line(form, made)
        assert written.isascii()
        assert written.isprintable()
        assert written.count(" level=") <= 1


def test_an_empty_message_is_quoted() -> None:
    assert line("logfmt", record("")).endswith(' msg=""')


def test_not_a_number_keeps_json_valid() -> None:
    assert json.loads(line("json", record(took=float("nan"))))["took"] == "nan"


def test_the_name_of_a_field_has_only_word_characters() -> None:
    assert line("logfmt", record(**{"a b\n": 1})).endswith(" a_b_=1")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "secret",
    [
        f"Bearer {CANARY}",
        f"bearer   {CANARY}",
        f"Authorization: Basic {CANARY}",
        f"{{'authorization': '{CANARY}'}}",
        f"Cookie: a={CANARY}",
        f"password={CANARY}",
        f"access_token: {CANARY}",
        f"GET https://cdr/fhir/Task?patient={CANARY}&x={CANARY} 200",
        f"/Task?_id={CANARY}",
        f"https://cdr/fhir?{CANARY}",
        f"https://me:{CANARY}@cdr/fhir",
        f"eyJhbGciOiJSUzM4NCJ9.{CANARY}.{CANARY}",
    ],
)
def test_what_looks_like_a_secret_or_a_query_is_masked(form: str, secret: str) -> None:
    for made in (record(secret), record("seen %s", secret), record(what=secret)):
        assert CANARY not in line(form, made)


def test_a_field_called_like_a_secret_is_masked_whatever_it_holds() -> None:
    assert line("logfmt", record(client_secret=CANARY)).endswith(" client_secret=***")


@pytest.mark.parametrize(
    "innocent",
    [
        "the server refused the bearer token",
        "https://cdr/fhir/Task",
        "basic authentication",
        "--fhir.password-file: ok",
    ],
)
def test_what_is_no_secret_is_not_masked(innocent: str) -> None:
    assert logs.mask_secrets(innocent) == innocent


@pytest.mark.parametrize("form", FORMS)
def test_an_exception_is_logged_by_class_and_traceback_and_never_by_its_message(form: str) -> None:
    with logging_to_text("debug", form) as text:
        try:
            {"a": 1}[CANARY]
        except KeyError:
            logging.getLogger("exporter").exception("poll failed")
    assert CANARY not in text.getvalue()
    assert "KeyError" in text.getvalue()
    assert re.search(r"test_logs\.py:\d+:test_an_exception", text.getvalue())


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "hpack.table", "hypercorn.access"])
def test_libraries_that_log_urls_and_headers_are_capped_at_warning(name: str) -> None:
    with logging_to_text("debug", "logfmt") as text:
        logging.getLogger(name).info("GET")
        logging.getLogger(name).debug("header")
        logging.getLogger(name).warning("heard")
    assert [found.rpartition("msg=")[2] for found in text.getvalue().splitlines()] == ["heard"]


def test_events_below_the_level_are_not_written() -> None:
    with logging_to_text("warning", "logfmt") as text:
        logs.log_event(logging.getLogger("exporter"), logging.INFO, "quiet")
        logs.log_event(logging.getLogger("exporter"), logging.ERROR, "loud", tasks=1)
    assert text.getvalue().count("\n") == 1
    assert text.getvalue().endswith(" level=error logger=exporter msg=loud tasks=1\n")


def test_configuring_twice_writes_once() -> None:
    with logging_to_text("info", "logfmt"), logging_to_text("info", "json") as text:
        logs.log_event(logging.getLogger("exporter"), logging.INFO, "once")
    assert json.loads(text.getvalue())["msg"] == "once"


def test_a_message_that_does_not_fit_its_arguments_is_still_written() -> None:
    assert line("logfmt", record("%d of %d", "x")).endswith(' msg="%d of %d"')
