"""What polls cannot see: Tasks deleted or untagged, and writes that became visible long after their stamps.

Rule 1: a comparison uses the one loop of `walk`; this file only chooses what to walk, and looks up what is missing.
Rule 2: it acts only on differences that remain after a complete poll, and never moves the watermark.

See docs/design.md#open-comparison, docs/design.md#full-comparison.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from itertools import pairwise
from random import sample
from typing import NamedTuple, TypeVar

from .desk import Desk, Kind, Progress, WalkPlan
from .errors import (
    AuthFailed,
    ClientFault,
    CursorExpired,
    NotFhir,
    NothingThere,
    Redirected,
    ServerError,
    ServerFault,
    Throttled,
    TooLarge,
    Truncated,
    Unreachable,
    WrongResource,
)
from .ledger.state import StateKey
from .refresh import refresh_names
from .task.lifecycle import Observation, vanish
from .task.model import DIGEST, TERMINAL, Instant, Status
from .task.rows import Removal, Row
from .task.search import Bound, Search, Slice
from .walk import Walk, absorb

T = TypeVar("T")

BATCH = 50
"""Ids in one look-up: 64 characters each make a URL that every server takes."""

SMALL = 2_000
"""Tasks in a slice that is walked rather than halved: one window."""

KEPT = 30 * 86_400_000
"""Milliseconds that the row of a Task outlives it, so that an untagged one that returns goes on."""

NOT_ENDED = ("status:not", ",".join(sorted(TERMINAL)))
"""Open Tasks are asked for by what they are not: a Task may have no status (measured on HAPI 8.8.0)."""

FEW = 200
"""Tasks in a slice that is walked without counting it first: they fit on a page."""

RETRIES = 3
"""Failures in a row after which a comparison gives up until it is due again."""

PASSING = (CursorExpired, ServerFault, Throttled, Truncated, Unreachable)
"""Failures that the next try may not meet. Not a time-out: the next comparison gets more time instead."""

CUTS = 3
"""Cuts through the Tasks of a status before they are counted."""

SETTLING = 60_000
"""Milliseconds after a change, or after our first sight of a Task, in which no sweep calls it gone."""

NO_CODE = "urn:fhir-task-exporter|none"
"""A tag, and a code, that no Task has: a server that counts any with it does not know the search parameter."""

LAST_INSTANT: Instant = 32_503_680_000_000
"""The year 3000: past every stamp, and a date that every server reads."""


def sweep_open(desk: Desk, lookback: int) -> Iterator[Progress]:
    """Compare the open Tasks, and what changed within `lookback` milliseconds."""
    watermark = desk.ledger.instant(StateKey.WATERMARK) or 0
    desk.ledger.begin_comparison()
    yield from _walk(desk, Search(filters=(NOT_ENDED,)))
    yield from _walk(desk, Search(Bound("ge", watermark - lookback)))
    yield Progress(wants_poll=True)
    yield from _look_up_missing(desk, None)


def sweep_all(desk: Desk) -> Iterator[Progress]:
    """Compare everything: by counts where the server counts, else, or where payers were renamed, by walking."""
    yield from refresh_names(desk)
    desk.ledger.begin_comparison()
    desk.server.ask_tag_again()
    slices: list[Slice] | None = None
    try:
        slices = None if desk.renamed else (yield from _differing(desk))
    except ServerError as error:
        yield _uncounted(desk, error)
    yield Progress(wants_poll=True)
    if slices is None:
        yield from _walk_everything(desk)
    else:
        for part in slices:
            yield from _mend(desk, part)
    desk.resync = True
    with desk.ledger.transaction() as tx:
        tx.delete_removed((desk.ledger.instant(StateKey.WATERMARK) or 0) - KEPT)
        tx.set_instant(StateKey.COMPARED_WALL, desk.clock.wall())
        if slices is None:
            tx.set_instant(StateKey.NAMES, desk.rules.names)
            tx.recount_capped()


def _walk(desk: Desk, search: Search) -> Iterator[Progress]:
    """Walk a search to its end; a window that fails is walked again, so that one lost answer ends no long work.

    What is found joins the baseline if it is older.
    """
    walk, failed, before = Walk(desk, WalkPlan(Kind.SWEEP, search, joining=True)), 0, search.since
    while not walk.ended:
        try:
            yield from walk.turns()
        except ServerError as error:
            failed, before = (failed + 1 if walk.cursor == before else 1), walk.cursor
            yield _go_on_after(desk, error, failed)


def _go_on_after(desk: Desk, error: ServerError, failed: int) -> Progress:
    """Count a failure and go on, no earlier than the server asks for; raises it where it is one too many in a row."""
    if failed > RETRIES or not isinstance(error, PASSING):
        raise error
    return _counted_error(desk, error)


def _walk_everything(desk: Desk) -> Iterator[Progress]:
    yield from _walk(desk, Search())
    yield Progress(wants_poll=True)
    for status in Status:
        yield from _look_up_missing(desk, Slice(status, 0, LAST_INSTANT))


def _mend(desk: Desk, part: Slice) -> Iterator[Progress]:
    """Walk a slice that still differs after the poll, or is small, and look up what it does not hold."""
    ours = desk.ledger.count_between(part)
    if ours > FEW:
        theirs = yield from _counted(desk, part)
        yield Progress()
        if theirs == ours:
            return
    yield from _walk(desk, _search(part))
    yield from _look_up_missing(desk, part)


def _counted(desk: Desk, part: Slice) -> Generator[Progress, None, int | None]:
    """Ask for the server's count of a slice; None where it fails."""
    try:
        return _count(desk, _search(part))
    except ServerError as error:
        yield _uncounted(desk, error)
        return None


