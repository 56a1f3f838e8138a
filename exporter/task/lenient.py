"""What can be saved of an entry that cannot be read as a Task: its place among the matches, its id, version and stamp.

Every part is read alone, so that a fault in one costs no other. Nothing else of the entry may leave this file.
When in doubt an entry is a match, and ours: a Task lost in silence is worse than an anomaly too many.

See docs/fhir-quirks.md#q26.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from msgspec import Raw, Struct
from msgspec.json import Decoder

from ..errors import WrongResource
from .dates import parse_instant
from .model import DIGEST, Anomaly, Coding, Instant, Status, Task
from .wire import NOTHING, Token, Wire, decode_or_none

ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9.-]{1,64}")
"""FHIR's `id`, but no path of dots: ids and versions go into addresses and into the ledger."""


class _Entry(Wire):
    resource: Raw = NOTHING
    search: Raw = NOTHING


class _Search(Wire):
    mode: Raw = NOTHING


class _Resource(Wire):
    resource_type: Raw = NOTHING
    id: Raw = NOTHING
    meta: Raw = NOTHING
    status: Raw = NOTHING
    issue: Raw = NOTHING


class _Meta(Wire):
    version_id: Raw = NOTHING
    last_updated: Raw = NOTHING
    tag: Raw = NOTHING


class _Issue(Struct):
    severity: str | None = None


_ENTRY = Decoder(_Entry)
_SEARCH = Decoder(_Search)
_RESOURCE = Decoder(_Resource)
_META = Decoder(_Meta)
_ISSUES: Decoder[list[_Issue]] = Decoder(list[_Issue])
_TAGS: Decoder[list[Token]] = Decoder(list[Token])
_TEXT = Decoder(str)

STATUSES = {status.value: status for status in Status if status is not Status.UNKNOWN}
"""The twelve by their codes."""


@dataclass(frozen=True, slots=True)
class PartialTask:
    """What could be read of a Task; None where it could not."""

    id: str | None = None
    version: str | None = None
    updated: Instant | None = None
    status: Status = Status.UNKNOWN
    tagged: bool = True


def unparsable(raw: Raw, remains: PartialTask, clock: Instant | None) -> Task:
    """Make the row of a Task that is counted, but not understood.

    The same resource always gives the same id and version, so that it is counted once, whatever score the search gave
    it. `?` begins no FHIR id.
    """
    entry = decode_or_none(raw, _ENTRY)
    digest = sha256(entry.resource if entry and entry.resource else raw).hexdigest()[:32]
    return Task(
        id=remains.id or DIGEST + digest,
        version=remains.version or digest,
        updated=remains.updated if remains.updated is not None else clock or 0,
        status=remains.status,
        tagged=remains.tagged,
        anomalies=frozenset({Anomaly.UNPARSABLE}),
    )


def decode_leniently(raw: Raw, tag: Coding | None, clock: Instant | None) -> Task | None:
    """Judge an entry that is no readable Task: None where it is no answer to the search (an include, an outcome).

    Raises WrongResource where the server says, inside a Bundle, that its search failed.
    """
    entry = decode_or_none(raw, _ENTRY)
    if entry is None:
        return unparsable(raw, PartialTask(), clock)
    resource = decode_or_none(entry.resource, _RESOURCE)
    kind = decode_or_none(resource.resource_type, _TEXT) if resource else None
    if not _matches(entry, kind):
        if resource is not None and kind == "OperationOutcome":
            _refuse_failure(resource)
        return None
    return unparsable(raw, _remains(resource, tag) if resource and kind in (None, "Task") else PartialTask(), clock)


def _matches(entry: _Entry, kind: str | None) -> bool:
    """Follow `search.mode`, and the resource type where there is none."""
    search = decode_or_none(entry.search, _SEARCH)
    mode = decode_or_none(search.mode, _TEXT) if search else None
    if mode is not None:
        return mode == "match"
    return kind == "Task" or (kind is None and bytes(entry.resource) not in (b"", b"null"))


def _refuse_failure(outcome: _Resource) -> None:
    """Take no answer for whole when its server calls it an error. The text may name a patient: it stays unread."""
    if any(issue.severity in ("fatal", "error") for issue in decode_or_none(outcome.issue, _ISSUES) or ()):
        raise WrongResource("The search was answered with a Bundle that holds an OperationOutcome of severity error.")


def _remains(resource: _Resource, tag: Coding | None) -> PartialTask:
    name = decode_or_none(resource.id, _TEXT)
    meta = decode_or_none(resource.meta, _META) or _Meta()
    version, stamp = decode_or_none(meta.version_id, _TEXT), decode_or_none(meta.last_updated, _TEXT)
    tags, status = decode_or_none(meta.tag, _TAGS), decode_or_none(resource.status, _TEXT)
    return PartialTask(
        id=name if name and ID.fullmatch(name) else None,
        version=version if version and ID.fullmatch(version) else None,
        updated=parse_instant(stamp) if stamp else None,
        status=STATUSES.get(status or "", Status.UNKNOWN),  # counts are compared by it
        tagged=tag is None or tags is None or any((one.system or "", one.code) == tag for one in tags),
    )
