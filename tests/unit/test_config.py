"""Flags, variables and a file become one Settings, or every fault at once."""

import os
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from exporter.config import (
    CONFIG_FILE,
    DEMO_OPTIONS,
    OPTIONS,
    FhirSettings,
    Option,
    Settings,
    load_demo_settings,
    load_settings,
    unknown_variables,
)
from exporter.config.values import InvalidValue, duration
from exporter.errors import ConfigurationError
from exporter.task.model import Coding, Selection

from ..support.configuration import load_with_file

URL = "https://cdr.example.org/fhir"
PREFIX = "FHIR_TASK_EXPORTER_"
CANARY = "hunter2canary"
BEYOND_LATIN = "\N{ARABIC-INDIC DIGIT FIVE}s"


def settings(yaml: str = "", **flags: str) -> Settings:
    """Gather with a URL and these flags."""
    return load_with_file({"fhir.url": [URL]} | {name: [text] for name, text in flags.items()}, {}, yaml)


def faults(gathering: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        gathering()
    return caught.value.faults


def flag_faults(**flags: str) -> tuple[str, ...]:
    return faults(lambda: load_with_file({"fhir.url": [URL]} | {name: [text] for name, text in flags.items()}, {}))


def file_faults(yaml: str) -> tuple[str, ...]:
    return faults(lambda: load_with_file({"fhir.url": [URL]}, {}, yaml))


# What is right


def test_only_the_url_is_required_and_the_defaults_are_those_of_the_contract() -> None:
    found = load_with_file({"fhir.url": [URL]}, {})
    assert found == Settings(fhir=FhirSettings(url=URL))
    assert found.fhir.selection == Selection(
        Coding("http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes", "CDR_MANAGED"),
        Coding("http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp", "data-request"),
    )
    assert (found.fhir.page_size, found.fhir.timeout) == (200, 10)
    assert (found.poll.min_interval, found.poll.max_staleness, found.poll.overlap, found.poll.timeout) == (
        *(5, 300, 30, 60),
    )
    assert (found.reconcile.open_interval, found.reconcile.lookback, found.reconcile.full_interval) == (300, 900, 3600)
    assert (found.hold, found.deadline, found.stalled_after, found.pairs_max) == (120, 86400, 14400, 100)
    assert (found.web.host, found.web.port, found.web.scrape_timeout_offset) == ("127.0.0.1", 9842, 1)
    assert (found.ledger, found.log.level, found.log.format) == ("fhir-task-exporter.db", "info", "logfmt")


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default() -> None:
    name, variable, yaml = "fhir.page-size", PREFIX + "FHIR_PAGE_SIZE", "fhir: {page-size: 3}"
    url = {"fhir.url": [URL]}
    assert load_with_file(url | {name: ["1"]}, {variable: "2"}, yaml).fhir.page_size == 1
    assert load_with_file(url, {variable: "2"}, yaml).fhir.page_size == 2
    assert load_with_file(url, {}, yaml).fhir.page_size == 3
    assert load_with_file(url, {}).fhir.page_size == 200


def test_what_a_better_source_overrides_is_not_even_looked_at() -> None:
    assert load_with_file({"fhir.url": [URL], "pairs.max": ["7"]}, {PREFIX + "PAIRS_MAX": "many"}).pairs_max == 7


def test_an_empty_variable_counts_as_unset() -> None:
    assert load_with_file({"fhir.url": [URL]}, {PREFIX + "DEADLINE": " "}, "deadline: 2h").deadline == 7200


def test_empty_text_switches_tag_and_code_off_wherever_it_stands() -> None:
    assert settings(**{"fhir.tag": "", "fhir.code": ""}).fhir.selection == Selection()
    variables = {PREFIX + "FHIR_TAG": "", PREFIX + "FHIR_CODE": ""}
    assert load_with_file({"fhir.url": [URL]}, variables).fhir.selection == Selection()
    assert settings('fhir: {tag: "", code: ""}').fhir.selection == Selection()


def test_search_parameters_are_repeated_joined_or_listed() -> None:
    wanted = (("owner", "Organization/1"), ("_source", "http://a b"))
    texts = [f"{name}={value}" for name, value in wanted]
    assert load_with_file({"fhir.url": [URL], "fhir.search": texts}, {}).fhir.search == wanted
    assert load_with_file({"fhir.url": [URL]}, {PREFIX + "FHIR_SEARCH": "&".join(texts)}).fhir.search == wanted
    assert settings(f"fhir: {{search: ['{texts[0]}', '{texts[1]}']}}").fhir.search == wanted
    assert settings(f"fhir: {{search: '{texts[0]}'}}").fhir.search == wanted[:1]


def test_a_switch_can_be_turned_off_again_by_a_better_source() -> None:
    variables = {PREFIX + "FHIR_REWRITE_LINKS": "yes"}
    assert load_with_file({"fhir.url": [URL]}, variables).fhir.rewrite_links
    assert not load_with_file({"fhir.url": [URL], "fhir.rewrite-links": ["false"]}, variables).fhir.rewrite_links


def test_a_slash_at_the_end_does_not_make_another_source() -> None:
    assert load_with_file({"fhir.url": [f" {URL}// "]}, {}).fhir.url == URL


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("[::1]:1", "::1", 1), ("localhost:0", "localhost", 0), ("0.0.0.0:65535", "0.0.0.0", 65535)],
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


