"""The token bucket."""

import pytest

from exporter.config.web_options import RateLimit
from exporter.web.rate_limit import RateLimiter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def allowed(limiter: RateLimiter, limit: RateLimit | None, requests: int) -> int:
    return sum(limiter.allows(limit) for _ in range(requests))


def test_without_a_limit_everything_is_allowed() -> None:
    assert allowed(RateLimiter(), None, 1000) == 1000


@pytest.mark.parametrize(("passed", "expected"), [(0.0, 0), (0.9, 0), (1.0, 1), (2.5, 2), (3600.0, 3)])
def test_a_burst_then_one_each_interval(passed: float, expected: int) -> None:
    clock, limit = Clock(), RateLimit(1.0, 3)
    limiter = RateLimiter(clock)
    assert allowed(limiter, limit, 10) == 3
    clock.now += passed
    assert allowed(limiter, limit, 10) == expected


def test_a_burst_of_0_allows_nothing_as_in_the_toolkit() -> None:
    clock = Clock()
    limiter = RateLimiter(clock)
    assert allowed(limiter, RateLimit(1.0, 0), 10) == 0
    clock.now += 3600
    assert allowed(limiter, RateLimit(1.0, 0), 10) == 0


def test_a_limit_that_changes_begins_with_a_full_bucket() -> None:
    limiter = RateLimiter(Clock())
    assert allowed(limiter, RateLimit(1.0, 2), 10) == 2
    assert allowed(limiter, RateLimit(1.0, 4), 10) == 4
    assert allowed(limiter, None, 10) == 10
    assert allowed(limiter, RateLimit(1.0, 4), 10) == 4
