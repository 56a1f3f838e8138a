"""What a walk does: ask, compare, commit, page by page, until the question is answered.

Rule 1: poll, catch-up, baseline and sweeps are plans given to the one loop in this file.
Rule 2: nothing here decides when; the worker does. Nothing here knows HTTP or SQL.
Rule 3: every page is committed before the next request goes out; only a complete walk moves the watermark.

See docs/design.md#watermark, docs/design.md#windows, docs/design.md#pages-and-commits, docs/design.md#counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from .desk import Desk, Kind, Progress, WalkPlan
from .errors import ServerError, Throttled
from .fhir.client import FhirWindow
from .ledger.state import PollEnd, StateKey, WalkState
from .ledger.transaction import Transaction
from .task.lifecycle import Changes, Observation, compare
from .task.model import NO_PAIR, Anomaly, Instant, Page, Snapshot, Task
from .task.search import Bound, Search
from .task.versions import Verdict, verdict

WINDOW = 2_000
"""Matches in one search. HAPI loads every id for the page that starts here: 2.8 s of 160,000 (measured on 8.8.0)."""

CLOCK_NOISE = 2_000
"""Milliseconds by which a server's clock seems to go back: `Date` has whole seconds, requests take time."""

DOUBTFUL = frozenset({Verdict.STALE, Verdict.RECREATED})
"""What a lagging replica can look like: the older of two versions may have the newer stamp."""


