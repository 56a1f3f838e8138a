"""One access token for the whole process: kept, renewed early by one thread at a time, and after a 401.

Rule 1: a renewal that fails ends nothing while the token before it is still valid.
Rule 2: a server that refuses every token does not make us ask for one at each request.

See docs/design.md#authentication, docs/decisions/0036-one-access-token-for-the-process.md.
"""

import logging
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..clock import Clock
from ..errors import (
    AssertionRefused,
    ServerError,
    Throttled,
    TokenEndpointFaulty,
    TokenEndpointUnknown,
    TokenEndpointUnreachable,
    TokenEndpointUntrusted,
    TokenFailed,
    TokenThrottled,
)
from ..fhir.http import Reply
from ..fhir.http_status import http_date
from ..logs import log_event
from ..metrics.telemetry import Telemetry
from ..task.model import Instant
from .answer import Grant, read_grant
from .endpoint import TokenEndpoint
from .proof import Proof

logger = logging.getLogger(__name__)

AFTER_REFUSAL_SECONDS = 30.0
"""At most one renewal in this time because the FHIR server answered 401."""
_LONGEST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_AFTER_FAULT_SECONDS = 10.0
_SKEW_MS = 2_000
"""`Date` has whole seconds, and an answer takes some time: a smaller change of the skew is none."""
_FAULTS = (TokenEndpointUnknown, TokenEndpointUnreachable, TokenEndpointUntrusted, TokenEndpointFaulty)
"""They may pass by themselves, so they are tried again sooner than a refusal."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A token in use; the times are monotonic seconds."""

    headers: Mapping[str, str] = field(repr=False)
    renew_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What is known of the newest token, for people. `skew_ms` is the token endpoint's clock minus ours, if known."""

    endpoint: str
    discovered: bool
    proof: str
    seconds: float
    other_scope: bool
    skew_ms: int | None


@dataclass(frozen=True, slots=True)
class _Failure:
    """The last attempt's error, and until when (monotonic) it stands for the next one."""

    error: ServerError
    until: float
    pause: float


