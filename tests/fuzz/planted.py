"""A target with a bug, for the test of the fuzzer: it must be found, written down and reported."""

from collections.abc import Iterator

from .rules import demand


def check(data: bytes) -> None:
    """Break a rule that a fuzzer led by coverage gets to in a moment."""
    for number, letter in enumerate(b"bug"):
        if len(data) <= number or data[number] != letter:
            return
    demand(holds=False, rule="a planted rule")


def dictionary() -> Iterator[str]:
    """No words."""
    yield from ("bu", "g")


def seeds() -> Iterator[bytes]:
    """Something to start from."""
    yield b"b"
