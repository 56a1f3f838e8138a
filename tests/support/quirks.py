"""What FHIR servers, and what stands before them, have been seen to do: each quirk wraps an honest answer.

A quirk is a function `Answer -> Answer` (or makes one); `played(store, clamped(50), lenient)` puts them around a store.
Quirks of what a server *holds* are in quirk_tasks, those of raw bytes (Q29) in quirk_streams.
"""

import gzip
import json
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

import httpx

from exporter.demo.dates import format_stamp
from exporter.demo.server import JSON, Request, Response, outcome
from exporter.demo.store import Store
from exporter.task.model import Instant

from .fake import BASE, Answer, honest

Quirk = Callable[[Answer], Answer]
Bundle = dict[str, Any]
Query = Iterable[tuple[str, str]]


# --- putting quirks together


def played(source: Store | Answer, *quirks: Quirk) -> Answer:
    """Put quirks around a server, the first one innermost."""
    answer = honest(source) if isinstance(source, Store) else source
    for quirk in quirks:
        answer = quirk(answer)
    return answer


def when(wanted: Callable[[Request], bool], quirk: Quirk) -> Quirk:
    """Play a quirk on some requests only."""

    def limited(answer: Answer) -> Answer:
        quirky = quirk(answer)
        return lambda request: (quirky if wanted(request) else answer)(request)

    return limited


def is_page(request: Request) -> bool:
    """Tell the following of a page link from everything else."""
    return any(name == "_getpages" for name, _ in request.query)


def is_search(request: Request) -> bool:
    """Tell the first page of a search, a count included."""
    return request.path.endswith("/Task")


def nth(*numbers: int) -> Callable[[Request], bool]:
    """Choose requests by their number, from 1: `when(nth(2), cut)`."""
    seen = 0

    def wanted(_: Request) -> bool:
        nonlocal seen
        seen += 1
        return seen in numbers

    return wanted


class Switch:
    """Turns a quirk on and off in the middle of a test: `switch = Switch(); when(switch, login_page)`."""

    def __init__(self, on: bool = True) -> None:
        self.on = on

    def __call__(self, request: Request) -> bool:
        return self.on


def instead(respond: Callable[[Request], Response | None]) -> Quirk:
    """Answer something else, where it is not None."""
    return lambda answer: lambda request: respond(request) or answer(request)


def always(response: Response) -> Quirk:
    """Answer the same to everything."""
    return instead(lambda _: response)


def asking(change: Callable[[Query], Query]) -> Quirk:
    """Change the query before the server sees it."""
    return lambda answer: lambda request: answer(request._replace(query=tuple(change(request.query))))


def dropping(*names: str) -> Quirk:
    """Leave parameters out of the query."""
    return asking(lambda query: [(name, value) for name, value in query if name not in names])


def editing(change: Callable[[Bundle, Request], object]) -> Quirk:
    """Change each Bundle, in place, before it is sent."""

    def quirk(answer: Answer) -> Answer:
        def edited(request: Request) -> Response:
            response = answer(request)
            resource = json.loads(response.body) if response.body.startswith(b"{") else {}
            if resource.get("resourceType") != "Bundle":
                return response
            change(resource, request)
            return response._replace(body=json.dumps(resource).encode())

        return edited

    return quirk


def next_link(bundle: Bundle) -> dict[str, str]:
    """Return the `next` link, to be read or changed; an empty one where there is none."""
    return next((link for link in bundle.get("link", []) if link["relation"] == "next"), {})


def _link_next(bundle: Bundle, url: str) -> None:
    bundle["link"] = [link for link in bundle["link"] if link["relation"] != "next"]
    bundle["link"].append({"relation": "next", "url": url})


# --- Q1 to Q9: searches and pages


def result_cache(clock: Callable[[], Instant], *, seconds: float = 60, obedient: bool = True) -> Quirk:
    """Q1: repeat the answer of an identical search; `obedient` caches ask anew at `no-cache`, others do not."""

    def quirk(answer: Answer) -> Answer:
        kept: dict[object, tuple[Instant, Response]] = {}

        def cached(request: Request) -> Response:
            key = (request.path, request.query)
            asked_anew = obedient and "no-cache" in dict(request.headers).get("cache-control", "")
            if key in kept and not asked_anew and clock() - kept[key][0] < seconds * 1000:
                hit = kept[key][1]
                return hit._replace(headers=(*hit.headers, ("x-cache", f"HIT from {BASE}")))
            kept[key] = clock(), answer(request)
            return kept[key][1]

        return cached

    return quirk


