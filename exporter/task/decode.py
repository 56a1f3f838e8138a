"""From the bytes that a FHIR server answered to values of our own.

Rule 1: this file knows Bundles and their links; `entries` knows Tasks, `wire` the elements that are read at all.
Rule 2: no text of the server's, and none of msgspec's messages (they can repeat a value), gets into an error.
"""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Raw, ValidationError
from msgspec.json import Decoder

from ..errors import NotFhir, WrongResource
from .dates import parse_instant
from .entries import Classify, View, read_entry
from .model import Page, Selection
from .wire import UNREADABLE, Bundle, Link, Organization, Wire, decode_or_none

_BUNDLE = Decoder(Bundle)
_ORGANIZATION = Decoder(Organization)
_ANYTHING = Decoder(Raw)
_TEXT = Decoder(str)
_COUNT = Decoder(int)
_LARGEST_COUNT = 2**53
_LONGEST_NAME = 512

W = TypeVar("W", bound=Wire)


def decode_page(body: bytes, selection: Selection, classify: Classify) -> Page:
    """Read a page of a search; `classify` gives a failed Task's reason from its texts.

    Every entry that answers the search gives one Task, be it readable or not.
    Raises NotFhir, or WrongResource where it is JSON but no searchset, or one whose server says that the search failed.
    """
    bundle = _searchset(body)
    stamp = bundle.meta.last_updated if bundle.meta else None
    view = View(selection, classify, parse_instant(stamp) if stamp else None)
    tasks = tuple(task for raw in bundle.entry or () if (task := read_entry(raw, view)) is not None)
    return Page(tasks, _next(bundle.link or ()), view.clock, len(tasks))


def decode_count(body: bytes) -> int | None:
    """Read `Bundle.total` of a `_summary=count`; None where there is none. Raises as `decode_page`."""
    total = decode_or_none(_searchset(body).total, _COUNT)
    return total if total is not None and 0 <= total < _LARGEST_COUNT else None


def decode_organization(body: bytes) -> str | None:
    """Read an Organization's name, as it is written; None where it has none. Raises NotFhir or WrongResource."""
    organization = _decode(body, _ORGANIZATION)
    if organization.resource_type != "Organization":
        raise WrongResource("Another resource came where an Organization was asked for.")
    name = decode_or_none(organization.name, _TEXT)
    return name[:_LONGEST_NAME] if name and name.strip() else None


def _searchset(body: bytes) -> Bundle:
    bundle = _decode(body, _BUNDLE)
    if bundle.resource_type == "OperationOutcome":
        raise WrongResource("The search was answered with an OperationOutcome.")
    if bundle.resource_type != "Bundle" or bundle.type != "searchset":
        raise WrongResource("The search was answered with something else than a searchset Bundle.")
    return bundle


def _decode(body: bytes, decoder: Decoder[W]) -> W:
    """Tell what is no JSON from what is JSON of another shape. The cause is dropped: its text can hold a value."""
    try:
        return decoder.decode(body)
    except ValidationError:
        wrong = _is_json(body)
    except UNREADABLE:
        wrong = False
    if wrong:
        raise WrongResource("The answer is JSON, but not the FHIR resource that was asked for.")
    raise NotFhir("The answer is no JSON.")


def _is_json(body: bytes) -> bool:
    try:
        _ANYTHING.decode(body)
    except UNREADABLE:
        return False
    return True


def _next(links: Iterable[Link]) -> str | None:
    """Give the link to the next page. One without an address would end the walk too early: refused."""
    for link in links:
        if link.relation == "next":
            if not link.url:
                raise WrongResource("The Bundle says that there is a next page, but not where.")
            return link.url
    return None
