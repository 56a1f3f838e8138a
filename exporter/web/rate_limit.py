"""The rate limit of `--web.config.file`: a token bucket for all clients together."""

from collections.abc import Callable
from time import monotonic

from ..config.web_options import RateLimit


class RateLimiter:
    """Says whether one more request is allowed now. A limit that changes begins with a full bucket."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._limit: RateLimit | None = None
        self._tokens = 0.0
        self._counted_at = 0.0

    def allows(self, limit: RateLimit | None) -> bool:
        """Take a token if there is one; without a limit, always. A burst of 0 allows nothing, as in the toolkit."""
        if limit != self._limit:
            self._limit = limit
            self._tokens, self._counted_at = float(limit.burst if limit else 0), self._clock()
        if limit is None:
            return True
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._counted_at) / limit.interval, limit.burst)
        self._counted_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
