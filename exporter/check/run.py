"""The command `check`: asks the server and the ledger, and reports what it found and what to fix.

Rule 1: it changes nothing: no ledger is made or held, and the server is only read.
Rule 2: what a finding says is decided in `findings` and `samples`; here it is asked for and printed.
Rule 3: one problem hides no other, but a server that does not answer is asked once.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import click

from ..clock import Clock, SystemClock
from ..config import Settings
from ..errors import (
    AuthFailed,
    Cached,
    ClientFault,
    LedgerError,
    LedgerInUse,
    LedgerOfAnotherSource,
    Redirected,
    ServerError,
    Throttled,
    TimedOut,
    TlsFailed,
    Unreachable,
    WrongResource,
)
from ..fhir.client import FhirServer, FhirWindow
from ..ledger import Binding
from ..ledger.inspect import inspect_ledger
from ..names import Namer
from ..task.model import DAY, HOUR, Anomaly, Instant, Page, Status, Task
from ..task.search import Bound, Search
from . import findings, samples
from .findings import Finding, Mark
from .samples import Sample

LOST = (Unreachable, TimedOut, TlsFailed, AuthFailed, Throttled, Redirected)
"""After these, further requests would fail the same way."""

SPANS = (DAY, 7 * DAY, 30 * DAY, 365 * DAY, None)
"""Seconds back that the sample reaches, until there is a page full: the newest Tasks, without a second order."""

PAGES = 5
"""Pages in a sample."""

COLORS = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.PROBLEM: "red"}
INDENT = max(len(mark) for mark in Mark) + 2


def examine(settings: Settings, server: FhirServer, clock: Clock | None = None) -> int:
    """Print everything that can be found out; returns 1 where there is a problem."""
    printed: list[Finding] = []
    for finding in Check(settings, server, clock or SystemClock()).findings():
        if finding not in printed:
            print_finding(finding)
            printed.append(finding)
    click.echo(f"\n{findings.summary(printed)}")
    return int(any(finding.mark is Mark.PROBLEM for finding in printed))


def print_finding(finding: Finding) -> None:
    """Print a finding: its mark and sentence, what to do, what to copy."""
    mark = click.style(f"{finding.mark:<{INDENT}}", fg=COLORS[finding.mark], bold=finding.mark is Mark.PROBLEM)
    click.echo(mark + finding.text)
    if finding.remedy:
        click.echo(" " * INDENT + f"-> {finding.remedy}")
    if finding.copy:
        click.echo("\n".join(("", *finding.copy)))


class Check:
    """One run of all parts. What a part has learned is kept for the next ones."""

    def __init__(self, settings: Settings, server: FhirServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._clock = clock
        self._now: Instant = clock.wall()
        self._first = self._since(HOUR)
        self._page: Page | None = None
        self._ours: list[Task] = []
        self._busiest = Status.COMPLETED
        self._countable = 0

    def findings(self) -> Iterator[Finding]:
        """Check the configuration, the ledger, then the server."""
        yield from findings.configured(self._settings, self._server.http.base)
        yield self._ledger()
        try:
            with self._server.window() as window:
                yield from self._reach(window)
        except ServerError as error:
            yield findings.failed("search", error)
            if not isinstance(error, LOST):
                yield from self._software_alone()
            return
        yield from self._further()

    def _ledger(self) -> Finding:
        binding = Binding(self._settings.fhir.url, self._settings.fhir.selection)
        try:
            return findings.LEDGER[inspect_ledger(self._settings.ledger, binding)]
        except LedgerInUse:
            return findings.IN_USE
        except LedgerOfAnotherSource as error:
            return findings.TO_REBIND if self._settings.ledger_rebind else findings.failed("ledger", error)
        except LedgerError as error:
            return findings.failed("ledger", error)

    def _reach(self, window: FhirWindow) -> Iterator[Finding]:
        """Ask what a poll asks."""
        try:
            page = window.first(self._first)
        except Cached as error:
            yield findings.failed("cache", error)
            return
        yield findings.reached(self._settings, self._server.http.host_and_port)
        if self._server.tag_refused:
            yield findings.TAG_REFUSED
        yield findings.clocks(page.clock, self._clock.wall())
        self._now = self._now if page.clock is None else page.clock
        self._page = page

    def _software_alone(self) -> Iterator[Finding]:
        with self._server.window() as window:
            yield from self._software(window)

    def _further(self) -> Iterator[Finding]:
        """Go through the parts, each with a time limit of its own."""
        parts: tuple[tuple[str, Callable[[FhirWindow], Iterator[Finding]]], ...] = (
            ("software", self._software),
            ("cache", self._cache),
            ("page links", self._follow_link),
            ("sample", self._sample),
            ("counts", self._count),
            ("search parameters", self._probe),
            ("payers", self._payers),
        )
        for subject, part in parts:
            try:
                with self._server.window() as window:
                    yield from part(window)
            except ServerError as error:
                yield findings.failed(subject, error)
                if isinstance(error, LOST):
                    return

    def _software(self, window: FhirWindow) -> Iterator[Finding]:
        try:
            yield findings.software(window.capability())
        except ServerError as error:
            yield findings.no_metadata(error)

    def _cache(self, window: FhirWindow) -> Iterator[Finding]:
        """Ask the same as before."""
        window.first(self._first)
        yield findings.ok("cache: a repeated search gets a new answer")

    def _follow_link(self, _: FhirWindow) -> Iterator[Finding]:
        """Ask for pages of one Task, so that there is a link to follow wherever there are two."""
        with self._server.with_settings(replace(self._server.settings, page_size=1)).window() as window:
            link = window.first(Search()).next
            if link is not None:
                window.follow(link)
                yield findings.ok("page links: lead back to the server and work")

    def _sample(self, window: FhirWindow) -> Iterator[Finding]:
        """Read the newest Tasks, and look at how they come."""
        size = self._server.settings.page_size
        page = self._newest(window, size)
        yield findings.paged(size, page.matches if page.next else None)
        stamps = [task.updated for task in page.tasks if Anomaly.UNPARSABLE not in task.anomalies]
        if len(set(stamps)) > 1:
            yield findings.sorted_by(stamps)
        tasks = [*page.tasks]
        try:
            for _ in range(PAGES - 1):
                page = window.follow(page.next) if page.next else Page(())
                tasks += page.tasks
        except ServerError as error:
            yield findings.failed("page links", error)
        sample = Sample(tasks, self._now, bool(self._server.tag))
        self._ours = sample.ours
        yield from samples.diagnose(sample)

    def _newest(self, window: FhirWindow, size: int) -> Page:
        """Go back until there is a page full; the first search may have brought one already."""
        page = self._page or Page(())
        for seconds in SPANS:
            if page.next is not None or page.matches >= size:
                break
            page = window.first(self._since(seconds))
        return page

    def _count(self, window: FhirWindow) -> Iterator[Finding]:
        if self._server.tag_refused:
            yield findings.UNCOUNTED_BY_TAG
            return
        try:
            total = window.count(Search())
        except (ClientFault, WrongResource):
            yield findings.UNCOUNTED
            return
        if not total:
            yield findings.nothing(self._count_untagged())
            return
        try:
            counts = {status: window.count(search) for status, search in findings.BY_STATUS.items()}
        except ClientFault:  # the probes will tell which
            counts = {}
        self._countable = total
        counted = [status for status in counts if status is not Status.UNKNOWN]
        self._busiest = max(counted, key=counts.__getitem__, default=Status.COMPLETED)
        yield from findings.counted(total, counts)

    def _count_untagged(self) -> int:
        with self._server.with_settings(replace(self._server.settings, tag=None)).window() as window:
            return window.count(Search())

    def _probe(self, window: FhirWindow) -> Iterator[Finding]:
        """Ask what must be answered by 0, where there is something to be counted by mistake."""
        if not self._countable:
            return
        stamps = sorted(task.updated for task in self._ours)
        middle = stamps[len(stamps) // 2] if stamps else self._now
        for probe in findings.probes(middle, self._busiest):
            if probe.name == "_tag" and self._server.selection.tag is None:
                continue
            try:
                count = window.count(probe.search)
            except ClientFault:
                count = None
            yield findings.probed(probe, count)

    def _payers(self, window: FhirWindow) -> Iterator[Finding]:
        """Name the payers of the sample as polls will."""
        tasks = samples.with_few_payers(self._ours)
        namer = Namer(self._settings.payers, self._server.http.base, self._clock)
        named = namer.pairs(tasks, window)
        if tasks:
            yield samples.pairs(named, self._settings.pairs_max)
        yield from samples.payers(samples.namings(tasks, named), self._settings.payers)

    def _since(self, seconds: int | None) -> Search:
        return Search() if seconds is None else Search(Bound("ge", self._now - seconds * 1000))
