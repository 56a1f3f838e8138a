"""The simulated FHIR server: `answer(store, request)`, which behaves as HAPI FHIR 8.8.0 (R4) was measured to.

Rule 1: no socket, and no clock but the store's; a request changes nothing but the store's list of cursors.
Rule 2: this server has no quirks. Each of those is a wrapper around it, in the tests.
"""

import json
from collections.abc import Iterable
from email.utils import formatdate
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from .dates import format_stamp
from .query import Cursor, Parameters, Query, Refused, parse
from .store import ELEMENTS, SUBSETTED, UNLIMITED, Deletion, Record, Store

Headers = tuple[tuple[str, str], ...]


class Request(NamedTuple):
    """A request. `query` is decoded, header names are lower case."""

    method: str
    path: str
    query: Parameters = ()
    headers: Headers = ()


class Response(NamedTuple):
    """A complete answer."""

    status: int
    headers: Headers
    body: bytes


FIRST_STAGE = 2000
"""How many ids a search lists at first. When a page beyond them is requested, HAPI loads all the others."""
MAX_CURSORS = 1000
CURSOR_LIFE_MS = 3_600_000
"""HAPI's default; later a page link answers 410."""
DEFAULT_COUNT = 20
JSON = "application/fhir+json;charset=UTF-8"


def answer(store: Store, request: Request) -> Response:
    """Answer a GET as a FHIR server does; errors are answered with an OperationOutcome."""
    try:
        return _route(store, request)
    except Refused as refusal:
        return _respond(store, refusal.status, outcome(refusal.diagnostics))


def outcome(diagnostics: str) -> bytes:
    """Write an OperationOutcome with one error."""
    issue = {"severity": "error", "code": "processing", "diagnostics": diagnostics}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


def _route(store: Store, request: Request) -> Response:
    base = urlsplit(store.base).path
    if request.method not in {"GET", "HEAD"}:
        raise Refused(405, "This server is read only")
    if request.path != base and not request.path.startswith(base + "/"):
        raise Refused(404, "Unknown path")
    match request.path[len(base) :].strip("/").split("/"):
        case [""] if any(name == "_getpages" for name, _ in request.query):
            return _next_page(store, dict(request.query))
        case ["metadata"]:
            return _respond(store, 200, _capabilities(store))
        case ["Task" | "Organization" as kind]:
            return _search(store, kind, request.query)
        case ["Task" | "Organization" as kind, identifier]:
            return _read(store, kind, identifier)
        case ["Task", identifier, "_history"]:
            return _history(store, identifier, dict(request.query))
        case ["Task", identifier, "_history", number]:
            return _one_version(store, identifier, number)
    raise Refused(404, "Unknown path")


def _respond(store: Store, status: int, body: bytes, *headers: tuple[str, str]) -> Response:
    date = formatdate(store.clock() / 1000, usegmt=True)
    return Response(status, (("content-type", JSON), ("date", date), *headers), body)


def _read(store: Store, kind: str, identifier: str) -> Response:
    record = store.get(kind, identifier)
    if record:
        return _respond(store, 200, record.data, ("etag", f'W/"{record.version}"'))
    if store.was_deleted(kind, identifier):
        raise Refused(410, "Resource was deleted")
    raise Refused(404, "HAPI-2001: Resource is not known")


def _history(store: Store, identifier: str, parameters: dict[str, str]) -> Response:
    """Answer an instance history, the newest version first; pages are offsets into it (measured on HAPI 8.8.0)."""
    versions = store.history(identifier)
    if not versions:
        raise Refused(404, "HAPI-2001: Resource is not known")
    size = _page_size(store, int(parameters["_count"]) if parameters.get("_count", "").isdecimal() else None)
    offset = int(parameters["_offset"]) if parameters.get("_offset", "").isdecimal() else 0
    elements = frozenset(parameters["_elements"].split(",")) if "_elements" in parameters else None
    address = f"{store.base}/Task/{identifier}"
    links = [{"relation": "self", "url": f"{address}/_history"}]
    if offset + size < len(versions):
        more = urlencode(parameters | {"_offset": str(offset + size)}, quote_via=quote)
        links.append({"relation": "next", "url": f"{address}/_history?{more}"})
    entries = [_version(identifier, each, elements) for each in versions[offset : offset + size]]
    head = {"resourceType": "Bundle", "meta": {"lastUpdated": format_stamp(store.clock())}, "type": "history"}
    opening = json.dumps(head | {"total": len(versions), "link": links}).encode()
    return _respond(store, 200, opening[:-1] + b',"entry":[' + b",".join(entries) + b"]}")


def _one_version(store: Store, identifier: str, number: str) -> Response:
    """Answer one version of a Task."""
    found = next((each for each in store.history(identifier) if str(each.version) == number), None)
    if found is None:
        raise Refused(404, "HAPI-0979: Version is not valid for resource")
    if isinstance(found, Deletion):
        raise Refused(410, "Resource was deleted")
    return _respond(store, 200, found.data)


def _version(identifier: str, version: Record | Deletion, elements: frozenset[str] | None) -> bytes:
    method = "DELETE" if isinstance(version, Deletion) else "POST" if version.version == "1" else "PUT"
    request = json.dumps({"method": method, "url": f"Task/{identifier}/_history/{version.version}"}).encode()
    if isinstance(version, Deletion):
        return b'{"request":%b}' % request
    return b'{"resource":%b,"request":%b}' % (_selected(version, elements), request)