def no_paging_without_store(answer: Answer) -> Answer:
    """Q2: give no `next` link to who says `no-store`: all past the first page is lost without a word."""

    def unpaged(bundle: Bundle, request: Request) -> None:
        if "no-store" in dict(request.headers).get("cache-control", ""):
            bundle["link"] = [link for link in bundle["link"] if link["relation"] != "next"]

    return editing(unpaged)(answer)


def clamped(limit: int) -> Quirk:
    """Q3: never more than `limit` entries a page, whatever `_count` says."""
    return asking(
        lambda query: [(name, str(min(int(value), limit)) if name == "_count" else value) for name, value in query]
    )


def expired_pages(answer: Answer) -> Answer:
    """Q4: forget every search at once: page links answer 410."""
    gone = Response(410, (("content-type", JSON),), outcome("HAPI-0417: Search ID does not exist and may have expired"))
    return when(is_page, always(gone))(answer)


def total(value: int | None) -> Quirk:
    """Q5: state a wrong total, or none."""

    def stated(bundle: Bundle, _: Request) -> None:
        bundle.pop("total", None)
        if value is not None:
            bundle["total"] = value

    return editing(stated)


ELSEWHERE = (
    "http://evil.example/fhir",
    "http://fhir.example:8081/fhir",
    "https://fhir.example/fhir",
    "ftp://fhir.example/fhir",
    "http://user:secret@fhir.example/fhir",
    "http://fhir.example@evil.example/fhir",
    "http://fhir.example.evil.example/fhir",
    "http://evil.example\\@fhir.example/fhir",
    "//evil.example/fhir",
    "\\\\evil.example/fhir",
    "http://fhir.example/fhirx",
    "http://fhir.example/",
    "http://fhir.example/fhir/../admin",
    "http://fhir.example/fhir/%2e%2e/admin",
    "http://fhir.example/fhir%2f..%2fadmin",
    "http://fhir.example./fhir",
    "http://fhir.ex\u0430mple/fhir",
    "http://fhir.example/fhir\r\nx: y",
    "javascript:alert(1)//fhir",
)
"""Q6: spellings of a base that is not ours, BASE being http://fhir.example/fhir."""


def next_at(base: str) -> Quirk:
    """Q6: page links on another base (a proxy, a wrong setting, or worse)."""

    def moved(bundle: Bundle, _: Request) -> None:
        link = next_link(bundle)
        if link:
            link["url"] = base + link["url"].removeprefix(BASE)

    return editing(moved)


def next_to_itself(answer: Answer) -> Answer:
    """Q7: a page whose `next` is the page itself."""

    def itself(bundle: Bundle, request: Request) -> None:
        if is_page(request):
            _link_next(bundle, BASE + "?" + "&".join(f"{name}={value}" for name, value in request.query))

    return editing(itself)(answer)


def next_in_a_circle(answer: Answer) -> Answer:
    """Q7: the last page links to the first one that was linked to: A, B, A."""
    linked: list[str] = []

    def circle(bundle: Bundle, _: Request) -> None:
        if next_link(bundle):
            linked.append(next_link(bundle)["url"])
        elif linked:
            _link_next(bundle, linked[0])

    return editing(circle)(answer)


def next_without_end(answer: Answer) -> Answer:
    """Q7: every page has a `next` never seen before, and all are the same page."""
    made = 0
    kept: list[Response] = []

    def endless(bundle: Bundle, _: Request) -> None:
        nonlocal made
        made += 1
        _link_next(bundle, f"{BASE}?_getpages=endless&_getpagesoffset={made}")

    def again(request: Request) -> Response:
        if not is_page(request):
            kept[:] = [answer(request)]
        return kept[0]

    return editing(endless)(again)


def empty_page_first(answer: Answer) -> Answer:
    """Q7: an empty page with a `next`, behind which the real one waits: an empty page is no end."""
    held: dict[str, Response] = {}

    def emptied(request: Request) -> Response:
        name = dict(request.query).get("_getpages", "")
        if name in held:
            return held[name]
        response = answer(request)
        if response.status != httpx.codes.OK or not is_search(request):
            return response
        name = f"held-{len(held)}"
        held[name] = response
        bundle = json.loads(response.body)
        bundle.pop("entry", None)
        _link_next(bundle, f"{BASE}?_getpages={name}")
        return response._replace(body=json.dumps(bundle).encode())

    return emptied


def repeated_entry(answer: Answer) -> Answer:
    """Q8: each page begins with the last entry of the page before it."""
    last: list[Any] = []

    def repeated(bundle: Bundle, request: Request) -> None:
        entries = bundle.get("entry", [])
        bundle["entry"] = [*(last if is_page(request) else []), *entries]
        last[:] = entries[-1:]

    return editing(repeated)(answer)


