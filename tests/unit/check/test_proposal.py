"""The table that `check` proposes: the loader takes it, it is bounded, and it says what it would do."""

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from exporter.check.proposal import MOST_ENTRIES, MOST_KEYS, Naming, namings, propose
from exporter.config.payers import Payers
from exporter.config.tables import TABLES
from exporter.config.yaml_file import read as read_yaml
from exporter.task.labels import clean
from exporter.task.model import Pair, Party, Status, Task
from exporter.task.payer_table import PayerTable
from exporter.task.payers import PayerDirectory, name_payer

from ...support.builders import Resource, by_identifier, organization, reference, task
from ...support.configuration import payer_table
from .case import SETTINGS, run


def loaded(told: str) -> PayerTable:
    """Load the table that was printed."""
    lines = told.partition("\npayers:\n")[2].partition("\n\n")[0]
    return payer_table(lines)


def asked(*owners: Resource) -> list[Resource]:
    return [task(f"t{n}", owner=owner, requester=None) for n, owner in enumerate(owners)]


def test_every_payer_is_proposed_with_all_that_leads_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    resources = [
        organization("1", "Northwind"),
        organization("2", "Northwind"),
        *asked(reference("Organization/1"), reference("Organization/2"), by_identifier("77", "urn:x")),
    ]
    told = run(capsys, *resources)
    table = loaded(told)
    assert table.keys == {"Organization/1": "Northwind", "Organization/2": "Northwind", "urn:x|77": "Payer 1"}
    assert table.shown_as == {"77": "Payer 1"}
    assert "with these, the sample has 2 pairs of payers:" in told


def test_spellings_get_a_parent_and_plans_a_comment(capsys: pytest.CaptureFixture[str]) -> None:
    names = (
        "Northwind Health",
        "NORTHWIND HEALTH INC.",
        "Northwind Health Plan of Ohio",
        "Contoso of Utah",
        "Contoso of Iowa",
    )
    organizations = [organization(str(n), name) for n, name in enumerate(names)]
    more = task("again", owner=reference("Organization/0"), requester=None)
    told = run(capsys, *organizations, *asked(*(reference(f"Organization/{n}") for n in range(5))), more)
    question = "  (if this is one of its plans)\n"
    assert '  - name: "NORTHWIND HEALTH INC."\n    parent: "Northwind Health"\n' in told
    assert f'  - name: "Northwind Health Plan of Ohio"\n    # parent: "Northwind Health"{question}' in told
    assert f'  - name: "Contoso of Utah"\n    # parent: "Contoso"{question}' in told
    assert "INFO  payers: a table of those without an entry; with it, the sample has 4 pairs of payers\n" in told
    assert set(loaded(told).keys.values()) == {name for name in names if "INC" not in name}
    uncommented = loaded(told.replace("# parent", "parent").replace(question, "\n"))
    assert set(uncommented.keys.values()) == {"Northwind Health", "Contoso"}


def test_what_the_table_of_the_operator_names_is_not_proposed_again(capsys: pytest.CaptureFixture[str]) -> None:
    resources = [
        organization("1", "Northwind"),
        organization("2", "northwind, inc."),
        *asked(reference("Organization/1")),
    ]
    resources.append(task("second", owner=reference("Organization/2"), requester=None))
    settings = dataclasses.replace(SETTINGS, payers=PayerTable({"Organization/1": "Northwind"}))
    table = loaded(run(capsys, *resources, settings=settings))
    assert (table.keys, table.shown_as) == ({"Organization/2": "Northwind"}, {"northwind, inc.": "Northwind"})
    settings = dataclasses.replace(SETTINGS, payers=PayerTable({"Organization/1": "A", "Organization/2": "A"}))
    assert "\npayers:\n" not in run(capsys, *resources, settings=settings)


def test_the_table_is_bounded() -> None:
    parties = [
        Naming(Party(f"Organization/{n}-{name}"), f"Payer of {name}", 1, 0) for name in range(80) for n in range(60)
    ]
    lines = propose(parties, PayerTable()).lines
    assert sum(line.startswith("  - name:") for line in lines) == MOST_ENTRIES
    assert lines[-1] == f"  # {80 - MOST_ENTRIES} more: run check again with this table"
    assert f"    # {60 - MOST_KEYS} more references; a pattern may match them all" in lines
    assert len(lines) < 5 * MOST_ENTRIES
    payer_table("\n".join(lines[1:]))


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5).map(str.strip) | st.sampled_from(
    [
        *("Acme", "ACME", "Acme, Inc.", "Acme Plan of Ohio", "Acme of Utah", "other", "unknown", "Payer 1"),
        *("Patient", "a|b", "of", 'we"ird: # \u00fc', "x" * 90),
    ]
)
IDS = st.sampled_from(["1", "2", "3", "4"])
REFERENCES = st.builds("Organization/{}".format, IDS) | st.builds("https://x.example/Organization/{}".format, IDS)
IDENTIFIERS = st.builds("{}|{}".format, st.sampled_from(["", "npi", "urn:x"]), NAMES.filter(bool))
PARTIES = st.just(Party(kind="Patient")) | st.builds(
    lambda reference, identifier, display: Party(reference, None, identifier, display),
    *(st.none() | each for each in (REFERENCES, IDENTIFIERS, NAMES)),
)
READ = st.dictionaries(st.builds("Organization/{}".format, IDS), st.none() | NAMES)


@hypothesis_settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(PARTIES, PARTIES), max_size=8), READ)
@example(  # a second identifier that is shown by the same name, and so follows the rename
    [
        (Party(display="Acme"), Party(identifier="|0", display="Acme")),
        (Party(identifier="|0"), Party(identifier="|0\x1b")),
    ],
    {},
)
def test_whatever_was_seen_the_loader_takes_the_table_and_it_has_as_many_pairs_as_was_said(
    seen: list[tuple[Party, Party]], read: dict[str, str | None]
) -> None:
    names = {f"Organization/{n}": read.get(f"Organization/{n}") for n in range(10)}
    tasks = [Task(str(n), "1", 0, Status.FAILED, owner=a, requester=b) for n, (a, b) in enumerate(seen)]

    def named(table: PayerTable) -> list[Pair]:
        directory = PayerDirectory(table, "", names)
        return [Pair(str(name_payer(a, directory)), str(name_payer(b, directory))) for a, b in seen]

    before = named(PayerTable())
    proposal = propose(namings(tasks, before), PayerTable())
    file = read_yaml("\n".join(proposal.lines), (), TABLES)
    assert file.problems == ()
    payers = file.tables.get("payers")
    table = payers.table if isinstance(payers, Payers) else PayerTable()
    assert proposal.count_pairs(tasks, before) == len(set(named(table)))
    assert all(clean(label) == label for label in table.labels)
    again = propose(namings(tasks, named(table)), table)
    assert not again.nameless
