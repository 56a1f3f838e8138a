"""Who the payers of a Task are: configured names first, then what the server tells.

The rules are in `task/payers`; this file remembers answers, and asks the server for an Organization once. Only a full
comparison asks again (`refresh`).

See docs/design.md#organizations.
"""

import logging
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

from .clock import Clock
from .errors import (
    ClientFault,
    NotFhir,
    ServerError,
    ServerFault,
    Throttled,
    TimedOut,
    TooLarge,
    Truncated,
    Unreachable,
    WrongResource,
)
from .fhir.client import FhirWindow
from .logs import event
from .task.model import NO_PAIR, Pair, Party, Task
from .task.payers import NeedsOrganization, PayerDirectory, name_payer

logger = logging.getLogger(__name__)

REMEMBERED = 20_000
"""Answers kept, in memory and in the ledger. Those past it are in memory only, and forgotten when they are as many."""

ABOUT_ONE = (ServerFault, TimedOut, Truncated, Unreachable, Throttled)
"""Failures that one Organization alone can cause: the page with its Task was just answered. Not a 401, nor TLS."""

ODD = (ClientFault, NotFhir, WrongResource, TooLarge)
"""Answers that will not get better by asking again: one odd Organization must not stop every Task."""

LONG_ENOUGH = 3_600.0
"""Seconds for which the read of an Organization must fail before it counts as refused."""
ENOUGH_TRIES = 10
LONGEST_GAP = 900.0
"""Seconds between two failures; after a longer gap, such as an outage of the whole server, the hour begins again."""

MOST_FAILED = 5
"""Organizations that may fail on one page before it fails: their hours pass together, and the server is not pressed."""


def fingerprint(configured: Mapping[str, str], cap: int) -> int:
    """Tell one table of names from another, across restarts; the cap decides too under which name a Task shows."""
    return crc32(repr((sorted(configured.items()), cap)).encode())


class Trouble(NamedTuple):
    """An Organization that fails: since when, and until when, by our monotonic clock, and how often."""

    since: float
    latest: float
    tries: int

    @property
    def lasts(self) -> bool:
        """Whether it is enough to count as refused."""
        return self.tries >= ENOUGH_TRIES and self.latest - self.since >= LONG_ENOUGH


@dataclass(slots=True)
class _Reads:
    """The reads for one page, and those that failed."""

    window: FhirWindow
    failed: dict[str, ServerError] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether to read no more: only a plain 5xx says nothing of the next read."""
        return len(self.failed) >= MOST_FAILED or any(type(each) is not ServerFault for each in self.failed.values())


class Namer:
    """Names payers. `base` is the FHIR base: an absolute reference elsewhere is never read.

    `answers` are those of the ledger, oldest read first: names by reference, None where there is none or we may not
    read it. `unsaved` are to be written with the next page; then `saved` is called.
    """

    def __init__(
        self,
        configured: Mapping[str, str],
        base: str,
        clock: Clock,
        answers: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        self._clock = clock
        self._kept = dict(answers)
        self._unkept: dict[str, str | None] = {}
        self._directory = PayerDirectory(configured, base, ChainMap(self._kept, self._unkept))
        self._names: dict[Party | None, str] = {}
        self._troubles: dict[str, Trouble] = {}
        self.unsaved: dict[str, str | None] = {}

    def pairs(self, tasks: Sequence[Task], window: FhirWindow) -> list[Pair]:
        """Name the pair of each Task; those that are no exchange have none. Raises a ServerError."""
        if len(self._names) > REMEMBERED or len(self._unkept) > REMEMBERED:
            self.forget_unkept()
        reads = _Reads(window)
        pairs = [
            Pair(self._name(task.owner, reads), self._name(task.requester, reads))
            if task.tagged and task.usable
            else NO_PAIR
            for task in tasks
        ]
        for error in reads.failed.values():
            raise error
        return pairs

    def _name(self, party: Party | None, reads: _Reads) -> str:
        """Name a payer; empty where its Organization cannot be read now, then the page fails."""
        known = self._names.get(party)
        if known is not None:
            return known
        answer = name_payer(party, self._directory)
        while isinstance(answer, NeedsOrganization):
            if not self._read(answer.reference, reads):
                return ""
            answer = name_payer(party, self._directory)
        self._names[party] = answer
        return answer

    def _read(self, reference: str, reads: _Reads) -> bool:
        """Read an Organization; says whether there is an answer."""
        if reads.over or reference in reads.failed:
            return False
        try:
            self._remember(reference, reads.window.organization(reference))
        except ODD as error:
            self._refuse(reference, error, "the name of an Organization cannot be read")
        except ABOUT_ONE as error:
            if not self._fails_for_long(reference):
                reads.failed[reference] = error
                return False
            self._refuse(reference, error, "reads of an Organization failed for an hour; it counts as refused")
        self._troubles.pop(reference, None)
        return True

    def _refuse(self, reference: str, error: ServerError, why: str) -> None:
        """Go on without a name. The log does not say whose."""
        event(logger, logging.WARNING, why, reason=error.reason.value)
        self._remember(reference, None)

    def _fails_for_long(self, reference: str) -> bool:
        """Note a failure; says whether it went on for long enough."""
        now = self._clock.monotonic()
        trouble = self._troubles.get(reference)
        if trouble is None or now - trouble.latest > LONGEST_GAP:
            trouble = Trouble(now, now, 0)
        if len(self._troubles) > REMEMBERED:
            self._troubles.clear()
        self._troubles[reference] = trouble = Trouble(trouble.since, now, trouble.tries + 1)
        return trouble.lasts

    def _remember(self, reference: str, answer: str | None) -> None:
        if len(self._kept) < REMEMBERED:
            self._kept[reference] = self.unsaved[reference] = answer
        else:
            self._unkept[reference] = answer

    def saved(self) -> None:
        """Take note that the ledger has what was unsaved."""
        self.unsaved.clear()

    # What a full comparison does.

    @property
    def refused(self) -> bool:
        """Whether some Organization has no name that we may read."""
        return None in self._kept.values()

    def oldest(self, count: int) -> list[str]:
        """List the Organizations whose last read is longest ago."""
        return list(islice(self._kept, count))

    def known(self, reference: str) -> str | None:
        """Give the answer that is remembered."""
        return self._kept[reference]

    def differs(self, answers: Mapping[str, str | None]) -> bool:
        """Judge whether any of these is another answer than the one remembered."""
        return any(self._kept[reference] != answer for reference, answer in answers.items())

    def renew(self, answers: Mapping[str, str | None]) -> None:
        """Take in what was read again; from now on these were read last."""
        if self.differs(answers):
            self._names.clear()
        for reference, answer in answers.items():
            del self._kept[reference]
            self._kept[reference] = answer
            self.unsaved.pop(reference, None)

    def forget_unkept(self) -> None:
        """Forget the answers that are not in the ledger."""
        self._unkept.clear()
        self._names.clear()
