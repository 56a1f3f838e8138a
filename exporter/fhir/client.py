"""What we ask a FHIR server: search, page, read, count, Organization.

Every address that is fetched is made here; how it is fetched is `http`'s business, what the bytes mean `task`'s.
Sources: FHIR R4 search.html; HAPI 8.8.0, measured.

See docs/design.md#asking.
"""

import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote, urlencode

from ..config import FhirSettings
from ..errors import Cached, ClientFault, LinkCycle, LinkRefused, WrongResource
from ..metrics.vocabulary import Operation
from ..task.bundle import decode_count, decode_history, decode_organization, decode_page, decode_version
from ..task.capability import Capability, decode_capability
from ..task.dates import format_instant
from ..task.entry import PageContext
from ..task.history import Gap, below, reaches, unseen
from ..task.model import Coding, Page, Task
from ..task.reasons import Classify
from ..task.search import Bound, Search
from . import links
from .http import Http, Reply, Session

ELEMENTS = "status,code,meta,authoredOn,requester,owner,focus,for,note,statusReason,output"
READ_AT_ONCE = 50
"""Ids in one search: some 3,300 characters at FHIR's longest ids, below every proxy's limit."""

_SPECIAL, _ESCAPED = re.compile(r"([\\,$|])"), r"\\\1"
"""What would split a search value (FHIR R4 search, escaping search parameters)."""

_ORGANIZATION = re.compile(r"(Organization/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_NAMELESS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.GONE,
    }
)
"""Answers to the read of an Organization that will not change soon. Not 401 and 403: those are about our rights."""

_ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})

_NO_HISTORY = _NAMELESS | {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.NOT_IMPLEMENTED}
"""Answers to an instance history that will not change soon."""