class OAuth2:
    """Sends an access token, which it asks for by `proof`. Any thread may use it."""

    def __init__(self, proof: Proof, endpoint: TokenEndpoint, scope: str, clock: Clock, telemetry: Telemetry) -> None:
        self._proof = proof
        self._endpoint = endpoint
        self._scope = scope
        self._clock = clock
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._failure: _Failure | None = None
        self._forced_at = -math.inf
        self._skew_ms: int | None = None
        self._reported: type[ServerError] | None = None
        self.facts: TokenFacts | None = None

    def headers(self) -> Mapping[str, str]:
        """Return a valid token, a new one if need be; raises a ServerError where none can be had."""
        token, now = self._token, self._clock.monotonic()
        if token is not None and now < token.renew_at:
            return token.headers
        if token is None or now >= token.ends_at:
            with self._lock:
                return self._newer_than(token).headers
        if not self._lock.acquire(blocking=False):
            return token.headers  # another thread renews it
        known = self._failure
        try:
            return self._newer_than(token).headers
        except ServerError as error:
            if self._failure is not known:
                self._report(error)
            return token.headers
        finally:
            self._lock.release()

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Get another token after a 401, unless one was already got for that reason a moment ago.

        Where none can be had the old one stays: one request may be refused whatever token it has.
        """
        with self._lock:
            if self._token is not None and self._token.headers != refused:
                return True
            now = self._clock.monotonic()
            if self._failure is None and now < self._forced_at + AFTER_REFUSAL_SECONDS:
                return False
            self._forced_at = now
            self._newer_than(self._token)
        return True

    def _newer_than(self, old: _Token | None) -> _Token:
        """Ask for a token, unless another thread has just done so, or it failed a moment ago. The lock is held."""
        if self._token is not None and self._token is not old:
            return self._token
        self._check_pause()
        try:
            token = self._ask()
        except ServerError as error:
            # Without a token, a FHIR server that is down is asked again as ever: there is nothing else to ask it.
            valid = old is not None and self._clock.monotonic() < old.ends_at
            if valid or isinstance(error, TokenFailed | TokenThrottled):
                self._failure = self._after(error)
            raise
        self._token, self._failure, self._reported = token, None, None
        return token

    def _check_pause(self) -> None:
        """Raise the last error again while it is too early for another attempt, unless the secret was replaced."""
        failure = self._failure
        if failure is None or self._proof.changed():
            return
        left = failure.until - self._clock.monotonic()
        if left > 0 and isinstance(failure.error, Throttled):
            raise type(failure.error)(str(failure.error), left)
        if left > 0:
            raise failure.error.with_traceback(None)

    def _after(self, error: ServerError) -> _Failure:
        """Choose how long to pause: as long as the endpoint asks, else twice as long as last time."""
        refused = isinstance(error, TokenFailed | TokenThrottled) and not isinstance(error, _FAULTS)
        longest = _LONGEST_PAUSE_SECONDS if refused else _LONGEST_PAUSE_AFTER_FAULT_SECONDS
        pause = min(self._failure.pause * 2 if self._failure else 1.0, longest)
        wait = error.wait if isinstance(error, Throttled) else None
        return _Failure(error, self._clock.monotonic() + max(pause, wait or 0.0), pause)

    def _report(self, error: ServerError) -> None:
        """Count a failed renewal that hurts nobody yet, and log it once: nobody above sees it."""
        self._telemetry.count_error(error.reason)
        if type(error) is not self._reported:
            details = {"reason": error.reason.value, "error": str(error), "remedy": error.remedy}
            log_event(logger, logging.WARNING, "renewal failed; the credentials in use are still valid", **details)
        self._reported = type(error)

    def _ask(self) -> _Token:
        """Ask once, and again where the assertion was refused and the endpoint's clock turned out to be another."""
        assumed = self._skew_ms or 0
        try:
            return self._ask_once()
        except AssertionRefused:
            if abs((self._skew_ms or 0) - assumed) < _SKEW_MS:
                raise
        return self._ask_once()

    def _ask_once(self) -> _Token:
        endpoint = self._endpoint.find()
        proven = self._proof.make(endpoint.url, self._clock.wall() + (self._skew_ms or 0))
        form = {"grant_type": "client_credentials", **proven.form}
        if self._scope:
            form["scope"] = self._scope
        asked = self._clock.monotonic()
        reply = self._endpoint.post(form, proven.headers)
        self._note_clock(reply)
        try:
            grant = read_grant(reply, endpoint.host_and_port, self._proof.refusal)
        except TokenEndpointFaulty:
            self._endpoint.forget()
            raise
        self._telemetry.set_token_expiry(self._clock.wall() + round(grant.seconds * 1000))
        log_event(logger, logging.DEBUG, "access granted", endpoint=endpoint.host_and_port, seconds=grant.seconds)
        self.facts = TokenFacts(
            endpoint=endpoint.host_and_port,
            discovered=endpoint.discovered,
            proof=self._proof.name,
            seconds=grant.seconds,
            other_scope=_is_other(grant, self._scope),
            skew_ms=self._skew_ms,
        )
        headers = {"Authorization": f"Bearer {grant.token}"}
        return _Token(headers, asked + grant.renew_after_seconds, asked + grant.seconds)

    def _note_clock(self, reply: Reply) -> None:
        date: Instant | None = http_date(reply.headers.get("date", ""))
        if date is not None:
            self._skew_ms = date - self._clock.wall()


def _is_other(grant: Grant, asked: str) -> bool:
    """Whether the endpoint granted other scopes than were asked for; it may leave out equal ones."""
    return bool(asked) and grant.scope is not None and set(grant.scope.split()) != set(asked.split())
