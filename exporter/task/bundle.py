"""Decodes what a FHIR server answers: a page of Tasks, a count, a history, an Organization.

Rule: neither a text of the server nor a message of msgspec, which may repeat one, gets into an error.

See docs/design.md#asking.
"""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Raw, ValidationError
from msgspec.json import Decoder

from ..errors import NotFhir, TooLarge, WrongResource
from . import fhir_json
from .dates import parse_instant
from .entry import PageContext, read_entry
from .fhir_json import DECODE_ERRORS, decode_or_none
from .model import Page, Selection, Task
from .reasons import Classify

_BUNDLE = Decoder(fhir_json.Bundle)
_HISTORY_ENTRY = Decoder(fhir_json.HistoryEntry)
_ORGANIZATION = Decoder(fhir_json.Organization)
_ANY_JSON = Decoder(Raw)
_TEXT = Decoder(str)
_INTEGER = Decoder(int)
MOST_ENTRIES = 10_000
"""Of one page. We ask for 500 at most, and unreadable ones take 40 µs each, which no time limit sees."""

_COUNT_LIMIT = 2**53
_MAX_NAME_CHARACTERS = 512

R = TypeVar("R", bound=fhir_json.Resource)


def decode_page(body: bytes, selection: Selection, classify: Classify) -> Page:
    """Read a page of a search. Every entry that matches the search gives one Task, readable or not.

    Raises NotFhir; TooLarge; or WrongResource if it is JSON but not a searchset, or one that reports a failed search.
    """
    bundle = _decode_bundle(body, "searchset")
    server_time = parse_instant(bundle.meta.last_updated) if bundle.meta else None
    context = PageContext(selection, classify, server_time)
    tasks = tuple(task for raw in bundle.entry or () if (task := read_entry(raw, context)) is not None)
    return Page(tasks, _next_url(bundle.link or ()), server_time, len(tasks))


def decode_history(body: bytes, selection: Selection, classify: Classify) -> Page:
    """Read a page of an instance history. Deletions are left out. Raises the errors of `decode_page`."""
    bundle = _decode_bundle(body, "history")
    context = PageContext(selection, classify, None)
    written = (raw for raw in bundle.entry or () if not _is_deletion(raw))
    tasks = tuple(task for raw in written if (task := read_entry(raw, context)) is not None)
    return Page(tasks, _next_url(bundle.link or ()), matches=len(tasks))


def decode_version(body: bytes, context: PageContext) -> Task | None:
    """Read one version of a Task, which comes without a Bundle; None where it is no resource."""
    return read_entry(Raw(b'{"resource":' + body + b"}"), context)


def _is_deletion(raw: Raw) -> bool:
    entry = decode_or_none(raw, _HISTORY_ENTRY)
    return entry is not None and entry.request is not None and entry.request.method == "DELETE"


def decode_count(body: bytes) -> int | None:
    """Read `Bundle.total` of a `_summary=count`; None if there is none. Raises the errors of `decode_page`."""
    total = decode_or_none(_decode_bundle(body, "searchset").total, _INTEGER)
    return total if total is not None and 0 <= total < _COUNT_LIMIT else None


def decode_organization(body: bytes) -> str | None:
    """Read an Organization's name, not yet cleaned; None if it has none. Raises NotFhir or WrongResource."""
    organization = _decode(body, _ORGANIZATION)
    if organization.resource_type != "Organization":
        raise WrongResource("The response is not an Organization.")
    name = decode_or_none(organization.name, _TEXT)
    return name[:_MAX_NAME_CHARACTERS] if name and name.strip() else None


def _decode_bundle(body: bytes, kind: str) -> fhir_json.Bundle:
    bundle = _decode(body, _BUNDLE)
    if bundle.resource_type == "OperationOutcome":
        raise WrongResource("The search was answered with an OperationOutcome.")
    if bundle.resource_type != "Bundle" or bundle.type != kind:
        raise WrongResource(f"The search was answered with something else than a {kind} Bundle.")
    if len(bundle.entry or ()) > MOST_ENTRIES:
        raise TooLarge("The page has more entries than a page may have.")
    return bundle


def _decode(body: bytes, decoder: Decoder[R]) -> R:
    """Raise outside the `except`, so that the error has no context: msgspec's messages may repeat a value."""
    try:
        return decoder.decode(body)
    except ValidationError:
        is_json = _is_json(body)
    except DECODE_ERRORS:
        is_json = False
    if is_json:
        raise WrongResource("The answer is JSON, but not the FHIR resource that was asked for.")
    raise NotFhir("The response is not JSON.")


def _is_json(body: bytes) -> bool:
    """Check the whole body: a value of the wrong type may come before a syntax error."""
    try:
        _ANY_JSON.decode(body)
    except DECODE_ERRORS:
        return False
    return True


def _next_url(links: Iterable[fhir_json.BundleLink]) -> str | None:
    """Find the next page. A link without an address raises WrongResource: the walk would end too early."""
    for link in links:
        if link.relation == "next":
            if not link.url:
                raise WrongResource("The Bundle says that there is a next page, but not where.")
            return link.url
    return None
