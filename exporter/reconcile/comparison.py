"""The two comparisons by timer: the open and recent Tasks, and everything.

Rule 1: a comparison uses the one loop of `walk`; it only chooses what to walk, and looks up what is missing.
Rule 2: it acts only on differences that remain after a complete poll, and never moves the watermark.

See docs/design.md#open-comparison, docs/design.md#full-comparison.
"""

from collections.abc import Generator, Iterator

from ..context import WalkContext
from ..errors import ServerError
from ..ledger.state import StateKey
from ..steps import PollFirst, Step, WalkKind, WalkPlan
from ..task.model import TERMINAL, Status
from ..task.rows import ROWS_KEPT_MS
from ..task.search import LAST_INSTANT, Bound, Search, Slice, search_of
from ..walk import Walk
from .failures import survive, without_count
from .missing import look_up
from .organizations import read_again
from .slices import FEW, count, differing

NOT_ENDED = ("status:not", ",".join(sorted(TERMINAL)))
"""Open Tasks are asked for by what they are not: a Task may have no status (measured on HAPI 8.8.0)."""


def compare_open(context: WalkContext, lookback_ms: int) -> Generator[Step, None, None]:
    """Compare the open Tasks, and what changed within the lookback."""
    ledger, watermark = context.ledger, context.watermark.instant or 0
    ledger.begin_comparison()
    yield from _walk(context, Search(filters=(NOT_ENDED,)))
    yield from _walk(context, Search(Bound("ge", watermark - lookback_ms)))
    yield PollFirst()
    yield from look_up(context, None)


def compare_everything(context: WalkContext) -> Generator[Step, None, None]:
    """Compare everything: by counts where the server counts, else, or where payers were renamed, by walking."""
    yield from read_again(context)
    context.ledger.begin_comparison()
    context.server.ask_tag_again()
    context.history.support.ask_again()
    slices: list[Slice] | None = None
    try:
        slices = None if context.names_changed else (yield from differing(context))
    except ServerError as error:
        yield without_count(context, error)
    yield PollFirst()
    if slices is None:
        yield from _walk_everything(context)
    else:
        for part in slices:
            yield from _correct(context, part)
    _end(context, walked=slices is None)


def _end(context: WalkContext, *, walked: bool) -> None:
    """Save that everything was compared; `walked` means that every Task was also read."""
    context.watermark.let_jump()
    with context.ledger.transaction() as tx:
        tx.delete_removed((context.watermark.instant or 0) - ROWS_KEPT_MS)
        tx.set_state(StateKey.COMPARED_WALL, context.clock.wall())
        if walked:
            tx.set_state(StateKey.NAMES, context.rules.names_fingerprint)
            tx.recount_capped()


def _walk(context: WalkContext, search: Search) -> Iterator[Step]:
    """Walk a search to its end; a window that fails is walked again, so that one lost answer ends no long work.

    What is found joins the baseline if it is older.
    """
    walk, failed, before = Walk(context, WalkPlan(WalkKind.COMPARISON, search, joining=True)), 0, search.since
    while not walk.ended:
        try:
            yield from walk.steps()
        except ServerError as error:
            failed, before = (failed + 1 if walk.cursor == before else 1), walk.cursor
            yield survive(context, error, failed)


def _walk_everything(context: WalkContext) -> Iterator[Step]:
    yield from _walk(context, Search())
    yield PollFirst()
    for status in Status:
        yield from look_up(context, Slice(status, 0, LAST_INSTANT))


def _correct(context: WalkContext, part: Slice) -> Iterator[Step]:
    """Walk a slice that still differs after the poll, or is small, and look up what it does not hold."""
    ours = context.ledger.count_between(part)
    if ours > FEW:
        theirs = yield from count(context, part)
        if theirs == ours:
            return
    yield from _walk(context, search_of(part))
    yield from look_up(context, part)
