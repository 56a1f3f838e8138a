"""Where the server's counts and the ledger's differ: the Tasks of one status at a time, in slices of their stamps.

See docs/design.md#full-comparison, docs/decisions/0021-how-a-full-comparison-cuts.md.
"""

from collections.abc import Generator, Iterator
from itertools import pairwise
from random import sample

from ..context import WalkContext
from ..errors import ServerError, WrongResource
from ..steps import Compared
from ..task.model import Status
from ..task.search import LAST_INSTANT, NO_CODE, Bound, Search, Slice, search_of
from .failures import without_count

SMALL = 2_000
"""Tasks in a slice that is walked rather than halved: one window."""

FEW = 200
"""Tasks in a slice that is walked without counting it first: they fit on a page."""

CUTS = 3
"""Cuts through the Tasks of a status before they are counted."""


def count(context: WalkContext, part: Slice) -> Generator[Compared, None, int | None]:
    """Ask for the server's count of a slice; None where it fails."""
    try:
        found = _count(context, search_of(part))
    except ServerError as error:
        yield without_count(context, error)
        found = None
    yield Compared()
    return found


def differing(context: WalkContext) -> Generator[Compared, None, list[Slice]]:
    """Find the slices that are small, or whose counts differ, each small enough to walk. Raises a ServerError."""
    yield from _probe(context)
    todo = [part for status in Status for part in _first_slices(context, status)]
    found = []
    while todo:
        part = todo.pop()
        ours = context.ledger.count_between(part)
        if ours <= FEW:
            found.append(part)  # a page of Tasks costs no more than their count, and tells more
            continue
        theirs = _count(context, search_of(part))
        yield Compared()
        if theirs == ours:
            continue
        if theirs <= SMALL or part.end - part.start <= 1:
            found.append(part)
        else:
            todo += _halves(context, part, ours)
    return found


def _first_slices(context: WalkContext, status: Status) -> list[Slice]:
    """Cut the Tasks of a status at other stamps each time, so that opposite differences cancel for a while only.

    One Task deleted and one tagged by `$meta-add` leave the count of a slice that holds both as it was.
    """
    whole = Slice(status, 0, LAST_INSTANT)
    number = context.ledger.count_between(whole)
    if number <= FEW:
        return [whole]
    places = sample(range(number), CUTS)
    cuts = {context.ledger.stamp_at(whole, place) for place in places} - {None, 0}
    edges = [whole.start, *sorted(each for each in cuts if each is not None), whole.end]
    return [Slice(status, start, end) for start, end in pairwise(edges)]


def _probe(context: WalkContext) -> Iterator[Compared]:
    """Make sure that counts mean something: a server may ignore a bound, or the tag. Raises WrongResource."""
    ledger, server = context.ledger, context.server
    parts = [Slice(status, 0, LAST_INSTANT) for status in Status]
    largest = max(parts, key=ledger.count_between)
    middle = ledger.stamp_at(largest, ledger.count_between(largest) // 2) or 1
    searches = [Search(Bound("ge", middle), middle)]
    if server.criterion is not None:
        searches.append(Search(filters=((server.criterion, NO_CODE),)))
    for search in searches:
        if _count(context, search):
            raise WrongResource("The server's counts do not obey the bounds, the tag or the code.")
        yield Compared()


def _count(context: WalkContext, search: Search) -> int:
    with context.server.window() as window:
        return window.count(search)


def _halves(context: WalkContext, part: Slice, number: int) -> list[Slice]:
    """Cut a slice in the middle of its Tasks; or halfway to the server's now; or in the middle of its time."""
    stamp = context.ledger.stamp_at(part, number // 2)
    cuts = (stamp, (part.start + context.server_clock.now) // 2, (part.start + part.end) // 2)
    middle = next(cut for cut in cuts if cut is not None and part.start < cut < part.end)
    return [part._replace(end=middle), part._replace(start=middle)]
