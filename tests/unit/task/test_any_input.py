"""Whatever a server sends, the decoder returns or raises one of its two errors."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import NotFhir, WrongResource
from exporter.task.bundle import decode_count, decode_organization, decode_page
from exporter.task.model import Page
from tests.support import builders as make

from .pages import (
    ALL,
    OURS,
    decoded,
    entry,
    everything,
    quiet,
    searchset,
    stored,
)

NAMES = st.sampled_from(
    [
        *("resourceType", "type", "meta", "lastUpdated", "versionId", "tag", "link", "relation", "url", "total"),
        *("entry", "resource", "search", "mode", "id", "status", "statusReason", "code", "coding", "system", "text"),
        *("focus", "for", "authoredOn", "requester", "owner", "reference", "identifier", "value", "display", "note"),
        *("output", "valueReference", "contained", "name", "issue", "severity", "concept"),
    ]
)
WORDS = st.sampled_from(
    [
        *("Bundle", "searchset", "Task", "match", "next", "failed", "#a", "a", "2026-11-20T14:03:11Z"),
        *("OperationOutcome", "error"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(NAMES, part, max_size=8),
    max_leaves=30,
)


GOOD = searchset(*(entry(everything(make.reference("#payer"), status)) for status in ("failed", "completed")))


def survives(body: bytes) -> Iterator[Page]:
    """Decode in every way; only the two errors that callers expect may be raised."""
    for selection in (OURS, ALL):
        with suppress(NotFhir, WrongResource):
            yield decode_page(body, selection, quiet)
    for decode in (decode_count, decode_organization):
        with suppress(NotFhir, WrongResource):
            decode(body)


@given(JSON)
@settings(deadline=None)
def test_no_json_breaks_the_decoder(value: Any) -> None:
    list(survives(json.dumps(value).encode()))


@given(st.lists(JSON, max_size=5), JSON)
@settings(deadline=None)
def test_a_page_of_anything_gives_as_many_tasks_as_matches(entries: list[Any], resource: Any) -> None:
    for page in survives(searchset(*entries, entry(resource), entry(stored(make.task("good"))))):
        assert page.matches == len(page.tasks)
        assert page.tasks[-1].id == "good"
        assert all(task.updated >= 0 < len(task.id) for task in page.tasks)


@given(st.dictionaries(NAMES, JSON, max_size=4))
@settings(deadline=None)
def test_a_task_with_odd_elements_is_still_one_task(elements: dict[str, Any]) -> None:
    resource = stored(make.failed()) | elements | {"resourceType": "Task"}
    assert decoded(entry(resource)).matches == 1


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 30), st.binary(max_size=6))
@settings(deadline=None)
def test_damaged_bytes_do_not_break_the_decoder(at: int, gone: int, put: bytes) -> None:
    list(survives(GOOD[:at] + put + GOOD[at + gone :]))


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_bytes_do_not_break_the_decoder(body: bytes) -> None:
    list(survives(body))
