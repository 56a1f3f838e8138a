"""Quirks of what a server holds: odd Tasks as tables, and what happens to Tasks as actions on a store."""

import copy
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from exporter.demo.dates import format_stamp
from exporter.demo.store import Store
from exporter.task.model import TERMINAL, Coding, Instant, Status

from .builders import (
    CODE,
    NPI,
    TAG,
    Resource,
    at,
    by_display,
    by_identifier,
    coding,
    completed,
    concept,
    contained,
    meta,
    note,
    organization,
    reference,
    task,
)
from .fake import START

# --- Q10 to Q13: stamps


def put_late(store: Store, resource: Resource, seconds: float) -> None:
    """Q10: show a version now whose stamp is so many seconds old, since its transaction took that long."""
    store.put(resource, stamp=store.clock() - round(seconds * 1000))


def put_together(store: Store, resources: Iterable[Resource]) -> None:
    """Q11: write in one transaction: all share one stamp."""
    stamp = store.clock()
    for resource in resources:
        store.put(resource, stamp=stamp)


def skewed(clock: Callable[[], Instant], hours: float) -> Callable[[], Instant]:
    """Q13: make a server's clock that is so far ahead of ours (behind, if negative)."""
    return lambda: clock() + round(hours * 3_600_000)


def put_in_the_future(store: Store, resource: Resource, hours: float) -> None:
    """Q13: a stamp that has not come yet."""
    store.put(resource, stamp=skewed(store.clock, hours)())


# --- Q15 to Q17, Q34: what happens to a Task


def hurry(store: Store, identifier: str, *statuses: str) -> None:
    """Q15: go through statuses between two looks."""
    for status in statuses:
        store.put(task(identifier, status))


def touch(store: Store, resource: Resource) -> None:
    """Q15: write again what is there; the server makes no version of it."""
    store.put(resource)


def rewrite(store: Store, identifier: str, **elements: Any) -> None:
    """Q15: make a new version in the same status."""
    record = store.get("Task", identifier)
    assert record
    store.put(task(identifier, record.group.status, note=note(f"Version after {record.version}"), **elements))


def expunge_and_make_anew(store: Store, resource: Resource) -> None:
    """Q16: physically removed, then created again: version 1 under a known id."""
    store.expunge(resource["id"])
    store.put(resource)


def untag(store: Store, identifier: str) -> None:
    """Q16: `$meta-delete` of our tag: no version, no stamp, and gone from the search."""
    store.meta_delete(identifier, TAG)


def purge(store: Store) -> None:
    """Q16: delete all terminal Tasks, as a yearly clean-up does."""
    for identifier in list(store.ids()):
        record = store.get("Task", identifier)
        if record and record.group.status in TERMINAL:
            store.delete(identifier)


def reopen(store: Store, identifier: str) -> None:
    """Q17: failed, open again, failed again."""
    for status in ("failed", "in-progress", "failed"):
        store.put(task(identifier, status))


def put_back_in_time(store: Store, resource: Resource, seconds: float = 0.25) -> None:
    """Q17: a newer version with a stamp older than its predecessor's."""
    before = store.get("Task", resource["id"])
    assert before
    store.put(resource, stamp=before.stamp - round(seconds * 1000))


class Backup:
    """Q34: what the server held; `restore` brings it back, versions and all."""

    PARTS = ("_records", "_indexes", "_groups", "_deleted")

    def __init__(self, store: Store) -> None:
        self._kept = {part: copy.deepcopy(getattr(store, part)) for part in self.PARTS}

    def restore(self, store: Store) -> None:
        for part, value in self._kept.items():
            setattr(store, part, copy.deepcopy(value))


# --- Q18 to Q22: odd Tasks


def of_each_status() -> list[Resource]:
    """Q18: one Task of each R4 code, one of a word that nobody knows, one without a status."""
    known = [task(f"is-{status}", status) for status in Status if status is not Status.UNKNOWN]
    return [*known, task("is-unheard-of", "under-review"), task("is-missing", None)]


AUTHORED = (
    None,
    "2026",
    "2026-11",
    "2026-11-19",
    "2026-11-19T09:15:00+14:00",
    "2026-11-19T09:15:00-14:00",
    "2026-11-19T23:59:60Z",
    "2026-11-19T09:15:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-11-31T09:15:00Z",
    "2026-11-19T24:00:00Z",
    "2026-11-19 09:15:00Z",
    "2026-W47-4",
    "20261119",
    "yesterday",
    "",
    at(0),
    at(+48),
)
"""Q19: values of authoredOn; the last two equal START and come after every stamp of a test."""


def dated() -> list[Resource]:
    """Q19: a completed Task of each value, and one whose authoredOn is only an extension."""
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    made = [completed(f"authored-{n}", authoredOn=value) for n, value in enumerate(AUTHORED)]
    moved = completed("authored-meta", authoredOn=None, meta=meta(TAG, authoredOn=at(-1)))
    return [*made, moved, completed("authored-absent", authoredOn=None, _authoredOn=absent)]


OWNERS: dict[str, Resource] = {
    "absent": {"owner": None},
    "empty": {"owner": {}},
    "relative": {"owner": reference("Organization/old-payer")},
    "versioned": {"owner": reference("Organization/old-payer/_history/2")},
    "on our base": {"owner": reference("http://fhir.example/fhir/Organization/old-payer")},
    "elsewhere": {"owner": reference("http://evil.example/fhir/Organization/old-payer")},
    "dangling": {"owner": reference("Organization/nowhere")},
    "logical": {"owner": reference("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")},
    "identifier": {"owner": by_identifier("9941339108")},
    "identifier and display": {"owner": by_identifier("9941339108", display="Old Payer")},
    "display": {"owner": by_display("Old Payer")},
    "contained": contained("Contained Payer"),
    "contained, not sent": {"owner": reference("#payer")},
    "practitioner": {"owner": reference("Practitioner/doctor", display="Dr. Somebody")},
    "typed practitioner": {"owner": {"type": "Practitioner", "display": "Dr. Somebody"}},
}
"""Q20: elements of a Task by how its owner is named: `task("t", **OWNERS["display"])`."""


