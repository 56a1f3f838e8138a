"""The file gives options and tables, and every problem in it has a line number."""

import re
from datetime import date
from pathlib import Path

import pytest

from exporter.config import load_settings, make_calendar
from exporter.config.patterns import TOO_SLOW

from ...support.configuration import CANARY, file_problems, load_with_file, problems, settings


def test_values_are_the_text_that_was_written() -> None:
    found = settings("ledger: on\ndeadline: 12h\nfhir: {username: 0x10, password-file: /dev/null}")
    assert (Path(found.ledger).name, found.fhir.username) == ("on", "0x10")


def test_payers_are_named_by_reference_and_by_identifier() -> None:
    found = settings(
        "payers:\n- name: A\n  references: [Organization/1, 'https://x/fhir/Organization/1']\n"
        "- name: B\n  identifiers: ['s|v', bare]\n"
    )
    assert found.payers.keys == {
        "Organization/1": "A",
        "https://x/fhir/Organization/1": "A",
        "s|v": "B",
        "bare": "B",
    }


def test_reasons_keep_their_order_and_ignore_case() -> None:
    found = settings("reasons:\n- {reason: b_1, pattern: x.y}\n- {reason: auth, pattern: z}\n").reasons
    assert [(word, bool(pattern.search("it was X Y"))) for word, pattern in found] == [("b_1", True), ("auth", False)]


def test_an_empty_file_gives_nothing() -> None:
    assert settings("") == settings("# only a comment\n") == settings("fhir:\npayers:\nreasons:\n") == settings()


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("\npairs:\n  max: none", "line 3, pairs.max: must be a whole number from 1 to 10000"),
        ("fhir:\n  urll: x", "line 2, fhir.urll: unknown key; did you mean fhir.url?"),
        ("fhir: {password: x}", "line 1, fhir.password: unknown key; did you mean fhir.password-file?"),
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
        (
            "payers: [A]",
            (
                "line 1, payers: must be a list of entries with name, references, identifiers, reference_patterns, "
                "identifier_patterns, parent, formerly, deadline"
            ),
        ),
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
            "line 2, payers: an entry needs references, identifiers or patterns, or a parent, or former names",
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
        (
            "reasons:\n- {reason: a, pattern: '(a+)+$'}",
            f"line 2, reasons.pattern: {TOO_SLOW}",
        ),
    ],
)
def test_an_invalid_line_is_reported_with_its_number(yaml: str, problem: str) -> None:
    assert file_problems(yaml) == (f"--config.file {problem}",)


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
def test_malformed_yaml_is_reported_with_its_line_and_without_its_text(yaml: str, line: int) -> None:
    (problem,) = file_problems(yaml)
    assert problem == (
        f"--config.file line {line}: is not valid YAML; check quotes, indentation and colons here and just above"
    )


@pytest.mark.parametrize("yaml", [f'{CANARY}: "\\UFFFFFFFF"', f"%YAML {'9' * 4400}.1\n--- {CANARY}"])
def test_what_the_yaml_library_does_not_expect_is_malformed_too(yaml: str) -> None:
    (problem,) = file_problems(yaml)
    assert problem == "--config.file: is not valid YAML; check quotes, indentation and colons here and just above"


def test_an_option_that_a_broken_file_may_have_is_not_missed() -> None:
    assert len(problems(lambda: load_with_file({}, {}, "fhir: ["))) == 1


def test_an_alias_that_contains_itself_cannot_loop() -> None:
    assert file_problems("fhir: &a\n  poll: *a") == ("--config.file line 2, fhir.poll: unknown key",)


def test_endless_nesting_is_a_problem_like_any_other() -> None:
    assert len(file_problems("[" * 5000)) == 1


def test_a_key_cannot_forge_lines_on_a_terminal() -> None:
    (problem,) = file_problems('"a\\e[2J\\nb": 1')
    assert problem == "--config.file line 1, a?[2J?b: unknown key"


def test_a_file_that_is_not_text_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert problems(lambda: load_settings({"config.file": [str(file)]}, {})) == (
        "--config.file: file is not UTF-8 text",
    )


def test_the_example_in_the_documentation_is_valid(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    page = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = load_with_file({}, {}, example.replace("bearer-token-file: token", f"bearer-token-file: {token}"))
    assert (found.deadline.business_days, len(found.payers.keys), len(found.reasons)) == (1, 3, 2)


def test_payers_can_have_deadlines_and_days_can_be_closed() -> None:
    found = settings(
        "deadline: 1bd\ntimezone: America/New_York\nholidays: US-NY\nclosed_days: [2026-11-27, 12-24]\n"
        "payers:\n- {name: A, references: [Organization/1], deadline: 2bd}\n- {name: B, identifiers: [b]}\n"
    )
    assert found.deadline.business_days == 1
    assert {name: length.business_days for name, length in found.payer_deadlines.items()} == {"A": 2}
    assert found.closed_days == {date(2026, 11, 27), (12, 24)}
    calendar = make_calendar(found.timezone, found.holidays, found.closed_days)
    free = (date(2026, 11, 26), date(2026, 11, 27), date(2030, 12, 24), date(2026, 7, 3))
    assert [day for day in free if calendar.is_business_day(day)] == []
    assert calendar.is_business_day(date(2026, 11, 25))


@pytest.mark.parametrize("day", ["2026-02-30", "13-01", "02-30", "tomorrow", "2026"])
def test_what_is_no_day_is_named(day: str) -> None:
    sentence = "must be a day such as 2026-11-27, or 12-24 for every year"
    assert file_problems(f"closed_days:\n- {day}") == (f"--config.file line 2, closed_days: {sentence}",)


def test_a_payers_deadline_is_checked_as_the_option_is() -> None:
    problem = "--config.file line 1, payers.deadline: must be from 1bd to 100bd"
    assert file_problems("payers: [{name: A, identifiers: [a], deadline: 0bd}]") == (problem,)


def test_holidays_need_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.config.calendar.find_spec", lambda _name: None)
    needs = "needs the library holidays: pip install '.[holidays]' in a clone, or fhir-task-exporter[holidays]"
    assert file_problems("holidays: US") == (f"--config.file line 1, holidays: {needs}",)
