"""Which patterns of payers are taken, and that those which are take no time on any text of bounded length."""

import re

import pytest

from exporter.config.patterns import TOO_SLOW, quick
from exporter.config.values import InvalidValue


@pytest.mark.parametrize(
    "pattern",
    [
        *("Organization/northwind-[0-9]+", r"(?i)organization/nw\w*", r"Organization/(ohio|texas|new-york)-\d+"),
        *(
            r"http://hl7\.org/fhir/sid/us-npi\|12345.*",
            r"([0-9]{4}-){2}[0-9]+",
            r".*-(?:a|b)-.*-.*",
            r"\(a+\)*",
            "[(a+)*]+",
        ),
        *(r"(?P<plan>nw)-(?P=plan)", "[]*+]{2,3}x", r"a{8}b{8}c{8}d{8}e{8}", "(x?|y)z"),
    ],
)
def test_plain_patterns_are_taken(pattern: str) -> None:
    assert quick(pattern).pattern == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+b", "(a*)*", "(?:a|aa)+", "((a+)b)*", "([a-z]+-)*x", "(?:(?:a?)b){9}", "(a{1,9}){1,9}", r"(\w+,)*?x"),
        *(".*a.*b.*c.*", "a+b+c+d+", "a{1,9}a{1,9}a{1,9}a{1,9}", "(?P<x>.*)+", "(a?){40}"),
    ],
)
def test_patterns_that_a_text_can_keep_busy_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        quick(pattern)
    assert str(caught.value) == TOO_SLOW
    re.compile(pattern)  # it is valid: the sentence is about nothing else


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?P<x", "\\", "(" * 5000])
def test_what_is_no_regular_expression_is_named(pattern: str) -> None:
    with pytest.raises(InvalidValue, match="is not a valid Python regular expression"):
        quick(pattern)
