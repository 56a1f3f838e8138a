"""Resources and answers with a canary of its own in every free text, identifier and reference that R4 gives them.

Only what decides whether a Task counts is honest: id, tag, code, status, the references of the payers.
"""

from typing import Any

from .builders import CODE, TAG, Resource, coding
from .canaries import canary


def concept(path: str) -> Resource:
    """Make a CodeableConcept of canaries."""
    parts = {name: canary(f"{path}.coding.{name}") for name in ("system", "version", "code", "display")}
    return {"coding": [parts], "text": canary(f"{path}.text")}


def identifier(path: str) -> Resource:
    """Make an Identifier of canaries."""
    return {"system": canary(f"{path}.system"), "value": canary(f"{path}.value"), "type": concept(f"{path}.type")}


def reference(path: str, kind: str = "Patient") -> Resource:
    """Make a Reference of canaries to a resource of this kind."""
    return {
        "reference": f"{kind}/{canary(f'{path}.reference')}",
        "display": canary(f"{path}.display"),
        "identifier": identifier(f"{path}.identifier"),
    }


def extension(path: str) -> list[Resource]:
    """Make one extension of canaries."""
    return [{"url": canary(f"{path}.extension.url"), "valueString": canary(f"{path}.extension.value")}]


def annotation(path: str) -> Resource:
    """Make an Annotation of canaries."""
    author = {"authorString": canary(f"{path}.authorString"), "authorReference": reference(f"{path}.authorReference")}
    return {"text": f"It failed: {canary(f'{path}.text')}", "time": canary(f"{path}.time"), **author}


_CONCEPTS = ("statusReason", "businessStatus", "reasonCode")
_REFERENCES = {
    "focus": "Consent",
    "for": "Patient",
    "encounter": "Encounter",
    "location": "Location",
    "reasonReference": "Condition",
}
_REFERENCE_LISTS = {
    "basedOn": "ServiceRequest",
    "partOf": "Task",
    "insurance": "Coverage",
    "relevantHistory": "Provenance",
}
_TEXTS = ("implicitRules", "language", "instantiatesCanonical", "instantiatesUri", "description", "lastModified")


def task(id_: str, status: str, authored: str, **elements: Any) -> Resource:
    """Make a Task that counts, and is full of canaries."""
    meta: Resource = {"source": canary("Task.meta.source")}
    tag = [coding(TAG), {name: canary(f"Task.meta.tag.{name}") for name in ("system", "code", "display")}]
    meta |= {"tag": tag, "profile": [canary("Task.meta.profile")], "extension": extension("Task.meta")}
    meta |= {"security": [{name: canary(f"Task.meta.security.{name}") for name in ("system", "code", "display")}]}
    resource: Resource = {"resourceType": "Task", "id": id_, "meta": meta, "status": status, "authoredOn": authored}
    resource |= {name: canary(f"Task.{name}") for name in _TEXTS}
    resource |= {name: concept(f"Task.{name}") for name in _CONCEPTS}
    resource |= {name: reference(f"Task.{name}", kind) for name, kind in _REFERENCES.items()}
    resource |= {name: [reference(f"Task.{name}", kind)] for name, kind in _REFERENCE_LISTS.items()}
    code = concept("Task.code")
    resource |= {
        "text": {"status": "generated", "div": f"<div>{canary('Task.text.div')}</div>"},
        "contained": [{"resourceType": "Patient", "id": "p", "name": [{"family": canary("Task.contained.name")}]}],
        "extension": extension("Task"),
        "modifierExtension": extension("Task.modifierExtension"),
        "_status": {"extension": extension("Task._status")},
        "identifier": [identifier("Task.identifier")],
        "groupIdentifier": identifier("Task.groupIdentifier"),
        "code": {"coding": [coding(CODE), *code["coding"]], "text": code["text"]},
        "requester": payer("requester", "new-payer"),
        "owner": payer("owner", "old-payer"),
        "performerType": [concept("Task.performerType")],
        "note": [annotation("Task.note")],
        "restriction": {"recipient": [reference("Task.restriction.recipient")]},
        "input": [_parameter("Task.input")],
        "output": [_parameter("Task.output")],
    }
    return {name: value for name, value in (resource | elements).items() if value is not None}


def bare_payer(id_: str) -> Resource:
    """Make a reference to a payer without anything that could name it where its Organization cannot."""
    return {"reference": f"Organization/{id_}"}


def payer(side: str, id_: str) -> Resource:
    """Make a reference to a payer: the Organization's own name is shown, so that nothing else here is."""
    return reference(f"Task.{side}") | {"reference": f"Organization/{id_}"}


def _parameter(path: str) -> Resource:
    return {
        "type": concept(f"{path}.type"),
        "valueString": canary(f"{path}.valueString"),
        "valueReference": reference(f"{path}.valueReference"),
    }