logger = logging.getLogger(__name__)

Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search. `classify` gives a failed Task's reason; one window may take `window_seconds` and `max_pages`.

    One instant that many Tasks share is read by `next` to its end, so `max_pages` is no small number.
    """

    classify: Classify
    window_seconds: float
    max_pages: int = 10_000


class InstanceHistory(NamedTuple):
    """The unseen versions of one Task, oldest first; none where the status is not 200. `requests` is what it took.

    `whole` says that it was read back to the last version seen.
    """

    status: int
    versions: tuple[Task, ...] = ()
    requests: int = 1
    whole: bool = True


class FhirServer:
    """A FHIR server that holds Tasks. It remembers whether the server refuses to search by `_tag`."""

    def __init__(
        self, http: Http, settings: FhirSettings, options: SearchOptions, *, tag_refused: bool = False
    ) -> None:
        self.http = http
        self.settings = settings
        self.selection = settings.selection
        self.options = options
        self.tag_refused = tag_refused

    def with_settings(self, settings: FhirSettings) -> "FhirServer":
        """Return the same server, asked with another page size or selection."""
        return FhirServer(self.http, settings, self.options, tag_refused=self.tag_refused)

    @contextmanager
    def window(self, timeout_factor: int = 1, most_seconds: float = math.inf) -> Iterator["FhirWindow"]:
        """Open a connection and start its time limit."""
        with self.http.session(min(self.options.window_seconds * timeout_factor, most_seconds)) as session:
            yield FhirWindow(self, session)

    def classify_by(self, classify: Classify) -> None:
        """Give Tasks that are read from now on their reasons by another table."""
        self.options = replace(self.options, classify=classify)

    def stop_using_tag(self) -> None:
        """Search without `_tag` from now on: the decoder checks it anyway."""
        self.tag_refused = True
        logger.warning("the FHIR server refuses to search by _tag: every Task is read and its tag checked here")

    @property
    def criterion(self) -> str | None:
        """The search parameter that keeps other Tasks out of a count: `_tag`, else `code`, else None."""
        return "_tag" if self.tag else "code" if self.code else None

    @property
    def filtered(self) -> bool:
        """Whether there are further search parameters."""
        return bool(self.selection.search)

    def ask_tag_again(self) -> None:
        """Try `_tag` with the next search: its search parameter may have been activated."""
        self.tag_refused = False

    @property
    def tag(self) -> Parameters:
        """The criterion that the server is asked to apply; none where there is none, or it refuses."""
        tag = self.selection.tag
        return () if tag is None or self.tag_refused else (("_tag", _token(tag)),)

    @property
    def code(self) -> Parameters:
        """The code as a criterion, where there is no tag: then it alone tells which Tasks are ours."""
        code = self.selection.code
        return () if code is None or self.selection.tag is not None else (("code", _token(code)),)


class FhirWindow:
    """Requests that share a connection and a deadline."""

    def __init__(self, server: FhirServer, session: Session) -> None:
        self._server = server
        self._session = session
        self._base = server.http.base
        self._seen: set[int] = set()
        self._pages = 0

    def first(self, search: Search) -> Page:
        """Start a search. A 400 may be about `_tag`: it is asked once more without, and if that works, from then on."""
        self._seen.clear()
        tag = self._server.tag
        try:
            return self._search(tag, search)
        except ClientFault as refusal:
            if not tag or refusal.status != HTTPStatus.BAD_REQUEST:
                raise
            page = self._search((), search)
        self._server.stop_using_tag()
        return page

    def follow(self, link: str) -> Page:
        """Fetch the page behind `link`, verbatim; raises LinkRefused, LinkCycle or CursorExpired."""
        return self._follow(link, self._seen)

    def read(self, ids: Sequence[str]) -> Page:
        """Fetch Tasks by id, tagged or not, in one Page; its clock is that of the first answer.

        The further search parameters hold here too: a Task that they leave out is not ours.
        """
        starts = range(0, len(ids), READ_AT_ONCE)
        pages = [page for start in starts for page in self._read(ids[start : start + READ_AT_ONCE])]
        return Page(
            tasks=tuple(task for page in pages for task in page.tasks),
            clock=pages[0].clock if pages else None,
            matches=sum(page.matches for page in pages),
        )

    def status_of(self, id_: str) -> int:
        """Read one Task for its HTTP status alone: 200, 404 or 410."""
        address = f"{self._task_address(id_)}?_elements=status"
        reply = self._session.get(address, Operation.READ, accept=_ABSENT)
        self._session.log.write()
        return reply.status

    def history(self, id_: str, gap: Gap, most_pages: int, most_requests: int) -> InstanceHistory:
        """Read the versions of one Task that no search has shown; raises a ServerError.

        HAPI keeps the number of versions for a minute and then leaves out the oldest ones of a list: those are read
        one by one.
        """
        size = min(self._server.settings.page_size, gap.before - gap.after + 1)  # one more: it may have changed since
        address = f"{self._task_address(id_)}/_history?_count={size}&_elements={ELEMENTS}"
        reply = self._session.get(address, Operation.READ, accept=_NO_HISTORY)
        if reply.status != HTTPStatus.OK:
            self._session.log.write()
            return InstanceHistory(reply.status)
        page, seen = self._history_page(reply), set[int]()
        versions, requests = list(page.tasks), 1
        while page.next is not None and not reaches(gap, versions) and requests < most_pages:
            page, requests = self._history_page(self._fetch(page.next, seen)), requests + 1
            versions += page.tasks
        needed = below(gap, versions) if page.next is None else None
        while needed is not None and requests < most_requests:
            version, requests = self._version(id_, needed), requests + 1
            versions += () if version is None else (version,)
            needed = None if version is None else below(gap, versions)
        whole = page.next is None or reaches(gap, versions)
        return InstanceHistory(reply.status, unseen(gap, id_, versions), requests, whole and needed is None)

    def _task_address(self, id_: str) -> str:
        """Return the address of a Task."""
        return f"{self._base}/Task/{quote(id_, safe='')}"

    def _version(self, id_: str, number: int) -> Task | None:
        address = f"{self._task_address(id_)}/_history/{number}?_elements={ELEMENTS}"
        reply = self._session.get(address, Operation.READ, accept=_NO_HISTORY)
        self._session.log.write()
        if reply.status != HTTPStatus.OK:
            return None
        return decode_version(reply.body, PageContext(self._server.selection, self._server.options.classify, None))

    def task(self, id_: str) -> Reply:
        """Read one Task as it is now, whatever its tag. 404 and 410 are answers too, without a body."""
        address = f"{self._task_address(id_)}?_elements={ELEMENTS}"
        return self._session.get(address, Operation.READ, accept=_ABSENT)

    def count(self, search: Search) -> int:
        """Ask the server's own count; raises WrongResource where it gives none, or none by tag."""
        if self._server.tag_refused:
            raise WrongResource("The server does not count by _tag.")
        asked = self._asked(replace(search, narrow=True))
        parameters = (*self._server.tag, *asked, ("_summary", "count"))
        total = decode_count(self._fresh(parameters, Operation.COUNT).body)
        if total is None:
            raise WrongResource("The server was asked for a count and gave none.")
        return total

    def organization(self, reference: str) -> str | None:
        """Read a name. Only a relative reference, or one on our own base, is fetched; None for any other.

        Raises Forbidden where the right to read it is missing. What is neither a name nor a refusal raises too, such as
        a login page.
        """
        address = self._organization_address(reference)
        if address is None:
            return None
        reply = self._session.get(address, Operation.ORGANIZATION, accept=_NAMELESS)
        return decode_organization(reply.body) if reply.status == HTTPStatus.OK else None

    def try_organization(self, reference: str) -> None:
        """Read an Organization again, only to see whether we may: raises AuthFailed for a 401 or 403."""
        address = self._organization_address(reference)
        if address is not None:
            self._session.get(address, Operation.ORGANIZATION, accept=_NAMELESS - {HTTPStatus.FORBIDDEN})

    def search_organizations(self) -> int:
        """Search for any Organization, for the HTTP status alone; raises AuthFailed for a 401 or 403."""
        address = f"{self._base}/Organization?_count=1&_elements=name"
        return self._session.get(address, Operation.ORGANIZATION, accept=_NAMELESS - {HTTPStatus.FORBIDDEN}).status

    def capability(self) -> Capability:
        """Read what the server says of itself."""
        return decode_capability(self._session.get(f"{self._base}/metadata", Operation.METADATA).body)

    def _organization_address(self, reference: str) -> str | None:
        found = _ORGANIZATION.fullmatch(reference.removeprefix(f"{self._base}/"))
        if found is None:
            return None
        try:
            return links.resolve(self._base, f"{self._base}/{found[1]}?_elements=name")
        except LinkRefused:
            return None

    def _search(self, tag: Parameters, search: Search) -> Page:
        return self._page(self._fresh((*tag, *self._asked(search), *self._form()), Operation.SEARCH))

    def _read(self, ids: Sequence[str]) -> Iterator[Page]:
        """Walk the answer to one list of ids: a server may give smaller pages than the list is long."""
        asked = (("_id", ",".join(ids)), *self._server.selection.search, *self._form())
        page, seen = self._page(self._fresh(asked, Operation.READ)), set[int]()
        yield page
        while page.next is not None:
            page = self._follow(page.next, seen)
            yield page

    def _follow(self, link: str, seen: set[int]) -> Page:
        return self._page(self._fetch(link, seen))

    def _fetch(self, link: str, seen: set[int]) -> Reply:
        """Fetch a page once: `seen` holds hashes, so that ten thousand long links cost little."""
        address = links.resolve(self._base, link, self._server.settings.rewrite_links)
        self._pages += 1
        if hash(address) in seen or self._pages > self._server.options.max_pages:
            raise LinkCycle("Page links repeat or never end.")
        seen.add(hash(address))
        return self._session.get(address, Operation.PAGE)

    def _asked(self, search: Search) -> Parameters:
        until = () if search.until is None else (("_lastUpdated", f"lt{format_instant(search.until)}"),)
        code = self._server.code if search.narrow else ()
        return (*code, *_since(search.since), *until, *search.filters, *self._server.selection.search)

    def _form(self) -> Parameters:
        """Return the parameters for the form of the answer."""
        size = self._server.settings.page_size
        return (("_sort", "_lastUpdated,_id"), ("_count", str(size)), ("_elements", ELEMENTS))

    def _fresh(self, parameters: Parameters, operation: Operation) -> Reply:
        """Search; raises Cached for an answer out of a cache."""
        query = urlencode(parameters, quote_via=quote, safe=":,/")
        reply = self._session.get(f"{self._base}/Task?{query}", operation)
        if reply.cached:
            raise Cached("The response came from a cache despite Cache-Control: no-cache.")
        return reply

    def _page(self, reply: Reply) -> Page:
        page = decode_page(reply.body, self._server.selection, self._server.options.classify)
        self._session.log.write(page.matches)
        return page if page.clock is not None else replace(page, clock=reply.date)

    def _history_page(self, reply: Reply) -> Page:
        page = decode_history(reply.body, self._server.selection, self._server.options.classify)
        self._session.log.write(page.matches)
        return page


def _token(coding: Coding) -> str:
    return f"{_SPECIAL.sub(_ESCAPED, coding.system)}|{_SPECIAL.sub(_ESCAPED, coding.code)}"


def _since(since: Bound | None) -> Parameters:
    return () if since is None else (("_lastUpdated", f"{since.prefix}{format_instant(since.at)}"),)
