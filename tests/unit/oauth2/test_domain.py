"""Where credentials may go that the FHIR server names."""

import pytest

from exporter.fhir.links import parse_base_url
from exporter.oauth2.domain import is_trusted


def trusted(home: str, found: str) -> bool:
    return is_trusted(parse_base_url(home), parse_base_url(found))


@pytest.mark.parametrize(
    ("home", "found"),
    [
        ("https://cdr.example.org/fhir", "https://cdr.example.org/oauth/token"),
        ("https://cdr.example.org/fhir", "https://cdr.example.org:9200/oauth/token"),
        ("https://cdr.example.org/fhir", "https://auth.example.org/token"),
        ("https://cdr.example.org/fhir", "https://example.org/token"),
        ("https://a.b.ours.co.uk/fhir", "https://auth.ours.co.uk/token"),
        ("https://cdr.hospital.internal/fhir", "https://auth.hospital.internal/token"),
        ("https://10.0.0.1/fhir", "https://10.0.0.1:9200/token"),
        ("https://[2001:db8::1]/fhir", "https://[2001:db8::1]:9200/token"),
        ("http://localhost:8000/fhir", "http://localhost:9200/token"),
        ("http://127.0.0.1:8000/fhir", "http://127.0.0.1:9200/token"),
        ("https://cdr/fhir", "https://cdr:9200/token"),
    ],
)
def test_the_same_host_and_the_same_domain_are_trusted(home: str, found: str) -> None:
    assert trusted(home, found)


@pytest.mark.parametrize(
    ("home", "found"),
    [
        ("https://cdr.example.org/fhir", "http://cdr.example.org/token"),
        ("https://cdr.example.org/fhir", "https://cdr.example.com/token"),
        ("https://cdr.example.org/fhir", "https://cdr.example.org.evil.example/token"),
        ("https://cdr.example.org/fhir", "https://evilexample.org/token"),
        ("https://cdr.ours.co.uk/fhir", "https://auth.theirs.co.uk/token"),
        ("https://ours.github.io/fhir", "https://theirs.github.io/token"),
        ("https://cdr.example.org/fhir", "https://org/token"),
        ("https://cdr.example.org/fhir", "http://127.0.0.1:9200/token"),
        ("https://cdr.example.org/fhir", "http://localhost/token"),
        ("https://10.0.0.1/fhir", "https://10.0.0.2/token"),
        ("https://10.1.0.1/fhir", "https://192.168.0.1/token"),
        ("https://10.1/fhir", "https://9.10.1/token"),
        ("https://a.0x7f/fhir", "https://b.a.0x7f/token"),
        ("https://[2001:db8::1]/fhir", "https://[2001:db8::2]/token"),
        ("https://cdr/fhir", "https://auth/token"),
        ("https://cdr/fhir", "https://cdr.example.org/token"),
        ("http://localhost:8000/fhir", "http://127.0.0.1:8000/token"),
    ],
)
def test_any_other_place_is_not(home: str, found: str) -> None:
    assert not trusted(home, found)