def organization(id_: str, name: str) -> Resource:
    """Make an Organization of which only the name is no canary."""
    return {
        "resourceType": "Organization",
        "id": id_,
        "name": name,
        "meta": {"source": canary("Organization.meta.source"), "tag": [{"code": canary("Organization.meta.tag.code")}]},
        "text": {"status": "generated", "div": f"<div>{canary('Organization.text.div')}</div>"},
        "contained": [{"resourceType": "Person", "id": canary("Organization.contained.id")}],
        "extension": extension("Organization"),
        "identifier": [identifier("Organization.identifier")],
        "type": [concept("Organization.type")],
        "alias": [canary("Organization.alias")],
        "telecom": [{"system": "phone", "value": canary("Organization.telecom.value")}],
        "address": [{part: canary(f"Organization.address.{part}") for part in ("text", "city", "postalCode")}],
        "partOf": reference("Organization.partOf", "Organization"),
        "contact": [
            {
                "name": {"text": canary("Organization.contact.name.text")},
                "purpose": concept("Organization.contact.purpose"),
            }
        ],
        "endpoint": [reference("Organization.endpoint", "Endpoint")],
    }


def outcome(severity: str = "error") -> Resource:
    """Make an OperationOutcome whose every text is a canary."""
    return {
        "resourceType": "OperationOutcome",
        "id": canary("OperationOutcome.id"),
        "meta": {"source": canary("OperationOutcome.meta.source")},
        "text": {"status": "generated", "div": f"<div>{canary('OperationOutcome.text.div')}</div>"},
        "extension": extension("OperationOutcome"),
        "issue": [
            {
                "severity": severity,
                "code": "processing",
                "details": concept("OperationOutcome.issue.details"),
                "diagnostics": canary("OperationOutcome.issue.diagnostics"),
                "location": [canary("OperationOutcome.issue.location")],
                "expression": [canary("OperationOutcome.issue.expression")],
            }
        ],
    }


def load_bundle(bundle: dict[str, Any], _: object = None) -> None:
    """Put canaries into a Bundle beside what it says; for `quirks.editing`."""
    bundle["id"] = canary("Bundle.id")
    bundle["identifier"] = identifier("Bundle.identifier")
    bundle.setdefault("meta", {}).update(source=canary("Bundle.meta.source"), profile=[canary("Bundle.meta.profile")])
    bundle["signature"] = {"who": reference("Bundle.signature.who"), "data": canary("Bundle.signature.data")}
    for link in bundle.get("link", []):
        if link.get("relation") == "self":
            link["url"] += f"&patient={canary('Bundle.link.self')}"
    bundle.setdefault("link", []).append({"relation": canary("Bundle.link.relation"), "url": canary("Bundle.link.url")})
    for entry in bundle.get("entry", []):
        entry["fullUrl"] = f"urn:x:{canary('Bundle.entry.fullUrl')}"
        entry["link"] = [{"relation": "x", "url": canary("Bundle.entry.link.url")}]
        response = {part: canary(f"Bundle.entry.response.{part}") for part in ("status", "location", "etag")}
        entry["response"] = {**response, "outcome": {"id": canary("Bundle.entry.response.outcome.id")}}
        entry["request"] = {"method": "PUT", "url": canary("Bundle.entry.request.url")}


HEADERS = tuple(
    (name, canary(f"header.{name}"))
    for name in ("server", "x-request-id", "etag", "content-location", "x-patient", "warning", "link", "via")
)
"""Headers of an answer that nobody asked for."""


def token_answer(**members: Any) -> dict[str, Any]:
    """Make a good answer of a token endpoint: each text is a canary."""
    texts = ("access_token", "refresh_token", "id_token", "scope", "patient", "need_patient_banner")
    return {name: canary(f"token.{name}") for name in texts} | {"token_type": "Bearer", "expires_in": 300} | members


def token_refusal(error: str = "invalid_client") -> dict[str, Any]:
    """Make a refusal of a token endpoint; `error` alone may be a known word."""
    return {
        "error": error,
        "error_description": canary("token.error_description"),
        "error_uri": canary("token.error_uri"),
    }


def batch_jobs() -> dict[str, Any]:
    """Make the answer of Smile CDR's Admin API: of a job only name, status and times may be shown."""
    texts = ("id", "errorMessage", "parameters", "report", "currentGatedStepId", "endTimeText", "triggeringUsername")
    job: dict[str, Any] = {name: canary(f"job.{name}") for name in texts}
    job |= {"name": "BULK_EXPORT", "status": "FAILED", "version": 1, "errorCount": 1}
    job |= dict.fromkeys(("createTime", "startTime", "endTime"), "2026-11-20T11:00:00.000+00:00")
    return {"jobs": {"BULK_EXPORT": [job]}, "message": canary("job.message")}


def manifest() -> dict[str, Any]:
    """Make the answer of a bulk export job that has ended."""
    files = [{"type": "Patient", "url": f"http://files.example/{canary('manifest.output.url')}", "count": 1}]
    return {
        "transactionTime": "2026-11-20T12:00:00Z",
        "request": f"http://fhir.example/fhir/$export?patient={canary('manifest.request')}",
        "requiresAccessToken": True,
        "output": files,
        "deleted": [{"type": "Bundle", "url": canary("manifest.deleted.url")}],
        "error": [{"type": "OperationOutcome", "url": canary("manifest.error.url")}],
        "message": canary("manifest.message"),
        "extension": {canary("manifest.extension"): canary("manifest.extension.value")},
    }
