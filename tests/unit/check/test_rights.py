"""`check` tests each right, and names the one that is missing."""

import dataclasses
from collections.abc import Callable

import pytest

from exporter.demo.server import Request
from exporter.task.payer_table import PayerTable

from ...support import quirks
from ...support.builders import by_display, by_identifier, reference, task
from .case import CANARY, SETTINGS, Case, below

REFUSED = [401, 403]


def of(kind: str) -> Callable[[Request], bool]:
    """Choose what asks for this type."""
    return lambda request: f"/{kind}" in request.path


def refusing(kind: str, status: int = 403) -> quirks.Quirk:
    return quirks.when(of(kind), quirks.outcome_told(status, CANARY))


@pytest.mark.parametrize("status", REFUSED)
def test_a_missing_right_to_read_organization_is_named_and_fails(case: Case, status: int) -> None:
    code, told = case.run(refusing("Organization", status))
    assert code == 1
    remedy = below(told, f"FAIL  Organization: may not be read; fhir.example:80 answered {status}")
    assert "FHIR_READ_ALL_OF_TYPE Organization" in remedy
    assert "system/Organization.read" in remedy
    assert "OK    Task: can be searched\n" in told
    assert told.count("FAIL  ") == 1
    assert "OK    search by status:not: obeyed" in told
    assert CANARY not in told


def test_the_table_of_payers_says_that_reads_are_refused(case: Case) -> None:
    told = case.run(refusing("Organization"))[1]
    remedy = below(told, "WARN  payers: some have no name, since reads of Organization are refused")
    assert "Grant that right (see above)" in remedy
    assert 'references: ["Organization/new-payer"]' in told


def test_one_organization_that_may_not_be_read_is_enough(case: Case) -> None:
    code, told = case.run(refusing("Organization/new-payer"))
    assert code == 1
    assert "FAIL  Organization: may not be read" in told
    assert "payer Old Payer" in told


def test_few_organizations_are_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    case = Case(capsys, [task(f"t-{n}", owner=reference(f"Organization/gone-{n}"), requester=None) for n in range(20)])
    code, told = case.run()
    asked = [request for request in case.transport.requests if "/Organization" in request.path]
    assert code == 0
    assert len(asked) == 20 + 5 + 1
    assert "OK    Organization: can be searched; no payer of the sample was named by one\n" in told
    assert "WARN  payers: some have no name\n" in told


@pytest.mark.parametrize("status", REFUSED)
def test_the_right_is_tested_by_a_search_where_no_payer_refers_to_an_organization(
    capsys: pytest.CaptureFixture[str], status: int
) -> None:
    case = Case(capsys, [task("a", owner=by_display("A"), requester=by_identifier("1"))])
    assert case.run()[0] == 0
    code, told = case.run(refusing("Organization", status))
    assert code == 1
    assert f"FAIL  Organization: may not be read; fhir.example:80 answered {status}" in told


def test_the_right_is_tested_where_there_is_no_task(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = Case(capsys, ()).run(refusing("Organization"))
    assert code == 1
    assert "FAIL  Organization: may not be read" in told


def test_the_right_is_tested_where_each_payer_is_configured(case: Case) -> None:
    payers = PayerTable({"Organization/new-payer": "New", "Organization/old-payer": "Old"})
    settings = dataclasses.replace(SETTINGS, payers=payers)
    code, told = case.run(refusing("Organization"), settings=settings)
    assert code == 1
    assert "payer Old (answers 5" in told
    assert "payers: some have no name" not in told


def test_a_server_without_organizations_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = Case(capsys, [task("a", owner=by_display("A"), requester=None)]).run(refusing("Organization", 404))
    assert code == 0
    assert "under `payers:`" in below(told, "WARN  Organization: the server does not offer it (it answered 404)")


@pytest.mark.parametrize("status", REFUSED)
def test_metadata_that_may_not_be_read_is_a_warning(case: Case, status: int) -> None:
    code, told = case.run(refusing("metadata", status))
    assert code == 0
    remedy = below(told, f"WARN  metadata: may not be read; fhir.example:80 answered {status}")
    assert "FHIR_CAPABILITIES" in remedy
    assert CANARY not in told


def test_metadata_that_is_broken_is_information(case: Case) -> None:
    code, told = case.run(quirks.when(of("metadata"), quirks.login_page))
    assert code == 0
    assert "No action is needed" in below(told, "INFO  metadata: ")


def test_a_missing_right_to_read_task_fails_at_task_and_hides_no_other_right(case: Case) -> None:
    code, told = case.run(refusing("Task"))
    assert code == 1
    assert "OK    authentication: " in told
    remedy = below(told, "FAIL  Task: may not be read; fhir.example:80 answered 403")
    assert "FHIR_READ_ALL_OF_TYPE Task" in remedy
    assert "system/Task.read" in remedy
    assert "OK    Organization: can be searched" in told
    assert "OK    metadata: " in told
    assert "INFO  stopped at Task; not tested: search parameters\n" in told


def test_all_missing_rights_are_named_at_once(case: Case) -> None:
    code, told = case.run(quirks.outcome_told(403, CANARY))
    assert code == 1
    assert told.count("may not be read; ") == 3
    assert told.endswith("2 problems found. Fix them and run check again.\n")
    assert case.transport.count == 3
    assert CANARY not in told


def test_a_right_that_is_missing_for_counts_alone_stops_nothing(case: Case) -> None:
    counting = quirks.when(lambda request: ("_summary", "count") in request.query, quirks.outcome_told(403, CANARY))
    code, told = case.run(counting)
    assert code == 1
    assert "FAIL  counts: fhir.example:80 answered 403" in told
    assert "OK    Organization: can be read\n" in told
    assert "payer Old Payer" in told
