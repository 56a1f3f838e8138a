"""When: a wanted poll first, else the next page of background work, else sleep until a sweep is due.

Rule 1: one thread alone touches the FHIR server and the ledger's file; `last_complete` reads a value in memory.
Rule 2: what to ask and what an answer means is decided in `walk` and `reconcile`; this file only decides when.
Rule 3: other threads get a Future, or the immutable picture; they never wait longer than an assignment takes.

See docs/design.md#polled-on-scrape, docs/design.md#always-200.
"""

import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from .desk import Desk, Kind, Progress
from .errors import ErrorReason, ExporterError, Throttled, TimedOut
from .hold import SeriesHold
from .jobs import Job, Pause, Timing
from .ledger.state import StateKey
from .logs import event, traceback_summary
from .metrics.vocabulary import Answer, Outcome, Sweep
from .published import PublishedSnapshot, Scrape
from .reconcile import sweep_all, sweep_open
from .task.model import Instant, Snapshot
from .walk import Walk

logger = logging.getLogger(__name__)

FIRST_COMPARISON = 60.0
"""Seconds after a start before which no full comparison begins: a crash loop must not press the server."""

LONGEST_PATIENCE = 16
"""Times `--poll.timeout`: a quarter of an hour by default."""


class Worker:
    """The thread that works. `report` is told of each page of a baseline or catch-up.

    `up` and `latest`, the last page of a walk under way, are for people to look at.
    """

    def __init__(self, desk: Desk, timing: Timing, exposure: SeriesHold, report: Callable[[Progress], None]) -> None:
        self._desk = desk
        self._timing = timing
        self._exposure = exposure
        self._report = report
        self._turn = threading.Condition()
        self._stopping = False
        self._wanted: Future[bool] | None = None
        self._poll: Job | None = None
        self._walking = desk.ledger.walk_state is not None or not desk.ledger.baseline_complete
        self._sweep: Job | None = None
        self._complete = 0
        self._pause = Pause()
        self._tried = -math.inf
        self._trouble: ErrorReason | None = None
        self.up = False
        self.latest: Progress | None = None
        now = desk.clock.monotonic()
        self._due = {Sweep.OPEN: now + timing.open_interval, Sweep.FULL: now + self._until_full()}
        if desk.renamed or desk.namer.refused:  # a right that was missing may be why we were restarted
            self._due[Sweep.FULL] = now
        self._picture = PublishedSnapshot(desk.ledger.counters())
        desk.publish, desk.shown = self._publish, lambda: exposure.shown(desk.clock.monotonic())
        desk.telemetry.ledger(desk.ledger.figures)

    # What other threads may call.

    def scrape(self) -> Scrape:
        """Start a poll or join the one that runs; at once where the picture is young or no poll can start."""
        with self._turn:
            now = self._desk.clock.monotonic()
            if now - self._picture.began < self._timing.min_interval:
                return Scrape(Answer.REUSED)
            if self._poll is None and now - self._tried < self._timing.min_interval:
                return Scrape(Answer.STALE)  # the last try failed: whoever asks us quickly must not press the server
            if self._walking or now < self._pause.until:
                return Scrape(Answer.LATE if self._walking else Answer.STALE)
            if self._poll is not None:
                return Scrape(None, self._poll.future)
            if self._wanted is None:
                self._wanted = Future()
                self._turn.notify()
            return Scrape(None, self._wanted)

    @property
    def last_complete(self) -> Instant | None:
        """Our wall time at the end of the last complete poll, be it of an earlier process."""
        return self._desk.ledger.instant(StateKey.LAST_COMPLETE)

    @property
    def picture(self) -> PublishedSnapshot:
        """The newest picture; its gauges are gone when it is too old."""
        picture = self._picture
        stale = self._desk.clock.monotonic() - picture.ended > self._timing.max_staleness
        if stale and picture.snapshot.gauges is not None:
            aged = replace(picture, snapshot=replace(picture.snapshot, gauges=None))
            with self._turn:
                if self._picture is picture:
                    self._picture = aged
            return aged
        return picture

    def exposed(self, picture: PublishedSnapshot) -> None:
        """Note that Prometheus was given a picture."""
        self._exposure.scraped(picture.generation, self._desk.clock.monotonic())

    @property
    def busy(self) -> bool:
        """Whether there is work under way or waiting."""
        return self._walking or self._wanted is not None or self._poll is not None or self._sweep is not None

    def stop(self) -> None:
        """Ask the thread to end after the request that it is in."""
        with self._turn:
            self._stopping = True
            self._turn.notify()

    # What the thread does.

    def once(self) -> bool:
        """Walk to the end, or to the first failure; says whether the walk was complete."""
        future: Future[bool] = Future()
        self._walking = True
        self._poll = job = self._walk(future)
        while self._poll is job:
            self._advance(job)
        return future.result()

    def run(self) -> None:
        """Work until stopped; then the ledger is closed, by the thread that alone uses it."""
        while not self._stopping:
            self.step()
        self._desk.ledger.close()

    def step(self) -> None:
        """Do the next piece of work, or sleep until there is one."""
        with self._turn:
            if self._stopping:
                return
            rest = self._rest()
            if rest > 0:
                self._turn.wait(min(rest, threading.TIMEOUT_MAX))
                return
            wanted, self._wanted = self._wanted, None
            if wanted is not None and self._desk.clock.monotonic() < self._pause.until:
                wanted.set_result(False)  # the server asked for silence since this poll was wanted
                return
            if wanted is not None:
                self._poll = self._walk(wanted)
        if wanted is not None:
            self._run_poll()
        elif self._walking:
            self._poll = self._poll or self._walk(None)
            self._advance(self._poll)
        else:
            self._sweep = self._sweep or self._start_sweep()
            self._advance_sweep(self._sweep)

    def _rest(self) -> float:
        """Seconds until there is something to do; 0 or less when there is."""
        now = self._desk.clock.monotonic()
        if self._wanted is not None and not self._walking:
            return 0
        if self._walking or self._sweep is not None:
            return self._pause.until - now
        return max(min(self._due.values()), self._pause.until) - now

    def _walk(self, future: "Future[bool] | None") -> Job:
        self._tried = self._desk.clock.monotonic()
        return Job(Walk(self._desk, self._desk.next_plan()).turns(), self._tried, future)

    def _run_poll(self) -> None:
        """Poll at once; one that needs a second window goes on as a catch-up, in the background."""
        while (job := self._poll) is not None:
            turn = self._advance(job)
            if turn is not None and turn.window > 1:
                self._walking = True
                return

    def _advance(self, job: Job) -> Progress | None:
        """Do one page of a poll, baseline or catch-up; None at its end."""
        turn = self._next(job)
        if turn is not None:
            self._tell_up(True)
        if turn is not None and self._walking:
            self._report(turn)
        self.latest = turn
        return turn

    def _next(self, job: Job) -> Progress | None:
        """Do one page of anything, and end it where it ends."""
        try:
            turn = next(job.turns, None)
        except ExporterError as error:
            self._end(job, error)
            return None
        except Exception as error:  # noqa: BLE001 - a bug must not end the monitoring; its text could hold anything
            self._end(job, _internal(error))
            return None
        if turn is None:
            self._end(job, None)
        else:
            job.pages += 1
            job.corrections += turn.corrections
        return turn

    def _end(self, job: Job, error: ExporterError | None) -> None:
        """Say how a job ended, and plan when to try again."""
        outcome = job.outcome(error)
        if error is not None:
            self._desk.telemetry.count_error(error.reason)
            self._hold_off(error, background=job.sweep is None and (self._walking or self._unfinished()))
        self._stretch(job, error)
        if job.sweep is not None:
            self._end_sweep(job.sweep, job, outcome)
        else:
            self._end_walk(job, outcome)
        self._say(job, error)

    def _hold_off(self, error: ExporterError, *, background: bool) -> None:
        """Leave the server alone for as long as it asks, or as a failure of background work tells."""
        if isinstance(error, Throttled):
            self._tell_up(False)  # no request will go out: docs/design.md#backing-off
        self._pause.after(error, self._desk.clock.monotonic(), background=background)

    def _stretch(self, job: Job, error: ExporterError | None) -> None:
        """Give windows more time where one ran out of it, until work of that kind is complete again.

        A walk goes on from its last committed page, but not inside the Tasks of one stamp: those need one whole window.
        """
        for kind in (Kind.SWEEP,) if job.sweep else (Kind.BASELINE, Kind.POLL):
            if error is None:
                self._desk.patience.pop(kind, None)
            elif isinstance(error, TimedOut) and job.pages:
                self._desk.patience[kind] = min(LONGEST_PATIENCE, 2 * self._desk.patience.get(kind, 1))

    def _end_walk(self, job: Job, outcome: Outcome) -> None:
        complete = outcome is Outcome.COMPLETE
        self._complete += complete
        self._tell_up(complete)
        self._desk.telemetry.polled(outcome, self._desk.clock.monotonic() - job.began)
        with self._turn:
            self._poll = None
            self._walking = not complete and self._unfinished()
        if complete:
            self._pause.over()
        if job.future is not None:
            job.future.set_result(complete)

    def _tell_up(self, value: bool) -> None:
        self.up = value
        self._desk.telemetry.up(value)

    def _unfinished(self) -> bool:
        ledger = self._desk.ledger
        return ledger.walk_state is not None or not ledger.baseline_complete

    def _until_full(self) -> float:
        """Seconds until the full comparison is due: restarts do not put it off."""
        last, interval = self._desk.ledger.instant(StateKey.COMPARED_WALL), self._timing.full_interval
        if last is None:
            return interval
        left = interval - (self._desk.clock.wall() - last) / 1000
        return min(max(left, FIRST_COMPARISON), interval)

    def _start_sweep(self) -> Job:
        """Start the sweep that is due."""
        kind = min(self._due, key=lambda each: self._due[each])
        turns = sweep_all(self._desk) if kind is Sweep.FULL else sweep_open(self._desk, self._timing.lookback)
        return Job(turns, self._desk.clock.monotonic(), sweep=kind)

    def _advance_sweep(self, job: Job) -> None:
        """Do one page of a sweep; it ends early where the poll that it asks for is not complete."""
        if job.awaited is None:
            turn = self._next(job)
            if turn is not None and turn.throttled is not None:
                self._hold_off(turn.throttled, background=False)
            if turn is None or not turn.wants_poll:
                return
            self._poll_for_sweep(job)
        if self._walking:
            return  # the poll became a catch-up: the sweep goes on when it has ended
        if job.awaited == self._complete:
            self._end_sweep(job.sweep or Sweep.OPEN, job, Outcome.PARTIAL)
        job.awaited = None

    def _poll_for_sweep(self, job: Job) -> None:
        job.awaited = self._complete
        with self._turn:
            wanted, self._wanted = self._wanted, None  # a scrape that waits gets this poll, not one more
            self._poll = self._walk(wanted or Future())
        self._run_poll()

    def _end_sweep(self, kind: Sweep, job: Job, outcome: Outcome) -> None:
        job.turns = iter(())
        self._sweep = None
        self._desk.ledger.end_comparison()
        timing = self._timing
        full = kind is Sweep.FULL and outcome is Outcome.COMPLETE
        interval = timing.full_interval if full else min(timing.open_interval, timing.full_interval)
        self._due[kind] = self._desk.clock.monotonic() + interval
        self._desk.telemetry.reconciled(kind, outcome)
        self._desk.telemetry.corrected(kind, job.corrections)

    def _say(self, job: Job, error: ExporterError | None) -> None:
        """Log a change for better or worse, once."""
        if error is not None and (error.reason is not self._trouble or job.sweep):
            told = {"what": job.name, "reason": error.reason.value, "error": str(error), "remedy": error.remedy}
            event(logger, logging.WARNING, "asking the FHIR server failed", **told)
        if error is None and self._trouble is not None and job.sweep is None:
            event(logger, logging.INFO, "the FHIR server answers again")
        if job.sweep is None:
            self._trouble = None if error is None else error.reason

    def _publish(self, snapshot: Snapshot, began: float) -> None:
        """Swap the picture; an equal Snapshot stays the same object, so that its text need not be rendered again."""
        with self._turn:
            same = snapshot == self._picture.snapshot
            kept = self._picture.snapshot if same else snapshot
            self._picture = PublishedSnapshot(kept, self._desk.ledger.generation, began, self._desk.clock.monotonic())


def _internal(error: Exception) -> ExporterError:
    """Name a bug by its class and places: its message could hold anything."""
    failure = ExporterError(f"internal error {type(error).__name__} at {traceback_summary(error)}")
    failure.__cause__ = error
    return failure
