"""When: a wanted poll first, else the next page of background work, else sleep until a comparison is due.

Rule 1: one thread alone, which calls `run`, touches the FHIR server and the ledger.
Rule 2: what to ask and what an answer means is decided in `walk` and `reconcile`; this file only decides when.
Rule 3: other threads get a Future, or immutable values; they never wait longer than an assignment takes.

See docs/design.md#polled-on-scrape, docs/design.md#always-200.
"""

import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from .choices import Choices, apply
from .config import PollSettings, ReconcileSettings
from .context import WalkContext
from .errors import CountThrottled, ExporterError, Throttled
from .jobs import ComparisonJob, Job, WalkJob, outcome
from .ledger.state import StateKey
from .logs import log_event, traceback_summary
from .metrics.vocabulary import Comparison, Outcome, ScrapeAnswer
from .published import NOT_ASKED, Publication, PublishedSnapshot, Scrape
from .reconcile.comparison import compare_everything, compare_open
from .schedule import BackOff, ComparisonSchedule, WindowTimeout
from .steps import Compared, PollFirst, Progress, Step, WalkKind
from .task.model import Instant
from .walk import Walk, interrupted_progress, next_plan

logger = logging.getLogger(__name__)


class Worker:
    """The thread that works. `report` is given the Progress of each page of a baseline or catch-up.

    `status`, `last_complete` and `progress` are for people to look at.
    """

    def __init__(
        self,
        context: WalkContext,
        polls: PollSettings,
        comparisons: ReconcileSettings,
        report: Callable[[Progress], None],
    ) -> None:
        self._context = context
        self._ledger = context.ledger
        self._telemetry = context.telemetry
        self._now_seconds = context.clock.monotonic
        self._min_interval_seconds = polls.min_interval
        self._lookback_ms = round(comparisons.lookback * 1000)
        self._report = report
        self._changed = threading.Condition()
        self._stopping = False
        self._wanted: Future[bool] | None = None
        self._chosen: tuple[Choices, Future[None]] | None = None
        self._walk: WalkJob | None = None
        self._in_background = self._is_unfinished()
        self._comparison: ComparisonJob | None = None
        self._complete_walks = 0
        self._walk_timeout, self._comparison_timeout = WindowTimeout(), WindowTimeout()
        self._back_off = BackOff()
        self._tried_seconds = -math.inf
        self._last_error: type[ExporterError] | None = None
        self._count_expected = True
        self._schedule = ComparisonSchedule(context, comparisons)
        self._publication = Publication(self._ledger.counters(), context.clock, polls.max_staleness)
        self.status = NOT_ASKED
        self._progress = interrupted_progress(context)
        self.last_complete: Instant | None = self._ledger.state(StateKey.LAST_COMPLETE)
        self._telemetry.set_ledger_figures(self._ledger.figures)

    # What other threads may call.

    def scrape(self) -> Scrape:
        """Start a poll or join the one that runs; at once where the snapshot is young or no poll can start."""
        with self._changed:
            now_seconds, min_interval = self._now_seconds(), self._min_interval_seconds
            if now_seconds - self._publication.started_seconds < min_interval:
                return Scrape(ScrapeAnswer.REUSED)
            if self._walk is None and now_seconds - self._tried_seconds < min_interval:
                # The last try failed: frequent scrapes must not cause frequent requests.
                return Scrape(ScrapeAnswer.STALE)
            if self._in_background or now_seconds < self._back_off.until_seconds:
                return Scrape(ScrapeAnswer.LATE if self._in_background else ScrapeAnswer.STALE)
            if self._walk is not None:
                return Scrape(None, self._walk.future)
            if self._wanted is None:
                self._wanted = Future()
                self._changed.notify()
            return Scrape(None, self._wanted)

    @property
    def published(self) -> PublishedSnapshot:
        """The newest snapshot; its gauges are gone when it is too old."""
        return self._publication.newest

    def exposed(self, published: PublishedSnapshot) -> None:
        """Take note that Prometheus was given a snapshot."""
        self._context.hold.exposed(published.generation, self._now_seconds())

    @property
    def up(self) -> bool:
        """Whether the last page of a poll, baseline or catch-up was read and committed."""
        return self.status.up is True

    @property
    def progress(self) -> Progress | None:
        """How far a baseline or catch-up is that has not ended, also while the server is down."""
        return self._progress if self._in_background else None

    @property
    def busy(self) -> bool:
        """Whether there is work under way or waiting."""
        return self._in_background or any((self._chosen, self._wanted, self._walk, self._comparison))

    def reconfigure(self, new: Choices) -> "Future[None]":
        """Put new choices into force before the next step; the Future raises if they cannot be, and nothing changed."""
        done: Future[None] = Future()
        with self._changed:
            self._chosen = (new, done)
            self._changed.notify()
        return done

    def stop(self) -> None:
        """Ask the thread to end after the request that it is in."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    # What the thread does.

    def once(self) -> bool:
        """Walk to the end, or to the first failure; says whether the walk was complete."""
        future: Future[bool] = Future()
        self._in_background = True
        self._walk = job = self._start_walk(future)
        while self._walk is job:
            self._advance_walk(job)
        return future.result()

    def run(self) -> None:
        """Work until stopped; then the ledger is closed, by the thread that alone uses it."""
        while not self._stopping:
            self.step()
        self._ledger.close()

    def step(self) -> None:
        """Do the next piece of work, put new choices into force, or sleep until there is one of these to do."""
        with self._changed:
            if self._stopping:
                return
            rest_seconds = self.rest_seconds()
            if rest_seconds > 0:
                self._changed.wait(min(rest_seconds, threading.TIMEOUT_MAX))
                return
            chosen, self._chosen = self._chosen, None
        if chosen is None:
            self._work()
        else:
            self._put_into_force(*chosen)

    def _work(self) -> None:
        """Do the next step of the work."""
        with self._changed:
            wanted, self._wanted = self._wanted, None
            if wanted is not None and self._now_seconds() < self._back_off.until_seconds:
                wanted.set_result(False)  # the server asked for silence since this poll was wanted
                return
            if wanted is not None:
                self._walk = self._start_walk(wanted)
        if wanted is not None:
            self._poll()
        elif self._in_background:
            self._walk = self._walk or self._start_walk(None)
            self._advance_walk(self._walk)
        else:
            self._comparison = self._comparison or self._start_comparison()
            self._advance_comparison(self._comparison)

    def rest_seconds(self) -> float:
        """Seconds until there is something to do; 0 or less when there is."""
        now_seconds = self._now_seconds()
        if self._chosen is not None or (self._wanted is not None and not self._in_background):
            return 0
        if self._in_background or self._comparison is not None:
            return self._back_off.until_seconds - now_seconds
        return max(self._schedule.next_seconds, self._back_off.until_seconds) - now_seconds

    # New choices.

    def _put_into_force(self, new: Choices, done: "Future[None]") -> None:
        try:
            self._context = apply(new, self._context)
        except Exception as error:  # noqa: BLE001 - a bug must not end the monitoring; its text could hold anything
            done.set_exception(error if isinstance(error, ExporterError) else _internal(error))
            return
        self._begin_again()
        done.set_result(None)

    def _begin_again(self) -> None:
        """Go on as after a restart: what is under way began under the former choices.

        A walk goes on from its last page, which is committed; a comparison is due again at once.
        """
        if self._walk is not None:
            former, self._walk = self._walk, self._start_walk(self._walk.future)
            former.steps.close()
            self._walk.started_seconds, self._walk.pages = former.started_seconds, former.pages
        if self._comparison is not None:
            self._comparison.steps.close()
            self._telemetry.count_corrections(self._comparison.kind, self._comparison.corrections)
            self._comparison = None
            self._ledger.end_comparison()
        self._schedule.reconfigured(self._context)

    # Walks: polls, catch-ups, the baseline.

    def _start_walk(self, future: "Future[bool] | None") -> WalkJob:
        self._tried_seconds = self._now_seconds()
        context = self._context_for(self._walk_timeout)
        walk = Walk(context, next_plan(context), count_expected=self._count_expected)
        return WalkJob(walk.steps(), self._tried_seconds, future)

    def _context_for(self, timeout: WindowTimeout) -> WalkContext:
        """Return what the next walk or comparison is given: with its own time, and its own reads of histories."""
        return replace(self._context, timeout_factor=timeout.factor, history=self._context.history.renewed())

    def _poll(self) -> None:
        """Poll at once; one that needs a second window goes on as a catch-up, in the background."""
        while (job := self._walk) is not None:
            progress = self._advance_walk(job)
            if progress is not None and progress.window_number > 1:
                self._in_background = True
                return

    def _advance_walk(self, job: WalkJob) -> Progress | None:
        """Do one page of a poll, baseline or catch-up; None at its end."""
        step = self._next(job)
        progress = step if isinstance(step, Progress) else None
        if progress is not None:
            self._set_server_up(True)
            if self._in_background:
                self._report(progress)
            self._progress = progress
        return progress

    def _next(self, job: Job) -> Step | None:
        """Do one step of a job, and end the job where it ends."""
        try:
            step = next(job.steps, None)
            if isinstance(step, Progress):
                self._take(step)
        except ExporterError as error:
            self._end(job, error)
            return None
        except Exception as error:  # noqa: BLE001 - a bug must not end the monitoring; its text could hold anything
            self._end(job, _internal(error))
            return None
        if step is None:
            self._end(job, None)
        else:
            job.pages += 1
        return step

    def _take(self, progress: Progress) -> None:
        """Show what a page committed. Raises a LedgerError: figures are read from the file."""
        if progress.kind is WalkKind.BASELINE and progress.fraction is not None:
            self._telemetry.set_baseline_progress(progress.fraction)
        if progress.snapshot is not None:
            snapshot = self._context.exemplars.attach(progress.snapshot)
            self._publication.publish(snapshot, self._ledger.generation, progress.started_seconds)
            self.last_complete = self._ledger.state(StateKey.LAST_COMPLETE)
        self._telemetry.set_ledger_figures(self._ledger.figures)

    def _end(self, job: Job, error: ExporterError | None) -> None:
        """Record how a job ended, and plan when to try again."""
        if error is not None:
            self._telemetry.count_error(error.reason)
            self.status = self.status.failed(error, self._context.clock.wall())
            walking = isinstance(job, WalkJob) and (self._in_background or self._is_unfinished())
            self._leave_alone(error, background=walking)
            self._count_expected &= not isinstance(error, CountThrottled)
        if isinstance(job, ComparisonJob):
            self._comparison_timeout.after(job, error)
            self._end_comparison(job, outcome(job, error))
        else:
            self._walk_timeout.after(job, error)
            self._end_walk(job, outcome(job, error))
        self._log_end(job, error)

    def _leave_alone(self, error: ExporterError, *, background: bool) -> None:
        """Leave the server alone for as long as it asks, or as a failure of background work calls for."""
        if isinstance(error, Throttled):
            self._set_server_up(False)  # no request will go out: docs/design.md#backing-off
        self._back_off.after(error, self._now_seconds(), background=background)

    def _end_walk(self, job: WalkJob, ended: Outcome) -> None:
        complete = ended is Outcome.COMPLETE
        self._complete_walks += complete
        self._set_server_up(complete)
        self._telemetry.count_poll(ended, self._now_seconds() - job.started_seconds)
        with self._changed:
            self._walk = None
            self._in_background = not complete and self._is_unfinished()
        if complete:
            self._back_off.reset()
        if job.future is not None:
            job.future.set_result(complete)

    def _set_server_up(self, value: bool) -> None:
        self.status = self.status.found(value, self._context.clock.wall())
        self._telemetry.set_up(value)

    def _is_unfinished(self) -> bool:
        """Whether a walk was interrupted, or the baseline is still to do."""
        return self._ledger.walk_state is not None or not self._ledger.baseline_complete

    # Comparisons.

    def _start_comparison(self) -> ComparisonJob:
        """Start the comparison that is due."""
        kind = self._schedule.next_kind
        context = self._context_for(self._comparison_timeout)
        if kind is Comparison.FULL:
            return ComparisonJob(kind, compare_everything(context))
        return ComparisonJob(kind, compare_open(context, self._lookback_ms))

    def _advance_comparison(self, job: ComparisonJob) -> None:
        """Do one step of a comparison; it ends early where the poll that it asks for is not complete."""
        if job.polls_before is None:
            step = self._next(job)
            if isinstance(step, Progress | Compared):
                job.corrections += step.corrections
            if isinstance(step, Compared) and step.throttled is not None:
                self._leave_alone(step.throttled, background=False)
            if not isinstance(step, PollFirst):
                return
            self._poll_for(job)
        if self._in_background:
            return  # the poll became a catch-up: the comparison goes on when it has ended
        if job.polls_before == self._complete_walks:
            self._end_comparison(job, Outcome.PARTIAL)
        job.polls_before = None

    def _poll_for(self, job: ComparisonJob) -> None:
        job.polls_before = self._complete_walks
        with self._changed:
            wanted, self._wanted = self._wanted, None  # a scrape that waits gets this poll, not one more
            self._walk = self._start_walk(wanted or Future())
        self._poll()

    def _end_comparison(self, job: ComparisonJob, ended: Outcome) -> None:
        self._comparison = None
        self._ledger.end_comparison()
        self._schedule.ended(job.kind, ended)
        self._telemetry.count_comparison(job.kind, ended)
        self._telemetry.count_corrections(job.kind, job.corrections)

    def _log_end(self, job: Job, error: ExporterError | None) -> None:
        """Log a change for better or worse, once."""
        walked = isinstance(job, WalkJob)
        if error is not None and (type(error) is not self._last_error or not walked):
            details = {"what": job.name, "reason": error.reason.value, "error": str(error), "remedy": error.remedy}
            log_event(logger, logging.WARNING, "asking the FHIR server failed", **details)
        if error is None and self._last_error is not None and walked:
            log_event(logger, logging.INFO, "the FHIR server answers again")
        if walked:
            self._last_error = None if error is None else type(error)


def _internal(error: Exception) -> ExporterError:
    """Name a bug by its class and places: its message could hold anything."""
    failure = ExporterError(f"internal error {type(error).__name__} at {traceback_summary(error)}")
    failure.__cause__ = error
    return failure
