"""What can be read of an entry that does not decode as a Task: whether it counts, its id, version, date and status.

Every part is decoded by itself, so that a fault in one does not cost the others. Nothing else leaves this file.
In doubt, an entry is a match and belongs to us: a lost Task is worse than one anomaly too many.

See docs/fhir-quirks.md#q26.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from msgspec import Raw
from msgspec.json import Decoder

from ..errors import WrongResource
from . import fhir_json
from .dates import parse_instant
from .fhir_json import ABSENT, decode_or_none
from .model import DIGEST_PREFIX, Anomaly, Coding, Instant, Status, Task


class _Object(fhir_json.Element):
    """An entry, or any object in it, with all elements that are read here. Bad UTF-8 elsewhere does no harm."""

    resource: Raw = ABSENT
    search: Raw = ABSENT
    mode: Raw = ABSENT
    resource_type: Raw = ABSENT
    id: Raw = ABSENT
    meta: Raw = ABSENT
    status: Raw = ABSENT
    issue: Raw = ABSENT
    version_id: Raw = ABSENT
    last_updated: Raw = ABSENT
    tag: Raw = ABSENT


_OBJECT = Decoder(_Object)
_TEXT = Decoder(str)
_CODINGS = Decoder(list[fhir_json.Coding])
_ISSUES = Decoder(list[fhir_json.Issue])

_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9.-]{1,64}")
_STATUSES = {status.value: status for status in Status}


def valid_id(text: str | None) -> str | None:
    """Check for FHIR's `id`. Dots alone are refused: ids and versions go into URLs and into the ledger."""
    return text if text and _ID.fullmatch(text) else None


def read_status(code: str | None) -> Status:
    """Map a code; any that FHIR R4 does not have is `unknown`."""
    return _STATUSES.get(code or "", Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class PartialTask:
    """What could be read of a Task. One whose tags cannot be read counts as tagged."""

    id: str | None = None
    version: str | None = None
    updated: Instant | None = None
    status: Status = Status.UNKNOWN
    tagged: bool = True


def unparsable(raw: Raw, partial: PartialTask, server_time: Instant | None) -> Task:
    """Make a Task that is counted, but not understood.

    A digest of the resource replaces a missing id or version, so that the same resource is counted once, whatever
    score the search gave it.
    """
    digest = sha256(_object(raw).resource or raw).hexdigest()[:32]
    return Task(
        id=partial.id or DIGEST_PREFIX + digest,
        version=partial.version or digest,
        updated=partial.updated if partial.updated is not None else server_time or 0,
        status=partial.status,
        tagged=partial.tagged,
        anomalies=frozenset({Anomaly.UNPARSABLE}),
    )


def decode_leniently(raw: Raw, tag: Coding | None, server_time: Instant | None) -> Task | None:
    """Read an entry part by part; None if it is not a match of the search (an include, an outcome).

    Raises WrongResource if an OperationOutcome in the Bundle says that the search failed.
    """
    entry = decode_or_none(raw, _OBJECT)
    if entry is None:
        return unparsable(raw, PartialTask(), server_time)
    resource = _object(entry.resource)
    resource_type = _text(resource.resource_type)
    if not _is_match(entry, resource_type):
        if resource_type == "OperationOutcome":
            _raise_if_failed(resource)
        return None
    partial = _read_partial(resource, tag) if resource_type in (None, "Task") else PartialTask()
    return unparsable(raw, partial, server_time)


def _is_match(entry: _Object, resource_type: str | None) -> bool:
    """Follow `search.mode`, or the type of the resource if there is no mode."""
    mode = _text(_object(entry.search).mode)
    if mode is not None:
        return mode == "match"
    has_resource = bytes(entry.resource) not in (b"", b"null")
    return resource_type == "Task" or (resource_type is None and has_resource)


def _raise_if_failed(outcome: _Object) -> None:
    issues = decode_or_none(outcome.issue, _ISSUES) or ()
    if any(issue.severity in ("fatal", "error") for issue in issues):
        raise WrongResource("The search was answered with a Bundle that holds an OperationOutcome of severity error.")


def _read_partial(resource: _Object, tag: Coding | None) -> PartialTask:
    meta = _object(resource.meta)
    tags = decode_or_none(meta.tag, _CODINGS)
    return PartialTask(
        id=valid_id(_text(resource.id)),
        version=valid_id(_text(meta.version_id)),
        updated=parse_instant(_text(meta.last_updated)),
        status=read_status(_text(resource.status)),  # comparisons count Tasks by status
        tagged=tag is None or tags is None or any(coding.token == tag for coding in tags),
    )


def _object(raw: Raw) -> _Object:
    """Read an object; an empty one if it is absent or something else."""
    return decode_or_none(raw, _OBJECT) or _Object()


def _text(raw: Raw) -> str | None:
    return decode_or_none(raw, _TEXT)
