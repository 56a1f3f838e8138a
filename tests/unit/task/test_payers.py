"""How a Reference becomes a payer, step by step (docs/fhir-quirks.md#owner-resolution)."""

import unicodedata
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.task.labels import PEOPLE, clean
from exporter.task.model import Anomaly, Party
from exporter.task.payer_table import PayerTable
from exporter.task.payers import NeedsOrganization, PayerDirectory, name_payer
from tests.support import builders as make
from tests.support.configuration import payer_table

from .pages import decoded, entry, read, stored

BASE = "https://cdr.example/fhir"
OWN = "Organization/7"
FULL = Party(OWN, "Organization", "npi|123", "Displayed", "Contained")
ELSEWHERE = "https://other.example/fhir/Organization/7"


def directory(keys: Mapping[str, str], base: str, read: Mapping[str, str | None] | None = None) -> PayerDirectory:
    return PayerDirectory(PayerTable(keys), base, {} if read is None else read)


# From a Reference to a Party


@pytest.mark.parametrize(
    ("owner", "party"),
    [
        (make.reference("Organization/7"), Party("Organization/7", "Organization")),
        (make.reference("Organization/7/_history/2"), Party("Organization/7", "Organization")),
        (make.reference("http://x/fhir/Organization/7"), Party("http://x/fhir/Organization/7", "Organization")),
        (make.reference("urn:uuid:7", type="Organization"), Party("urn:uuid:7", "Organization")),
        (make.by_identifier("99", "http://npi"), Party(identifier="http://npi|99")),
        ({"identifier": {"value": "99"}}, Party(identifier="|99")),
        (make.by_display(" Old Payer "), Party(display="Old Payer")),
        (make.reference("Practitioner/7", display="Dr A", identifier={"value": "9"}), Party(kind="Practitioner")),
        (make.reference("http://x/PractitionerRole/7/_history/1"), Party(kind="PractitionerRole")),
        (make.reference("Patient?identifier=123"), Party(kind="Patient")),
        ({"type": "RelatedPerson", "display": "Jane"}, Party(kind="RelatedPerson")),
        ({"type": "http://hl7.org/fhir/StructureDefinition/Person", "display": "Jane"}, Party(kind="Person")),
        (make.reference("Patient/7", type="Organization"), Party(kind="Patient")),
        (make.by_display("x" * 2000), Party(display="x" * 512)),
    ],
)
def test_a_reference_becomes_a_party(owner: Any, party: Party) -> None:
    task = read(stored(make.task(owner=owner, requester=owner)))
    assert task.owner == task.requester == party
    assert task.anomalies == frozenset()


@pytest.mark.parametrize(
    "nobody",
    [
        *(None, {}, {"reference": ""}, {"reference": None, "display": " "}, {"identifier": {"system": "http://npi"}}),
        *({"type": "Organization"}, {"_reference": {"extension": []}}, {"extension": [{"url": "x"}]}),
    ],
)
def test_a_reference_without_content_is_missing(nobody: Any) -> None:
    task = read(stored(make.task(owner=nobody, requester=nobody)))
    assert (task.owner, task.requester) == (None, None)
    assert task.anomalies == {Anomaly.MISSING_OWNER, Anomaly.MISSING_REQUESTER}


@pytest.mark.parametrize(
    ("contained", "party"),
    [
        ([make.organization("payer", "Inside")], Party("#payer", "Organization", contained="Inside")),
        (
            [make.organization("x", "No"), make.organization("payer", "Inside")],
            Party("#payer", "Organization", None, None, "Inside"),
        ),
        ([make.organization("payer", None)], Party("#payer", "Organization")),
        ([make.organization("other", "Inside")], Party("#payer")),
        (
            [{"resourceType": "Practitioner", "id": "payer", "name": [{"family": "Careful"}]}],
            Party(kind="Practitioner"),
        ),
        ([{"resourceType": "Location", "id": "payer", "name": "Ward"}], Party("#payer")),
        ([{"resourceType": "Organization", "id": "payer", "name": ["x"]}], Party("#payer", "Organization")),
        (None, Party("#payer")),
        ([None], Party("#payer")),
    ],
)
def test_a_contained_payer_is_found_if_the_server_sent_it(contained: Any, party: Party) -> None:
    assert read(stored(make.task(owner=make.reference("#payer"), contained=contained))).owner == party