def _search(store: Store, kind: str, parameters: Parameters) -> Response:
    link = f"{store.base}/{kind}?{urlencode(parameters, quote_via=quote)}"
    query = parse(kind, parameters, link)
    if query.count_only:
        return _respond(store, 200, _count_bundle(store, query))
    limit = UNLIMITED if query.newest_first else FIRST_STAGE
    ids = store.find(query, limit + 1)
    cursor = Cursor(query, store.clock(), ids[:limit], more=len(ids) > limit)
    store.searches += 1
    name = blake2b(str(store.searches).encode(), digest_size=16).hexdigest()
    return _respond(store, 200, _page(store, name, cursor, 0, _page_size(store, query.count)))


def _next_page(store: Store, parameters: dict[str, str]) -> Response:
    name = parameters["_getpages"]
    cursor = store.cursors.get(name)
    if cursor is None or store.clock() - cursor.at > CURSOR_LIFE_MS:
        raise Refused(410, "HAPI-0417: Search ID does not exist and may have expired")
    offset, count = parameters.get("_getpagesoffset", "0"), parameters.get("_count", "")
    if not offset.isdecimal():
        raise Refused(400, "_getpagesoffset is not a number")
    size = _page_size(store, int(count) if count.isdecimal() else None)
    return _respond(store, 200, _page(store, name, cursor, int(offset), size))


def _page_size(store: Store, count: int | None) -> int:
    return min(count or DEFAULT_COUNT, store.page_limit)


def _page(store: Store, name: str, cursor: Cursor, offset: int, size: int) -> bytes:
    end = offset + size
    if cursor.more and end > len(cursor.ids):
        _list_the_rest(store, cursor)
    links = [("self", cursor.query.self_link if offset == 0 else _link(store, name, offset, size))]
    if end < len(cursor.ids) or cursor.more:
        _keep_cursor(store, name, cursor)
        links.append(("next", _link(store, name, end, size)))
    entries = _entries(store, cursor.query, cursor.ids[offset:end])
    return _bundle(cursor, name, links, list(entries))


def _list_the_rest(store: Store, cursor: Cursor) -> None:
    """Continue as HAPI does: add what matches *now* and was not listed, so that what changed meanwhile comes last."""
    listed = set(cursor.ids)
    cursor.ids += [each for each in store.find(cursor.query, UNLIMITED) if each not in listed]
    cursor.more = False


def _keep_cursor(store: Store, name: str, cursor: Cursor) -> None:
    store.cursors[name] = cursor
    if len(store.cursors) > MAX_CURSORS:
        del store.cursors[next(iter(store.cursors))]


def _link(store: Store, name: str, offset: int, size: int) -> str:
    return f"{store.base}?_getpages={name}&_getpagesoffset={offset}&_count={size}&_format=json&_bundletype=searchset"


def _entries(store: Store, query: Query, ids: Iterable[str]) -> Iterable[bytes]:
    """Write the resources as they are now; a deleted one is left out, which shortens the page without a sign of it."""
    opening = f'{{"fullUrl":"{store.base}/{query.kind}/'.encode()
    for identifier in ids:
        record = store.get(query.kind, identifier)
        if record:
            body = _selected(record, query.elements)
            yield b'%b%b","resource":%b,"search":{"mode":"match"}}' % (opening, identifier.encode(), body)


_PRECOMPUTED = frozenset({*ELEMENTS, "meta"})
_ALWAYS = frozenset({"resourceType", "id", "meta"})


def _selected(record: Record, elements: frozenset[str] | None) -> bytes:
    if elements is None:
        return record.data
    if elements == _PRECOMPUTED:
        return record.subsetted()
    resource = json.loads(record.data)
    kept = {name: value for name, value in resource.items() if name.lstrip("_") in elements | _ALWAYS}
    kept["meta"].setdefault("tag", []).append(json.loads(SUBSETTED))
    return json.dumps(kept).encode()


def _bundle(cursor: Cursor, name: str, links: list[tuple[str, str]], entries: list[bytes]) -> bytes:
    head: dict[str, object] = {"resourceType": "Bundle", "id": name, "meta": {"lastUpdated": format_stamp(cursor.at)}}
    head["type"] = "searchset"
    if not cursor.more:
        head["total"] = len(cursor.ids)
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    opening = json.dumps(head).encode()
    return opening[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else opening


def _count_bundle(store: Store, query: Query) -> bytes:
    now = format_stamp(store.clock())
    meta = {"lastUpdated": now, "tag": [json.loads(SUBSETTED)]}
    head = {"resourceType": "Bundle", "meta": meta, "type": "searchset", "total": store.count(query)}
    return json.dumps(head | {"link": [{"relation": "self", "url": query.self_link}]}).encode()


def _capabilities(store: Store) -> bytes:
    names = ("_id", "_lastUpdated", "_tag", "code", "status")
    task = {"type": "Task", "interaction": [{"code": "read"}, {"code": "search-type"}]}
    task |= {"searchParam": [{"name": name, "type": "date" if "last" in name else "token"} for name in names]}
    organization = {"type": "Organization", "interaction": [{"code": "read"}]}
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": format_stamp(store.clock()),
        "kind": "instance",
        "software": {"name": "Simulated payer network"},
        "implementation": {"description": "Simulated payer network", "url": store.base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": [task, organization]}],
    }
    return json.dumps(statement).encode()
