"""`reasons test` names the reason of each note and repeats nothing of it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from exporter import cli
from exporter.task.reasons import LONGEST_TEXT, classifier

TABLE = """
fhir: {url: 7, bearer-token-file: /nowhere}
reasons:
- {reason: sanctions, pattern: 'watch.?list'}
- {reason: auth, pattern: certificate expired}
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    file = tmp_path / "exporter.yaml"
    file.write_text(TABLE)
    return str(file)


def ask(notes: str | bytes, *arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli.main, ["reasons", "test", *arguments], input=notes, env=variables)


def test_each_note_gets_a_line_with_its_reason_and_what_gave_it() -> None:
    result = ask("HTTP 500 at $export\n\n  java.net.UnknownHostException: x  \r\nhm\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "line 1: export (built in: the step that failed)",
        "line 3: network (built in: what went wrong)",
        "line 4: unclassified (no pattern matches)",
        "3 notes: export 1, network 1, unclassified 1",
    ]


def test_the_operators_table_comes_first_and_nothing_else_of_the_file_is_needed(table: str) -> None:
    notes = "On the Watchlist\nCertificate expired\nThe certificate has expired\nWATCH LIST"
    expected = [
        "line 1: sanctions (pattern of the file, number 1)",
        "line 2: auth (pattern of the file, number 2)",
        "line 3: tls (built in: what went wrong)",
        "line 4: sanctions (pattern of the file, number 1)",
        "4 notes: sanctions 2, auth 1, tls 1",
    ]
    assert ask(notes, "--config.file", table).stdout.splitlines() == expected
    assert ask(notes, FHIR_TASK_EXPORTER_CONFIG_FILE=table).stdout.splitlines() == expected


def test_a_table_with_a_mistake_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yaml"
    file.write_text("reasons:\n- {reason: auth, pattern: '('}")
    result = ask("a note", "--config.file", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "line 2, reasons.pattern: is not a valid Python regular expression" in result.stderr


def test_no_notes_are_no_mistake() -> None:
    result = ask("\n")
    assert (result.exit_code, result.stdout) == (0, "0 notes\n")


def test_what_is_not_utf_8_is_read_all_the_same() -> None:
    assert ask(b"\xff\xfe Export failed").stdout.startswith("line 1: export ")


def test_a_note_is_read_as_far_as_the_exporter_reads_it() -> None:
    filler = "x" * LONGEST_TEXT
    assert ask(f"export failed {filler}").stdout.startswith("line 1: export ")
    assert ask(f"{filler} export failed").stdout.startswith("line 1: unclassified ")


def test_no_note_is_printed(table: str) -> None:
    result = ask("canary-4711 export failed\ncanary-4711\ncanary-4711 watchlist", "--config.file", table)
    assert "canary" not in result.output


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=80))
def test_the_command_and_the_exporter_agree(note: str) -> None:
    assert ask(note).stdout.startswith(f"line 1: {classifier(())([note])} (")