def _uncounted(desk: Desk, error: ServerError) -> Progress:
    """Go on without a count, no earlier than the server asks for. That a server never counts is no error."""
    return Progress() if isinstance(error, ClientFault | WrongResource) else _counted_error(desk, error)


def _counted_error(desk: Desk, error: ServerError) -> Progress:
    """Count an error that ends nothing; a wait that the server asked for is kept."""
    desk.telemetry.count_error(error.reason)
    return Progress(throttled=error if isinstance(error, Throttled) else None)


def having(status: Status) -> Search:
    """Ask for the Tasks of a status; unknown is what is none of the twelve."""
    if status is not Status.UNKNOWN:
        return Search(filters=(("status", status.value),))
    return Search(filters=(("status:not", ",".join(each for each in Status if each is not Status.UNKNOWN)),))


def _search(part: Slice) -> Search:
    """Ask for a slice."""
    since = Bound("ge", part.start) if part.start else None
    until = part.end if part.end < LAST_INSTANT else None
    return replace(having(part.status), since=since, until=until, narrow=True)


def _differing(desk: Desk) -> Generator[Progress, None, list[Slice]]:
    """Find the slices that are small, or whose counts differ, each small enough to walk. Raises a ServerError."""
    yield from _probe(desk)
    todo = [part for status in Status for part in _first_slices(desk, status)]
    differing = []
    while todo:
        part = todo.pop()
        ours = desk.ledger.count_between(part)
        if ours <= FEW:
            differing.append(part)  # a page of Tasks costs no more than their count, and tells more
            continue
        theirs = _count(desk, _search(part))
        yield Progress()
        if theirs == ours:
            continue
        if theirs <= SMALL or part.end - part.start <= 1:
            differing.append(part)
        else:
            todo += _halves(desk, part, ours)
    return differing


def _first_slices(desk: Desk, status: Status) -> list[Slice]:
    """Cut the Tasks of a status at other stamps each time, so that opposite differences cancel for a while only.

    One Task deleted and one tagged by `$meta-add` leave the count of a slice that holds both as it was.
    """
    whole = Slice(status, 0, LAST_INSTANT)
    count = desk.ledger.count_between(whole)
    if count <= FEW:
        return [whole]
    places = sample(range(count), CUTS)
    cuts = {desk.ledger.stamp_at(whole, place) for place in places} - {None, 0}
    edges = [whole.start, *sorted(each for each in cuts if each is not None), whole.end]
    return [Slice(status, start, end) for start, end in pairwise(edges)]


