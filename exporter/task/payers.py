"""Who the payers of a Task are: from FHIR References to label values, and which pairs of them get series.

A *Party* is what a Task holds about one side: a Reference and all that may name it. A *payer* is the label value that
the Party gets. A *pair* is the source payer and the requesting payer.

Rule 1: nothing here asks a server. Where an Organization's name decides, `name_payer` returns which one to read.
Rule 2: persons are never named. Of a Practitioner, a Patient and the like only the type is kept, and shown.

See docs/fhir-quirks.md#owner-resolution, docs/design.md#bounded-labels.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Raw
from msgspec.json import Decoder

from . import fhir_json
from .fhir_json import cached, decode_or_none
from .labels import PEOPLE, visible
from .model import OTHER_PAIR, UNKNOWN_PAYER, Pair, Party
from .payer_table import PayerTable, matching

_KINDS = (*sorted(PEOPLE), "Organization", "HealthcareService")
"""Types that are recognized, the first one that fits: a person's come first."""

_ORGANIZATION = re.compile(r"Organization/(?!\.+\Z)[A-Za-z0-9.-]{1,64}")

_MAX_TEXT = 512
"""Characters kept of a text in a Party. A label takes 80; a URL rarely has 200."""

_REFERENCE = Decoder(fhir_json.Reference | None)
_CONTAINED = Decoder(list[fhir_json.ContainedResource])
_TEXT = Decoder(str)


# From a Reference to a Party


def read_party(reference: Raw, contained: Raw) -> Party | None:
    """Read `owner` or `requester`; None if nothing usable is there. Raises DECODE_ERRORS on wrong types."""
    party = _read_reference(reference)
    if party is None or party.reference is None or not party.reference.startswith("#"):
        return party
    return _resolve_contained(party, contained)


@cached
def _read_reference(data: bytes) -> Party | None:
    source = _REFERENCE.decode(data) if data else None
    if source is None:
        return None
    reference = _strip(source.reference)
    reference = reference.partition("/_history/")[0] if reference else None
    kind = _kind(reference, _strip(source.type))
    if kind in PEOPLE:
        return Party(kind=kind)
    identifier, display = _identifier_token(source.identifier), _strip(source.display)
    return Party(reference, kind, identifier, display) if reference or identifier or display else None


def _resolve_contained(party: Party, contained: Raw) -> Party:
    """Find a `#id` among the contained resources, if the server sent them (`_elements` leaves them out)."""
    wanted_id = (party.reference or "").removeprefix("#")
    resource = next((each for each in decode_or_none(contained, _CONTAINED) or () if each.id == wanted_id), None)
    if resource is None:
        return party
    if resource.resource_type in PEOPLE:
        return Party(kind=resource.resource_type)
    if resource.resource_type != "Organization":
        return party
    return party._replace(kind="Organization", contained=_strip(decode_or_none(resource.name, _TEXT)))


def _kind(reference: str | None, stated_type: str | None) -> str | None:
    """Find a known type at the end of the reference or in `Reference.type`, which may be a URL."""
    path = (reference or "").partition("?")[0].rstrip("/").split("/")
    words = {*path[-2:], (stated_type or "").rpartition("/")[2]}
    return next((kind for kind in _KINDS if kind in words), None)


def _identifier_token(identifier: fhir_json.Identifier | None) -> str | None:
    value = _strip(identifier.value) if identifier else None
    return f"{_strip(identifier.system) or ''}|{value}" if identifier and value else None


def _strip(text: str | None) -> str | None:
    return text[:_MAX_TEXT].strip() or None if text else None


# From a Party to a payer


@dataclass(frozen=True, slots=True)
class PayerDirectory:
    """The names that are known: the operator's, and the server's.

    `base_url` is the server's, with or without a slash at its end. `organizations` maps relative references to the
    names that were read, None if there is none or we may not read it.
    """

    configured: PayerTable = field(default_factory=PayerTable)
    base_url: str = ""
    organizations: Mapping[str, str | None] = field(default_factory=dict)


class NeedsOrganization(NamedTuple):
    """The payer depends on an Organization that was not read yet; the reference is relative to the base URL."""

    reference: str


def name_payer(party: Party | None, directory: PayerDirectory) -> str | NeedsOrganization:
    """Return the payer, or what to read before this is called again."""
    if party is None:
        return UNKNOWN_PAYER
    if party.kind in PEOPLE:
        return party.kind or UNKNOWN_PAYER
    relative = _relative_reference(party.reference, directory.base_url)
    configured = _configured_name(party, relative, directory)
    if configured is None and relative is not None and relative not in directory.organizations:
        return NeedsOrganization(relative)
    names = (
        configured,
        directory.organizations.get(relative) if relative else None,
        party.contained,
        *_identifier_names(party.identifier, directory.configured),
        party.display,
    )
    shown = (directory.configured.label(payer) for name in names if name and (payer := visible(name)))
    return next(shown, UNKNOWN_PAYER)


def _relative_reference(reference: str | None, base_url: str) -> str | None:
    """Return the relative form of an Organization on our server; None for anything else."""
    if reference is None:
        return None
    relative = reference.removeprefix(base_url.rstrip("/") + "/") if base_url else reference
    return relative if _ORGANIZATION.fullmatch(relative) else None


def _configured_name(party: Party, relative: str | None, directory: PayerDirectory) -> str | None:
    """Look a reference up as it came, and in its relative and absolute forms if it is on our server.

    A pattern counts only where no key does, be it that of the identifier.
    """
    table = directory.configured
    absolute = f"{directory.base_url.rstrip('/')}/{relative}" if relative else None
    forms = dict.fromkeys((party.reference, relative, absolute))
    by_key = table.of_key(*forms)
    if by_key is not None:
        return by_key
    by_pattern = matching(table.references, forms)
    return by_pattern and (table.of_key(*_identifier_forms(party.identifier)) or by_pattern)


def _identifier_names(identifier: str | None, table: PayerTable) -> Iterator[str | None]:
    """Return what an identifier may be called, best first: by key, by pattern, the value itself."""
    if identifier is not None:
        forms = _identifier_forms(identifier)
        yield from (table.of_key(*forms), matching(table.identifiers, forms), forms[-1])


def _identifier_forms(identifier: str | None) -> tuple[str, ...]:
    """Return how an identifier can be written: as a token, and as its value."""
    return () if identifier is None else (identifier, identifier.partition("|")[2])


# Which pairs get series


@dataclass(frozen=True, slots=True)
class PairRule:
    """Labels are bounded, whatever the server sends: at most `limit` pairs get series of their own, the first ones.

    Payers that the operator has named (`configured`) get in even then.
    """

    limit: int
    configured: frozenset[str] = frozenset()

    def admits(self, pair: Pair, taken: int, with_slots: Collection[str]) -> bool:
        """Decide about a pair without a slot: `taken` slots, not counting `other`, are used by the payers `with_slots`.

        Past the limit, a configured payer has one slot, on either side, with the payer it first meets; two configured
        payers have one together. So the operator's table bounds what the limit does not.
        """
        if taken < self.limit or pair == OTHER_PAIR:
            return True
        known = [payer for payer in pair if payer in self.configured]
        return len(known) == len(pair) or any(payer not in with_slots for payer in known)
