"""How a payer comes by its label, step by step (docs/fhir-quirks.md#owner-resolution)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.task.model import Party
from exporter.task.payers import PEOPLE, NeedsOrganization, PayerDirectory, clean, name_payer

BASE = "https://cdr.example/fhir"
OWN = "Organization/7"
FULL = Party(OWN, "Organization", "npi|123", "Displayed", "Contained")
ELSEWHERE = "https://other.example/fhir/Organization/7"


@pytest.mark.parametrize(
    ("party", "directory", "label"),
    [
        (FULL, PayerDirectory({OWN: "Mapped", "npi|123": "By token"}, BASE, {OWN: "Read"}), "Mapped"),
        (FULL, PayerDirectory({f"{BASE}/{OWN}": "Mapped"}, BASE), "Mapped"),
        (FULL._replace(reference=f"{BASE}/{OWN}"), PayerDirectory({OWN: "Mapped"}, BASE), "Mapped"),
        (FULL, PayerDirectory({"npi|123": "By token"}, BASE, {OWN: "Read"}), "Read"),
        (FULL._replace(reference=f"{BASE}/{OWN}"), PayerDirectory({}, BASE + "/", {OWN: "Read"}), "Read"),
        (FULL, PayerDirectory({"npi|123": "By token"}, BASE, {OWN: None}), "Contained"),
        (
            FULL._replace(contained=None),
            PayerDirectory({"npi|123": "By token", "123": "By value"}, BASE, {OWN: None}),
            "By token",
        ),
        (FULL._replace(contained=None), PayerDirectory({"123": "By value"}, BASE, {OWN: None}), "By value"),
        (FULL._replace(contained=None), PayerDirectory({}, BASE, {OWN: None}), "123"),
        (FULL._replace(contained=None), PayerDirectory({}, BASE, {OWN: "\u200b\u202e"}), "123"),
        (Party(identifier="|123"), PayerDirectory({"|123": "Without system"}, BASE), "Without system"),
        (Party(identifier="urn:x|a|b"), PayerDirectory({}, BASE), "a|b"),
        (Party(display="Displayed"), PayerDirectory({"Displayed": "no key"}, BASE), "Displayed"),
        (Party(OWN, display="Displayed"), PayerDirectory({}, BASE, {OWN: None}), "Displayed"),
        (Party(OWN), PayerDirectory({}, BASE, {OWN: None}), "unknown"),
        (Party("#payer", contained="Contained"), PayerDirectory({}, BASE), "Contained"),
        (Party("#payer"), PayerDirectory({}, BASE), "unknown"),
        (Party(ELSEWHERE), PayerDirectory({ELSEWHERE: "Mapped"}, BASE), "Mapped"),
        (Party(ELSEWHERE, display="Displayed"), PayerDirectory({}, BASE, {OWN: "Read"}), "Displayed"),
        (Party(display="other"), PayerDirectory({}, BASE), "other"),
        (None, PayerDirectory({"": "x"}, BASE), "unknown"),
    ],
)
def test_the_first_step_that_tells_decides(party: Party | None, directory: PayerDirectory, label: str) -> None:
    assert name_payer(party, directory) == label


@pytest.mark.parametrize("reference", [OWN, f"{BASE}/{OWN}"])
@pytest.mark.parametrize("base", [BASE, BASE + "/"])
def test_our_own_organization_is_asked_for_once(reference: str, base: str) -> None:
    read: dict[str, str | None] = {}
    directory = PayerDirectory({}, base, read)
    assert name_payer(Party(reference, display="Displayed"), directory) == NeedsOrganization(OWN)
    read[OWN] = "Read"
    assert name_payer(Party(reference, display="Displayed"), directory) == "Read"


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
    assert name_payer(Party(reference), PayerDirectory({}, BASE)) == "unknown"


@pytest.mark.parametrize("kind", sorted(PEOPLE))
def test_a_person_is_a_type_word_whatever_else_is_known(kind: str) -> None:
    party = Party(f"{kind}/7", kind, "npi|123", "Dr Adam Careful", "Careful")
    assert name_payer(party, PayerDirectory({f"{kind}/7": "Mapped", "npi|123": "Mapped"}, BASE)) == kind


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
    assert name_payer(party, PayerDirectory({"#x": text}, BASE, {OWN: text})) == clean(text)