def many_owners(count: int) -> Iterator[Resource]:
    """Q21: as many Tasks as owners."""
    for n in range(count):
        yield task(f"owned-{n}", owner=by_display(f"Payer {n:05}"))


def foreign() -> list[Resource]:
    """Q22: Tasks of other writers, and ours among other tags."""
    other = Coding("http://elsewhere.example/tags", "CDR_MANAGED")
    subsetted = Coding("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED")
    return [
        task("code-without-tag", meta=meta()),
        task("tag-without-code", code=None),
        task("tag-and-other-code", code=concept(Coding(CODE.system, "attachment-request"))),
        task("other-tag", meta=meta(other)),
        task("ours-among-others", meta=meta(other, TAG, subsetted), code=concept(Coding("x", "y"), CODE)),
    ]


# --- Q24, Q26, Q33, Q35


def full_of(canary: str, identifier: str = "canary") -> Resource:
    """Q24, Q27: a failed Task with a marked string in every free text; its owner is a known Organization."""
    return task(
        identifier,
        "failed",
        text={"status": "generated", "div": f"<div>{canary}</div>"},
        description=canary,
        note=[{"text": canary, "authorString": canary}],
        statusReason={"text": canary, "coding": [{"system": canary, "code": canary, "display": canary}]},
        focus=reference(f"Consent/{canary}", display=canary),
        for_=reference(f"Patient/{canary}", display=canary, identifier={"system": NPI, "value": canary}),
        input=[{"type": {"text": canary}, "valueString": canary}],
        output=[{"type": {"coding": [{"code": "documentreference"}]}, "valueReference": {"reference": canary}}],
        contained=[organization("payer", canary)],
        meta={"tag": [coding(TAG), {"system": canary, "code": canary, "display": canary}], "source": canary},
    )


def _entry(elements: str) -> bytes:
    tag = f'{{"system":"{TAG.system}","code":"{TAG.code}"}}'
    stamp = f'"lastUpdated":"{format_stamp(START)}"'
    head = f'"resourceType":"Task","id":"odd","meta":{{"versionId":"1",{stamp},"tag":[{tag}]}}'
    return f"{{{head},{elements}}}".encode()


MALFORMED: dict[str, bytes] = {
    "null": b"null",
    "a list": b"[]",
    "a number": b"7",
    "no type": b'{"id":"odd"}',
    "no id": b'{"resourceType":"Task","status":"failed"}',
    "id of a number": b'{"resourceType":"Task","id":7,"status":"failed"}',
    "meta of text": b'{"resourceType":"Task","id":"odd","meta":"none","status":"failed"}',
    "stamp of words": b'{"resourceType":"Task","id":"odd","meta":{"versionId":"1","lastUpdated":"now"}}',
    "status of a list": _entry('"status":["failed"]'),
    "status of an object": _entry('"status":{"value":"failed"}'),
    "status null": _entry('"status":null'),
    "status as extension only": _entry('"_status":{"extension":[{"url":"x","valueCode":"unknown"}]}'),
    "note of text": _entry('"status":"failed","note":"it failed"'),
    "note of nulls": _entry('"status":"failed","note":[null,{"text":null}]'),
    "output of numbers": _entry('"status":"completed","output":[1,2]'),
    "owner of a list": _entry('"status":"requested","owner":[{"display":"Old Payer"}]'),
    "nested lists": _entry('"status":"requested","code":{"coding":[[[]]]}'),
    "date of a number": _entry('"status":"requested","authoredOn":20261119'),
    "a huge number": _entry('"status":"requested","priority":1e999'),
}
"""Q26: entries that are no good Task, for `quirks.raw_entry`; each is JSON all the same."""

BROKEN: dict[str, bytes] = {
    "bad UTF-8": _entry('"status":"requested"').replace(b"requested", b"\xff\xfe"),
    "a lone surrogate": _entry('"status":"requested","description":"\\ud800"'),
    "a broken escape": _entry('"status":"requested","description":"\\x"'),
    "NaN": _entry('"status":"requested","priority":NaN'),
    "deep nesting": _entry('"status":"requested","extension":' + "[" * 5000 + "]" * 5000),
}
"""Q26: entries that a strict reader refuses as JSON."""

IDS = ("7", "p2p-task-ab123", "A.b-C.9", "x" * 64, "-", "00", "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")
"""Q33: ids that FHIR allows."""


def put_with_uuid(store: Store, resource: Resource, number: int) -> None:
    """Q33: a version whose id is a UUID, as servers without counters give it."""
    store.put(resource, version=str(uuid.UUID(int=number)))


def load(store: Store, count: int, days: float = 365) -> None:
    """Q35: so many old Tasks, spread evenly over the past, most of them terminal, ids in no order of time."""
    start, step = store.clock() - round(days * 86_400_000), days * 86_400_000 / max(count, 1)
    statuses = ("completed",) * 8 + ("failed", "requested")
    resource = task()
    for n in range(count):
        resource |= {"id": f"old-{n * 7919 % 1_000_003:06x}", "status": statuses[n % 10]}
        store.put(resource, stamp=start + round(n * step))
