"""What comes before every answer: the host name, then in the toolkit's order the rate limit, the headers, the password.

Nothing is sent here. Every path is behind it, health checks too. See docs/web-configuration.md.
"""

import base64
import binascii
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, replace
from time import monotonic

from ..config.web_config import WebConfig
from .messages import CHECKING_PASSWORDS, TOO_MANY_REQUESTS, UNAUTHORIZED, WRONG_HOST, Request, Response
from .passwords import Credentials, Passwords, TooManyWaiting
from .rate_limit import RateLimiter


@dataclass(frozen=True, slots=True)
class PendingPassword:
    """A request that waits until its password is checked, which is never cancelled."""

    right: "Future[bool]"


class Gate:
    """Lets requests through, or answers them. `current` gives the configuration in force.

    `hosts` are the host names that may be asked for, in lower case; any if there are none. They keep out a web page in
    the browser of somebody who can reach us: by DNS rebinding, its own host name leads to our address.
    """

    def __init__(
        self,
        current: Callable[[], WebConfig],
        hosts: Collection[str] = (),
        *,
        passwords: Passwords | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._current = current
        self._hosts = hosts
        self._passwords = passwords or Passwords()
        self._limiter = RateLimiter(clock)

    def admit(self, request: Request) -> Response | PendingPassword | None:
        """Decide on a request; None lets it through."""
        if self._hosts and request.host not in self._hosts:
            return WRONG_HOST
        config = self._current()
        if not self._limiter.allows(config.rate_limit):
            return TOO_MANY_REQUESTS
        if not config.users:
            return None
        credentials = _credentials(request)
        if credentials is None:
            return UNAUTHORIZED
        try:
            right = self._passwords.check(config.users, credentials)
        except TooManyWaiting:
            return CHECKING_PASSWORDS
        return PendingPassword(right) if isinstance(right, Future) else refusal(right=right)

    def stop(self, timeout_seconds: float) -> None:
        """Check no more passwords, and wait for the check in progress for at most so long."""
        self._passwords.stop(timeout_seconds)

    def add_headers(self, response: Response) -> Response:
        """Add the configured headers, in the place of our own of the same name."""
        headers = self._current().headers
        return replace(response, headers=(*response.headers, *headers)) if headers else response


def refusal(*, right: bool | None) -> Response | None:
    """Answer by the outcome of a check: None, the answer, for a right password; `right` is None if it took too long."""
    if right is None:
        return CHECKING_PASSWORDS
    return None if right else UNAUTHORIZED


def _credentials(request: Request) -> Credentials | None:
    """Read the header `Authorization: Basic …` (RFC 7617); None without one."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return Credentials(user.decode("utf-8", "replace"), password, request.peer[0]) if colon else None
