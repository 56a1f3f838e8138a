"""The token endpoint, hostile in all the ways that the FHIR server is, and in some of its own."""

import json
from collections.abc import Iterator

from exporter.demo.server import Response

from ...support import loaded
from ...support.canaries import canary
from ..judge import Case
from ..plays import TEXT, answers, json_text
from ..subject import Kind
from ..wire import Play
from . import body, status, wire

JSON = "application/json"
GOOD_AT_A_TOKEN_ENDPOINT = {"gzip", "GZip, in other case", "identity", "two answers to one request"}


def token(does: str, play: Play, reason: str | None = "token", **options: bool) -> Case:
    """Make a case that the token endpoint plays."""
    return Case(group="token", does=does, play=play, reason=reason, kind=Kind.OAUTH2, **options)  # type: ignore[arg-type] # flags


def same_as_the_server() -> Iterator[Case]:
    for does, play in wire.slow():
        yield token(does, play)
    for does, play, _ in wire.broken():
        yield token(does, play)
    for does, play, _ in wire.compressed():
        yield token(does, play, None if does in GOOD_AT_A_TOKEN_ENDPOINT else "token")
    for does, text, _ in body.texts():
        yield token(does, answers(200, text, kind=JSON))
    for code in (201, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 500, 502, 503, 504, 999):
        yield token(f"{code}", status.located(status.SPELLINGS["the second port"], code))
    for spelling in ("javascript", "itself", "a tab within"):
        yield token(f"302, Location with {spelling}", status.located(status.SPELLINGS[spelling]))
    for wait in ("1", "86400000", "soon"):
        yield token(f"429, Retry-After: {wait}", answers(429, None, ("retry-after", wait)), silences=True)
    yield token("503, Retry-After: 86400", answers(503, None, ("retry-after", "86400")), silences=True)
    yield token("HTML with 200", answers(200, f"<p>{TEXT}", kind="text/html"))
    yield token("a token as text/plain", answers(200, canary("token.access_token"), kind="text/plain"))
    yield token("a token under the type of FHIR", granted(kind="application/fhir+json"), None)
    yield token("1,000 cookies", answers(400, None, *[("set-cookie", canary("cookie"))] * 1000))


def granted(kind: str = JSON, **members: object) -> Play:
    """Give a token, with other members."""
    answer = loaded.token_answer(expires_in=1) | members
    kept = {name: value for name, value in answer.items() if value is not None}
    return lambda exchange: exchange.reply(Response(200, (("content-type", kind),), json.dumps(kept).encode()))


def tokens() -> Iterator[Case]:
    wrong: dict[str, object] = {
        "null": None,
        "empty": "",
        "a number": 7,
        "a list": [TEXT],
        "of a line break": f"{TEXT}\r\nX-Injected: y",
        "of a NUL": f"{TEXT}\0",
        "of letters that are not ASCII": f"{TEXT}\u00e9",
        "of blanks": f"{TEXT} {TEXT}",
        "of 1 MiB": TEXT + "x" * (1 << 20),
        "that is a surrogate": "\ud800",
    }
    for does, value in wrong.items():
        yield token(f"an access_token {does}", granted(access_token=value))
    for value in ("mac", TEXT, "", None, 7, ["Bearer"]):
        yield token(f"token_type {str(value)[:12] or 'empty'}", granted(token_type=value))
    yield token("token_type bEaReR", granted(token_type="bEaReR"), None)
    for refusal in ("invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope", "server_error"):
        yield token(f"400 {refusal}", answers(400, json_text(loaded.token_refusal(refusal)), kind=JSON))
    unknown = json_text(loaded.token_refusal(canary("token.error")))
    yield token("400 with an error that nobody knows", answers(400, unknown, kind=JSON))
    yield token("200 with an error", answers(200, json_text(loaded.token_refusal()), kind=JSON))
    yield token("401 with a challenge", answers(401, None, ("www-authenticate", f'Basic realm="{canary("realm")}"')))
    for scope in (canary("token.scope.other"), 7, None, "x" * 100_000):
        yield token(f"a scope of {str(scope)[:12]}", granted(scope=scope), None)
    for seconds in (1.0, "1", True):
        yield token(f"expires_in {seconds!r}", granted(expires_in=seconds), None)


def cases() -> Iterator[Case]:
    yield from same_as_the_server()
    yield from tokens()
    # A token that is said to be valid longer than a second is what no later case may find.
    for seconds in (-5, 0, "soon", 1e300, 10**30, None, "9" * 5000, [1]):
        play = granted(expires_in=seconds)
        yield Case(
            group="token", does=f"expires_in {str(seconds)[:12]}", play=play, reason=None, kind=Kind.OAUTH2, alone=True
        )
