"""Which failures a comparison survives: a server that fails now and then must not stop one that takes minutes."""

from collections.abc import Callable, Generator
from typing import TypeVar

from ..context import WalkContext
from ..errors import (
    ClientFault,
    CursorExpired,
    ServerError,
    ServerFault,
    Throttled,
    Truncated,
    Unreachable,
    WrongResource,
)
from ..steps import Compared

T = TypeVar("T")

RETRIES = 3
"""Failures in a row after which a comparison gives up until it is due again."""

PASSING = (CursorExpired, ServerFault, Throttled, Truncated, Unreachable)
"""Failures that the next try may not meet. Not a time-out: the next comparison gets more time instead."""


def retried(context: WalkContext, ask: Callable[[], T]) -> Generator[Compared, None, T]:
    """Ask for one thing, and again where it fails now and then. Raises a ServerError."""
    failed = 0
    while True:
        try:
            return ask()
        except ServerError as error:
            failed += 1
            yield survive(context, error, failed)


def survive(context: WalkContext, error: ServerError, failed: int) -> Compared:
    """Count a failure and go on, no earlier than the server asks for; raises it where it is one too many in a row."""
    if failed > RETRIES or not isinstance(error, PASSING):
        raise error
    return count_error(context, error)


def without_count(context: WalkContext, error: ServerError) -> Compared:
    """Go on without a count, no earlier than the server asks for. That a server never counts is no error."""
    return Compared() if isinstance(error, ClientFault | WrongResource) else count_error(context, error)


def count_error(context: WalkContext, error: ServerError) -> Compared:
    """Count an error that ends nothing; a wait that the server asked for is kept."""
    context.telemetry.count_error(error.reason)
    return Compared(throttled=error if isinstance(error, Throttled) else None)
