"""What a walk does: ask, compare, commit, page by page, until the question is answered.

Rule 1: poll, catch-up, baseline and the walks of comparisons are plans given to the one loop in this file.
Rule 2: nothing here decides when; the worker does. Nothing here knows HTTP or SQL.
Rule 3: every page is committed before the next request goes out; only a complete walk moves the watermark.

See docs/design.md#watermark, docs/design.md#windows, docs/design.md#pages-and-commits, docs/design.md#counts.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from .absorb import absorb
from .context import WalkContext
from .errors import CountThrottled, ServerError, Throttled
from .fhir.client import FhirWindow
from .ledger.state import PollEnd, StateKey, WalkState
from .ledger.transaction import Transaction
from .steps import Progress, WalkKind, WalkPlan
from .task.lifecycle import Changes, Observation
from .task.model import Anomaly, Instant, Page, Snapshot, Task
from .task.search import Bound, Search
from .watermark import Reading

WINDOW = 2_000
"""Matches in one search. HAPI loads every id for the page that starts here: 2.8 s of 160,000 (measured on 8.8.0)."""


def next_plan(context: WalkContext) -> WalkPlan:
    """Choose what to walk: the walk that was interrupted, the baseline, or what changed since the watermark."""
    walk = context.ledger.walk_state
    if walk is not None:
        settled = walk.searched - context.rules.overlap_ms
        search = Search(walk.cursor and _no_later_than(walk.cursor, settled))
        return WalkPlan(WalkKind(walk.kind), search, resumed=True, walked=walk.walked, expected=walk.expected)
    watermark = context.watermark.instant
    if watermark is None:
        return WalkPlan(WalkKind.BASELINE)
    return WalkPlan(WalkKind.POLL, Search(Bound("ge", watermark)))


def interrupted_progress(context: WalkContext) -> Progress | None:
    """Read how far the walk was that goes on after a restart; None where none was interrupted."""
    walk = context.ledger.walk_state
    if walk is None:
        return None
    tasks = context.ledger.tracked if walk.kind == WalkKind.BASELINE else walk.walked
    expected = walk.expected if walk.expected and walk.expected >= tasks else None
    return Progress(WalkKind(walk.kind), window_number=0, tasks=tasks, expected=expected)


def _no_later_than(cursor: Bound, at: Instant) -> Bound:
    """Take a cursor back to `at`, the overlap before the last search: what was written later may show only now."""
    return cursor if cursor.at <= at else Bound("ge", at)


class Walk:
    """All pages of one question, taken in windows (one search each).

    `count_expected` allows to ask the server how many Tasks there are, for people who watch the progress of long work.
    """

    def __init__(self, context: WalkContext, plan: WalkPlan, *, count_expected: bool = True) -> None:
        self._context = context
        self._plan = plan
        self._cursor = plan.search.since
        self._started_seconds = context.clock.monotonic()
        self._watermark_before = context.watermark.instant
        self._first_search: Instant | None = None
        self._search_reading = Reading(0, self._started_seconds)
        self._walked = plan.walked
        self._expected = plan.expected
        self._count_wanted = count_expected and plan.expected is None
        self._may_count_again = count_expected
        self._window_number = 0
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

    def steps(self) -> Generator[Progress, None, None]:
        """Walk; each page is committed when its Progress comes out. Raises a ServerError or LedgerError.

        Called again after an error, it goes on with the window that failed.
        """
        while not self._ended:
            self._window_number += 1
            with self._context.server.window(self._context.timeout_factor) as window:
                yield from self._pages(window)

    @property
    def _is_saved(self) -> bool:
        """Whether the walk is kept in the ledger, to go on where it was: a poll too, once it has a second page.

        Otherwise a poll that needs longer than one window would restart from the beginning every time.
        """
        kind = self._plan.kind
        return kind is WalkKind.BASELINE or (kind is WalkKind.POLL and self._long)

    def _pages(self, window: FhirWindow) -> Iterator[Progress]:
        """Walk one window."""
        page = self._first_page(window)
        one_stamp, search, walked = self._reads_one_stamp, self._search(), self._walked
        largest = max(_stamps(page.tasks), default=None)
        low, pages, longest = None, 0, 0
        while True:
            found = lowest(page.tasks, self._search_reading.server - self._context.rules.overlap_ms)
            low = low if found is None else found
            pages, longest = pages + 1, max(longest, page.matches)
            self._ended = page.next is None and not one_stamp
            self._long |= page.next is not None
            following = next_bound(self._cursor, low, largest)
            yield self._absorb(window, page, self._cursor if one_stamp else following)
            stuck = one_stamp or following in (None, self._cursor)  # then the window is read to its end, by `next`
            young = (
                self._window_number > 1 and low is None
            )  # only `largest` moves it on: further pages would be read again
            if page.next is None or not (stuck or (has_room(pages, longest) and not young)):
                break
            if self._is_saved and self._count_wanted:
                self._expect(search, walked)
            page = window.follow(page.next)
        self._cursor = following

    @property
    def _reads_one_stamp(self) -> bool:
        """Whether this window reads a single instant, which more Tasks share than a window holds."""
        return self._cursor is not None and self._cursor.prefix == "eq"

    def _search(self) -> Search:
        search = replace(self._plan.search, since=self._cursor)
        return replace(search, until=None) if self._reads_one_stamp else search

    def _first_page(self, window: FhirWindow) -> Page:
        """Ask for the first page; once more, from earlier, where the server's clock went back since the last walk."""
        page = self._search_now(window)
        first_of_walk = self._window_number == 1 and self._plan.kind is not WalkKind.COMPARISON
        watermark, reading = self._context.watermark, self._search_reading
        if first_of_walk and watermark.went_back(reading, self._cursor and self._cursor.at):
            since = max(0, reading.server - watermark.passed_ms(reading.seconds) - self._context.rules.overlap_ms)
            self._cursor = None if self._watermark_before is None else Bound("ge", since)
            page = self._search_now(window)
        return page

    def _search_now(self, window: FhirWindow) -> Page:
        """Search, and read the server's clock off the answer."""
        page = window.first(self._search())
        self._search_reading = self._context.server_clock.read(page.clock)
        self._first_search = self._first_search or self._search_reading.server
        return page

    def _now(self) -> Instant:
        """Return the server's time: what it was at the search, and what has passed since."""
        return self._search_reading.after(self._context.clock.monotonic())

    def _expect(self, search: Search, walked: int) -> None:
        """Ask how many Tasks there will be at the end; `walked` is how many there were before the window of `search`.

        A baseline asks for all, because two windows share some.
        """
        self._count_wanted = False
        if self._plan.kind is WalkKind.BASELINE:
            search, walked = replace(search, since=None), 0
        count = self._count(search)
        self._expected = 0 if count is None else walked + count

    def _count(self, search: Search) -> int | None:
        """Ask how many Tasks there are; None where the server does not say, since the count is never needed.

        In a window of its own: a request that times out ends its window. Raises CountThrottled.
        """
        try:
            with self._context.server.window() as window:
                return window.count(search)
        except Throttled as error:
            raise CountThrottled(str(error), error.wait) from error
        except ServerError:
            return None

    def _absorb(self, window: FhirWindow, page: Page, resume: Bound | None) -> Progress:
        """Commit a page, and with the last one the end of the walk."""
        snapshot = None

        def finish(tx: Transaction, changes: Changes) -> None:
            nonlocal snapshot
            if self._is_saved:
                tx.save_walk(self._state(resume, self._walked + len(changes.rows)))
            if self._ended and self._plan.kind is not WalkKind.COMPARISON:
                snapshot = self._end_poll(tx)

        changes = absorb(self._context, window, page.tasks, self._observation(), finish)
        self._walked += len(changes.rows)  # what two windows share is known the second time
        self._report_lateness(changes.earliest)
        if snapshot is not None:
            self._context.watermark.saved(self._started_seconds)
        tasks = self._context.ledger.tracked if self._plan.kind is WalkKind.BASELINE else self._walked
        self._doubt_expected(tasks)
        return Progress(
            kind=self._plan.kind,
            window_number=self._window_number,
            ended=self._ended,
            tasks=tasks,
            expected=self._expected,
            corrections=len(changes.rows),
            snapshot=snapshot,
            started_seconds=self._started_seconds,
        )

    def _doubt_expected(self, tasks: int) -> None:
        """Drop a count that was passed, as where the server got more Tasks since; once, it is asked again."""
        if self._expected and tasks > self._expected:
            self._expected = 0
            self._count_wanted, self._may_count_again = self._may_count_again, False

    def _observation(self) -> Observation:
        joining = self._context.baseline_from if self._plan.joining else None
        counting = self._plan.kind is not WalkKind.BASELINE
        return Observation(self._now(), self._context.rules.deadlines, counting, joining)

    def _state(self, resume: Bound | None, walked: int) -> WalkState | None:
        if self._ended:
            return None
        return WalkState(self._plan.kind, self._search_reading.server, resume, walked, self._expected)

    def _end_poll(self, tx: Transaction) -> Snapshot:
        """End a complete walk: move the watermark, and read the new snapshot."""
        context, first, wall = self._context, self._first_search or 0, self._context.clock.wall()
        baseline = self._plan.kind is WalkKind.BASELINE
        context.watermark.save(tx, first, self._started_seconds)
        tx.set_state(StateKey.LAST_COMPLETE, wall)
        if baseline:
            tx.set_state(StateKey.BASELINE_BEGAN, first)
            tx.set_state(StateKey.COMPARED_WALL, wall)
        now = self._now()
        end = PollEnd(
            now=now,
            deadlines=context.rules.deadlines,
            stalled_before=now - context.rules.stalled_after_ms,
            baseline=baseline,
            show_through=context.hold.exposed_through(context.clock.monotonic()),
        )
        return tx.end_poll(end)

    def _report_lateness(self, earliest: Instant | None) -> None:
        """Report how long before the last watermark's search the earliest counted stamp of a page lies."""
        if earliest is not None and self._watermark_before is not None:
            searched = self._watermark_before + self._context.rules.overlap_ms
            self._context.telemetry.observe_lateness(max(0, searched - earliest) / 1000)


def has_room(pages: int, longest: int) -> bool:
    """Decide whether a window of so many pages takes another one.

    Two it always takes: the next window begins where the last page does, so that one of a single page, from a server
    that ignores `_count`, would begin again where it began.
    """
    return pages < 2 or (pages + 1) * longest <= WINDOW  # noqa: PLR2004 - as it says


def _stamps(tasks: Sequence[Task]) -> list[Instant]:
    """List the server's own stamps: an unreadable one was replaced by the page's clock."""
    return [task.updated for task in tasks if Anomaly.UNPARSABLE not in task.anomalies]


def lowest(tasks: Sequence[Task], settled: Instant) -> Instant | None:
    """Find the smallest stamp up to `settled`, the window's first search minus the overlap.

    A Task with a later one may have been changed since the search and still be at its old place: a stamp is when its
    transaction began, so that one which began just before the search can move a whole page.
    """
    return min((stamp for stamp in _stamps(tasks) if stamp <= settled), default=None)


def next_bound(cursor: Bound | None, low: Instant | None, largest: Instant | None) -> Bound | None:
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
