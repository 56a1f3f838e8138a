"""Who the payers of a Task are: configured names first, then what the server tells.

The rules are in `task/payers`; this file remembers answers, and asks the server for an Organization once.
"""

from collections.abc import Mapping, Sequence
from zlib import crc32

from .ports import Window
from .task.model import NO_PAIR, Pair, Party, Task
from .task.payers import Book, Unread, name

REMEMBERED = 20_000
"""Answers kept in memory; past that all are forgotten, so that a hostile server cannot fill it."""


def fingerprint(configured: Mapping[str, str], cap: int) -> int:
    """Tell one table of names from another, across restarts; the cap decides too under which name a Task shows."""
    return crc32(repr((sorted(configured.items()), cap)).encode())


class Namer:
    """Names payers. `base` is the FHIR base: an absolute reference elsewhere is never read."""

    def __init__(self, configured: Mapping[str, str], base: str) -> None:
        self._read: dict[str, str | None] = {}
        self._book = Book(configured, base, self._read)
        self._names: dict[Party | None, str] = {}

    def pairs(self, tasks: Sequence[Task], window: Window) -> list[Pair]:
        """Name the pair of each Task; those that are no exchange have none. Raises a ServerError."""
        if len(self._names) > REMEMBERED or len(self._read) > REMEMBERED:
            self._names.clear()
            self._read.clear()
        return [
            Pair(self._name(task.owner, window), self._name(task.requester, window))
            if task.tagged and task.usable
            else NO_PAIR
            for task in tasks
        ]

    def _name(self, party: Party | None, window: Window) -> str:
        known = self._names.get(party)
        if known is not None:
            return known
        answer = name(party, self._book)
        while isinstance(answer, Unread):
            self._read[answer.reference] = window.organization(answer.reference)
            answer = name(party, self._book)
        self._names[party] = answer
        return answer
