"""The parts of FHIR's JSON that we read, as msgspec sees them: the allow-list of elements.

What is not named here is never turned into a Python value. `Raw` marks what stays bytes until it is wanted: because few
Tasks need it (notes), because only its presence counts (the member, the consent), or because it repeats from Task to
Task and is read once (tags, codes, payers). No judgement is made in this file.

Sources: FHIR R4 Bundle, Task, Organization, Reference; R5 Task.statusReason (a CodeableReference).

See docs/design.md#elements.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple, cast

from msgspec import DecodeError, Raw, Struct, field
from msgspec.json import Decoder

T = TypeVar("T")
Rest = TypeVarTuple("Rest")

NOTHING = Raw()

UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on a bad body, measured: deep nesting and bad UTF-8 are no errors of its own."""

_REMEMBERED_BYTES = 1024
_REMEMBERED_VALUES = 1024


def decode_or_none(raw: Raw, decoder: Decoder[T]) -> T | None:
    """Read what is not worth a Task: None where it is missing or cannot be read."""
    try:
        return decoder.decode(raw) if raw else None
    except UNREADABLE:
        return None


def remembered(read: Callable[[bytes, *Rest], T]) -> Callable[[Raw, *Rest], T]:
    """Read what repeats byte for byte only once. What is long is read anew: memory stays bounded by a megabyte."""
    kept = cast("Callable[[bytes, *Rest], T]", lru_cache(maxsize=_REMEMBERED_VALUES)(read))

    def fetch(raw: Raw, *rest: *Rest) -> T:
        data = bytes(raw)
        return kept(data, *rest) if len(data) <= _REMEMBERED_BYTES else read(data, *rest)

    return fetch


class Wire(Struct, gc=False, rename="camel"):
    """Shared settings: FHIR's camelCase names; no cycles, so nothing for the garbage collector."""


class Token(Wire):
    """A Coding, or an Identifier's token."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(Wire):
    """A CodeableConcept."""

    coding: list[Token] | None = None
    text: str | None = None


class StatusReason(Wire):
    """A CodeableConcept (R4), or a CodeableReference that holds one (R5)."""

    coding: list[Token] | None = None
    text: str | None = None
    concept: Concept | None = None


class Note(Wire):
    """An Annotation."""

    text: str | None = None


class Identifier(Wire):
    """Without `type`, `period` and `assigner`, which name nothing."""

    system: str | None = None
    value: str | None = None


class Reference(Wire):
    """A Reference to a payer."""

    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None
    display: str | None = None


class Target(Wire):
    """Where an output points to."""

    reference: str | None = None


class Presence(Wire):
    """A Reference of which only the presence may be known: a member or a consent."""

    reference: Raw = NOTHING
    identifier: Raw = NOTHING
    display: Raw = NOTHING


class Output(Wire):
    """One Task.output."""

    type: Concept | None = None
    value_reference: Target | None = None


class Contained(Wire):
    """A contained resource; `name` is text in an Organization and something else in a person."""

    resource_type: str | None = None
    id: str | None = None
    name: Raw = NOTHING


class Meta(Wire):
    """`authored_on` is no element of FHIR, but the vendor's page names it."""

    version_id: str | None = None
    last_updated: str | None = None
    authored_on: str | None = None
    tag: Raw = NOTHING


class Resource(Wire):
    """A Task."""

    resource_type: str | None = None
    id: str | None = None
    meta: Meta | None = None
    status: str | None = None
    status_reason: Raw = NOTHING
    code: Raw = NOTHING
    focus: Presence | None = None
    member: Presence | None = field(default=None, name="for")
    authored_on: str | None = None
    requester: Raw = NOTHING
    owner: Raw = NOTHING
    note: Raw = NOTHING
    output: list[Output] | None = None
    contained: Raw = NOTHING


class Search(Wire):
    """How an entry came into the answer."""

    mode: str | None = None


class Entry(Wire):
    """One entry of a Bundle."""

    resource: Resource | None = None
    search: Search | None = None


class Link(Wire):
    """One link of a Bundle."""

    relation: str | None = None
    url: str | None = None


class BundleMeta(Wire):
    """When the search ran."""

    last_updated: str | None = None


class Bundle(Wire):
    """A page. Its entries are read one by one, so that one odd Task does not cost the others; `total` is for counts."""

    resource_type: str | None = None
    type: str | None = None
    meta: BundleMeta | None = None
    total: Raw = NOTHING
    link: list[Link] | None = None
    entry: list[Raw] | None = None


class Organization(Wire):
    """A payer."""

    resource_type: str | None = None
    name: Raw = NOTHING
