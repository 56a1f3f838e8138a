"""The routes, and what each answers: `/metrics` and `/probe` for Prometheus, a landing page, two health checks, reload.

Rule: nothing here is async and nothing waits. A request that has to wait for a poll, a probe or a reload is a
PendingScrape, for which the server waits.

See docs/design.md#http-endpoints, docs/design.md#polled-on-scrape.
"""

import gzip
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic, time
from typing import NamedTuple

from ..errors import TargetRefused
from ..logs import log_bug
from ..metrics.negotiation import Format, accepts_gzip, negotiate
from ..metrics.probe import ProbeResult
from ..metrics.probe import render as render_probe
from ..metrics.vocabulary import ScrapeAnswer
from ..probe import Probe, ProbesBusy
from ..published import PublishedSnapshot
from ..reload import ReloadRequest
from .backend import Backend
from .landing import render as render_landing
from .messages import (
    BUSY,
    HEALTHY,
    HTML,
    LIFECYCLE_OFF,
    NOT_FOUND,
    READY,
    RELOAD_LATE,
    Request,
    Response,
    bad_request,
    method_not_allowed,
    reloaded,
    unready,
)

logger = logging.getLogger(__name__)

LAST_GOOD_SECONDS = 300.0
"""How long an exposition may be served again while rendering fails; an older one would be stale numbers."""


RELOAD_SECONDS = 30.0
"""How long a request may wait for a reload: the worker first ends the request, or the small poll, that it is in."""

READ, WRITE = ("GET", "HEAD"), ("POST", "PUT")
"""The methods of a route."""


@dataclass(frozen=True, slots=True)
class PendingScrape:
    """A request that waits for `poll`, be it a poll, a probe or a reload: it is never cancelled.

    `respond` takes the outcome of the wait.
    """

    poll: "Future[bool]"
    budget_seconds: float
    respond: Callable[[ScrapeAnswer], Response]


class Route(NamedTuple):
    """Who answers, and to which methods."""

    answer: Callable[[Request], Response | PendingScrape]
    methods: Sequence[str] = READ


class RenderedExposition(NamedTuple):
    """An exposition, and when it was rendered (monotonic seconds)."""

    body: bytes
    rendered_at: float


class App:
    """Answers requests.

    `scrape_timeout_offset_seconds` is `--web.scrape-timeout-offset`. `reload` is None unless `--web.enable-lifecycle`.
    """

    def __init__(
        self,
        backend: Backend,
        scrape_timeout_offset_seconds: float,
        *,
        reload: Callable[[], ReloadRequest] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._backend = backend
        self._ask_for_reload = reload
        self._offset_seconds = scrape_timeout_offset_seconds
        self._clock = clock
        self._last_good: dict[Format, RenderedExposition] = {}
        self._routes = {
            "/metrics": Route(self._metrics),
            "/probe": Route(self._probe),
            "/": Route(self._landing),
            "/-/healthy": Route(lambda _request: HEALTHY),
            "/-/ready": Route(self._ready),
            "/-/reload": Route(self._reload, WRITE),
        }

    def handle(self, request: Request) -> Response | PendingScrape:
        """Answer a request. Raises whatever a bug raises: the caller answers 500."""
        route = self._routes.get(request.path)
        if route is None:
            return NOT_FOUND
        if request.method not in route.methods:
            return method_not_allowed(route.methods)
        return route.answer(request)

    def _metrics(self, request: Request) -> Response | PendingScrape:
        scrape = self._backend.scrape()
        if scrape.immediate is None and scrape.poll is not None:
            return PendingScrape(
                scrape.poll, request.budget_seconds(self._offset_seconds), partial(self._exposition, request)
            )
        return self._exposition(request, scrape.immediate or ScrapeAnswer.STALE)

    def _exposition(self, request: Request, answer: ScrapeAnswer) -> Response:
        published = self._backend.published()
        form = negotiate(request.headers.get("accept"))
        body, current = self._render(published, form)
        stored = request.by_prometheus and current
        return replace(
            _exposed(request, body, form),
            on_sent=lambda complete: self._backend.count_scrape(answer, published, stored and complete),
        )

    def _probe(self, request: Request) -> Response | PendingScrape:
        """Probe an export job: 200 whatever its state; a probe that takes too long goes on for the next scrape."""
        target = request.parameter("target")
        if target is None:
            return bad_request("Ask for /probe?target=STATUS_URL, with the target percent-encoded and nothing else.")
        try:
            probe = self._backend.probe(target)
        except TargetRefused as error:
            return bad_request(f"{error} {error.remedy}")
        except ProbesBusy:
            return BUSY
        budget = request.budget_seconds(self._offset_seconds)
        return PendingScrape(probe.done, budget, partial(self._probed, request, probe, self._clock()))

    def _probed(self, request: Request, probe: Probe, started: float, _answer: ScrapeAnswer) -> Response:
        form = negotiate(request.headers.get("accept"))
        result = probe.result or ProbeResult(self._clock() - started)
        return _exposed(request, render_probe(result, form), form)

    def _render(self, published: PublishedSnapshot, form: Format) -> tuple[bytes, bool]:
        """Return an exposition, and whether it is of this snapshot: while rendering fails it is the last good one."""
        try:
            body = self._backend.render(published, form)
        except Exception as error:
            last_good = self._last_good.get(form)
            if last_good is None or self._clock() - last_good.rendered_at > LAST_GOOD_SECONDS:
                raise
            log_bug(logger, "rendering failed; serving the last good exposition", error)
            return last_good.body, False
        self._last_good[form] = RenderedExposition(body, self._clock())
        return body, True

    def _landing(self, _request: Request) -> Response:
        return Response(200, HTML, render_landing(self._backend.landing(), int(time() * 1000)))

    def _ready(self, _request: Request) -> Response:
        reason = self._backend.unready_reason()
        return READY if reason is None else unready(reason)

    def _reload(self, _request: Request) -> Response | PendingScrape:
        if self._ask_for_reload is None:
            return LIFECYCLE_OFF
        asked = self._ask_for_reload()
        return PendingScrape(asked.done, RELOAD_SECONDS, partial(_reloaded, asked))


def _reloaded(asked: ReloadRequest, answer: ScrapeAnswer) -> Response:
    if answer is ScrapeAnswer.LATE:
        return RELOAD_LATE
    return reloaded(answer is ScrapeAnswer.FRESH, asked.said)


def _exposed(request: Request, body: bytes, form: Format) -> Response:
    """Answer with an exposition, compressed where the client accepts it."""
    headers: tuple[tuple[str, str], ...] = (("vary", "Accept, Accept-Encoding"),)
    if accepts_gzip(request.headers.get("accept-encoding")):
        # Level 1: 9 ms where level 9 takes 110, for a few percent of size.
        body, headers = gzip.compress(body, 1, mtime=0), (*headers, ("content-encoding", "gzip"))
    return Response(200, form, body, headers)