def test_the_same_contained_id_in_two_tasks_means_two_payers() -> None:
    one, other = (stored(make.task(**make.contained(name))) for name in ("One", "Other"))
    assert [task.owner.contained for task in decoded(entry(one), entry(other)).tasks if task.owner] == ["One", "Other"]


# From a Party to a payer


@pytest.mark.parametrize(
    ("party", "known", "label"),
    [
        (FULL, directory({OWN: "Mapped", "npi|123": "By token"}, BASE, {OWN: "Read"}), "Mapped"),
        (FULL, directory({f"{BASE}/{OWN}": "Mapped"}, BASE), "Mapped"),
        (FULL._replace(reference=f"{BASE}/{OWN}"), directory({OWN: "Mapped"}, BASE), "Mapped"),
        (FULL, directory({"npi|123": "By token"}, BASE, {OWN: "Read"}), "Read"),
        (FULL._replace(reference=f"{BASE}/{OWN}"), directory({}, BASE + "/", {OWN: "Read"}), "Read"),
        (FULL, directory({"npi|123": "By token"}, BASE, {OWN: None}), "Contained"),
        (
            FULL._replace(contained=None),
            directory({"npi|123": "By token", "123": "By value"}, BASE, {OWN: None}),
            "By token",
        ),
        (FULL._replace(contained=None), directory({"123": "By value"}, BASE, {OWN: None}), "By value"),
        (FULL._replace(contained=None), directory({}, BASE, {OWN: None}), "123"),
        (FULL._replace(contained=None), directory({}, BASE, {OWN: "\u200b\u202e"}), "123"),
        (Party(identifier="|123"), directory({"|123": "Without system"}, BASE), "Without system"),
        (Party(identifier="urn:x|a|b"), directory({}, BASE), "a|b"),
        (Party(display="Displayed"), directory({"Displayed": "no key"}, BASE), "Displayed"),
        (Party(OWN, display="Displayed"), directory({}, BASE, {OWN: None}), "Displayed"),
        (Party(OWN), directory({}, BASE, {OWN: None}), "unknown"),
        (Party("#payer", contained="Contained"), directory({}, BASE), "Contained"),
        (Party("#payer"), directory({}, BASE), "unknown"),
        (Party(ELSEWHERE), directory({ELSEWHERE: "Mapped"}, BASE), "Mapped"),
        (Party(ELSEWHERE, display="Displayed"), directory({}, BASE, {OWN: "Read"}), "Displayed"),
        (Party(display="other"), directory({}, BASE), "other"),
        (None, directory({"": "x"}, BASE), "unknown"),
    ],
)
def test_the_first_step_that_has_a_name_decides(party: Party | None, known: PayerDirectory, label: str) -> None:
    assert name_payer(party, known) == label


@pytest.mark.parametrize("reference", [OWN, f"{BASE}/{OWN}"])
@pytest.mark.parametrize("base", [BASE, BASE + "/"])
def test_an_organization_on_the_server_is_read_once(reference: str, base: str) -> None:
    read: dict[str, str | None] = {}
    known = directory({}, base, read)
    assert name_payer(Party(reference, display="Displayed"), known) == NeedsOrganization(OWN)
    read[OWN] = "Read"
    assert name_payer(Party(reference, display="Displayed"), known) == "Read"


@pytest.mark.parametrize(
    "reference",
    [
        *(ELSEWHERE, "http://cdr.example/fhir/Organization/7", "https://cdr.example/fhirx/Organization/7"),
        *(
            "https://cdr.example/fhir/../Organization/7",
            "//other.example/Organization/7",
            "Organization/..",
            "Organization/.",
        ),
        *("Organization/7/$purge", "Organization/7?x=1", "Organization/", "Organization/a b", "/Organization/7"),
        *("Organization/" + "a" * 65, "HealthcareService/1", "#payer", "urn:uuid:7", "organization/7", "Endpoint/7"),
        *("https://cdr.example/fhir@evil.example/Organization/7", "Organization/7\n", "Organization?identifier=7"),
    ],
)
def test_nothing_else_is_ever_read(reference: str) -> None:
    assert name_payer(Party(reference), directory({}, BASE)) == "unknown"


