"""What a FHIR server says about itself, as far as `check` shows it.

The texts are the server's: cut and cleaned here, printed on a terminal, never used as a label.
"""

from typing import NamedTuple

from msgspec.json import Decoder

from ..errors import NotFhir, WrongResource
from . import fhir_json
from .fhir_json import decode_or_none

_MAX_CHARACTERS = 80
_CAPABILITY_STATEMENT = Decoder(fhir_json.CapabilityStatement)


class Capability(NamedTuple):
    """Empty texts where the server says nothing."""

    software: str
    fhir_version: str


def decode_capability(body: bytes) -> Capability:
    """Read a CapabilityStatement; raises NotFhir, or WrongResource if it is another resource."""
    statement = decode_or_none(body, _CAPABILITY_STATEMENT)
    if statement is None:
        raise NotFhir("The response to our metadata request is not a CapabilityStatement.")
    if statement.resource_type != "CapabilityStatement":
        raise WrongResource("The response to our metadata request is another resource than a CapabilityStatement.")
    software = statement.software or fhir_json.Software()
    return Capability(
        software=_printable(f"{software.name or ''} {software.version or ''}"),
        fhir_version=_printable(statement.fhir_version or ""),
    )


def _printable(text: str) -> str:
    return "".join(character for character in text[:_MAX_CHARACTERS] if character.isprintable()).strip()
