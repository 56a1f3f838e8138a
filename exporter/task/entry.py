"""One entry of a Bundle to one Task.

Rule 1: an odd Task is an anomaly, not an error: one bad entry must not cost the others of its page.
Rule 2: no text of a member, a consent, a note or an output leaves this file, but for `watched`, to which notes go; of a
Task that is not selected, only its id, version, date and status do.

See docs/design.md#privacy, docs/fhir-quirks.md#task-fields.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec import Raw
from msgspec.json import Decoder

from . import fhir_json
from .dates import parse_instant
from .fhir_json import DECODE_ERRORS, cached, decode_or_none
from .lenient import PartialTask, decode_leniently, read_status, unparsable, valid_id
from .model import TIMED, UNCLASSIFIED, Anomaly, Coding, Instant, Selection, Status, Task
from .payers import read_party
from .reasons import LONGEST_TEXT, Classify

_FOREIGN = frozenset({Anomaly.FOREIGN})
_EMPTY = (b"", b"null", b'""', b"{}")

_MAX_TEXTS = 50
"""How many of a failed Task's texts are read. Notes are appended, so the last ones are read."""

_ENTRY = Decoder(fhir_json.BundleEntry)
_CODINGS = Decoder(list[fhir_json.Coding] | None)
_CONCEPT = Decoder(fhir_json.CodeableConcept | None)
_STATUS_REASON = Decoder(fhir_json.StatusReason | None)
_NOTES = Decoder(list[fhir_json.Annotation | None] | None)


@dataclass(frozen=True, slots=True)
class PageContext:
    """What is the same for all entries of a page. `server_time` is when the server made it, if it says so."""

    selection: Selection
    classify: Classify
    server_time: Instant | None


def read_entry(raw: Raw, context: PageContext) -> Task | None:
    """Read one entry; None if it is not a match of the search. Raises WrongResource as `decode_leniently` does."""
    try:
        entry = _ENTRY.decode(raw)
        mode = entry.search.mode if entry.search else None
        if entry.resource and entry.resource.resource_type == "Task" and mode in (None, "match"):
            return _read_task(raw, entry.resource, context)
    except DECODE_ERRORS:
        pass
    return decode_leniently(raw, context.selection.tag, context.server_time)


def _read_task(raw: Raw, source: fhir_json.Task, context: PageContext) -> Task:
    meta = source.meta or fhir_json.Meta()
    id_, version = valid_id(source.id), valid_id(meta.version_id) or ""
    updated, status = parse_instant(meta.last_updated), read_status(source.status)
    has_tag, has_code = _selected_by(context.selection, source, meta)
    if id_ is None or updated is None:
        return unparsable(raw, PartialTask(id_, version, updated, status, has_tag), context.server_time)
    if not has_tag:
        return Task(id_, version, updated, status, tagged=False)
    if not has_code:
        return Task(id_, version, updated, status, anomalies=_FOREIGN)
    authored_on = source.authored_on or meta.authored_on
    outputs = source.output or ()
    task = Task(
        id=id_,
        version=version,
        updated=updated,
        status=status,
        authored=parse_instant(authored_on),
        owner=read_party(source.owner, source.contained),
        requester=read_party(source.requester, source.contained),
        reason=context.classify(tuple(failure_texts(source))) if status is Status.FAILED else UNCLASSIFIED,
        documents=sum(map(_is_document, outputs)),
        outputs=len(outputs),
    )
    anomalies = frozenset(_anomalies(task, source, authored_on))
    return task._replace(anomalies=anomalies) if anomalies else task


def _selected_by(selection: Selection, source: fhir_json.Task, meta: fhir_json.Meta) -> tuple[bool, bool]:
    """Compare the tags, then the code, with the selection's. If that has no tag, the code stands for both."""
    has_code = selection.code is None or _has_code(source.code, selection.code)
    return (has_code if selection.tag is None else _has_tag(meta.tag, selection.tag)), has_code


@cached
def _has_tag(data: bytes, tag: Coding) -> bool:
    """Look for the tag among others: servers add their own (SUBSETTED)."""
    return _contains(_CODINGS.decode(data) if data else None, tag)


@cached
def _has_code(data: bytes, code: Coding) -> bool:
    concept = _CONCEPT.decode(data) if data else None
    return concept is not None and _contains(concept.coding, code)


def _contains(codings: Iterable[fhir_json.Coding] | None, wanted: Coding) -> bool:
    return any(coding.token == wanted for coding in codings or ())


def _anomalies(task: Task, source: fhir_json.Task, authored_on: str | None) -> Iterator[Anomaly]:
    """Find what one version shows by itself; `authored_on` is the text of the date."""
    if task.status is Status.UNKNOWN:
        yield Anomaly.UNKNOWN_STATUS if source.status else Anomaly.MISSING_STATUS
    if not authored_on:
        yield Anomaly.MISSING_AUTHORED_ON
    elif task.authored is None:
        yield Anomaly.PARTIAL_AUTHORED_ON
    elif task.authored > task.updated and task.status in TIMED:
        yield Anomaly.NEGATIVE_DURATION
    if task.owner is None:
        yield Anomaly.MISSING_OWNER
    if task.requester is None:
        yield Anomaly.MISSING_REQUESTER
    if not _is_present(source.focus):
        yield Anomaly.MISSING_FOCUS
    if not _is_present(source.member):
        yield Anomaly.MISSING_FOR


def _is_present(reference: fhir_json.HiddenReference | None) -> bool:
    return reference is not None and (
        bytes(reference.reference) not in _EMPTY
        or bytes(reference.identifier) not in _EMPTY
        or bytes(reference.display) not in _EMPTY
    )


def _is_document(output: fhir_json.TaskOutput) -> bool:
    """Recognize an archived original by what is referenced, or by the vendor's code."""
    target = output.value_reference.reference if output.value_reference else None
    if target is not None and "DocumentReference/" in target:
        return True
    codings = output.type.coding if output.type else None
    return any((coding.code or "").lower() == "documentreference" for coding in codings or ())


def failure_texts(source: fhir_json.Task) -> Iterator[str]:
    """List what may say why it failed: statusReason first (R4, R5), then the notes. Unreadable parts are left out."""
    reason = decode_or_none(source.status_reason, _STATUS_REASON)
    for concept in (reason, reason.concept) if reason else ():
        if concept is not None:
            yield from _concept_texts(concept)
    for note in (decode_or_none(source.note, _NOTES) or ())[-_MAX_TEXTS:]:
        if note is not None and note.text:
            yield note.text[:LONGEST_TEXT]


def _concept_texts(concept: fhir_json.CodeableConcept) -> Iterator[str]:
    if concept.text:
        yield concept.text[:LONGEST_TEXT]
    for coding in (concept.coding or ())[:_MAX_TEXTS]:
        yield from (text[:LONGEST_TEXT] for text in (coding.display, coding.code) if text)
