"""The command `check`: asks the server and the ledger step by step, and reports what it found and what to fix.

Rule 1: it changes nothing: no ledger is made or held, and the server is only read.
Rule 2: what a finding says is decided in `steps`, `rights`, `findings` and `samples`; here it is asked for.
Rule 3: one problem hides no other, but a server that does not answer is asked once.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from ..batch_jobs.client import BatchJobs
from ..clock import Clock, SystemClock
from ..config import Settings, exposed_files
from ..errors import (
    AuthFailed,
    Cached,
    ClientFault,
    Forbidden,
    LedgerError,
    LedgerInUse,
    LedgerOfAnotherSource,
    Redirected,
    ServerError,
    Throttled,
    TimedOut,
    TlsFailed,
    TokenFailed,
    TokenThrottled,
    Unreachable,
    WrongResource,
)
from ..fhir.client import FhirServer, FhirWindow
from ..fhir.links import parse_base_url
from ..ledger import Binding
from ..ledger.inspect import inspect_ledger
from ..names import Namer
from ..oauth2 import OAuth2
from ..task.model import DAY, HOUR, Anomaly, Instant, Page, Pair, Status, Task
from ..task.search import Bound, Search
from . import findings, output, rights, samples, steps, token
from .batch_jobs import list_jobs
from .findings import Finding
from .proposal import namings, propose
from .samples import Sample
from .steps import Step

LOST = (Unreachable, TimedOut, TlsFailed, AuthFailed, Throttled, Redirected)
"""After these, further requests would fail the same way; not so after Forbidden, which is about one right."""

SPANS = (DAY, 7 * DAY, 30 * DAY, 365 * DAY, None)
"""Seconds back that the sample reaches, until there is a page full: the newest Tasks, without a second order."""

PAGES = 5
"""Pages in a sample."""

ORGANIZATIONS = 5
"""Payers without a name that are asked about once more, to see whether they may not be read."""


def examine(
    settings: Settings, server: FhirServer, clock: Clock | None = None, batch_jobs: BatchJobs | None = None
) -> int:
    """Print everything that can be found out; returns 1 where something failed."""
    found = Check(settings, server, clock or SystemClock()).findings()
    return output.show(chain(found, () if batch_jobs is None else list_jobs(batch_jobs)))


class Part(NamedTuple):
    """What belongs to a step, and has a time limit of its own. `subject` begins the line if it fails."""

    step: Step
    subject: str
    ask: Callable[[FhirWindow], Iterator[Finding]]


class Check:
    """One run of all steps. What a part has learned is kept for the next ones."""

    def __init__(self, settings: Settings, server: FhirServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._home = parse_base_url(server.http.base)
        self._clock = clock
        self._now: Instant = clock.wall()
        self._first = self._since(HOUR)
        self._page: Page | None = None
        self._ours: list[Task] = []
        self._named: list[Pair] = []
        self._organization_refused = False
        self._busiest = Status.COMPLETED
        self._countable = 0
        self._has_token = False

    def findings(self) -> Iterator[Finding]:
        """Check the configuration, the ledger, then the server."""
        yield from findings.configured(self._settings, self._server.http.base)
        yield from (findings.exposed(file) for file in exposed_files(self._settings))
        error = self._credentials_error()
        if error is None:
            yield self._ledger()
            yield from self._token()
            yield from self._search()
        elif isinstance(error, TokenFailed | TokenThrottled):
            yield self._ledger()
            yield token.failed(error)
            yield from self._not_tested(Step.TOKEN, steps.until(Step.TOKEN))
        elif isinstance(error, AuthFailed):
            yield findings.failed(Step.CONFIGURATION, error)
            yield self._ledger()
            yield from self._not_tested(Step.CONFIGURATION, steps.until(Step.LEDGER))
        else:  # the FHIR server was asked for its token endpoint
            yield self._ledger()
            yield from self._stopped(error)

    def _search(self) -> Iterator[Finding]:
        """Ask what a poll asks, and what that leaves open."""
        try:
            with self._server.window() as window:
                yield from self._reach(window)
        except ServerError as error:
            yield from self._stopped(error)
            return
        yield from self._walk(self._parts)

    def _credentials_error(self) -> ServerError | None:
        """Read the credentials without sending them to the FHIR server, so that a bad file is no fault of it.

        An access token is asked for now, and kept for the searches.
        """
        try:
            self._server.http.auth.headers()
        except ServerError as error:
            return error
        return None

    def _token(self) -> Iterator[Finding]:
        auth = self._server.http.auth
        if isinstance(auth, OAuth2) and auth.facts is not None:
            self._has_token = True
            yield from token.obtained(auth.facts)

    def _not_tested(self, at: Step, tested: Collection[Step]) -> Iterator[Finding]:
        """Name the steps that were not reached; a token is one where it is configured and was not obtained."""
        wanted = self._settings.fhir.oauth2.client_id is not None and not self._has_token
        reached = {*tested} - {Step.TOKEN} if wanted and at is not Step.TOKEN else {*tested, Step.TOKEN}
        yield from steps.not_tested(at, reached)

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
        cached = None
        try:
            self._page = window.first(self._first)
        except Cached as error:
            cached = error
        yield from steps.passed(self._settings.fhir, self._home, Step.AUTHENTICATION)
        yield rights.TASK_READ
        if cached:
            yield findings.failed("cache", cached)
        if self._server.tag_refused:
            yield findings.TAG_REFUSED
        if self._page:
            yield findings.clocks(self._page.clock, self._clock.wall())
            self._now = self._now if self._page.clock is None else self._page.clock

    def _stopped(self, error: ServerError) -> Iterator[Finding]:
        """Report at which step the first search failed, and what can still be found out."""
        stop = steps.stop_at(error)
        yield from steps.passed(self._settings.fhir, self._home, stop.proven)
        yield steps.stopped(self._settings.fhir, self._home, error)
        tested = {*steps.until(stop.proven), stop.at}
        if isinstance(error, Forbidden):
            yield from self._walk(self._other_rights)
            tested.add(Step.ORGANIZATION)
        elif not isinstance(error, LOST):
            yield from self._walk(self._other_rights[1:])
        yield from self._not_tested(stop.at, tested)

    @property
    def _other_rights(self) -> tuple[Part, ...]:
        return (
            Part(Step.ORGANIZATION, "Organization", self._organization),
            Part(Step.ORGANIZATION, "metadata", self._metadata),
        )

    @property
    def _parts(self) -> tuple[Part, ...]:
        return (
            Part(Step.TASK, "cache", self._cache),
            Part(Step.TASK, "page links", self._follow_link),
            Part(Step.TASK, "sample", self._sample),
            Part(Step.TASK, "counts", self._count),
            *self._other_rights,
            Part(Step.SEARCH_PARAMETERS, "search parameters", self._probe),
            Part(Step.SEARCH_PARAMETERS, "payers", self._payers),
        )

    def _walk(self, parts: Sequence[Part]) -> Iterator[Finding]:
        for part in parts:
            try:
                with self._server.window() as window:
                    yield from part.ask(window)
            except ServerError as error:
                yield findings.failed(part.subject, error)
                if isinstance(error, LOST) and not isinstance(error, Forbidden):
                    yield from self._not_tested(part.step, steps.until(part.step))
                    return

    def _metadata(self, window: FhirWindow) -> Iterator[Finding]:
        try:
            yield rights.described(window.capability())
        except ServerError as error:
            yield rights.undescribed(error)

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
            yield findings.UNPROBED
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

    def _organization(self, window: FhirWindow) -> Iterator[Finding]:
        """Name the payers of the sample as polls will, and see whether Organizations may be read."""
        try:
            yield self._read_organizations(window)
        except AuthFailed as error:
            self._organization_refused = True
            yield rights.refused(rights.ORGANIZATION, error)

    def _read_organizations(self, window: FhirWindow) -> Finding:
        """Ask again for some that have no name: polls do not tell a refusal from an Organization that is not there."""
        namer = Namer(self._settings.payers, self._server.http.base, self._clock)
        self._named = namer.pairs(samples.with_few_payers(self._ours), window)
        nameless = [reference for reference, name in namer.unsaved.items() if name is None]
        for reference in nameless[:ORGANIZATIONS]:
            window.try_organization(reference)
        if len(nameless) < len(namer.unsaved):
            return rights.ORGANIZATION_READ
        return rights.organization_searched(window.search_organizations())

    def _payers(self, _: FhirWindow) -> Iterator[Finding]:
        """List the payers of the sample, where they could be named."""
        tasks = samples.with_few_payers(self._ours) if self._named else []
        if tasks:
            yield samples.pairs(self._named, self._settings.pairs_max)
        found, table = namings(tasks, self._named), self._settings.payers
        yield from samples.payers(found)
        proposal = propose(found, table)
        count = proposal.count_pairs(tasks, self._named)
        yield from samples.proposed(proposal, count, refused=self._organization_refused)

    def _since(self, seconds: int | None) -> Search:
        return Search() if seconds is None else Search(Bound("ge", self._now - seconds * 1000))
