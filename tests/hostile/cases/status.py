"""Statuses, redirects, refusals and requests to wait, each with headers and outcomes full of canaries."""

from collections.abc import Iterator

from ...support.canaries import canary
from ..judge import Case
from ..plays import after, answers, in_turn, is_page, linked, only, quirk, sends
from ..subject import Kind
from ..wire import Exchange, Play, good

REASONS = {
    201: "not_fhir",
    204: "not_fhir",
    206: "not_fhir",
    299: "not_fhir",
    300: "redirect",
    304: "redirect",
    400: "client_error",
    403: "auth",
    404: "client_error",
    405: "client_error",
    406: "client_error",
    407: "client_error",
    408: "client_error",
    409: "client_error",
    410: "client_error",
    412: "client_error",
    413: "client_error",
    414: "client_error",
    418: "client_error",
    422: "client_error",
    431: "client_error",
    451: "client_error",
    500: "server_error",
    501: "server_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
    507: "server_error",
    511: "server_error",
    599: "server_error",
    600: "not_fhir",
    999: "not_fhir",
}


def statuses() -> Iterator[Case]:
    for status, reason in REASONS.items():
        body = b"" if status in {204, 304} else None
        yield Case(group="status", does=f"{status} to everything", play=answers(status, body), reason=reason)
    outcome = answers(200)
    yield Case(group="status", does="OperationOutcome with 200", play=outcome, reason="wrong_resource")
    yield Case(group="status", does="HTTP/1.1 200 without a phrase", play=_status("200"), reason="not_fhir")
    for line in ("20", "2000", "-200", "twohundred", "200.0"):
        yield Case(group="status", does=f"status line says {line}", play=_status(line), reason="unreachable")


def _status(line: str) -> Play:
    return sends(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())


# Redirects

SPELLINGS = {
    "the second port": "http://127.0.0.1:{elsewhere}/fhir/Task",
    "localhost": "http://localhost:{elsewhere}/fhir/Task",
    "no scheme": "//127.0.0.1:{elsewhere}/fhir/Task",
    "a user": "http://127.0.0.1:{own}@127.0.0.1:{elsewhere}/fhir/Task",
    "a backslash": "http://127.0.0.1:{elsewhere}\\@127.0.0.1:{own}/fhir/Task",
    "a decimal address": "http://2130706433:{elsewhere}/fhir/Task",
    "IPv6": "http://[::ffff:127.0.0.1]:{elsewhere}/fhir/Task",
    "https": "https://127.0.0.1:{elsewhere}/fhir/Task",
    "blanks in front": "   http://127.0.0.1:{elsewhere}/fhir/Task",
    "a tab within": "http://127.0.0.1\t:{elsewhere}/fhir/Task",
    "the same server": "/fhir/Task?_count=1",
    "itself": "",
    "javascript": "javascript:alert(1)",
}


def redirects() -> Iterator[Case]:
    for code in (301, 302, 303, 307, 308):
        play = located(SPELLINGS["the second port"], code)
        yield Case(group="redirect", does=f"{code} to the second port", play=play, reason="redirect")
    for name, spelling in SPELLINGS.items():
        yield Case(group="redirect", does=f"302, Location with {name}", play=located(spelling), reason="redirect")
    for code in (305, 306, 399):
        play = located(SPELLINGS["the second port"], code)
        yield Case(group="redirect", does=f"{code} to the second port", play=play, reason="redirect")
    twice = answers(302, None, ("location", "/fhir"), ("location", "http://127.0.0.1/"))
    yield Case(group="redirect", does="302 with two Locations", play=twice, reason="redirect")
    yield Case(group="redirect", does="302 without a Location", play=answers(302), reason="redirect")
    refresh = ("refresh", f"0; url=http://127.0.0.1/{canary('refresh')}")
    page = answers(200, b'<meta http-equiv="refresh" content="0; url=http://127.0.0.1/">', refresh, kind="text/html")
    yield Case(group="redirect", does="200 with Refresh, in header and page", play=page, reason="not_fhir")


def located(spelling: str, code: int = 302) -> Play:
    def play(exchange: Exchange) -> bool:
        url = spelling.format(own=exchange.front.port, elsewhere=exchange.front.elsewhere)
        url += f"?token={canary('location')}" if url else ""
        return bool(answers(code, None, ("location", url))(exchange))

    return play


# Refusals


