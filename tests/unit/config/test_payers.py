"""The table `payers:`: patterns, groups and former names, and every fault with its line."""

import pytest

from exporter.task.payer_table import LONGEST_MATCHED, matching

from ...support.configuration import file_problems, payer_table, settings

GROUP = """
- name: Northwind
  formerly: [NW, NW Health]
  deadline: 2bd
- name: Northwind Ohio
  parent: Northwind
  references: [Organization/1]
  reference_patterns: ['Organization/ohio-[0-9]+', 'Organization/.*-oh']
- name: Northwind Texas
  parent: Northwind
  identifiers: ['npi|7']
  identifier_patterns: ['npi\\|77.*']
  formerly: [NW Texas]
- name: Contoso
  identifier_patterns: ['.*']
"""


def test_children_and_former_names_are_shown_as_the_parent() -> None:
    table = payer_table(GROUP)
    assert table.keys == {"Organization/1": "Northwind", "npi|7": "Northwind"}
    assert [label for _, label in table.references] == ["Northwind", "Northwind"]
    assert [label for _, label in table.identifiers] == ["Northwind", "Contoso"]
    former = dict.fromkeys(("NW", "NW Health", "NW Texas", "Northwind Ohio", "Northwind Texas"), "Northwind")
    assert table.shown_as == former
    assert table.labels == {"Northwind", "Contoso"}
    assert set(settings(f"payers:{GROUP}").payer_deadlines) == {"Northwind"}


def test_patterns_match_whole_texts_in_the_order_of_the_file() -> None:
    table = payer_table(GROUP)
    assert matching(table.identifiers, ["npi|775"]) == "Northwind"
    assert matching(table.identifiers, ["x-npi|775", "775"]) == "Contoso"
    assert matching(table.references, ["Organization/ohio-5x", None]) is None
    assert matching(table.references, [None, "Organization/ohio-5"]) == "Northwind"


def test_a_long_text_matches_no_pattern() -> None:
    table = payer_table("- {name: A, identifier_patterns: ['.*']}")
    assert matching(table.identifiers, ["x" * LONGEST_MATCHED]) == "A"
    assert matching(table.identifiers, ["x" * (LONGEST_MATCHED + 1)]) is None


def test_names_are_what_a_label_shows_of_them() -> None:
    table = payer_table("- {name: 'A  B', formerly: ['C   D'], references: [Organization/1]}")
    assert (table.keys, table.shown_as) == ({"Organization/1": "A B"}, {"C D": "A B"})


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (
            "- {name: A, reference_patterns: ['(']}",
            "line 2, payers.reference_patterns: is not a valid Python regular expression",
        ),
        (
            "- {name: A, identifier_patterns: [a, '(a+)+']}",
            (
                "line 2, payers.identifier_patterns: could take very long: use at most 3 repeats such as * or +, "
                "and none of a group that repeats something or has alternatives"
            ),
        ),
        (
            "- {name: A, identifier_patterns: [a]}\n- name: B\n  identifier_patterns:\n  - a",
            "line 5, payers.identifier_patterns: duplicate pattern; the first one in the file counts",
        ),
        ("- {name: A, reference_patterns: a}", "line 2, payers.reference_patterns: must be a list"),
        ("- {name: A, parent: A}", "line 2, payers.parent: must not be the payer itself"),
        (
            "- {name: A, parent: B}\n- {name: B, parent: C}",
            "line 2, payers.parent: has a parent itself; groups have one level, so name the topmost payer",
        ),
        (
            "- {name: A, parent: other}",
            "line 2, payers.parent: must not be other or unknown; the exporter uses these names",
        ),
        (f"- {{name: A, parent: {'b' * 81}}}", "line 2, payers.parent: must have at most 80 characters"),
        (
            "- {name: A, parent: B, deadline: 1h}",
            "line 2, payers.deadline: counts for a whole group; give it to the entry of the parent",
        ),
        (
            "- {name: A, formerly: [Z, B]}\n- {name: B, references: [Organization/1]}",
            "line 2, payers.formerly: is still a name in this table; a former name must no longer be used as a name",
        ),
        (
            "- {name: A, formerly: [B]}\n- {name: C, parent: B}",
            "line 2, payers.formerly: is still a name in this table; a former name must no longer be used as a name",
        ),
        (
            "- {name: A, formerly: [A]}",
            "line 2, payers.formerly: is still a name in this table; a former name must no longer be used as a name",
        ),
        (
            "- {name: A, formerly: [Z]}\n- {name: B, formerly: [Z]}",
            "line 3, payers.formerly: duplicate former name; a series can go on under one name only",
        ),
        (
            "- {name: A, formerly: [unknown]}",
            "line 2, payers.formerly: must not be other or unknown; the exporter uses these names",
        ),
        (
            "- {name: A, formerly: [Patient]}",
            "line 2, payers.formerly: must not be a type such as Practitioner; persons stay unnamed",
        ),
        (
            "- {name: A, deadline: 1h}",
            "line 2, payers: an entry needs references, identifiers or patterns, or a parent, or former names",
        ),
    ],
)
def test_a_fault_is_reported_with_its_line(entries: str, problem: str) -> None:
    assert file_problems(f"payers:\n{entries}\n") == (f"--config.file {problem}",)


def test_two_parents_of_each_other_are_both_faults() -> None:
    assert len(file_problems("payers:\n- {name: A, parent: B}\n- {name: B, parent: A}\n")) == 2
