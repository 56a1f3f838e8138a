"""What `check` says about payers, and what to write into the table `payers:`."""

import dataclasses

import pytest

from exporter.task.payer_table import PayerTable

from ...support.builders import (
    by_display,
    by_identifier,
    reference,
    task,
)
from ...support.configuration import load_with_file
from ...support.fake import BASE
from .case import CANARY, SETTINGS, run


def test_more_pairs_than_labels_are_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    settings = dataclasses.replace(SETTINGS, pairs_max=1)
    told = run(capsys, task("a", owner=by_display("A")), task("b", owner=by_display("B")), settings=settings)
    assert "FAIL  pairs of payers: 2 in the sample; those past 1 are shown as other\n" in told
    assert "-> Raise --pairs.max to 4, say" in told


def test_the_printed_table_is_one_that_the_configuration_takes(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = (
        task("a", requester=None, owner=reference("Organization/42")),
        task("b", requester=None, owner=by_identifier("9941339108")),
        task("c", requester=None, owner=reference("https://elsewhere.example/fhir/Organization/7")),
        task("d", requester=None, owner=reference("#gone")),
        task("e", requester=None, owner=reference("Practitioner/7", display="Dr Who")),
        task("f", requester=None, owner=by_identifier('we"ird: # ü', system="urn:x")),
    )
    told = run(capsys, *tasks)
    table = told.partition("\npayers:\n")[2].partition("\n\n")[0]
    found = load_with_file({"fhir.url": [BASE]}, {}, f"payers:\n{table}\n").payers
    assert set(found.keys) == {
        "Organization/42",
        "http://hl7.org/fhir/sid/us-npi|9941339108",
        "https://elsewhere.example/fhir/Organization/7",
        'urn:x|we"ird: # ü',
    }
    settings = dataclasses.replace(SETTINGS, payers=found)
    assert "payers: some have no name" not in run(capsys, *tasks, settings=settings)


def test_a_number_that_the_operator_chose_as_a_name_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    settings = dataclasses.replace(SETTINGS, payers=PayerTable({"9941339108": "9941339108"}))
    told = run(capsys, task("a", requester=None, owner=by_identifier("9941339108")), settings=settings)
    assert "payer 9941339108 (answers 1, asks 0)" in told
    assert "payers: some have no name" not in told


def test_persons_are_told_by_their_type_word_only(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", owner=reference(f"Practitioner/{CANARY}", display=CANARY)))
    assert "payer Practitioner (answers 1, asks 0): no organization" in told
    assert CANARY not in told


def test_many_payers_are_told_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, *(task(f"t-{n}", owner=by_display(f"Payer {n}")) for n in range(40)))
    assert told.count("OK    payer Payer ") + told.count("WARN  payer ") == 30
    assert "OK    payers: 11 more\n" in told


def test_control_characters_of_the_server_reach_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, task("a", owner=by_identifier("1\x1b[31m2", system="urn:\x07x")))
    assert "identifier urn:x|1[31m2" in told
    assert "\x1b" not in told
    assert "\x07" not in told
