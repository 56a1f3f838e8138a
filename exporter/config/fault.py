"""What is wrong with a configuration, and where. A fault never holds the value that was given."""

from typing import NamedTuple


class Fault(NamedTuple):
    """`source` is a flag, a variable, or a line of the file; `sentence` goes on from there."""

    source: str
    sentence: str

    def __str__(self) -> str:
        """Write the line that an operator reads."""
        return f"{self.source}: {self.sentence}"


class Given(NamedTuple):
    """The texts that one source gives for one option: one, or several where it is repeatable."""

    source: str
    texts: tuple[str, ...]
