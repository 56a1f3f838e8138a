"""What polls cannot see: Tasks deleted or untagged, and writes that became visible long after their stamps.

Rule 1: a sweep walks with the one loop of `poll`; this file only chooses what to walk, and looks up what is missing.
Rule 2: a sweep acts only on what a complete poll has not mended, and never moves the watermark.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from .desk import Desk, Kind, Plan, Turn
from .errors import ClientFault, WrongResource
from .poll import Walk, absorb
from .ports import Bound, Remembered, Search, Slice, Window
from .refresh import refresh_names
from .task.lifecycle import Occasion, vanish
from .task.model import DIGEST, TERMINAL, Instant, Status

BATCH = 50
"""Ids in one look-up: 64 characters each make a URL that every server takes."""

SMALL = 2_000
"""Tasks in a slice that is walked rather than halved: one window."""

KEPT = 30 * 86_400_000
"""Milliseconds that the row of a Task outlives it, so that an untagged one that returns goes on."""

NOT_ENDED = ("status:not", ",".join(sorted(TERMINAL)))
"""Open Tasks are asked for by what they are not: a Task may have no status (measured on HAPI 8.8.0)."""

NO_TAG = "urn:fhir-task-exporter|none"
"""A tag that no Task carries: a server that counts any with it does not know `_tag`."""

LAST_INSTANT: Instant = 32_503_680_000_000
"""The year 3000: past every stamp, and a date that every server reads."""


def sweep_open(desk: Desk, lookback: int) -> Iterator[Turn]:
    """Compare the open Tasks, and what changed within `lookback` milliseconds."""
    watermark = desk.ledger.instant(Remembered.WATERMARK) or 0
    recent = desk.ledger.instant(Remembered.RECENT_FROM)
    since = watermark - lookback if recent is None else min(recent, watermark - lookback)
    desk.ledger.begin_sweep()
    yield from Walk(desk, Plan(Kind.SWEEP, Search(filters=(NOT_ENDED,)))).turns()
    yield from Walk(desk, Plan(Kind.SWEEP, Search(Bound("ge", since)))).turns()
    yield Turn(wants_poll=True)
    yield from _look_up_missing(desk, None)
    if (
        desk.ledger.instant(Remembered.RECENT_FROM) == recent
    ):  # else a catch-up ended meanwhile: the next sweep looks behind it
        with desk.ledger.transaction() as tx:
            tx.note(Remembered.RECENT_FROM, None)


def sweep_all(desk: Desk) -> Iterator[Turn]:
    """Compare everything: by counts where the server counts, else, or where payers were renamed, by walking."""
    yield from refresh_names(desk)
    desk.ledger.begin_sweep()
    desk.server.ask_tag_again()
    slices: list[Slice] | None = None
    with suppress(ClientFault, WrongResource):
        slices = None if desk.renamed else (yield from _differing(desk))
    yield Turn(wants_poll=True)
    if slices is None:
        yield from _walk_everything(desk)
    else:
        for part in slices:
            yield from _mend(desk, part)
    desk.resync = True
    with desk.ledger.transaction() as tx:
        tx.forget((desk.ledger.instant(Remembered.WATERMARK) or 0) - KEPT)
        if slices is None:
            tx.note(Remembered.NAMES, desk.rules.names)
            tx.recount_capped()


def _walk_everything(desk: Desk) -> Iterator[Turn]:
    yield from Walk(desk, Plan(Kind.SWEEP, joining=True)).turns()
    yield Turn(wants_poll=True)
    for status in Status:
        yield from _look_up_missing(desk, Slice(status, 0, LAST_INSTANT))


def _mend(desk: Desk, part: Slice) -> Iterator[Turn]:
    """Walk a slice that still differs after the poll, and look up what it does not hold."""
    if _count(desk, _search(part)) == desk.ledger.count_between(part):
        return
    yield Turn()
    yield from Walk(desk, Plan(Kind.SWEEP, _search(part), joining=True)).turns()
    yield from _look_up_missing(desk, part)


def having(status: Status) -> Search:
    """Ask for the Tasks of a status; unknown is what is none of the twelve."""
    if status is not Status.UNKNOWN:
        return Search(filters=(("status", status.value),))
    return Search(filters=(("status:not", ",".join(each for each in Status if each is not Status.UNKNOWN)),))


def _search(part: Slice) -> Search:
    """Ask for a slice."""
    since = Bound("ge", part.start) if part.start else None
    return replace(having(part.status), since=since, until=part.end if part.end < LAST_INSTANT else None)


def _differing(desk: Desk) -> Generator[Turn, None, list[Slice]]:
    """Find the slices whose counts differ, each small enough to walk."""
    yield from _probe(desk)
    todo = [Slice(status, 0, LAST_INSTANT) for status in Status]
    differing = []
    while todo:
        part = todo.pop()
        theirs, ours = _count(desk, _search(part)), desk.ledger.count_between(part)
        yield Turn()
        if theirs == ours:
            continue
        if theirs <= SMALL or part.end - part.start <= 1:
            differing.append(part)
        else:
            todo += _halves(desk, part, ours)
    return differing


def _probe(desk: Desk) -> Iterator[Turn]:
    """Make sure that counts mean something: a server may ignore a bound, or the tag. Raises WrongResource."""
    parts = [Slice(status, 0, LAST_INSTANT) for status in Status]
    largest = max(parts, key=desk.ledger.count_between)
    middle = desk.ledger.middle_between(largest, desk.ledger.count_between(largest)) or 1
    for search in (Search(Bound("ge", middle), middle), Search(filters=(("_tag", NO_TAG),))):
        if _count(desk, search):
            raise WrongResource("the server's counts do not obey the bounds or the tag")
        yield Turn()


def _count(desk: Desk, search: Search) -> int:
    with desk.server.window() as window:
        return window.count(search)


def _halves(desk: Desk, part: Slice, count: int) -> list[Slice]:
    """Cut a slice where half of our Tasks lie, or, where that is its border, in the middle of its time."""
    middle = desk.ledger.middle_between(part, count)
    if middle is None or not part.start < middle < part.end:
        middle = (part.start + min(part.end, desk.clock.wall() + 2)) // 2
    middle = max(part.start + 1, min(middle, part.end - 1))
    return [part._replace(end=middle), part._replace(start=middle)]


def _look_up_missing(desk: Desk, part: Slice | None) -> Iterator[Turn]:
    """Ask by id for what the sweep has not seen: it is gone, or no longer tagged, or was overlooked."""
    for ids in desk.ledger.miss(part, BATCH):
        with desk.server.window() as window:
            yield Turn(corrections=_look_up(desk, window, ids))


def _look_up(desk: Desk, window: Window, ids: Sequence[str]) -> int:
    """Look up a batch and commit what is found; returns how many Tasks were corrected."""
    page = window.read([id_ for id_ in ids if not id_.startswith(DIGEST)])
    now = desk.clock.wall() if page.clock is None else page.clock
    found = {task.id for task in page.tasks}
    known = desk.ledger.known(ids)
    lost = vanish((row for id_, row in known.items() if id_ not in found and row.gone is None), now)
    seen = absorb(desk, window, page.tasks, Occasion(now, desk.rules.deadline), lambda tx: tx.apply(lost))
    return len(seen.rows) + len(lost.rows)