def test_yaml_gives_texts_and_not_what_yaml_makes_of_them() -> None:
    found = settings("ledger: on\ndeadline: 12h\nfhir: {username: 0x10, password-file: /dev/null}")
    assert (found.ledger, found.fhir.username) == ("on", "0x10")


def test_payers_are_named_by_reference_and_by_identifier() -> None:
    found = settings(
        "payers:\n- name: A\n  references: [Organization/1, 'https://x/fhir/Organization/1']\n"
        "- name: B\n  identifiers: ['s|v', bare]\n"
    )
    assert found.payers == {
        "Organization/1": "A",
        "https://x/fhir/Organization/1": "A",
        "s|v": "B",
        "bare": "B",
    }


def test_reasons_keep_their_order_and_do_not_mind_case() -> None:
    found = settings("reasons:\n- {reason: b_1, pattern: x.y}\n- {reason: auth, pattern: z}\n").reasons
    assert [(word, bool(pattern.search("it was X Y"))) for word, pattern in found] == [("b_1", True), ("auth", False)]


def test_an_empty_file_gives_nothing() -> None:
    assert settings("") == settings("# only a comment\n") == settings("fhir:\npayers:\nreasons:\n") == settings()


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch()
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = load_with_file({}, {}, example.replace("bearer-token-file: token", f"bearer-token-file: {token}"))
    assert (found.deadline, len(found.payers), len(found.reasons)) == (129600, 3, 2)


def test_the_demonstration_takes_its_own_options_only() -> None:
    assert load_demo_settings({"speed": ["2.5"]}, {PREFIX + "FHIR_URL": "nonsense"}).speed == 2.5
    assert faults(lambda: load_demo_settings({"speed": ["0"]}, {})) == ("--speed: must be a number from 0.1 to 100000",)


# One fault each


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
        ("fhir.client-cert-file", "/", "is a directory, not a file"),
        ("ledger", "postgresql://db/x", "PostgreSQL is not supported in this version; use a file path"),
        ("ledger", "sqlite:///x", "must be a file path or :memory:"),
        ("deadline", "1bd", "business days are not supported in this version; use hours, such as 24h"),
        ("pairs.max", "-1", "must be a whole number from 1 to 10000"),
        ("log.level", "loud", "must be one of debug, info, warning, error"),
        ("log.format", "xml", "must be one of logfmt, json"),
        *(
            (
                "web.listen-address",
                text,
                "must be host:port, such as 127.0.0.1:9842, [::1]:9842, or 0.0.0.0:9842 for every address",
            )
            for text in (":9842", "9842", "::1:9842", "host:65536", "host:http", "http://host:1")
        ),
    ],
)
def test_a_wrong_flag_is_told_in_a_sentence(name: str, text: str, sentence: str) -> None:
    assert flag_faults(**{name: text}) == (f"--{name}: {sentence}",)