class Walk:
    """All pages of one question, taken in windows (one search each)."""

    def __init__(self, desk: Desk, plan: WalkPlan) -> None:
        self._desk = desk
        self._plan = plan
        self._cursor = plan.search.since
        self._began: Instant | None = None
        self._started = desk.clock.monotonic()
        self._searched: Instant = 0
        self._searched_at = self._started
        self._walked = plan.walked
        self._expected = plan.expected
        self._asked = plan.expected is not None
        self._before = desk.ledger.instant(StateKey.WATERMARK)
        self._window = 0
        self._ended = False
        self._long = plan.resumed

    @property
    def cursor(self) -> Bound | None:
        """Where the window under way begins."""
        return self._cursor

    @property
    def ended(self) -> bool:
        """Whether the question is answered."""
        return self._ended

    def turns(self) -> Iterator[Progress]:
        """Walk; each page is committed when its turn comes out. Raises a ServerError or LedgerError.

        Called again after an error, it goes on with the window that failed.
        """
        while not self._ended:
            self._window += 1
            with self._desk.server.window(self._desk.patience.get(self._plan.kind, 1)) as window:
                yield from self._pages(window)

    @property
    def _kept(self) -> bool:
        """Whether the walk is kept in the ledger, to go on where it was: a poll too, once it has a second page.

        Otherwise a poll that needs longer than one window would restart from the beginning every time.
        """
        return self._plan.kind is Kind.BASELINE or (self._plan.kind is Kind.POLL and self._long)

    def _pages(self, window: FhirWindow) -> Iterator[Progress]:
        """Walk one window."""
        page = self._first(window)
        instant, search, walked = self._instant, self._search(), self._walked
        largest = max(_stamps(page.tasks), default=None)
        low, pages, longest = None, 0, 0
        while True:
            found = lowest(page.tasks, self._searched - self._desk.rules.overlap)
            low = low if found is None else found
            pages, longest = pages + 1, max(longest, page.matches)
            self._ended = page.next is None and not instant
            self._long |= page.next is not None
            onwards = onward(self._cursor, low, largest)
            yield self._absorb(window, page, self._cursor if instant else onwards)
            stuck = instant or onwards in (None, self._cursor)  # then the window is read to its end, by `next`
            young = self._window > 1 and low is None  # only `largest` moves it on: further pages would be read again
            if page.next is None or not (stuck or (has_room(pages, longest) and not young)):
                break
            if self._kept and not self._asked and not self._desk.uncounted:
                self._expected, self._asked = walked + self._count(search), True
            page = window.follow(page.next)
        self._cursor = onwards

    @property
    def _instant(self) -> bool:
        """Whether this window reads a single instant, which more Tasks share than a window holds."""
        return self._cursor is not None and self._cursor.prefix == "eq"

    def _search(self) -> Search:
        search = replace(self._plan.search, since=self._cursor)
        return replace(search, until=None) if self._instant else search

    def _first(self, window: FhirWindow) -> Page:
        """Ask for the first page; once more, from earlier, where the server's clock went back since the last walk."""
        page = window.first(self._search())
        self._look_at_clock(page)
        if self._window == 1 and self._plan.kind is not Kind.SWEEP and self._was_put_right():
            since = max(0, self._searched - self._passed(self._searched_at) - self._desk.rules.overlap)
            self._cursor = None if self._before is None else Bound("ge", since)
            page = window.first(self._search())
            self._look_at_clock(page)
        return page

    def _was_put_right(self) -> bool:
        """Judge whether the server's clock went back: changes since then have stamps before our lower bound.

        Measured against the last complete walk and the time that passed here since. A baseline has none before it.
        """
        if self._before is None:
            return self._cursor is not None and self._searched < self._cursor.at
        overlap = self._desk.rules.overlap
        behind = self._before + overlap + self._passed(self._searched_at) - self._searched
        return behind > max(overlap, CLOCK_NOISE)

    def _look_at_clock(self, page: Page) -> None:
        """Note the server's clock at the first search of a window; where it tells none, ours must do."""
        desk, self._searched_at = self._desk, self._desk.clock.monotonic()
        wall = desk.clock.wall()
        self._searched = wall if page.clock is None else page.clock
        self._began = self._began or self._searched
        desk.skew_ms = self._searched - wall
        if page.clock is not None:
            desk.telemetry.skewed(desk.skew_ms / 1000)

    def _now(self) -> Instant:
        """Tell the server's time: what it was at the search, and what has passed since."""
        return self._searched + round((self._desk.clock.monotonic() - self._searched_at) * 1000)

    def _count(self, search: Search) -> int:
        """Ask how many Tasks there are, for people who watch; 0 where the server does not say, since none are needed.

        In a window of its own: a request that times out ends its window. Raises Throttled, once: then the walk waits as
        asked, and goes on without.
        """
        try:
            with self._desk.server.window() as window:
                return window.count(search)
        except Throttled:
            self._desk.uncounted = True
            raise
        except ServerError:
            return 0

    def _absorb(self, window: FhirWindow, page: Page, resume: Bound | None) -> Progress:
        """Commit a page, and with the last one the end of the walk."""
        snapshot = None

        def finish(tx: Transaction) -> None:
            nonlocal snapshot
            if self._kept:
                tx.save_walk(self._state(resume))
            if self._ended and self._plan.kind is not Kind.SWEEP:
                snapshot = self._close(tx)

        changes = absorb(self._desk, window, page.tasks, self._occasion(), finish)
        self._walked += len(changes.rows)  # what two windows share is known the second time
        self._tell(changes.earliest, snapshot)
        return Progress(
            kind=self._plan.kind,
            ended=self._ended,
            window=self._window,
            walked=self._walked,
            expected=self._expected,
            corrections=len(changes.rows),
        )

    def _occasion(self) -> Observation:
        joining = self._desk.baseline_from if self._plan.joining else None
        counting = self._plan.kind is not Kind.BASELINE
        return Observation(self._now(), self._desk.rules.deadline, counting, joining)

    def _state(self, resume: Bound | None) -> WalkState | None:
        if self._ended:
            return None
        return WalkState(self._plan.kind, self._searched, resume, self._walked, self._expected)

    def _close(self, tx: Transaction) -> Snapshot:
        """End a complete walk: move the watermark, and read the new picture."""
        desk, began = self._desk, self._began or 0
        baseline = self._plan.kind is Kind.BASELINE
        tx.set_instant(StateKey.WATERMARK, self._watermark(began))
        tx.set_instant(StateKey.MARKED_WALL, self._wall_at(self._started))
        tx.set_instant(StateKey.LAST_COMPLETE, desk.clock.wall())
        if baseline:
            tx.set_instant(StateKey.BASELINE_BEGAN, began)
            tx.set_instant(StateKey.COMPARED_WALL, desk.clock.wall())
        now = self._now()
        closing = PollEnd(
            now=now,
            deadline=desk.rules.deadline,
            stalled_before=now - desk.rules.stalled_after,
            baseline=baseline,
            show_through=desk.shown(),
        )
        return tx.end_poll(closing)

    def _watermark(self, began: Instant) -> Instant:
        """Choose the lower bound of the next poll.

        The server's clock at the first search, minus the overlap; but never further on than the time that passed
        here since the last one, so that a server's clock which jumps ahead, and back, loses nothing. Only a full
        comparison, which has seen every Task, lets a jump ahead stand.
        """
        desk = self._desk
        ideal = began - desk.rules.overlap
        if self._before is None or desk.resync:
            return ideal
        return min(ideal, self._before + self._passed(self._started))

    def _passed(self, at: float) -> int:
        """Milliseconds until `at` (our monotonic seconds) since the walk that set the watermark began.

        Breaks count: across restarts they are measured by the wall.
        """
        desk = self._desk
        if desk.marked is not None:
            return round((at - desk.marked) * 1000)
        wall = self._wall_at(at)
        return max(0, wall - (desk.ledger.instant(StateKey.MARKED_WALL) or wall))

    def _wall_at(self, at: float) -> Instant:
        """Tell our wall time at a monotonic time not long ago."""
        clock = self._desk.clock
        return clock.wall() - round((clock.monotonic() - at) * 1000)

    def _tell(self, earliest: Instant | None, snapshot: Snapshot | None) -> None:
        """Say what was committed: never before."""
        desk = self._desk
        if earliest is not None and self._before is not None:
            desk.telemetry.late(max(0, self._before + desk.rules.overlap - earliest) / 1000)
        if self._expected and self._plan.kind is Kind.BASELINE:
            desk.telemetry.progressed(1.0 if self._ended else min(1.0, self._walked / self._expected))
        if snapshot is not None:
            desk.marked, desk.resync = self._started, False
            desk.publish(snapshot, self._started)
        desk.telemetry.ledger(desk.ledger.figures)  # reads the file, and so may fail: last