def refusals() -> Iterator[Case]:
    header = ("www-authenticate", f'Bearer realm="{canary("realm")}", error="{canary("bearer.error")}"')
    refused = answers(401, None, header)
    yield Case(group="401", does="401 to everything", play=refused, reason="auth")
    yield Case(group="401", does="401 to everything, with a password", play=refused, reason="auth", kind=Kind.BASIC)
    yield Case(group="401", does="401 in turn with good answers", play=in_turn(refused, good), reason="auth")
    to_pages = only(is_page, refused)
    yield Case(group="401", does="401 to page links", play=_more(to_pages), reason="auth")
    yield Case(group="401", does="401 with 1,000 challenges", play=answers(401, None, *[header] * 1000), reason="auth")
    basic = answers(401, None, ("www-authenticate", f'Basic realm="{canary("realm")}"'))
    yield Case(group="401", does="401 that wants a password", play=basic, reason="auth")
    yield Case(group="401", does="401 after the first page, then good", play=_more(after(1, refused)), reason="auth")
    yield Case(group="401", does="403 to page links", play=_more(only(is_page, answers(403))), reason="auth")
    echo = answers(403, f"your token is {canary('secret.bearer')}", kind="text/plain")
    yield Case(group="401", does="403 that repeats the token", play=echo, reason="auth")
    proxy = answers(407, None, ("proxy-authenticate", f'Basic realm="{canary("proxy")}"'))
    yield Case(group="401", does="407 of a proxy", play=proxy, reason="client_error")


def _more(play: Play) -> Play:
    """Let the first page have a next one, behind which the play waits."""
    more = linked(lambda _: "http://fhir.example/fhir?_getpages=more")
    return lambda exchange: (more if exchange.number == 1 else play)(exchange)


# Waiting

WAITS = (
    "0",
    "1",
    "86400000",
    "-5",
    "1e3",
    "soon",
    "",
    "9" * 400,
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Sat, 01 Jan 2095 00:00:00 GMT",
)


def waits() -> Iterator[Case]:
    for text in WAITS:
        play = answers(429, None, ("retry-after", text))
        does = f"429, Retry-After: {text[:30]}"
        yield Case(group="wait", does=does, play=play, reason="throttled", silences=True)
    again = answers(503, None, ("retry-after", "86400"))
    yield Case(group="wait", does="503, Retry-After: 86400", play=again, reason="throttled", silences=True)
    twice = answers(429, None, ("retry-after", "1"), ("retry-after", canary("retry-after")))
    yield Case(group="wait", does="429 with two Retry-Afters", play=twice, reason="throttled", silences=True)
    yield Case(group="wait", does="429 without Retry-After", play=answers(429), reason="throttled", silences=True)
    later = answers(500, None, ("retry-after", "86400"))
    yield Case(group="wait", does="500, Retry-After: 86400", play=later, reason="server_error")


def told() -> Iterator[Case]:
    """What an honest answer says beside its body."""
    yield Case(
        group="header", does="X-Cache: HIT", play=_with("x-cache", f"HIT from {canary('x-cache')}"), reason="cached"
    )
    for value in (
        f"text/{canary('type')}",
        "text/html",
        "application/fhir+xml",
        "application/fhir+json, text/html",
        "*/*",
    ):
        play = _with("content-type", value, drops="content-type")
        expected = "not_fhir"
        yield Case(group="header", does=f"Content-Type {value[:20]}", play=play, reason=expected)
    cookie = f"session={canary('cookie')}; Path=/"
    yield Case(group="header", does="a cookie", play=_with("set-cookie", cookie), reason=None)
    yield Case(group="header", does="a cookie of 60 KB", play=_with("set-cookie", cookie + "x" * 60_000), reason=None)
    yield Case(group="header", does="1,000 cookies", play=_repeated("set-cookie", 1000), reason=None)
    yield Case(
        group="header",
        does="a cookie for another host",
        play=_with("set-cookie", "a=b; Domain=evil.example"),
        reason=None,
    )
    yield Case(group="header", does="3,000 small headers", play=_repeated("x-n", 3000), reason=None)


def _with(name: str, value: str, drops: str = "") -> Play:
    from ..plays import changed

    return changed(bytes, (name, value), drops=drops)


def _repeated(name: str, count: int) -> Play:
    from ..plays import changed

    return changed(bytes, *((name, f"n{number}={canary('header.many')}"[:24]) for number in range(count)))


def cases() -> Iterator[Case]:
    yield from statuses()
    yield from redirects()
    yield from refusals()
    yield from waits()
    yield from told()
    away = quirk()
    yield Case(group="status", does="good, to compare with", play=away, reason=None)