def test_a_missing_url_is_told_with_the_three_places_for_it() -> None:
    assert faults(lambda: load_with_file({}, {})) == (
        "--fhir.url: is required (or FHIR_TASK_EXPORTER_FHIR_URL, or the file)",
    )


def test_a_fault_of_a_variable_bears_its_name() -> None:
    assert faults(lambda: load_with_file({"fhir.url": [URL]}, {PREFIX + "POLL_TIMEOUT": "soon"})) == (
        "FHIR_TASK_EXPORTER_POLL_TIMEOUT: must be a duration such as 500ms, 30s, 5m, 1h30m or 1d",
    )


@pytest.mark.parametrize(
    ("yaml", "fault"),
    [
        ("\npairs:\n  max: none", "line 3, pairs.max: must be a whole number from 1 to 10000"),
        ("fhir:\n  urll: x", "line 2, fhir.urll: unknown key"),
        ("config: {file: x}", "line 1, config: unknown key"),
        ("speed: 3", "line 1, speed: unknown key"),
        ("<<: {ledger: x}", "line 1, <<: unknown key"),
        ("deadline:", "line 1, deadline: must have a single value"),
        ("deadline: [1h]", "line 1, deadline: must have a single value"),
        ("fhir:\n  search: [a=b, {}]", "line 2, fhir.search: must be a list of strings"),
        ("poll: 5s", "line 1, poll: must be a mapping of keys to values"),
        ("[]", "line 1: must be a mapping of keys to values"),
        ("ledger: a\n\nledger: b", "line 3, ledger: duplicate key, first on line 1"),
        ("? [a]\n: b", "line 1: has a key that is not a string"),
        ("payers: {}", "line 1, payers: must be a list"),
        ("payers: [A]", "line 1, payers: must be a list of entries with name, references, identifiers"),
        ("payers:\n- references: [Organization/1]", "line 2, payers.name: is missing"),
        (
            "payers:\n- name: ' '\n  references: [Organization/1]",
            "line 2, payers.name: must be a string without control characters",
        ),
        (
            f"payers:\n- name: {'A' * 81}\n  references: [Organization/1]",
            "line 2, payers.name: must have at most 80 characters",
        ),
        (
            "payers:\n- name: other\n  references: [Organization/1]",
            "line 2, payers.name: must not be other or unknown; the exporter uses these names",
        ),
        (
            "payers:\n- {name: A, references: [Organization/1]}\n- {name: A, references: [Organization/2]}",
            "line 3, payers.name: duplicate name; list all references of a payer in one entry",
        ),
        (
            "payers:\n- name: A",
            "line 2, payers: an entry needs references or identifiers",
        ),
        (
            "payers:\n- {name: A, references: [Organization/1]}\n- {name: B, references: [Organization/1]}",
            "line 3, payers: duplicate reference or identifier",
        ),
        (
            "payers:\n- {name: A, references: [Acme]}",
            "line 2, payers.references: must be Organization/<id> or an absolute URL",
        ),
        (
            "payers:\n- {name: A, identifiers: ['a|b|c']}",
            "line 2, payers.identifiers: must be system|value or a value alone",
        ),
        (
            "payers:\n- {name: A, references: [Organization/1], npi: 1}",
            "line 2, payers.npi: unknown key",
        ),
        ("reasons:\n- reason: a", "line 2, reasons.pattern: is missing"),
        ("reasons:\n- pattern: a", "line 2, reasons.reason: is missing"),
        (
            "reasons:\n- {reason: No Match, pattern: a}",
            "line 2, reasons.reason: must be lowercase letters, digits and _, such as member_match",
        ),
        (
            "reasons:\n- {reason: a, pattern: '('}",
            "line 2, reasons.pattern: is not a valid Python regular expression",
        ),
    ],
)
def test_a_wrong_line_of_the_file_is_told_with_its_number(yaml: str, fault: str) -> None:
    assert file_faults(yaml) == (f"--config.file {fault}",)