@pytest.mark.parametrize("kind", sorted(PEOPLE))
def test_a_person_is_a_type_word_whatever_else_is_known(kind: str) -> None:
    party = Party(f"{kind}/7", kind, "npi|123", "Dr Adam Careful", "Careful")
    assert name_payer(party, directory({f"{kind}/7": "Mapped", "npi|123": "Mapped"}, BASE)) == kind


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("  Old \t Payer\r\n Inc ", "Old Payer Inc"),
        ("a\x00b\x1bc\x7f", "abc"),
        ("pay\u202eer\u200b\ufeff", "payer"),
        ("line\u2028break\u00a0here", "line break here"),
        ("\ud800payer", "payer"),
        ("e\u0301", "\u00e9"),
        ("e\u200d\u0301", "\u00e9"),
        ("x" * 200, "x" * 80),
        ("x" * 79 + " yz", "x" * 79),
        ('quote " backslash \\', 'quote " backslash \\'),
        ("", "unknown"),
        (" \u200b\n", "unknown"),
    ],
)
def test_labels_are_cleaned(text: str, label: str) -> None:
    assert clean(text) == label


@given(st.text(st.characters(), max_size=200))
def test_a_label_is_printable_short_never_empty_and_clean(text: str) -> None:
    label = clean(text)
    assert 1 <= len(label) <= 80
    assert label.isprintable()
    assert unicodedata.is_normalized("NFC", label)
    assert label.encode()
    assert clean(label) == label


@given(
    st.text(st.characters(), min_size=1), st.sampled_from(["configured", "read", "contained", "identifier", "display"])
)
def test_every_way_to_a_name_is_cleaned(text: str, way: str) -> None:
    party = {
        "configured": Party("#x"),
        "read": Party(OWN),
        "contained": Party("#y", contained=text),
        "identifier": Party(identifier="s|" + text),
        "display": Party(display=text),
    }[way]
    assert name_payer(party, directory({"#x": text}, BASE, {OWN: text})) == clean(text)


# Patterns, groups and former names

TABLE = """
- name: Ours
  reference_patterns: ['Organization/.*', 'https://other\\.example/.*']
- name: Exact
  references: [Organization/8]
  identifiers: ['npi|123']
- name: By pattern
  identifier_patterns: ['npi\\|9.*', '4[0-9]+']
- name: Child
  parent: Parent
- name: New
  formerly: [Old, '77']
"""


@pytest.mark.parametrize(
    ("party", "label"),
    [
        (Party(OWN), "Ours"),
        (Party(f"{BASE}/{OWN}"), "Ours"),
        (Party("Organization/8"), "Exact"),
        (Party(f"{BASE}/Organization/8"), "Exact"),
        (Party(ELSEWHERE), "Ours"),
        (Party(OWN, identifier="npi|123"), "Exact"),
        (Party(OWN, identifier="npi|999"), "Ours"),
        (Party("#x", contained="Inside", identifier="npi|123"), "Inside"),
        (Party("#x", contained="Child", identifier="npi|123"), "Parent"),
        (Party(identifier="npi|91"), "By pattern"),
        (Party(identifier="urn:y|41"), "By pattern"),
        (Party(identifier="npi|5"), "5"),
        (Party(identifier="npi|77"), "New"),
        (Party(display="Child"), "Parent"),
        (Party(display=" Old "), "New"),
        (Party(display="Older"), "Older"),
        (Party("Practitioner/7", "Practitioner", display="Child"), "Practitioner"),
        (None, "unknown"),
    ],
)
def test_keys_win_over_patterns_and_every_name_is_shown_as_its_label(party: Party | None, label: str) -> None:
    assert name_payer(party, PayerDirectory(payer_table(TABLE), BASE)) == label


def test_a_pattern_spares_the_read_of_the_organization_and_a_name_on_the_server_finds_its_parent() -> None:
    table = payer_table("- {name: A, reference_patterns: ['Organization/a-.*']}\n- {name: B of Ohio, parent: B}")
    read: dict[str, str | None] = {}
    known = PayerDirectory(table, BASE, read)
    assert name_payer(Party("Organization/a-1"), known) == "A"
    assert name_payer(Party("Organization/b-1"), known) == NeedsOrganization("Organization/b-1")
    read["Organization/b-1"] = "B of Ohio"
    assert name_payer(Party("Organization/b-1"), known) == "B"
