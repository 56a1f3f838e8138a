"""FHIR's JSON as msgspec reads it: the allow-list of elements.

Rule 1: an element that is not named here never becomes a Python value.
Rule 2: no decisions are made here; an element of the wrong type is the caller's concern.

Classes bear FHIR's names, so import the module: `fhir_json.Task` is what came, `model.Task` is what became of it.
`Raw` leaves an element as bytes until it is needed: because few Tasks need it (notes), because only its presence
matters (the member, the consent), or because it repeats from Task to Task and is read once (tags, codes, payers).

Sources: FHIR R4 Bundle, Task, Organization, Reference, CapabilityStatement; R5 Task.statusReason; Bulk Data 3 and 4.

See docs/design.md#elements.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple, cast

from msgspec import DecodeError, Raw, Struct, field
from msgspec.json import Decoder

T = TypeVar("T")
Rest = TypeVarTuple("Rest")

ABSENT = Raw()

DECODE_ERRORS = (DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on a bad body, measured. Bad UTF-8 and deep nesting raise no `DecodeError`."""

_CACHED_BYTES = 1024
_CACHED_VALUES = 1024


def decode_or_none(raw: Raw | bytes, decoder: Decoder[T]) -> T | None:
    """Read an optional element, or a whole body; None if it is absent, empty, or cannot be decoded."""
    try:
        return decoder.decode(raw) if raw else None
    except DECODE_ERRORS:
        return None


def cached(read: Callable[[bytes, *Rest], T]) -> Callable[[Raw, *Rest], T]:
    """Call `read` once for equal bytes. Long ones are not cached, which bounds the memory to a megabyte."""
    cached_read = cast("Callable[[bytes, *Rest], T]", lru_cache(maxsize=_CACHED_VALUES)(read))

    def read_raw(raw: Raw, *rest: *Rest) -> T:
        data = bytes(raw)
        return cached_read(data, *rest) if len(data) <= _CACHED_BYTES else read(data, *rest)

    return read_raw


class Element(Struct, gc=False, rename="camel"):
    """Settings shared by all: FHIR's camelCase names; no reference cycles, so no work for the garbage collector."""


class Resource(Element):
    resource_type: str | None = None


# Data types


class Coding(Element):
    system: str | None = None
    code: str | None = None
    display: str | None = None

    @property
    def token(self) -> tuple[str, str | None]:
        """System and code, to compare with a `model.Coding`."""
        return self.system or "", self.code


class CodeableConcept(Element):
    coding: list[Coding] | None = None
    text: str | None = None


class StatusReason(CodeableConcept):
    """A CodeableConcept (R4), or a CodeableReference that holds one (R5)."""

    concept: CodeableConcept | None = None


class Annotation(Element):
    text: str | None = None


class Identifier(Element):
    """Without `type`, `period` and `assigner`, which name nothing."""

    system: str | None = None
    value: str | None = None


class Reference(Element):
    """A Reference to a payer."""

    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None
    display: str | None = None


class OutputReference(Element):
    """A Reference to what an exchange delivered."""

    reference: str | None = None


class HiddenReference(Element):
    """A Reference to a member or a consent, of which only the presence may be known."""

    reference: Raw = ABSENT
    identifier: Raw = ABSENT
    display: Raw = ABSENT


# Task


class Meta(Element):
    """`authored_on` is not an element of FHIR's Meta, but the vendor's page names it."""

    version_id: str | None = None
    last_updated: str | None = None
    authored_on: str | None = None
    tag: Raw = ABSENT


class TaskOutput(Element):
    type: CodeableConcept | None = None
    value_reference: OutputReference | None = None


class ContainedResource(Resource):
    """`name` is a text in an Organization, and something else in a person."""

    id: str | None = None
    name: Raw = ABSENT


class Task(Resource):
    id: str | None = None
    meta: Meta | None = None
    status: str | None = None
    status_reason: Raw = ABSENT
    code: Raw = ABSENT
    focus: HiddenReference | None = None
    member: HiddenReference | None = field(default=None, name="for")
    authored_on: str | None = None
    requester: Raw = ABSENT
    owner: Raw = ABSENT
    note: Raw = ABSENT
    output: list[TaskOutput] | None = None
    contained: Raw = ABSENT


# Other resources


class EntrySearch(Element):
    """Why an entry is in the Bundle."""

    mode: str | None = None


class BundleEntry(Element):
    """An entry, as if its resource were a Task."""

    resource: Task | None = None
    search: EntrySearch | None = None


class EntryRequest(Element):
    """What an entry of a history was: POST, PUT, PATCH or DELETE."""

    method: str | None = None


class HistoryEntry(Element):
    """An entry of a history, without its resource."""

    request: EntryRequest | None = None


class BundleLink(Element):
    relation: str | None = None
    url: str | None = None


class BundleMeta(Element):
    """When the search ran."""

    last_updated: str | None = None


class Bundle(Resource):
    """A page. Entries are read one by one, so that an odd Task does not cost the others; `total` is for counts."""

    type: str | None = None
    meta: BundleMeta | None = None
    total: Raw = ABSENT
    link: list[BundleLink] | None = None
    entry: list[Raw] | None = None


class Issue(Element):
    """An issue of an OperationOutcome, without its texts: they may name a patient."""

    severity: str | None = None


class StatusIssue(Element):
    """An issue of the OperationOutcome that answers for an export job.

    The diagnostics stay bytes, in which one fixed phrase is looked for: they may hold identifiers.
    """

    code: str | None = None
    diagnostics: Raw = ABSENT


class StatusOutcome(Resource):
    issue: list[StatusIssue] | None = None


class ManifestFile(Element):
    """A file of an export, without its address."""

    type: Raw = ABSENT
    count: Raw = ABSENT
    count_severity: Raw = ABSENT


class ExportManifest(Resource):
    """What an export made, without the request and the addresses. Files are read one by one."""

    transaction_time: str | None = None
    output: list[Raw] | None = None
    error: list[Raw] | None = None
    outcome: list[Raw] | None = None
    deleted: list[Raw] | None = None
    link: list[BundleLink] | None = None


class Organization(Resource):
    name: Raw = ABSENT


class Software(Element):
    name: str | None = None
    version: str | None = None


class CapabilityStatement(Resource):
    fhir_version: str | None = None
    software: Software | None = None