def absorb(
    desk: Desk,
    window: FhirWindow,
    tasks: Sequence[Task],
    observation: Observation,
    finish: Callable[[Transaction], None],
) -> Changes:
    """Compare Tasks with what is known and commit what changed; `finish` adds to the same transaction."""
    known = desk.ledger.known([task.id for task in tasks])
    doubtful = {
        task.id for task in tasks if task.id in known and task.named and verdict(known[task.id], task) in DOUBTFUL
    }
    if doubtful:
        tasks = _read_again(window, tasks, doubtful)
    pairs = desk.namer.pairs(tasks, window)
    with desk.ledger.transaction() as tx:
        slots = tx.slots(pair for pair in pairs if pair != NO_PAIR)
        placed = [(task, slots.get(pair, NO_PAIR)) for task, pair in zip(tasks, pairs, strict=True)]
        changes = compare(known, placed, observation)
        tx.apply(changes)
        desk.keep_names(tx)
        finish(tx)
    desk.namer.saved()
    return changes


def _read_again(window: FhirWindow, tasks: Sequence[Task], doubtful: set[str]) -> list[Task]:
    """Read doubtful Tasks once more: a lagging replica may have answered. What is gone by now is left out."""
    again = {task.id: task for task in window.read(sorted(doubtful)).tasks}
    return [again.get(task.id, task) for task in tasks if task.id in again or task.id not in doubtful]


def has_room(pages: int, longest: int) -> bool:
    """Judge whether a window of so many pages takes another one.

    Two it always takes: the next window begins where the last page does, so that one of a single page, from a server
    that ignores `_count`, would begin again where it began.
    """
    return pages < 2 or (pages + 1) * longest <= WINDOW  # noqa: PLR2004 - as it says


def _stamps(tasks: Sequence[Task]) -> list[Instant]:
    """List the server's own stamps: an unreadable one was replaced by the page's clock."""
    return [task.updated for task in tasks if Anomaly.UNPARSABLE not in task.anomalies]


def lowest(tasks: Sequence[Task], settled: Instant) -> Instant | None:
    """Find the smallest stamp up to `settled`, the window's first search minus the overlap.

    A Task with a later one may have been changed since the search and stand at its old place: a stamp is when its
    transaction began, so that one which began just before the search can move a whole page.
    """
    return min((stamp for stamp in _stamps(tasks) if stamp <= settled), default=None)


def onward(cursor: Bound | None, low: Instant | None, largest: Instant | None) -> Bound | None:
    """Choose where the next window begins; `cursor` itself, or None, where no stamp moves it on.

    From `low`, the smallest settled stamp of the last page that has one; else from `largest`, that of the first page:
    it came with the search, before anything could be changed. Both inclusive. If neither moves, more Tasks share the
    instant of the cursor than a window holds: that instant is read alone, and then what is behind it.
    """
    if cursor is None:
        start = low if low is not None else largest
        return None if start is None else Bound("ge", start)
    if cursor.prefix == "eq":
        return Bound("gt", cursor.at)
    start = next((stamp for stamp in (low, largest) if stamp is not None and stamp > cursor.at), None)
    if start is not None:
        return Bound("ge", start)
    return Bound("eq", cursor.at) if cursor.prefix == "ge" and largest is not None else cursor
