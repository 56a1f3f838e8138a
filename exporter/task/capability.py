"""What a server says of itself (FHIR R4 CapabilityStatement), as far as `check` tells people.

Software names are the server's text: cut and cleaned here, shown on a terminal, never a label.
"""

from typing import NamedTuple

from msgspec import Struct
from msgspec.json import Decoder

from ..errors import NotFhir, WrongResource
from .fhir_json import DECODE_ERRORS

_LONGEST = 80


class Capability(NamedTuple):
    """`searches` holds the names of Task's search parameters."""

    software: str
    fhir_version: str
    searches: frozenset[str]


class _Software(Struct):
    name: str | None = None
    version: str | None = None


class _Parameter(Struct):
    name: str | None = None


class _Resource(Struct, rename="camel"):
    type: str | None = None
    search_param: list[_Parameter] | None = None


class _Rest(Struct):
    resource: list[_Resource] | None = None


class _Statement(Struct, rename="camel"):
    resource_type: str | None = None
    fhir_version: str | None = None
    software: _Software | None = None
    rest: list[_Rest] | None = None


_STATEMENT = Decoder(_Statement)


def decode_capability(body: bytes) -> Capability:
    """Read a CapabilityStatement; raises NotFhir, or WrongResource where it is another resource."""
    try:
        statement = _STATEMENT.decode(body)
    except DECODE_ERRORS:
        statement = None
    if statement is None:
        raise NotFhir("The answer to our metadata request is no CapabilityStatement.")
    if statement.resource_type != "CapabilityStatement":
        raise WrongResource("Another resource came where the CapabilityStatement was asked for.")
    software = statement.software or _Software()
    return Capability(
        software=_plain(f"{software.name or ''} {software.version or ''}"),
        fhir_version=_plain(statement.fhir_version or ""),
        searches=frozenset(_plain(parameter.name or "") for parameter in _parameters(statement)),
    )


def _parameters(statement: _Statement) -> list[_Parameter]:
    resources = [resource for rest in statement.rest or () for resource in rest.resource or ()]
    return [each for resource in resources if resource.type == "Task" for each in resource.search_param or ()]


def _plain(text: str) -> str:
    return "".join(letter for letter in text[:_LONGEST] if letter.isprintable()).strip()