def meanwhile(action: Callable[[], object]) -> Quirk:
    """Q8: do something (change a Task, delete one) once, just before the first page link is answered."""
    waiting = [action]

    def act(request: Request) -> None:
        if is_page(request) and waiting:
            waiting.pop()()

    return instead(act)


def strange_entries(answer: Answer) -> Answer:
    """Q9: an included Organization, an outcome, and an entry without a resource beside the matches."""
    included = {"resource": {"resourceType": "Organization", "id": "old-payer"}, "search": {"mode": "include"}}
    warned = {"resource": json.loads(outcome("A warning")), "search": {"mode": "outcome"}}
    empty = {"fullUrl": f"{BASE}/Task/nowhere"}

    def joined(bundle: Bundle, _: Request) -> None:
        bundle["entry"] = [included, *bundle.get("entry", []), warned, empty]

    return editing(joined)(answer)


def without_modes(answer: Answer) -> Answer:
    """Q9: entries that do not say whether they match."""
    return editing(lambda bundle, _: [entry.pop("search", None) for entry in bundle.get("entry", [])])(answer)


def bare_bundle(answer: Answer) -> Answer:
    """Q9: no total, no meta, no modes: the least that is a searchset."""
    bare = editing(lambda bundle, _: [bundle.pop(name, None) for name in ("total", "meta", "id")])
    return without_modes(bare(answer))


# --- Q12 to Q14, Q23 to Q25: what the server makes of a question


def inclusive_bounds(answer: Answer) -> Answer:
    """Q12: `ge` brings the last seen Task again. The honest server does; this wrapper changes nothing."""
    return answer


def without_clock(answer: Answer) -> Answer:
    """Q13: tell no time at all: neither Bundle.meta nor Date."""
    silent = editing(lambda bundle, _: bundle.pop("meta", None))(answer)

    def dateless(request: Request) -> Response:
        response = silent(request)
        return response._replace(headers=tuple(header for header in response.headers if header[0] != "date"))

    return dateless


def clock_told(clock: Callable[[], Instant]) -> Quirk:
    """Q13: tell another time in Bundle.meta than the one that stamps Tasks."""
    return editing(lambda bundle, _: bundle["meta"].update(lastUpdated=format_stamp(clock())))


def bound_ignored(*prefixes: str) -> Quirk:
    """Q14: obey only one of two bounds: `bound_ignored("lt", "le")` forgets the upper one."""
    return asking(
        lambda query: [pair for pair in query if pair[0] != "_lastUpdated" or not pair[1].startswith(prefixes)]
    )


KNOWN = frozenset(
    (
        *("_tag", "code", "status", "status:not", "_id", "_lastUpdated", "_sort", "_count", "_elements", "_summary"),
        *("_getpages", "_getpagesoffset", "_format", "_bundletype"),
    )
)


def lenient(answer: Answer) -> Answer:
    """Q23: ignore search parameters that it does not know."""
    return asking(lambda query: [pair for pair in query if pair[0] in KNOWN])(answer)


def ignoring(*names: str) -> Quirk:
    """Q23: ignore these parameters, `_tag` say, as a lenient server does that never heard of them."""
    return dropping(*names)


def refusing(name: str, code: str = "HAPI-0524") -> Quirk:
    """Q23: answer 400 to a parameter."""
    text = f'{code}: Unknown search parameter "{name}" for resource type "Task"'
    refusal = Response(400, (("content-type", JSON),), outcome(text))
    return when(lambda request: any(each == name for each, _ in request.query), always(refusal))


tag_retired = refusing("_tag", "HAPI-1223")
"""Q23: tags are stored INLINE and the search parameter `_tag` was retired."""

elements_ignored = dropping("_elements")
"""Q24: full resources come, with all that is nobody's business."""


def history_refused(answer: Answer) -> Answer:
    """Q25: no `_history`, neither of the type nor of one Task."""
    text = outcome("HAPI-0953: Type- and Server- level history operation not supported")
    refusal = Response(400, (("content-type", JSON),), text)
    return when(lambda request: request.path.endswith("/_history"), always(refusal))(answer)


# --- Q26 to Q28: what is no FHIR, or too much of it


def raw_entry(resource: bytes) -> Quirk:
    """Q26: put this text in front of the other entries of each page, as a match."""
    spliced = b'"entry":[{"resource":' + resource + b',"search":{"mode":"match"}},'

    def quirk(answer: Answer) -> Answer:
        def joined(request: Request) -> Response:
            response = answer(request)
            return response._replace(body=re.sub(rb'"entry": ?\[', lambda _: spliced, response.body, count=1))

        return joined

    return quirk


def outcome_told(status: int, diagnostics: str) -> Quirk:
    """Q27: an OperationOutcome in place of the answer, 200 included, that names a patient, say."""
    return always(Response(status, (("content-type", JSON),), outcome(diagnostics)))


