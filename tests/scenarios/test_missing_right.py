"""The right to read Organization is missing: said once, counted, and healed by itself once it is granted.

See docs/design.md#organizations.
"""

import logging
from pathlib import Path
from typing import Any

import pytest

from exporter.metrics.vocabulary import Comparison, Outcome

from ..support.builders import completed, organization, reference
from ..support.exposition import by_payer, comparisons, errors, is_up
from ..support.organizations import Organizations, owned, status
from ..support.rig import FULL_ONLY, Rig, prepared

MISSING = "the right to read Organization is missing"
GRANTED = "the right to read Organization is granted"
ALL = tuple(f"o{n}" for n in range(5))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def lines(told: pytest.LogCaptureFixture, message: str = MISSING) -> list[dict[str, Any]]:
    """The fields of the lines with this message."""
    return [vars(record)["fields"] for record in told.records if record.getMessage() == message]


def five(**options: Any) -> tuple[Rig, Organizations]:
    """Prepare an exporter whose five payers are Organizations that it may not read."""
    resources = [organization(each, f"Payer {each}") for each in ALL]
    rig = prepared(*resources, *(owned(f"t-{each}", f"Organization/{each}") for each in ALL), **options)
    server = Organizations(rig)
    server.rules = {each: status(403) for each in ALL}
    return rig, server


def test_a_missing_right_is_one_warning_that_says_what_shows_and_what_to_grant(told: pytest.LogCaptureFixture) -> None:
    rig, _ = five(comparisons=FULL_ONLY)
    rig.start().run_due()
    (fields,) = lines(told)
    assert fields["reason"] == "auth"
    assert "answered 403" in fields["error"]
    assert "identifier" in fields["payers"]
    assert "unknown" in fields["payers"]
    assert "FHIR_READ_ALL_OF_TYPE" in fields["remedy"]
    assert "Organization" in fields["remedy"]
    assert "Organization/o" not in told.text
    assert [record.levelname for record in told.records if record.getMessage() == MISSING] == ["WARNING"]


def test_payers_then_show_by_identifier_or_display_where_there_is_one(told: pytest.LogCaptureFixture) -> None:
    rig, _ = five(comparisons=FULL_ONLY)
    by_identifier = reference("Organization/o1", identifier={"system": "http://x", "value": "NAIC-1"})
    rig.store.put(completed("a", owner=by_identifier, requester=None))
    rig.store.put(completed("b", owner=reference("Organization/o1", display="By Display"), requester=None))
    rig.clock.advance(60)
    rig.start().run_due()
    assert by_payer(rig) == {"unknown": 5, "NAIC-1": 1, "By Display": 1}


def test_a_missing_right_fails_no_poll_and_no_comparison() -> None:
    rig, _ = five(comparisons=FULL_ONLY)
    rig.start().run_due()
    rig.scrape()
    rig.compare_all()
    assert is_up(rig)
    assert comparisons(rig, Comparison.FULL, Outcome.COMPLETE) == 1


def test_it_counts_when_it_is_found_and_once_for_each_full_comparison() -> None:
    rig, _ = five(comparisons=FULL_ONLY)
    rig.start().run_due()
    assert errors(rig) == {"auth": 1}
    rig.store.put(owned("another", "Organization/o1"))
    rig.scrape()
    assert errors(rig) == {"auth": 1}
    for n in (2, 3):
        rig.compare_all()
        assert errors(rig) == {"auth": n}


def test_it_is_not_said_again_by_later_comparisons(told: pytest.LogCaptureFixture) -> None:
    rig, _ = five(comparisons=FULL_ONLY)
    rig.start().run_due()
    for _ in range(3):
        rig.compare_all()
    assert len(lines(told)) == 1


def test_a_right_that_was_granted_names_payers_and_may_be_missed_again(told: pytest.LogCaptureFixture) -> None:
    rig, server = five(comparisons=FULL_ONLY)
    rig.start().run_due()
    server.rules.clear()
    rig.compare_all()
    assert by_payer(rig) == {f"Payer {each}": 1 for each in ALL}
    assert len(lines(told, GRANTED)) == 1
    assert errors(rig) == {"auth": 1}
    server.rules = {each: status(403) for each in ALL}
    rig.compare_all()
    assert by_payer(rig) == {"unknown": 5}
    assert len(lines(told)) == 2
    assert errors(rig) == {"auth": 2}


def test_a_new_process_says_it_again(told: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    rig, server = five(comparisons=FULL_ONLY, path=str(tmp_path / "ledger.db"))
    rig.start().run_due()
    rig.restart().run_due()
    assert len(lines(told)) == 2
    server.rules.clear()
    rig.restart().run_due()
    assert by_payer(rig) == {f"Payer {each}": 1 for each in ALL}
    assert len(lines(told)) == 2


def test_one_organization_that_may_never_be_read_is_said_once(told: pytest.LogCaptureFixture) -> None:
    rig, server = five(comparisons=FULL_ONLY)
    server.rules = {"o2": status(403)}
    rig.start().run_due()
    for _ in range(3):
        rig.compare_all()
    assert len(lines(told)) == 1
    assert lines(told, GRANTED) == []


@pytest.mark.parametrize("code", [404, 410])
def test_an_organization_that_is_not_there_is_no_missing_right(told: pytest.LogCaptureFixture, code: int) -> None:
    rig, server = five(comparisons=FULL_ONLY)
    server.rules = {each: status(code) for each in ALL}
    rig.start().run_due()
    rig.compare_all()
    assert by_payer(rig) == {"unknown": 5}
    assert [record for record in told.records if record.levelno >= logging.WARNING] == []
    assert errors(rig) == {}


def test_credentials_that_expired_are_no_missing_right(told: pytest.LogCaptureFixture) -> None:
    rig, server = five(comparisons=FULL_ONLY)
    server.rules = {each: status(401) for each in ALL}
    rig.start().settle()
    assert lines(told) == []
    assert not is_up(rig)
    assert set(errors(rig)) == {"auth"}