def _probe(desk: Desk) -> Iterator[Progress]:
    """Make sure that counts mean something: a server may ignore a bound, or the tag. Raises WrongResource."""
    parts = [Slice(status, 0, LAST_INSTANT) for status in Status]
    largest = max(parts, key=desk.ledger.count_between)
    middle = desk.ledger.stamp_at(largest, desk.ledger.count_between(largest) // 2) or 1
    searches = [Search(Bound("ge", middle), middle)]
    if desk.server.criterion is not None:
        searches.append(Search(filters=((desk.server.criterion, NO_CODE),)))
    for search in searches:
        if _count(desk, search):
            raise WrongResource("the server's counts do not obey the bounds, the tag or the code")
        yield Progress()


def _count(desk: Desk, search: Search) -> int:
    with desk.server.window() as window:
        return window.count(search)


def _halves(desk: Desk, part: Slice, count: int) -> list[Slice]:
    """Cut a slice in the middle of our Tasks; or halfway to the server's now; or in the middle of its time."""
    cuts = (desk.ledger.stamp_at(part, count // 2), (part.start + desk.server_now) // 2, (part.start + part.end) // 2)
    middle = next(cut for cut in cuts if cut is not None and part.start < cut < part.end)
    return [part._replace(end=middle), part._replace(start=middle)]


def _look_up_missing(desk: Desk, part: Slice | None) -> Iterator[Progress]:
    """Look up what the sweep has not seen: it is gone, or no longer ours, or was overlooked.

    Where the server shows no Task at all, a right may be lost: then only what it remembers as deleted (410) is gone.
    Raises NothingThere if there is more.
    """
    blind, unsure = None, False
    ledger = desk.ledger
    for ids in ledger.missing_open(BATCH) if part is None else ledger.missing_in(part, BATCH):
        blind = _shows_nothing(desk) if blind is None else blind
        page = yield from _asked(desk, partial(_search_by_id, desk, ids))
        yield Progress(corrections=page.corrections)
        dropped = 0
        for row in page.missing:
            status = yield from _asked(desk, partial(_status_of, desk, row))
            unsure |= blind and status == HTTPStatus.NOT_FOUND
            dropped += _drop(desk, row, _fate(desk, row, status, blind))
            yield Progress()
        yield Progress(corrections=dropped)
        if unsure and not dropped:
            break  # a right is lost: to read all the others one by one would tell nothing more
    if unsure:
        raise NothingThere("The FHIR server shows no Task at all, where there were some before.")


def _asked(desk: Desk, ask: Callable[[], T]) -> Generator[Progress, None, T]:
    """Ask for one thing, and again where it fails now and then."""
    failed = 0
    while True:
        try:
            return ask()
        except ServerError as error:
            failed += 1
            yield _go_on_after(desk, error, failed)


def _shows_nothing(desk: Desk) -> bool:
    """Whether a server on which the sweep has found no Task shows none to any search."""
    if desk.ledger.saw_any():
        return False
    with desk.server.window() as window:
        page = window.first(Search())
    return not page.tasks and page.next is None


class _LookUp(NamedTuple):
    """What a search by id brought: Tasks that were news, and the rows of those that it did not find."""

    corrections: int
    missing: list[Row]


def _search_by_id(desk: Desk, ids: Sequence[str]) -> _LookUp:
    """Search for a batch and commit what is found. What is young is not missing: replicas lag."""
    with desk.server.window() as window:
        page = window.read([id_ for id_ in ids if not id_.startswith(DIGEST)])
        now = desk.server_now if page.clock is None else page.clock
        seen = Observation(now, desk.rules.deadline, joining=desk.baseline_from)
        changes = absorb(desk, window, page.tasks, seen, lambda _: None)
    found = {task.id for task in page.tasks}
    young = range(now - max(desk.rules.overlap, SETTLING), now + 1)
    rows = (row for id_, row in desk.ledger.known(ids).items() if id_ not in found and row.removal is None)
    return _LookUp(len(changes.rows), [row for row in rows if row.first_seen not in young and row.updated not in young])


def _status_of(desk: Desk, row: Row) -> int:
    """Read a Task for its status alone. A row without a FHIR id cannot be read: what no search finds is not there.

    An answer about this one Task alone must keep no other from being judged: 0.
    """
    if row.id.startswith(DIGEST):
        return HTTPStatus.NOT_FOUND
    try:
        with desk.server.window() as window:
            return window.status_of(row.id)
    except (AuthFailed, ClientFault, NotFhir, Redirected, ServerFault, TooLarge, Truncated, WrongResource):
        return 0


def _fate(desk: Desk, row: Row, status: int, blind: bool) -> Removal | None:
    """Judge by the status of a read whether a Task is gone. One that is there may have left the operator's filter."""
    if status == HTTPStatus.GONE or (status == HTTPStatus.NOT_FOUND and not blind):
        return Removal.DELETED
    if status != HTTPStatus.OK or not desk.server.filtered:
        return None
    with desk.server.window() as window:
        return None if window.read([row.id]).tasks else Removal.UNTAGGED


def _drop(desk: Desk, row: Row, why: Removal | None) -> int:
    """Let go of a Task, unless a poll has seen it meanwhile; returns how many were dropped."""
    if why is None or desk.ledger.known([row.id]).get(row.id) != row:
        return 0
    with desk.ledger.transaction() as tx:
        tx.apply(vanish([row], desk.server_now, why))
    return 1
