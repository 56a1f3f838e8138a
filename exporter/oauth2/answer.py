"""What a token endpoint's answer means. PURE: no I/O, no clock.

Rule: nothing of the server's text gets into a message. `error` is looked up in RFC 6749's own list.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from msgspec import Raw, Struct
from msgspec.json import Decoder

from ..errors import GrantRefused, ScopeRefused, ServerError, TokenEndpointFaulty, TokenFailed, TokenThrottled
from ..fhir.auth import LARGEST_BYTES, VISIBLE
from ..fhir.http import Reply
from ..fhir.http_status import is_json, retry_after
from ..task.fhir_json import ABSENT, decode_or_none

ASSUMED_SECONDS = 300.0
"""How long a token is used whose answer says nothing usable of it: SMART's own limit. A 401 renews it earlier."""
LONGEST_SECONDS = 86_400.0
_DIGITS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")

_EARLY_SECONDS = 30.0
_EARLY_SHARE = 0.8
_LEAST_SECONDS = 1.0

_NOT_ACCEPTED = frozenset({"invalid_client", "invalid_grant"})
_REFUSALS: Mapping[str, tuple[type[TokenFailed], str]] = {
    "invalid_request": (TokenFailed, "it does not understand the request, or misses something in it"),
    "unauthorized_client": (GrantRefused, "the client may not ask for tokens in this way"),
    "unsupported_grant_type": (GrantRefused, "it gives no tokens for client credentials"),
    "invalid_scope": (ScopeRefused, "the scope is unknown, malformed, or more than the client may have"),
    "server_error": (TokenEndpointFaulty, "it failed"),
    "temporarily_unavailable": (TokenEndpointFaulty, "it is overloaded or being maintained"),
}
"""The closed list of RFC 6749, 5.2 and 4.1.2.1; without those of _NOT_ACCEPTED, which depend on what was sent."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token as it was given. `scope` is None where the answer has none."""

    token: str = field(repr=False)
    seconds: float
    scope: str | None

    @property
    def renew_after_seconds(self) -> float:
        """How long to use it: some early, but never so early that each request would need another one."""
        early = min(self.seconds * _EARLY_SHARE, self.seconds - _EARLY_SECONDS)
        return max(early, self.seconds / 2, _LEAST_SECONDS)


class _Answer(Struct):
    access_token: Raw = ABSENT
    token_type: Raw = ABSENT
    expires_in: Raw = ABSENT
    scope: Raw = ABSENT
    error: Raw = ABSENT


_ANSWER = Decoder(_Answer)
_TEXT = Decoder(str)
_TEXT_OR_NUMBER = Decoder(str | int | float)


def read_grant(reply: Reply, endpoint: str, refusal: type[TokenFailed]) -> Grant:
    """Return the token of an answer; raises TokenFailed, or TokenThrottled.

    `endpoint` is a host and port. `refusal` is the error if client and credentials are not accepted.
    """
    if reply.status != HTTPStatus.OK:
        raise _refused(reply, endpoint, refusal)
    answer = _decoded(reply)
    token = None if answer is None else decode_or_none(answer.access_token, _TEXT)
    if answer is None or not token:
        raise TokenEndpointFaulty(f"The token endpoint {endpoint} answered 200 with something else than a token.")
    if (decode_or_none(answer.token_type, _TEXT) or "").lower() != "bearer":
        raise TokenEndpointFaulty(f"The token endpoint {endpoint} gave a token of another type than Bearer.")
    if not VISIBLE.fullmatch(token) or len(token) > LARGEST_BYTES:
        raise TokenEndpointFaulty(f"The token endpoint {endpoint} gave a token that no header can hold.")
    return Grant(token, _seconds(answer.expires_in), decode_or_none(answer.scope, _TEXT))


def _decoded(reply: Reply) -> _Answer | None:
    return decode_or_none(reply.body, _ANSWER) if is_json(reply.headers) else None


def _seconds(raw: Raw) -> float:
    """Read `expires_in`, a number or, from some servers, a text; what makes no sense counts as not given."""
    found = decode_or_none(raw, _TEXT_OR_NUMBER)
    if isinstance(found, str):
        found = float(found) if _DIGITS.fullmatch(found) else None
    if found is None or not found > 0 or found == math.inf:
        return ASSUMED_SECONDS
    return float(min(found, LONGEST_SECONDS))


def _refused(reply: Reply, endpoint: str, refusal: type[TokenFailed]) -> ServerError:
    status, said = reply.status, f"The token endpoint {endpoint} answered {reply.status}"
    wait = retry_after(reply.headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and wait is not None):
        return TokenThrottled(f"{said}: too many requests.", wait)
    answer = _decoded(reply)
    code = (decode_or_none(answer.error, _TEXT) or "") if answer else ""
    if code in _REFUSALS:
        kind, meaning = _REFUSALS[code]
        return kind(f"{said}, {code}: {meaning}.")
    if code in _NOT_ACCEPTED or status == HTTPStatus.UNAUTHORIZED:
        named = f", {code}" if code in _NOT_ACCEPTED else ""
        return refusal(f"{said}{named}: the client id or its credentials are not accepted.")
    if status // 100 == HTTPStatus.MULTIPLE_CHOICES // 100:
        return TokenEndpointFaulty(f"{said}, a redirect, which is never followed.")
    return TokenEndpointFaulty(f"{said} to our request for a token.")
