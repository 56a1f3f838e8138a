"""Which names may mean one payer."""

import pytest

from exporter.check.spelling import insurer, spelling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Northwind Health", "NORTHWIND HEALTH"),
        ("Northwind Health", "Northwind Health, Inc."),
        ("Northwind Health", "The Northwind-Health Company, L.L.C."),
        ("St. Mary's Plan", "St Mary\u2019s Plan"),
        ("\uff21cme", "Acme Corp"),
    ],
)
def test_case_punctuation_and_legal_form_make_no_other_payer(one: str, other: str) -> None:
    assert spelling(one) == spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Northwind Health", "Northwind"), ("Payer 1", "Payer 2"), ("Inc", "LLC"), ("Acme of Ohio", "Acme of Utah")],
)
def test_other_words_make_another_payer(one: str, other: str) -> None:
    assert spelling(one) != spelling(other)


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("Northwind Health Plan of Ohio, Inc.", "northwind health"),
        ("Northwind Health Plans", "northwind health"),
        ("Contoso of Texas", "contoso"),
        ("Northwind Health", None),
        ("Health Plan of Nevada", None),
        ("Blue Cross of Idaho", None),
        ("Blue Cross and Blue Shield of Utah", None),
        ("State of Ohio", None),
        ("", None),
    ],
)
def test_a_plan_names_its_insurer_if_the_words_name_one(name: str, whose: str | None) -> None:
    assert insurer(name) == whose
