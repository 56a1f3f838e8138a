"""From a FHIR Reference to the Party that it names, as far as the Task itself tells.

A person is never named: of a Practitioner, a Patient and the like only the type word passes this file, neither name nor
identifier nor reference. Which label a Party gets is the business of `payers`.

See docs/fhir-quirks.md#owner-resolution.
"""

from msgspec import Raw
from msgspec.json import Decoder

from .model import Party
from .wire import Contained, Identifier, Reference, decode_or_none, remembered

PEOPLE = frozenset(
    {
        *("Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person"),
        *("CareTeam", "Group", "Device"),
    }
)
"""Types whose texts may name a person: a care team, a group or a device is often called after its patient."""

_KINDS = (*sorted(PEOPLE), "Organization", "HealthcareService")
_LONGEST = 512
"""Characters kept of any text: a label takes 80, an address rarely 200."""

_REFERENCE = Decoder(Reference | None)
_CONTAINED: Decoder[list[Contained]] = Decoder(list[Contained])
_NAME = Decoder(str)


def read_party(raw: Raw, contained: Raw) -> Party | None:
    """Read `owner` or `requester`; None where nothing usable is there. Raises msgspec's errors on wrong types."""
    party = _read(raw)
    if party is None or party.reference is None or not party.reference.startswith("#"):
        return party
    return _resolve(party, contained)


@remembered
def _read(data: bytes) -> Party | None:
    found = _REFERENCE.decode(data) if data else None
    if found is None:
        return None
    reference = _plain(found.reference)
    address = reference.partition("/_history/")[0] if reference else None
    kind = _kind(address, _plain(found.type))
    if kind in PEOPLE:
        return Party(kind=kind)
    identifier, display = _token(found.identifier), _plain(found.display)
    return Party(address, kind, identifier, display) if address or identifier or display else None


def _resolve(party: Party, contained: Raw) -> Party:
    """Look a `#id` up among the contained resources, if they came along (`_elements` leaves them out)."""
    wanted = (party.reference or "")[1:]
    meant = next((one for one in decode_or_none(contained, _CONTAINED) or () if one.id == wanted), None)
    if meant is None:
        return party
    if meant.resource_type in PEOPLE:
        return Party(kind=meant.resource_type)
    if meant.resource_type != "Organization":
        return party
    return party._replace(kind="Organization", contained=_plain(decode_or_none(meant.name, _NAME)))


def _kind(address: str | None, stated: str | None) -> str | None:
    """Give the type word that address or `Reference.type` tell: one of a closed set, a person's before all others."""
    path = (address or "").partition("?")[0].rstrip("/").split("/")
    words = {*path[-2:], (stated or "").rpartition("/")[2]}
    return next((kind for kind in _KINDS if kind in words), None)


def _token(identifier: Identifier | None) -> str | None:
    value = _plain(identifier.value) if identifier else None
    return f"{_plain(identifier.system) or ''}|{value}" if identifier and value else None


def _plain(text: str | None) -> str | None:
    return text[:_LONGEST].strip() or None if text else None
