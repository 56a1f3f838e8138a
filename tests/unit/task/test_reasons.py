"""Which word a failure gets; and which texts must stay without one."""

import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.task.model import REASONS, UNCLASSIFIED
from exporter.task.reasons import DEFAULTS, classifier

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "no_data": (
        "No matching documents found",
        "The source payer returned no data for this member.",
        "no records were found",
    ),
    "auth": (
        "Authentication failed at the source payer",
        "401 Unauthorized",
        "error=invalid_client",
        "Unable to obtain access token",
        "HTTP 403 on POST Patient/$member-match",
        "Failed to authenticate: connection reset",
    ),
    "member_match": (
        "Member match failed",
        "$member-match failed with status 422",
        "No member match",
        "Multiple matches",
        "The call of $bulk-member-match was rejected",
    ),
    "timeout": (
        "java.net.SocketTimeoutException: Read timed out",
        "Export job timed out after 24 hours",
        "Gateway Timeout",
        "timeout while polling the export job",
    ),
    "kickoff": (
        "Export kick-off failed with status 400",
        "Failed to start bulk export",
        "kickoff was refused",
    ),
    "download": (
        "Download of file 3 failed",
        "Could not download ndjson",
        "Unable to fetch output files",
    ),
    "store": (
        "Failed to store the received resources",
        "Storing resources failed: version conflict",
        "could not save bundle",
    ),
    "export": (
        "Export failed at the source payer",
        "Error from $export: status 500",
    ),
}

NEAR_MISSES = (
    *("", "   ", "Failed", "It failed", "Something went wrong", "java.lang.NullPointerException"),
    *("Authenticated at the source payer", "Authentication succeeded. Then something failed", "401 resources stored"),
    *("Member match succeeded", "Member matched; the rest failed", "No error in member match"),
    *("Export started", "Export completed without error", "Export done; unexpected failure", "exported 40, 0 errors"),
    *("Downloaded 12 files", "download finished, next step failed", "stored 340 resources"),
    *("timeout is set to 30s", "no time outlook given", "Data were found", "restored after failure"),
)


@pytest.mark.parametrize(("reason", "text"), [(reason, text) for reason, texts in EXAMPLES.items() for text in texts])
def test_a_default_knows_its_examples(reason: str, text: str) -> None:
    assert classifier(())([text]) == reason
    assert classifier(())([text.upper()]) == reason


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_a_near_miss_stays_unclassified(text: str) -> None:
    assert classifier(())([text]) == UNCLASSIFIED


def test_the_defaults_and_their_examples_are_the_contracts_words() -> None:
    assert sorted(row.reason for row in DEFAULTS) == sorted(REASONS)
    assert set(EXAMPLES) == set(REASONS)


def test_a_log_of_steps_is_classified_by_the_step_that_failed() -> None:
    log = "Authenticated. Member match succeeded. Export completed. Downloaded 12 files.\nStoring failed"
    assert classifier(())([log]) == "store"


def test_the_operators_rules_come_first_and_in_order() -> None:
    rules = (("sanctions", re.compile("match")), ("second", re.compile("match failed")))
    assert classifier(rules)(["member match failed"]) == "sanctions"
    assert classifier(rules)(["Member Match Failed"]) == "member_match"
    assert classifier((("auth", re.compile("^xyz$")),))(["abc", "xyz"]) == "auth"


def test_any_of_several_texts_decides() -> None:
    assert classifier(())(iter(["all fine", "see below", "Download failed"])) == "download"


@given(st.lists(st.text(max_size=200), max_size=5))
def test_the_answer_is_always_one_of_the_words(texts: list[str]) -> None:
    assert classifier(())(texts) in (*REASONS, UNCLASSIFIED)


@pytest.mark.parametrize(
    "piece",
    [
        "failed ",
        "export ",
        "no ",
        "error " * 2,
        "a",
        " ",
        "timeout ",
        "access ",
        "member match ",
        "-",
        "invalid_",
        "failed.",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    classify, text = classifier(()), piece * 40_000
    began = time.process_time()
    classify([text])
    assert time.process_time() - began < 2