def outcome_inside(diagnostics: str) -> Quirk:
    """Q27: an OperationOutcome among the entries of a good page."""
    entry = {"resource": json.loads(outcome(diagnostics)), "search": {"mode": "outcome"}}
    return editing(lambda bundle, _: bundle.update(entry=[*bundle.get("entry", []), entry]))


login_page = always(Response(200, (("content-type", "text/html"),), b"<!doctype html><title>Sign in</title>"))
"""Q28: a proxy that asks a person to sign in."""

empty_body = always(Response(200, (("content-type", JSON),), b""))
"""Q28: nothing, with 200."""


def content_type(value: str | None) -> Quirk:
    """Q28: a good body under a wrong media type, or under none."""

    def quirk(answer: Answer) -> Answer:
        def renamed(request: Request) -> Response:
            response = answer(request)
            headers = [header for header in response.headers if header[0] != "content-type"]
            return response._replace(headers=(*headers, *([("content-type", value)] if value else [])))

        return renamed

    return quirk


def body_changed(change: Callable[[bytes], bytes]) -> Quirk:
    """Q28, Q29: change the bytes: `body_changed(lambda body: body[:-1])`."""
    return lambda answer: lambda request: (response := answer(request))._replace(body=change(response.body))


byte_order_mark = body_changed(lambda body: b"\xef\xbb\xbf" + body)
"""Q28: three bytes before the JSON."""

cut = body_changed(lambda body: body[: len(body) // 2])
"""Q29: half of the body, as when no Content-Length says that more should come."""


def gzipped(answer: Answer) -> Answer:
    """Compress for who asks for it, as HAPI does."""

    def compressed(request: Request) -> Response:
        response = answer(request)
        if "gzip" not in dict(request.headers).get("accept-encoding", ""):
            return response
        headers = (*response.headers, ("content-encoding", "gzip"))
        return response._replace(headers=headers, body=gzip.compress(response.body))

    return compressed


# --- Q30 to Q34: refusals


RETRY_AFTER = ("0", "7", "86400000", "-5", "1e3", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "Sat, 21 Nov 2026")
"""Q30: seconds, a thousand days, nonsense, dates."""


def throttled(retry_after: str | None = "7", status: int = 429) -> Quirk:
    """Q30: ask to wait; 503 with Retry-After means the same."""
    headers = (("retry-after", retry_after),) if retry_after is not None else ()
    return always(Response(status, (("content-type", JSON), *headers), outcome("Too many requests")))


class Tokens:
    """Q31: hands out tokens that live `life` seconds; `tokens.endpoint` answers POSTs, `tokens.guarding` is a quirk."""

    def __init__(self, clock: Callable[[], Instant], life: float = 300) -> None:
        self.clock = clock
        self.life = life
        self.tells_life = True
        self.refusal: Response | None = None
        self.issued: dict[str, Instant] = {}

    def endpoint(self, request: Request) -> Response:
        if self.refusal:
            return self.refusal
        token = f"token-{len(self.issued)}"
        self.issued[token] = self.clock()
        granted: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if self.tells_life:
            granted["expires_in"] = self.life
        return Response(200, (("content-type", "application/json"),), json.dumps(granted).encode())

    def guarding(self, answer: Answer) -> Answer:
        return guarded(self.accepts)(answer)

    def accepts(self, token: str) -> bool:
        return token in self.issued and self.clock() - self.issued[token] < self.life * 1000


INVALID_CLIENT = Response(400, (("content-type", "application/json"),), b'{"error":"invalid_client"}')
"""Q31: what a token endpoint says when the secret has expired."""

FORBIDDEN = Response(403, (("content-type", JSON),), outcome("Access denied by rule"))
"""Q31: signed in, and still not allowed."""


def guarded(accepts: Callable[[str], bool] | Collection[str]) -> Quirk:
    """Q31: 401 without a bearer token that is accepted."""
    refusal = Response(401, (("content-type", JSON), ("www-authenticate", "Bearer")), outcome("Unauthorized"))

    def refused(request: Request) -> Response | None:
        token = dict(request.headers).get("authorization", "").removeprefix("Bearer ")
        accepted = accepts(token) if callable(accepts) else token in accepts
        return None if accepted else refusal

    return instead(refused)


def redirected(location: str, status: int = 302) -> Quirk:
    """Q32: send elsewhere: another host, a login page, the same host."""
    return always(Response(status, (("location", location),), b""))


def down(answer: Answer) -> Answer:
    """Q34: nobody listens."""

    def refused(_: Request) -> Response:
        raise httpx.ConnectError("Connection refused")

    return refused
