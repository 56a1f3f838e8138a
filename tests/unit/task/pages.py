"""Pages as a FHIR server sends them, made of `tests.support.builders`; and what the decoder makes of them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from exporter.task.bundle import decode_page
from exporter.task.model import UNCLASSIFIED, Coding, Page, Selection, Task
from tests.support import builders as make
from tests.support.builders import CODE, TAG, Resource, meta

OURS = Selection(TAG, CODE)
ALL = Selection()
UPDATED = "2026-11-20T14:03:11.482-05:00"
UPDATED_AT = 1_795_201_391_482
CLOCK = "2026-11-21T00:00:00Z"
CLOCK_AT = 1_795_219_200_000
OTHER = Coding("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED")
"""A tag that HAPI adds."""
SAMPLES = Path(__file__).parents[2] / "support" / "samples" / "hl7"


def stored(resource: Resource, *tags: Coding, **elements: Any) -> Resource:
    """Give a resource what a server adds: version 4, stamped UPDATED; our tag unless others are named."""
    return resource | {"meta": meta(*(tags or (TAG,)), versionId="4", lastUpdated=UPDATED) | elements}


def entry(resource: Any, mode: str | None = "match") -> dict[str, Any]:
    """Write an entry; without `mode` it has no `search`."""
    return {"fullUrl": "http://fhir.example/fhir/x", "resource": resource} | (
        {"search": {"mode": mode}} if mode else {}
    )


def searchset(*entries: Any, **elements: Any) -> bytes:
    """Write a page."""
    bundle = {"resourceType": "Bundle", "type": "searchset", "meta": {"lastUpdated": CLOCK}, "entry": list(entries)}
    return json.dumps(bundle | elements).encode()


def quiet(_: Iterable[str]) -> str:
    """Classify nothing."""
    return UNCLASSIFIED


def decoded(*entries: Any, selection: Selection = OURS, **elements: Any) -> Page:
    """Decode a page of these entries."""
    return decode_page(searchset(*entries, **elements), selection, quiet)


def read(resource: Resource, selection: Selection = OURS) -> Task:
    """Decode the one Task of a page."""
    (task,) = decoded(entry(resource), selection=selection).tasks
    return task


def sample(name: str) -> bytes:
    """Read an official example of HL7."""
    return (SAMPLES / f"{name}.json").read_bytes()


def outcome(severity: str = "warning") -> make.Resource:
    """Make an OperationOutcome that names a patient."""
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "diagnostics": "John Doe"}]}


def everything(owner: Any, status: str) -> make.Resource:
    """Make a Task with texts in every element that could hold one."""
    return stored(
        make.task(
            status=status,
            owner=owner,
            output=make.output(2, 1),
            note=[{"text": "note", "authorString": "author", "authorReference": make.reference("Practitioner/1")}],
            statusReason=make.concept(OTHER, text="reason"),
            businessStatus=make.concept(OTHER, text="business"),
            description="description",
            input=[{"type": {"text": "input"}, "valueString": "value"}],
            groupIdentifier={"system": "s", "value": "v"},
            encounter=make.reference("Encounter/1", display="encounter"),
            contained=[
                {"resourceType": "Patient", "id": "payer", "name": [{"family": "family"}], "text": {"div": "d"}}
            ],
            extension=[{"url": "u", "valueString": "extension"}],
            focus=make.reference("Consent/1", display="consent", identifier={"value": "v"}),
            for_=make.reference("Patient/1", display="patient", identifier={"value": "v"}),
        ),
        source="source",
        security=[make.coding(OTHER)],
        profile=["profile"],
    )
