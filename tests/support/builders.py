"""Resources as Smile CDR documents them, one function each; all content is invented.

Any element can be replaced by name; None leaves it out: `task("t-1", "failed", owner=None, note=note("…"))`.
"""

from typing import Any

from exporter.demo.dates import format_stamp
from exporter.task.model import Coding, Instant

from .fake import START

TAG = Coding("http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes", "CDR_MANAGED")
CODE = Coding("http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp", "data-request")
NPI = "http://hl7.org/fhir/sid/us-npi"
HOUR = 3_600_000
"""Milliseconds."""

Resource = dict[str, Any]


def task(identifier: str = "p2p-task-1", status: str | None = "requested", **elements: Any) -> Resource:
    """Make a tagged P2P Task, authored an hour before START; `for_` is the element `for`."""
    resource: Resource = {
        "resourceType": "Task",
        "id": identifier,
        "meta": {"tag": [coding(TAG)]},
        "text": {"status": "generated", "div": "<div>A narrative</div>"},
        "status": status,
        "intent": "order",
        "code": {"coding": [coding(CODE)]},
        "focus": {"reference": "Consent/consent-1"},
        "for": {"reference": "Patient/patient-1"},
        "authoredOn": format_stamp(START - HOUR),
        "requester": reference("Organization/new-payer"),
        "owner": reference("Organization/old-payer"),
    }
    resource |= {name.rstrip("_"): value for name, value in elements.items()}
    return {name: value for name, value in resource.items() if value is not None}


def completed(identifier: str = "p2p-task-1", documents: int = 1, **elements: Any) -> Resource:
    """Make a completed Task with so many archived documents."""
    return task(identifier, "completed", output=output(documents), **elements)


def failed(identifier: str = "p2p-task-1", note_text: str = "It failed", **elements: Any) -> Resource:
    """Make a failed Task with a note."""
    return task(identifier, "failed", **({"note": note(note_text)} | elements))


def organization(identifier: str = "old-payer", name: str | None = "Old Payer", **elements: Any) -> Resource:
    """Make an Organization."""
    resource: Resource = {"resourceType": "Organization", "id": identifier, "active": True, "name": name}
    return {name: value for name, value in (resource | elements).items() if value is not None}


def coding(value: Coding) -> Resource:
    """Write a Coding."""
    return {"system": value.system, "code": value.code}


def meta(*tags: Coding, **elements: Any) -> Resource:
    """Write a meta with these tags only; none leaves the Task untagged."""
    return {"tag": [coding(tag) for tag in tags]} | elements


def concept(*codes: Coding, text: str | None = None) -> Resource:
    """Write a CodeableConcept."""
    return {"coding": [coding(code) for code in codes]} | ({"text": text} if text else {})


def reference(target: str, **elements: Any) -> Resource:
    """Write a Reference: relative, absolute or `#contained`."""
    return {"reference": target} | elements


def by_identifier(value: str, system: str = NPI, **elements: Any) -> Resource:
    """Write a Reference that holds an identifier only."""
    return {"identifier": {"system": system, "value": value}} | elements


def by_display(name: str) -> Resource:
    """Write a Reference that holds a display only."""
    return {"display": name}


def contained(name: str, identifier: str = "payer") -> dict[str, Any]:
    """Return the elements of a Task whose owner is a contained Organization: `task(**contained("Old Payer"))`."""
    return {"contained": [organization(identifier, name)], "owner": reference("#" + identifier)}


def note(*texts: str) -> list[Resource]:
    """Write notes."""
    return [{"text": text} for text in texts]


def output(documents: int, others: int = 0) -> list[Resource] | None:
    """Write outputs: so many DocumentReferences, so many others; none at all is no element."""
    made = [_output("documentreference", f"DocumentReference/document-{n}") for n in range(documents)]
    return made + [_output("other", f"Binary/binary-{n}") for n in range(others)] or None


def _output(kind: str, target: str) -> Resource:
    return {"type": {"coding": [{"code": kind}]}, "valueReference": reference(target)}


def at(hours: float) -> str:
    """Write the instant so many hours after START (before it, if negative) as FHIR does."""
    return format_stamp(_moment(hours))


def _moment(hours: float) -> Instant:
    return START + round(hours * HOUR)