@pytest.mark.parametrize(
    ("yaml", "line"),
    [
        (f"ledger: x\nfhir: [{CANARY}", 2),
        (f"ledger: x\n\tfhir: {CANARY}", 2),
        (f"ledger: *{CANARY}", 1),
        (f"ledger: a\n---\nledger: {CANARY}", 2),
        (f"ledger: '{CANARY}", 1),
        (f"ledger: x\nfhir: {CANARY}\x00", 2),
    ],
)
def test_malformed_yaml_is_told_with_its_line_and_without_its_text(yaml: str, line: int) -> None:
    (fault,) = file_faults(yaml)
    assert fault == (
        f"--config.file line {line}: is not valid YAML; check quotes, indentation and colons here and just above"
    )


def test_a_broken_file_is_not_blamed_for_what_it_could_have_held() -> None:
    assert len(faults(lambda: load_with_file({}, {}, "fhir: ["))) == 1


def test_an_alias_that_holds_itself_ends() -> None:
    assert file_faults("fhir: &a\n  poll: *a") == ("--config.file line 2, fhir.poll: unknown key",)


def test_nesting_without_end_is_a_fault_like_any_other() -> None:
    assert len(file_faults("[" * 5000)) == 1


# What must hold between options


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ({"fhir.username": "me"}, "--fhir.username: requires --fhir.password-file"),
        ({"fhir.password-file": "/dev/null"}, "--fhir.password-file: requires --fhir.username"),
        ({"fhir.client-key-file": "/dev/null"}, "--fhir.client-key-file: requires --fhir.client-cert-file"),
        (
            {"fhir.bearer-token-file": "/dev/null", "fhir.username": "me", "fhir.password-file": "/dev/null"},
            "--fhir.bearer-token-file: cannot be combined with --fhir.username; choose one way to authenticate",
        ),
        (
            {"fhir.url": "http://cdr.example.org/fhir", "fhir.bearer-token-file": "/dev/null"},
            "--fhir.url: would send credentials unencrypted; use https or set --fhir.allow-plain-http",
        ),
        (
            {"poll.min-interval": "10m"},
            "--poll.min-interval: must be at most --poll.max-staleness",
        ),
        (
            {"poll.max-staleness": "1s"},
            "--poll.max-staleness: must be at least --poll.min-interval",
        ),
    ],
)
def test_options_that_do_not_fit_together_are_told(flags: dict[str, str], fault: str) -> None:
    assert flag_faults(**flags) == (fault,)


@pytest.mark.parametrize("url", ["http://localhost:8000/fhir", "http://127.0.0.2/fhir", "http://[::1]/fhir"])
def test_credentials_may_go_unencrypted_to_this_machine(url: str) -> None:
    assert settings(**{"fhir.url": url, "fhir.bearer-token-file": "/dev/null"}).fhir.url == url


@pytest.mark.parametrize("host", ["localhost.example.org", "127.0.0.1.example.org", "0.0.0.0"])
def test_a_name_that_only_looks_like_this_machine_is_another(host: str) -> None:
    assert len(flag_faults(**{"fhir.url": f"http://{host}/fhir", "fhir.bearer-token-file": "/dev/null"})) == 1


def test_credentials_go_unencrypted_where_that_is_allowed() -> None:
    flags = {"fhir.url": "http://cdr/fhir", "fhir.bearer-token-file": "/dev/null", "fhir.allow-plain-http": "true"}
    assert settings(**flags).fhir.allow_plain_http


def test_a_conflict_is_told_where_the_option_was_given() -> None:
    assert file_faults("fhir:\n  username: me") == (
        "--config.file line 2, fhir.username: requires --fhir.password-file",
    )


# All at once, and never a value


def test_all_faults_of_all_sources_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("poll:\n  timeout: x\nnonsense: 1\nreasons: [{reason: A}]\nfhir: {username: me}\n")
    flags = {"config.file": [str(file)], "fhir.page-size": ["x"], "fhir.search": ["a", "b=c", "d"]}
    assert faults(lambda: load_settings(flags, {PREFIX + "PAIRS_MAX": "x"})) == (
        "--config.file line 3, nonsense: unknown key",
        "--config.file line 4, reasons.reason: must be lowercase letters, digits and _, such as member_match",
        "--config.file line 4, reasons.pattern: is missing",
        "--fhir.url: is required (or FHIR_TASK_EXPORTER_FHIR_URL, or the file)",
        "--fhir.search: must be name=value, as in a FHIR search",
        "--fhir.page-size: must be a whole number from 1 to 500",
        "--config.file line 2, poll.timeout: must be a duration such as 500ms, 30s, 5m, 1h30m or 1d",
        "FHIR_TASK_EXPORTER_PAIRS_MAX: must be a whole number from 1 to 10000",
        "--config.file line 5, fhir.username: requires --fhir.password-file",
    )


