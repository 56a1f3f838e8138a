"""Tasks that a comparison has not seen: looked up by id, then read one by one, before one counts as vanished.

See docs/design.md#open-comparison, docs/decisions/0020-when-a-task-is-gone.md.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from ..absorb import absorb
from ..context import WalkContext
from ..errors import (
    AuthFailed,
    ClientFault,
    NotFhir,
    NothingThere,
    Redirected,
    ServerFault,
    TooLarge,
    Truncated,
    WrongResource,
)
from ..steps import Compared
from ..task.lifecycle import Observation, vanish
from ..task.model import DIGEST_PREFIX
from ..task.rows import Removal, Row
from ..task.search import Search, Slice
from .failures import retried

BATCH = 50
"""Ids in one look-up: 64 characters each make a URL that every server takes."""

SETTLING_MS = 60_000
"""How long after a change, or after our first sight of a Task, no comparison calls it gone."""


def look_up(context: WalkContext, part: Slice | None) -> Iterator[Compared]:
    """Look up what the comparison has not seen, of a slice or of the open Tasks: gone, untagged, or overlooked.

    Where the server shows no Task at all, a permission may be lost: then only what it remembers as deleted (410) is
    gone.
    Raises NothingThere if there is more.
    """
    blind, unsure = None, False
    for ids in _missing(context, part):
        blind = _shows_nothing(context) if blind is None else blind
        found = yield from retried(context, partial(_search_by_id, context, ids))
        yield Compared(corrections=found.corrections)
        dropped = 0
        for row in found.missing:
            status = yield from retried(context, partial(_status_of, context, row))
            unsure |= blind and status == HTTPStatus.NOT_FOUND
            dropped += _drop(context, row, _removal(context, row, status, blind))
            yield Compared()
        yield Compared(corrections=dropped)
        if unsure and not dropped:
            break  # a permission is lost: to read all the others one by one would show nothing more
    if unsure:
        raise NothingThere("The FHIR server returned no Tasks, although the ledger has some.")


def _missing(context: WalkContext, part: Slice | None) -> Iterator[list[str]]:
    """List in batches which Tasks the comparison has not seen."""
    ledger = context.ledger
    return ledger.missing_open(BATCH) if part is None else ledger.missing_in(part, BATCH)


def _shows_nothing(context: WalkContext) -> bool:
    """Whether a server on which the comparison has found no Task shows none to any search."""
    if context.ledger.saw_any():
        return False
    with context.server.window() as window:
        page = window.first(Search())
    return not page.tasks and page.next is None


class _LookUp(NamedTuple):
    """What a search by id brought: how many Tasks were news, and the rows of those that it did not find."""

    corrections: int
    missing: list[Row]


def _search_by_id(context: WalkContext, ids: Sequence[str]) -> _LookUp:
    """Search for a batch and commit what is found. What is young is not missing: replicas lag."""
    with context.server.window() as window:
        page = window.read([id_ for id_ in ids if not id_.startswith(DIGEST_PREFIX)])
        now = context.server_clock.now if page.clock is None else page.clock
        seen = Observation(now, context.rules.deadlines, joining=context.baseline_from)
        changes = absorb(context, window, page.tasks, seen)
    found = {task.id for task in page.tasks}
    young = range(now - max(context.rules.overlap_ms, SETTLING_MS), now + 1)
    rows = (row for id_, row in context.ledger.known(ids).items() if id_ not in found and row.removal is None)
    return _LookUp(len(changes.rows), [row for row in rows if row.first_seen not in young and row.updated not in young])


def _status_of(context: WalkContext, row: Row) -> int:
    """Read a Task for its status alone. A row without a FHIR id cannot be read: what no search finds is not there.

    An answer about this one Task alone must keep no other from being judged: 0.
    """
    if row.id.startswith(DIGEST_PREFIX):
        return HTTPStatus.NOT_FOUND
    try:
        with context.server.window() as window:
            return window.status_of(row.id)
    except (AuthFailed, ClientFault, NotFhir, Redirected, ServerFault, TooLarge, Truncated, WrongResource):
        return 0


def _removal(context: WalkContext, row: Row, status: int, blind: bool) -> Removal | None:
    """Decide by the status of a read whether a Task is gone. One that is there may have left the operator's filter."""
    if status == HTTPStatus.GONE or (status == HTTPStatus.NOT_FOUND and not blind):
        return Removal.DELETED
    if status != HTTPStatus.OK or not context.server.filtered:
        return None
    with context.server.window() as window:
        return None if window.read([row.id]).tasks else Removal.UNTAGGED


def _drop(context: WalkContext, row: Row, removal: Removal | None) -> int:
    """Let go of a Task, unless a poll has seen it meanwhile; returns how many were dropped."""
    if removal is None or context.ledger.known([row.id]).get(row.id) != row:
        return 0
    with context.ledger.transaction() as tx:
        tx.apply(vanish([row], context.server_clock.now, removal))
    return 1
