"""Which word a failure gets; and which texts must stay without one."""

import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.task.model import REASONS, UNCLASSIFIED
from exporter.task.reasons import DEFAULTS, Explanation, Source, classifier, explain

PHRASES = (
    "Export failed.",
    "connection refused",
    "HTTP 401",
    "no errors",
    "Download ok",
    "\r\n",
    "; ",
    "timed out",
    "store",
)
TEXTS = st.lists(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PHRASES)).map(" ".join)), max_size=5)

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
    "network": (
        "java.net.UnknownHostException: fhir.payer.example",
        "Failed to authenticate: connection reset",
        "Unable to connect to the source payer",
    ),
    "tls": (
        "PKIX path building failed",
        "Received fatal alert: handshake_failure",
        "Error while checking the server certificate",
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
        "disk full while storing",
        "could not save bundle",
    ),
    "export": (
        "Export failed at the source payer",
        "Error from $export: status 500",
        "HTTP 500 at $export",
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


def test_what_went_wrong_comes_before_where() -> None:
    """HAPI FHIR names the URL of a request that did not get through, and so the step."""
    assert classifier(())(["Member match failed: connection refused"]) == "network"
    assert classifier(())(["Unable to authenticate", "Read timed out"]) == "timeout"
    assert classifier(())(["Connection refused at the first try, then 401 Unauthorized"]) == "auth"


def test_a_name_with_dots_stays_in_one_clause_and_a_full_stop_ends_it() -> None:
    assert classifier(())(["Download from fhir.payer.example failed"]) == "download"
    assert classifier(())(["Download from fhir.payer.example. Failed"]) == UNCLASSIFIED
    assert classifier(())(['("Download done.") Failed']) == UNCLASSIFIED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the second one", Explanation("sanctions", Source.RULE, 2)),
        ("Connection refused", Explanation("network", Source.OUTRIGHT)),
        ("Export failed", Explanation("export", Source.STAGE)),
        ("Export done", Explanation(UNCLASSIFIED, Source.NOTHING)),
    ],
)
def test_an_explanation_says_what_gave_the_reason(text: str, expected: Explanation) -> None:
    rules = (("first", re.compile("first")), ("sanctions", re.compile("second")))
    assert explain(rules, [text]) == expected


@given(TEXTS)
def test_the_answer_is_always_one_of_the_words(texts: list[str]) -> None:
    assert classifier(())(texts) in (*REASONS, UNCLASSIFIED)


@given(TEXTS, st.lists(st.sampled_from(["a", "failed", r"\bexport\b", "x$"]), max_size=3))
def test_an_explanation_and_the_classifier_never_disagree(texts: list[str], patterns: list[str]) -> None:
    rules = [(f"rule_{number}", re.compile(pattern)) for number, pattern in enumerate(patterns, 1)]
    found = explain(rules, texts)
    assert classifier(rules)(texts) == found.reason
    assert (found.source is Source.RULE) == found.reason.startswith("rule_")
    assert (found.source is Source.NOTHING) == (found.reason == UNCLASSIFIED)
    assert found.number is None or found.reason == f"rule_{found.number}"


@pytest.mark.parametrize(
    "piece",
    [
        *("failed ", "export ", "no ", "error " * 2, "a", " ", "timeout ", "access ", "member match ", "-", "invalid_"),
        *("failed.", "a.", "0 ", "http://", "https://a ", "get ", "url: x", "hostname ", "certificate", "connection "),
        *("http 5", "not ", "without any ", "exception", "exception.", "ssl ", "bulk_", "$"),
    ],
)
def test_eight_times_the_text_takes_about_eight_times_as_long(piece: str) -> None:
    """Quadratic time would be 64 times as long."""
    short, long = (min(seconds(piece * (size // len(piece))) for _ in range(3)) for size in (5_000, 40_000))
    assert long < 24 * short


def seconds(text: str) -> float:
    classify, began = classifier(()), time.process_time()
    classify([text])
    return time.process_time() - began