@pytest.mark.parametrize("option", [*OPTIONS, CONFIG_FILE], ids=lambda option: option.name)
def test_no_fault_repeats_the_value_wherever_it_was_given(option: Option) -> None:
    bad = f"|{CANARY}\x07://?{CANARY}:"
    for flags, variables in (({option.name: [bad]}, {}), ({}, {option.variable: bad})):
        told = faults(lambda flags=flags, variables=variables: load_settings(flags, variables))  # type: ignore[misc]
        assert CANARY not in repr(told)
    if option is not CONFIG_FILE:
        group = "".join(f"{part}: {{" for part in option.name.split(".")[:-1])
        key = option.name.rpartition(".")[2]
        yaml = f'{group}{key}: "|{CANARY}\\a://?{CANARY}:"{"}" * group.count("{")}'
        told = file_faults(yaml) if option.name != "fhir.url" else faults(lambda: load_with_file({}, {}, yaml))
        assert CANARY not in repr(told)


def test_a_key_of_the_file_cannot_forge_lines_on_a_terminal() -> None:
    (fault,) = file_faults('"a\\e[2J\\nb": 1')
    assert fault == "--config.file line 1, a?[2J?b: unknown key"


# The file itself


def test_the_file_is_named_by_flag_or_variable(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"\N{BYTE ORDER MARK}fhir: {{url: '{URL}'}}", "utf-8")
    assert load_settings({"config.file": [str(file)]}, {}).fhir.url == URL
    assert load_settings({}, {CONFIG_FILE.variable: str(file)}).fhir.url == URL


def test_a_file_that_is_not_there_is_the_only_fault() -> None:
    assert faults(lambda: load_settings({}, {CONFIG_FILE.variable: "/no/such/file"})) == (
        "FHIR_TASK_EXPORTER_CONFIG_FILE: file does not exist",
    )


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert faults(lambda: load_settings({"config.file": [str(file)]}, {})) == ("--config.file: file is not UTF-8 text",)


def test_a_named_pipe_is_looked_at_and_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "token"
    os.mkfifo(pipe)
    assert settings(**{"fhir.bearer-token-file": str(pipe)}).fhir.bearer_token_file == str(pipe)


# The table


def test_variables_with_our_prefix_that_are_no_option_are_named() -> None:
    variables = {PREFIX + "PORT": "tcp://10.0.0.1:9842", PREFIX + "SPEED": "1", PREFIX + "LEDGER": "x", "PATH": "/bin"}
    assert unknown_variables(variables) == ("FHIR_TASK_EXPORTER_PORT",)
    assert load_with_file({"fhir.url": [URL]}, variables).ledger == "x"


def test_no_two_options_share_a_flag_or_variable() -> None:
    options = (CONFIG_FILE, *OPTIONS, *(option for option in DEMO_OPTIONS if option not in OPTIONS))
    for names in ([each.flag for each in options], [each.variable for each in options]):
        assert len(set(names)) == len(names)


def test_every_option_says_what_it_is_for_in_a_sentence() -> None:
    for option in (CONFIG_FILE, *OPTIONS, *DEMO_OPTIONS):
        assert option.help.endswith("."), option.name
        assert re.fullmatch(r"[a-z]+([.-][a-z]+)*", option.name)


def test_settings_are_frozen_to_the_ground() -> None:
    found = settings("payers: [{name: A, references: [Organization/1]}]")
    assert not hasattr(found.payers, "__setitem__")
    for value in (found, *(getattr(found, each.name) for each in fields(found))):
        if is_dataclass(value):
            with pytest.raises(AttributeError):
                setattr(value, fields(value)[0].name, None)
