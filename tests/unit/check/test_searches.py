"""What `check` says about searches: what the exporter copes with, and what must be fixed."""

import pytest

from ...support import quirks
from ...support.fake import START, HandClock
from .case import Case, below

WARNINGS = {
    "_tag is refused": ((quirks.tag_retired,), "search by _tag: refused", "Activate the search parameter"),
    "_tag is ignored": ((quirks.ignoring("_tag"),), "search by _tag: ignored", "reads every Task"),
    "no counts": (
        (quirks.when(quirks.is_search, quirks.total(None)),),
        "counts: the server gives none",
        "Allow _summary=count",
    ),
    "a clock ahead": (
        (quirks.clock_told(lambda: START + 10_800_000),),
        "clock: the server's is 3 hours ahead of the local one",
        "NTP",
    ),
    "no clock": ((quirks.without_clock,), "clock: the server sends no timestamp", "NTP"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_the_operator_should_look_at_is_a_warning(case: Case, name: str) -> None:
    played, text, remedy = WARNINGS[name]
    code, told = case.run(*played)
    assert remedy in below(told, f"WARN  {text}")
    assert code == 0


INFORMATION = {
    "no upper bound": ((quirks.bound_ignored("lt"),), "search by _lastUpdated before: ignored", "reads every Task"),
    "no counts by tag": ((quirks.tag_retired,), "counts: none, since", "reads every Task"),
    "small pages": (
        (quirks.clamped(2),),
        "pages: the server sends 2 Tasks per page; 200 were requested",
        "maximum page size",
    ),
    "pages of one": (
        (quirks.clamped(1),),
        "pages: the server sends 1 Task per page; 200 were requested",
        "maximum page size",
    ),
}


@pytest.mark.parametrize("name", INFORMATION)
def test_what_needs_no_action_is_information(case: Case, name: str) -> None:
    played, text, remedy = INFORMATION[name]
    code, told = case.run(*played)
    assert remedy in below(told, f"INFO  {text}")
    assert code == 0


BACKWARDS = quirks.asking(lambda query: [(name, "-" + value if name == "_sort" else value) for name, value in query])
FAILURES = {
    "no lower bound": ((quirks.bound_ignored("ge"),), "search by _lastUpdated from: ignored", "Activate the search"),
    "no status:not": ((quirks.ignoring("status:not"),), "search by status:not: ignored", "Let the modifier :not"),
    "another order": ((BACKWARDS,), "_sort: ignored; Tasks are not sorted by their stamps", "proxy that drops it"),
    "links elsewhere": (
        (quirks.clamped(2), quirks.next_at("http://evil.example/fhir")),
        *("page links: ", "--fhir.rewrite-links"),
    ),
    "links that end": (
        (quirks.clamped(2), quirks.expired_pages),
        "page links: ",
        "No action needed: the walk continues",
    ),
    "links to themselves": ((quirks.clamped(2), quirks.next_to_itself), "page links: ", "a cache or proxy"),
    "a stubborn cache": (
        (quirks.result_cache(HandClock(), obedient=False),),
        "cache: The response came from a cache",
        "Pass Cache-Control: no-cache through",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_must_be_fixed_is_a_problem_and_hides_no_other(case: Case, name: str) -> None:
    played, text, remedy = FAILURES[name]
    code, told = case.run(*played)
    assert remedy in below(told, f"FAIL  {text}")
    assert code == 1
    assert told.count("\nFAIL") == 1
    assert told.endswith("1 problem found. Fix it and run check again.\n")
    assert "payer Old Payer" in told


def test_a_server_that_refuses_status_still_tells_how_many_tasks_there_are(case: Case) -> None:
    code, told = case.run(quirks.refusing("status"))
    assert code == 1
    assert "OK    Tasks: 5 (by status unknown)" in told
    assert "Activate the search parameter status" in below(told, "FAIL  search by status: refused")


def test_a_server_that_ignores_status_is_found_out(case: Case) -> None:
    code, told = case.run(quirks.ignoring("status"))
    assert code == 1
    assert "Activate the search parameter status" in below(told, "FAIL  search by status: ignored")


@pytest.mark.parametrize("played", [quirks.tag_retired, quirks.when(quirks.is_search, quirks.total(None))])
def test_search_parameters_that_are_not_tested_are_told(case: Case, played: quirks.Quirk) -> None:
    assert "INFO  search parameters: not tested, since that needs counts of Tasks\n" in case.run(played)[1]
