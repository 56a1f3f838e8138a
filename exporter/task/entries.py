"""From one entry of a Bundle to one Task.

Rule 1: an odd Task is an anomaly, never an error: one bad entry must not cost the others of its page.
Rule 2: of a member, a consent, a note or an output no text leaves this file; of a Task that is not ours, nothing but
its id, version, stamp and status.

See docs/design.md#privacy.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from msgspec import Raw
from msgspec.json import Decoder

from .dates import parse_instant
from .lenient import ID, STATUSES, PartialTask, decode_leniently, unparsable
from .model import TIMED, UNCLASSIFIED, Anomaly, Coding, Instant, Selection, Status, Task
from .parties import read_party
from .wire import (
    UNREADABLE,
    Concept,
    Entry,
    Meta,
    Note,
    Output,
    Presence,
    Resource,
    StatusReason,
    Token,
    decode_or_none,
    remembered,
)

Classify = Callable[[Iterable[str]], str]

_FOREIGN = frozenset({Anomaly.FOREIGN})
_ABSENT = (b"", b"null", b'""', b"{}")
_LONGEST = 4096
_MOST = 50
"""Characters of a text, and texts of a kind, that are looked at to classify a failure. Notes are appended: the last."""

_ENTRY = Decoder(Entry)
_TAGS = Decoder(list[Token] | None)
_CONCEPT = Decoder(Concept | None)
_STATUS_REASON = Decoder(StatusReason | None)
_NOTES = Decoder(list[Note | None] | None)


@dataclass(frozen=True, slots=True)
class View:
    """How the entries of one page are looked at. `clock` is the server's, when it made the page."""

    selection: Selection
    classify: Classify
    clock: Instant | None


def read_entry(raw: Raw, view: View) -> Task | None:
    """Read one entry; None where it does not answer the search. Raises WrongResource as `decode_leniently` does."""
    try:
        entry = _ENTRY.decode(raw)
        mode = entry.search.mode if entry.search else None
        if entry.resource and entry.resource.resource_type == "Task" and (mode is None or mode == "match"):
            return _read_task(raw, entry.resource, view)
    except UNREADABLE:
        pass
    return decode_leniently(raw, view.selection.tag, view.clock)


def _read_task(raw: Raw, task: Resource, view: View) -> Task:
    meta = task.meta or Meta()
    name = task.id if task.id and ID.fullmatch(task.id) else None
    version = meta.version_id if meta.version_id and ID.fullmatch(meta.version_id) else ""
    updated = parse_instant(meta.last_updated) if meta.last_updated else None
    tagged, coded = _belongs(task, meta, view.selection)
    status = STATUSES.get(task.status or "", Status.UNKNOWN)
    if name is None or updated is None:
        return unparsable(raw, PartialTask(name, version, updated, status, tagged), view.clock)
    if not tagged:
        return Task(name, version, updated, status, tagged=False)
    if not coded:
        return Task(name, version, updated, status, anomalies=_FOREIGN)
    written = task.authored_on or meta.authored_on
    outputs = task.output or ()
    read = Task(
        id=name,
        version=version,
        updated=updated,
        status=status,
        authored=parse_instant(written) if written else None,
        owner=read_party(task.owner, task.contained),
        requester=read_party(task.requester, task.contained),
        reason=view.classify(tuple(_texts(task))) if status is Status.FAILED else UNCLASSIFIED,
        documents=sum(map(_is_document, outputs)),
        outputs=len(outputs),
    )
    faults = _faults(task, read, written)
    return read._replace(anomalies=frozenset(faults)) if faults else read


def _belongs(task: Resource, meta: Meta, selection: Selection) -> tuple[bool, bool]:
    """Tell whether it carries our tag and our code. Where no tag is asked for, the code alone decides."""
    coded = selection.code is None or _has_code(task.code, selection.code)
    return (coded if selection.tag is None else _has_tag(meta.tag, selection.tag)), coded


@remembered
def _has_tag(data: bytes, tag: Coding) -> bool:
    """Test membership, never equality: servers add tags of their own (SUBSETTED)."""
    return _among(tag, _TAGS.decode(data) if data else None)


@remembered
def _has_code(data: bytes, code: Coding) -> bool:
    concept = _CONCEPT.decode(data) if data else None
    return concept is not None and _among(code, concept.coding)


def _among(wanted: Coding, tokens: list[Token] | None) -> bool:
    return any((token.system or "", token.code) == wanted for token in tokens or ())


def _faults(task: Resource, read: Task, written: str | None) -> list[Anomaly]:
    """Name what a Task shows by itself; `written` is authoredOn as it came."""
    faults = []
    if read.status is Status.UNKNOWN:
        faults.append(Anomaly.UNKNOWN_STATUS if task.status else Anomaly.MISSING_STATUS)
    if not written:
        faults.append(Anomaly.MISSING_AUTHORED_ON)
    elif read.authored is None:
        faults.append(Anomaly.PARTIAL_AUTHORED_ON)
    elif read.authored > read.updated and read.status in TIMED:
        faults.append(Anomaly.NEGATIVE_DURATION)
    if read.owner is None:
        faults.append(Anomaly.MISSING_OWNER)
    if read.requester is None:
        faults.append(Anomaly.MISSING_REQUESTER)
    if not _is_present(task.focus):
        faults.append(Anomaly.MISSING_FOCUS)
    if not _is_present(task.member):
        faults.append(Anomaly.MISSING_FOR)
    return faults


def _is_present(reference: Presence | None) -> bool:
    return reference is not None and (
        bytes(reference.reference) not in _ABSENT
        or bytes(reference.identifier) not in _ABSENT
        or bytes(reference.display) not in _ABSENT
    )


def _is_document(output: Output) -> bool:
    """Tell an archived original: by what is pointed to, or by the vendor's code."""
    target = output.value_reference.reference if output.value_reference else None
    if target is not None and "DocumentReference/" in target:
        return True
    codings = output.type.coding if output.type else None
    return any((token.code or "").lower() == "documentreference" for token in codings or ())


def _texts(task: Resource) -> Iterator[str]:
    """Give what may tell why it failed: statusReason first (R4, R5), then the notes. Unreadable parts are left out."""
    reason = decode_or_none(task.status_reason, _STATUS_REASON)
    for concept in (reason, reason.concept) if reason else ():
        if concept is not None:
            yield from _concept_texts(concept)
    for note in (decode_or_none(task.note, _NOTES) or ())[-_MOST:]:
        if note is not None and note.text:
            yield note.text[:_LONGEST]


def _concept_texts(concept: Concept | StatusReason) -> Iterator[str]:
    if concept.text:
        yield concept.text[:_LONGEST]
    for token in (concept.coding or ())[:_MOST]:
        yield from (text[:_LONGEST] for text in (token.display, token.code) if text)
