"""Page links in every spelling, loops, and pages without end. Nothing may be asked for outside of the base."""

import time
from collections.abc import Iterator

from ...support.canaries import canary
from ..judge import Case
from ..plays import linked, looping
from ..wire import Exchange, Play

ELSEWHERE = {
    "the second port": "http://127.0.0.1:{elsewhere}/fhir",
    "localhost": "http://localhost:{own}/fhir",
    "no scheme": "//127.0.0.1:{elsewhere}/fhir",
    "https": "https://127.0.0.1:{own}/fhir",
    "https at the second port": "https://127.0.0.1:{elsewhere}/fhir",
    "ftp": "ftp://127.0.0.1:{elsewhere}/fhir",
    "file": "file:///etc/passwd",
    "javascript": "javascript:alert(1)//fhir",
    "data": "data:application/fhir+json,{{}}",
    "gopher": "gopher://127.0.0.1:{elsewhere}/fhir",
    "a user": "http://user:{secret}@127.0.0.1:{own}/fhir",
    "our host as user": "http://127.0.0.1:{own}@127.0.0.1:{elsewhere}/fhir",
    "a backslash and our host": "http://127.0.0.1:{elsewhere}\\@127.0.0.1:{own}/fhir",
    "a question mark and our host": "http://127.0.0.1:{elsewhere}?@127.0.0.1:{own}/fhir",
    "a number sign and our host": "http://127.0.0.1:{elsewhere}#@127.0.0.1:{own}/fhir",
    "an escaped slash in the host": "http://127.0.0.1:{elsewhere}%2f@127.0.0.1:{own}/fhir",
    "backslashes for slashes": "\\\\127.0.0.1:{elsewhere}/fhir",
    "a slash and a backslash": "/\\127.0.0.1:{elsewhere}/fhir",
    "three slashes": "http:///127.0.0.1:{elsewhere}/fhir",
    "one slash": "http:/127.0.0.1:{elsewhere}/fhir",
    "no slash": "http:127.0.0.1:{elsewhere}/fhir",
    "a decimal address": "http://2130706433:{own}/fhir",
    "a hexadecimal address": "http://0x7f000001:{own}/fhir",
    "an octal address": "http://0177.0.0.1:{own}/fhir",
    "a short address": "http://127.1:{own}/fhir",
    "IPv6": "http://[::1]:{elsewhere}/fhir",
    "our address in IPv6": "http://[::ffff:127.0.0.1]:{own}/fhir",
    "a dot at the end of the host": "http://127.0.0.1.:{own}/fhir",
    "letters of full width": "http://\uff11\uff12\uff17.0.0.1:{own}/fhir",
    "an escaped host": "http://%31%32%37.0.0.1:{own}/fhir",
    "port 0": "http://127.0.0.1:0/fhir",
    "a port past 65535": "http://127.0.0.1:{own_wrapped}/fhir",
    "no port": "http://127.0.0.1/fhir",
    "a port that is a word": "http://127.0.0.1:http/fhir",
    "metadata of a cloud": "http://169.254.169.254/latest/meta-data/",
    "a path beside ours": "{origin}/fhirx",
    "the path above": "{origin}/",
    "another path": "{origin}/admin",
    "dots": "{origin}/fhir/../admin",
    "escaped dots": "{origin}/fhir/%2e%2e/admin",
    "dots escaped twice": "{origin}/fhir/%252e%252e/admin",
    "an escaped slash": "{origin}/fhir%2f..%2fadmin",
    "an escaped backslash": "{origin}/fhir/..%5cadmin",
    "a backslash": "{origin}/fhir\\..\\admin",
    "dots with a parameter": "{origin}/fhir/..;/admin",
    "overlong dots": "{origin}/fhir/%c0%ae%c0%ae/admin",
    "a relative path above": "../admin",
    "a path alone": "/admin",
    "a line break": "{origin}/fhir\r\nX-Injected: y",
    "a line break in the query": "{origin}/fhir?a=b\r\nX-Injected: y",
    "a blank": "{origin}/fhir?a=b c",
    "a tab in the scheme": "ht\ttp://127.0.0.1:{elsewhere}/fhir",
    "a NUL": "{origin}/fhir?a=\0",
    "a letter that is not ASCII": "{origin}/fhir?a=\u00e9",
    "letters from right to left": "{origin}/fhir?a=\u202e",
    "10,000 characters": "{origin}/fhir?a={long}",
    "1 MiB": "{origin}/fhir?a={huge}",
}


def _spelled(spelling: str) -> Play:
    def url(exchange: Exchange) -> str:
        front = exchange.front
        made = spelling.format(
            own=front.port,
            own_wrapped=front.port + 65536,
            elsewhere=front.elsewhere,
            origin=front.base.removesuffix("/fhir"),
            secret=canary("link.password"),
            long="x" * 10_000,
            huge="x" * (1 << 20),
        )
        return f"{made}{'&' if '?' in made else '?'}_getpages={canary('link.next')}"

    return linked(url)


def loops() -> Iterator[tuple[str, Play, str]]:
    """Yield pages without end, and their reasons."""
    base = "http://fhir.example/fhir"
    yield "a page that links to itself", looping(lambda _: f"{base}?_getpages=itself"), "link_cycle"
    yield "two pages that link to each other", looping(lambda each: f"{base}?_getpages={each.number % 2}"), "link_cycle"
    yield "nine pages in a circle", looping(lambda each: f"{base}?_getpages={each.number % 9}"), "link_cycle"
    yield (
        "pages without end, each another",
        looping(lambda each: f"{base}?_getpages={each.number}"),
        "timeout",
    )
    yield "a search as its own next page", looping(lambda _: f"{base}/Task?_getpages=x"), "link_cycle"
    yield "a page that is gone", linked(lambda _: f"{base}?_getpages=never-made"), "cursor_expired"
    yield (
        "a page that is no address of ours",
        linked(lambda _: f"{base}/Patient/{canary('link.Patient')}"),
        "client_error",
    )


def _another(exchange: Exchange) -> str:
    """Link to a page that was not there before, after a while: of many pages in a short time windows are made."""
    time.sleep(0.01)
    return f"http://fhir.example/fhir?_getpages={exchange.number}"


def cases() -> Iterator[Case]:
    for name, spelling in ELSEWHERE.items():
        yield Case(group="next", does=f"a next page at {name}", play=_spelled(spelling), reason="link_refused")
    for does, play, reason in loops():
        yield Case(group="next", does=does, play=play, reason=reason)
