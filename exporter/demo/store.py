"""The resources of the simulated FHIR server: versions as bytes, the current ones indexed by their stamps.

Rule 1: the only time is that of `clock`, which the owner of the store moves.
Rule 2: nothing here knows HTTP.

It can hold a million Tasks: each is its bytes and a small tuple, and each *group* (status, tags, codes) has one sorted
index, so that searches and counts over time are two bisections.
"""

import json
import sys
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from ..task.model import Coding, Instant
from .dates import Span, format_stamp
from .query import Cursor, Group, Query

Resource = Mapping[str, object]

UNLIMITED = sys.maxsize
"""As the limit of a search."""

ELEMENTS = (*("status", "code", "authoredOn", "requester", "owner", "focus", "for", "note", "statusReason", "output"),)
"""What the exporter requests beside `meta`: written first, so that a SUBSETTED answer is a slice of the bytes."""

SUBSETTED = b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}'

_HEAD = ("resourceType", "id", "meta")
_FIRST = frozenset({*ELEMENTS, *(f"_{name}" for name in ELEMENTS)})
_REST_WITHOUT = _FIRST | frozenset(_HEAD)
_write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""Created once: `json.dumps` with arguments creates an encoder per call."""

IndexEntry = tuple[Instant, str]
"""The stamp and id of a resource."""


class Record(NamedTuple):
    """One version of a resource: `tags_end` and `wanted_end` are offsets into `data`."""

    version: str
    stamp: Instant
    group: Group
    data: bytes
    tags_end: int
    wanted_end: int

    def subsetted(self) -> bytes:
        """Return ELEMENTS only, marked by the tag SUBSETTED beside the others (as HAPI does)."""
        others = self.data[self.tags_end : self.tags_end + 1] == b"]"
        mark = b"," + SUBSETTED if others else b',"tag":[' + SUBSETTED + b"]"
        return b"".join((self.data[: self.tags_end], mark, self.data[self.tags_end : self.wanted_end], b"}"))


class Deletion(NamedTuple):
    """The version that a logical delete makes, which has no content."""

    version: str


class Store:
    """The resources of one server. `base` is its public base URL, without a slash at the end."""

    def __init__(self, clock: Callable[[], Instant], base: str = "http://fhir.example/fhir") -> None:
        self.clock = clock
        self.base = base
        self.page_limit = 200
        self.cursors: dict[str, Cursor] = {}
        self.searches = 0
        self._records: dict[str, dict[str, Record]] = {}
        self._groups: dict[Group, Group] = {}
        self._indexes: dict[Group, list[IndexEntry]] = {}
        self._deleted: dict[tuple[str, str], int] = {}
        self._past: dict[str, list[Record | Deletion]] = {}

    def put(self, resource: Resource, *, version: str | None = None, stamp: Instant | None = None) -> None:
        """Create or replace, tags included. A resource equal to the stored one makes no new version.

        A test may set `version` and `stamp`, to simulate a server that lags or was restored from a backup.
        """
        kind, identifier = str(resource["resourceType"]), str(resource["id"])
        before = self.get(kind, identifier)
        if before and version is None and encode(resource, before.version, before.stamp).data == before.data:
            return
        if version is None:
            version = self._next_version(kind, identifier, before)
        if before:
            self._keep(kind, identifier, before)
        self._insert(identifier, encode(resource, version, self.clock() if stamp is None else stamp))

    def delete(self, identifier: str, kind: str = "Task") -> None:
        """Delete logically: 410 from now on; a later put continues three versions further (measured on HAPI)."""
        record = self._remove(kind, identifier)
        number = int(record.version) if record.version.isdecimal() else 0
        self._deleted[kind, identifier] = number + 2 if number else 0
        self._keep(kind, identifier, record, Deletion(str(number + 1)))

    def expunge(self, identifier: str, kind: str = "Task") -> None:
        """Remove physically: 404 from now on; a later put starts at version 1."""
        if identifier in self._records.get(kind, {}):
            self._remove(kind, identifier)
        self._deleted.pop((kind, identifier), None)
        self._past.pop(identifier, None)

    def meta_add(self, identifier: str, tag: Coding, kind: str = "Task") -> None:
        """Add a tag as `$meta-add` does: version and stamp stay."""
        self._retag(kind, identifier, lambda tags: [*tags, {"system": tag.system, "code": tag.code}])

    def meta_delete(self, identifier: str, tag: Coding, kind: str = "Task") -> None:
        """Remove a tag as `$meta-delete` does: version and stamp stay."""
        gone = {"system": tag.system, "code": tag.code}
        self._retag(kind, identifier, lambda tags: [each for each in tags if each != gone])

    def get(self, kind: str, identifier: str) -> Record | None:
        """Return the current version; None if there is none."""
        return self._records.get(kind, {}).get(identifier)

    def history(self, identifier: str) -> list[Record | Deletion]:
        """Return every version of a Task, newest first; none where there never was one."""
        current = self.get("Task", identifier)
        return [*([current] if current else []), *reversed(self._past.get(identifier, []))]

    def ids(self, kind: str = "Task") -> Iterable[str]:
        """List the ids of all resources of a kind."""
        return self._records.get(kind, {}).keys()

    def was_deleted(self, kind: str, identifier: str) -> bool:
        """Whether a missing resource answers 410 rather than 404."""
        return (kind, identifier) in self._deleted

    def count(self, query: Query) -> int:
        """Count what a search would find."""
        if query.ids is not None:
            return len(self.find(query, UNLIMITED))
        return sum(high - low for _, low, high in self._slices(query))

    def find(self, query: Query, limit: int) -> list[str]:
        """List the ids that a search finds, in its order, at most `limit`."""
        if query.ids is not None:
            entries = sorted(self._matching_entries(query.kind, query.ids, query))
        elif query.newest_first:
            entries = sorted(chain.from_iterable(index[low:high] for index, low, high in self._slices(query)))
        else:
            parts = (index[low : min(high, low + limit)] for index, low, high in self._slices(query))
            entries = sorted(chain.from_iterable(parts))
        if query.newest_first:
            entries.sort(key=lambda entry: -entry[0])
        return [identifier for _, identifier in entries[:limit]]

    def _matching_entries(self, kind: str, identifiers: Iterable[str], query: Query) -> Iterable[IndexEntry]:
        for identifier in identifiers:
            record = self.get(kind, identifier)
            if record and query.span.low <= record.stamp < query.span.high and query.matches(record.group):
                yield record.stamp, identifier

    def _slices(self, query: Query) -> Iterable[tuple[list[IndexEntry], int, int]]:
        for group, index in self._indexes.items():
            if query.matches(group):
                low, high = _bounds(index, query.span)
                if low < high:
                    yield index, low, high

    def _next_version(self, kind: str, identifier: str, before: Record | None) -> str:
        last = before.version if before else str(self._deleted.get((kind, identifier), 0))
        return str(int(last) + 1) if last.isdecimal() else "1"

    def _keep(self, kind: str, identifier: str, *versions: Record | Deletion) -> None:
        if kind == "Task":
            self._past.setdefault(identifier, []).extend(versions)

    def _insert(self, identifier: str, record: Record) -> None:
        kind = record.group.kind
        if self.get(kind, identifier):
            self._remove(kind, identifier)
        self._deleted.pop((kind, identifier), None)
        # Shared, because the sets would be most of the size of a record.
        group = self._groups.setdefault(record.group, record.group)
        self._records.setdefault(kind, {})[identifier] = record._replace(group=group)
        index = self._indexes.setdefault(group, [])
        entry = (record.stamp, identifier)
        if index and entry < index[-1]:
            insort(index, entry)
        else:
            index.append(entry)

    def _remove(self, kind: str, identifier: str) -> Record:
        record = self._records[kind].pop(identifier)
        index = self._indexes[record.group]
        del index[bisect_left(index, (record.stamp, identifier))]
        return record

    def _retag(self, kind: str, identifier: str, change: Callable[[list[object]], list[object]]) -> None:
        record = self._records[kind][identifier]
        resource = json.loads(record.data)
        resource["meta"]["tag"] = change(resource["meta"].get("tag", []))
        self._insert(identifier, encode(resource, record.version, record.stamp))


def encode(resource: Resource, version: str, stamp: Instant) -> Record:
    """Write a version as it is sent: meta first, with its tags last, then ELEMENTS, then the rest."""
    given = resource.get("meta")
    meta = dict(given) if isinstance(given, Mapping) else {}
    given_tags = meta.pop("tag", None)
    tags = given_tags if isinstance(given_tags, list) else []
    meta |= {"versionId": version, "lastUpdated": format_stamp(stamp)} | ({"tag": tags} if tags else {})
    head = _bytes({"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta})
    wanted = _bytes({name: value for name, value in resource.items() if name in _FIRST})
    rest = _bytes({name: value for name, value in resource.items() if name not in _REST_WITHOUT})
    opening = _merge_objects(head, wanted)
    return Record(
        version=version,
        stamp=stamp,
        group=_group(resource, tags),
        data=_merge_objects(opening, rest),
        tags_end=len(head) - (3 if tags else 2),
        wanted_end=len(opening) - 1,
    )


def _group(resource: Resource, tags: object) -> Group:
    status, code = resource.get("status"), resource.get("code")
    codings = code.get("coding") if isinstance(code, Mapping) else None
    return Group(
        kind=str(resource["resourceType"]),
        status=status if isinstance(status, str) else None,
        tags=_tokens(tags),
        codes=_tokens(codings),
    )


def _tokens(codings: object) -> frozenset[str]:
    """Write codings as tokens; a malformed resource is stored all the same, it only matches fewer searches."""
    if not isinstance(codings, list):
        return frozenset()
    return frozenset(
        f"{each.get('system', '')}|{each.get('code', '')}" for each in codings if isinstance(each, Mapping)
    )


def _bounds(index: list[IndexEntry], span: Span) -> tuple[int, int]:
    return bisect_left(index, (span.low, "")), bisect_left(index, (span.high, ""))


def _merge_objects(head: bytes, tail: bytes) -> bytes:
    """Merge two JSON objects, given as bytes."""
    return head if tail == b"{}" else head[:-1] + b"," + tail[1:]


def _bytes(value: object) -> bytes:
    return _write(value).encode()
