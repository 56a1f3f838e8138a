"""No text of the server leaves the decoder but names of payers."""

from typing import Any

import pytest

from exporter.task.model import Party, Status
from tests.support import builders as make

from .pages import decoded, entry, everything, outcome

SHOWN = {"resourceType", "id", "versionId", "lastUpdated", "authoredOn", "status", "tag", "code"}
"""Elements that keep their content in a page of canaries, or nothing of it would be read at all."""


def canaried(value: Any, shown: frozenset[str]) -> Any:
    """Replace every text but those of the elements `shown`."""
    if isinstance(value, dict):
        return {name: part if name in shown else canaried(part, shown) for name, part in value.items()}
    if isinstance(value, list):
        return [canaried(part, shown) for part in value]
    return f"CANARY {value}" if isinstance(value, str) else value


@pytest.mark.parametrize("status", [status.value for status in Status])
@pytest.mark.parametrize(
    "person",
    [
        make.reference("Practitioner/1", display="Dr Adam Careful", identifier={"system": "npi", "value": "1"}),
        make.reference("#payer", display="Jane"),
    ],
)
def test_no_text_of_a_page_comes_through(status: str, person: Any) -> None:
    shown = frozenset(SHOWN)
    resource = canaried(everything(person, status), shown) | {"requester": person | {"display": "CANARY"}}
    resource["owner"] = person | {"display": "CANARY"}
    odd = resource | {"id": "odd", "status": ["CANARY"]}
    untagged = resource | {"meta": {"versionId": "1", "lastUpdated": "2026-11-20T14:03:11Z"}}
    page = decoded(
        entry(resource),
        entry(odd),
        entry(untagged),
        entry(canaried(make.organization(), shown), "include"),
        entry(canaried(outcome(), frozenset({"resourceType", "severity"})), "outcome"),
        link=[{"relation": "self", "url": "http://x/?name=CANARY"}],
    )
    assert [task.usable for task in page.tasks] == [True, False, True]
    assert "CANARY" not in repr(page)
    assert "Careful" not in repr(page)
    assert "Jane" not in repr(page)


def test_an_organizations_name_is_all_that_comes_through() -> None:
    resource = canaried(everything(make.reference("Organization/7", display="x"), "failed"), frozenset(SHOWN))
    resource["owner"] = {"reference": "Organization/7", "display": "CANARY Payer"}
    resource["requester"] = make.reference("Organization/8")
    (task,) = decoded(entry(resource)).tasks
    assert task.owner == Party("Organization/7", "Organization", None, "CANARY Payer")
    assert repr(task).count("CANARY") == 1
