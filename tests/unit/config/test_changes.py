"""What differs between two readings of the configuration, by the names that an operator knows."""

from dataclasses import fields
from pathlib import Path

import pytest

from exporter.config import CONFIG_FILE, OPTIONS, Settings, find_changes, load_settings
from exporter.config.changes import RELOADED
from exporter.config.tables import TABLES

from ...support.configuration import settings

TEXT = (Path(__file__).parents[3] / "docs/configuration.md").read_text("utf-8")
EVERYTHING = """
payers:
  - {name: Old, references: [Organization/1], deadline: 1bd}
  - {name: Some, identifier_patterns: ['x-[0-9]+'], formerly: [Former]}
reasons: [{reason: special, pattern: a|b}]
closed_days: [12-24]
timezone: America/New_York
deadline: 2bd
log: {level: debug}
"""


def test_the_same_text_is_no_change() -> None:
    assert find_changes(settings(EVERYTHING), settings(EVERYTHING))[1:] == ((), ())


@pytest.mark.parametrize(
    ("after", "effective"),
    [
        ("payers: [{name: A, references: [Organization/1]}]", ("payers",)),
        ("payers: [{name: A, references: [Organization/1], deadline: 2h}]", ("payers",)),
        ("reasons: [{reason: a, pattern: b}]", ("reasons",)),
        ("closed_days: [12-24]", ("closed_days",)),
        ("deadline: 1bd\ntimezone: America/New_York\nholidays: US-NY", ("--deadline", "--timezone", "--holidays")),
        ("stalled-after: 1h\npairs: {max: 7}", ("--stalled-after", "--pairs.max")),
        ("log: {level: debug, format: json}", ("--log.level", "--log.format")),
    ],
)
def test_what_takes_effect_is_named_and_taken_over(after: str, effective: tuple[str, ...]) -> None:
    changes = find_changes(settings(), settings(after))
    assert (changes.effective, changes.waiting) == (effective, ())
    assert changes.settings == settings(after)


def test_what_needs_a_restart_is_named_and_stays_as_it_is() -> None:
    after = "poll: {min-interval: 7s}\nweb: {enable-lifecycle: true}\nfhir: {page-size: 7}\ndeadline: 7h"
    changes = find_changes(settings(), settings(after))
    assert changes.effective == ("--deadline",)
    assert changes.waiting == ("--fhir.page-size", "--poll.min-interval", "--web.enable-lifecycle")
    assert changes.settings == settings("deadline: 7h")
    assert find_changes(changes.settings, settings(after))[1:] == ((), changes.waiting)


def test_every_field_of_the_settings_is_either_taken_over_or_named() -> None:
    named = {each.name for each in fields(Settings)}
    assert set(RELOADED) <= named
    assert {"fhir", "ledger", "poll", "web", "hold"} <= named - set(RELOADED)


def test_a_flag_and_a_variable_win_over_the_file_that_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yaml"
    flags = {CONFIG_FILE.name: [str(path)], "fhir.url": ["https://cdr.example.org/fhir"], "deadline": ["3h"]}

    def load(text: str) -> Settings:
        path.write_text(text)
        return load_settings(flags, {"FHIR_TASK_EXPORTER_STALLED_AFTER": "2h"})

    before, after = load("deadline: 1h\nstalled-after: 1h"), load("deadline: 9h\nstalled-after: 9h\npairs: {max: 9}")
    assert find_changes(before, after).effective == ("--pairs.max",)


def test_the_document_lists_what_needs_no_restart() -> None:
    part = TEXT.partition('<a id="reload"></a>')[2].partition("| every other option |")[0]
    rows = {option.name: option.flag for option in OPTIONS}
    shown = {flag for name, flag in rows.items() if f"`{flag}`" in part.partition("| takes effect |")[2]}
    changed = find_changes(
        settings(),
        settings(EVERYTHING + "holidays: US\nstalled-after: 1h\npairs: {max: 7}\n", **{"log.format": "json"}),
    )
    assert shown == {name for name in changed.effective if name.startswith("--")}
    assert all(f"`{table}`" in part for table in TABLES)
