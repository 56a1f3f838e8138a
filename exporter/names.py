"""Names the payers of Tasks: the operator's names first, then what the server says.

`task/payers` holds the rules. This file remembers what was read, and reads each Organization once; only a full
comparison reads it again (`reconcile/organizations`).

See docs/design.md#organizations.
"""

import logging
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

from .clock import Clock
from .errors import (
    ClientFault,
    ErrorReason,
    Forbidden,
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
from .logs import log_event
from .task.model import NO_PAIR, Pair, Party, Task
from .task.payer_table import PayerTable
from .task.payers import NeedsOrganization, PayerDirectory, name_payer

logger = logging.getLogger(__name__)

REMEMBERED = 20_000
"""Organizations kept in the ledger and in memory. As many again are in memory only, and forgotten past that."""

RETRIED = (ServerFault, TimedOut, Truncated, Unreachable, Throttled)
"""Failures that may concern one Organization only, since the server just sent the page. Not a 401, nor TLS."""

REFUSED = (ClientFault, NotFhir, WrongResource, TooLarge)
"""Answers that a retry will not change: one odd Organization must not stop every Task."""

GIVE_UP_AFTER_SECONDS = 3_600.0
GIVE_UP_AFTER_TRIES = 10
"""An Organization whose reads have failed for so long, and so often, counts as refused."""

MAX_GAP_SECONDS = 900.0
"""Between two failures. After a longer gap, such as an outage of the whole server, the hour starts again."""

MAX_FAILED_PER_PAGE = 5
"""Reads that may fail before the page fails: the hours of five pass at the same time, and the server gets a rest."""


SHOWN_INSTEAD = "by the identifier or display in the Task, else as unknown; configured names are not affected"
GRANT = (
    "Grant FHIR_READ_ALL_OF_TYPE for Organization, or the scope system/Organization.read; "
    "names follow with the next full comparison, or after a restart."
)


def fingerprint(table: PayerTable, cap: int) -> int:
    """Identify a table of names and a limit of pairs across restarts: both decide which payers a Task shows.

    That of a table of keys alone is what earlier versions wrote: after an upgrade nothing is walked again.
    """
    keys = sorted(table.keys.items())
    patterns = [[(each.pattern, label) for each, label in kind] for kind in (table.references, table.identifiers)]
    rest = (patterns, sorted(table.shown_as.items()))
    return crc32(repr((keys, cap) if rest == ([[], []], []) else (keys, cap, rest)).encode())


class OrganizationRight:
    """Whether the server lets us read Organizations, as its answers show; a missing right is said once and counted.

    It is counted once between two full comparisons, not for each Organization. It counts as granted when a full
    comparison got names and met no refusal, so that one Organization that may never be read is said once too.
    """

    def __init__(self, count_error: Callable[[ErrorReason], None] = lambda _: None) -> None:
        self._count_error = count_error
        self._refused = self._named = False
        self.missing = False

    def refused(self, error: Forbidden) -> None:
        """Take note of a 403."""
        if not self._refused:
            self._count_error(error.reason)
        self._refused = True
        if not self.missing:
            self.missing = True
            details = {"reason": error.reason.value, "error": str(error), "payers": SHOWN_INSTEAD, "remedy": GRANT}
            log_event(logger, logging.WARNING, "the right to read Organization is missing", **details)

    def named(self) -> None:
        """Take note of a name that was read."""
        self._named = True

    def begin_comparison(self) -> None:
        """Begin to count anew: a full comparison reads Organizations again."""
        self._refused = self._named = False

    def end_comparison(self) -> None:
        """Judge by all that was read again."""
        if self.missing and self._named and not self._refused:
            self.missing = False
            log_event(logger, logging.INFO, "the right to read Organization is granted")


class FailingRead(NamedTuple):
    """Failures in a row of one Organization. Times are seconds of the monotonic clock."""

    first_seconds: float
    latest_seconds: float
    tries: int

    @property
    def gives_up(self) -> bool:
        """Whether the Organization counts as refused."""
        enough_seconds = self.latest_seconds - self.first_seconds >= GIVE_UP_AFTER_SECONDS
        return enough_seconds and self.tries >= GIVE_UP_AFTER_TRIES


@dataclass(slots=True)
class _PageReads:
    """The reads for one page, and the errors of those that failed."""

    window: FhirWindow
    failed: dict[str, ServerError] = field(default_factory=dict)

    @property
    def stopped(self) -> bool:
        """Whether to read no more for this page. Any error but a plain 5xx would probably meet the next read too."""
        return len(self.failed) >= MAX_FAILED_PER_PAGE or any(
            type(error) is not ServerFault for error in self.failed.values()
        )


class Namer:
    """Names payers, and remembers the names of Organizations by relative reference; None if there is none to read.

    `base` is the FHIR base URL: an Organization elsewhere is never read. `answers` are those of the ledger, the ones
    read longest ago first. `unsaved` ones are to be written together with the next page; then `saved` is called.
    `right` is told what the server refuses.
    """

    def __init__(
        self,
        configured: PayerTable,
        base: str,
        clock: Clock,
        answers: Mapping[str, str | None] = MappingProxyType({}),
        right: OrganizationRight | None = None,
    ) -> None:
        self.right = right or OrganizationRight()
        self._clock = clock
        self._kept = dict(answers)
        self._unkept: dict[str, str | None] = {}
        self._directory = PayerDirectory(configured, base, ChainMap(self._kept, self._unkept))
        self._payers: dict[Party | None, str] = {}
        self._failing: dict[str, FailingRead] = {}
        self.unsaved: dict[str, str | None] = {}

    def use(self, configured: PayerTable) -> None:
        """Name by another table of the operator from now on; what the server said stays known."""
        self._directory = replace(self._directory, configured=configured)
        self._payers.clear()

    def pairs(self, tasks: Sequence[Task], window: FhirWindow) -> list[Pair]:
        """Name the pair of each Task; `NO_PAIR` for those that are no exchange.

        Raises the first ServerError, once the other Organizations of the page were tried.
        """
        if len(self._payers) > REMEMBERED or len(self._unkept) > REMEMBERED:
            self.forget_unkept()
        reads = _PageReads(window)
        pairs = [
            Pair(self._payer(task.owner, reads), self._payer(task.requester, reads))
            if task.tagged and task.usable
            else NO_PAIR
            for task in tasks
        ]
        for error in reads.failed.values():
            raise error
        return pairs

    def _payer(self, party: Party | None, reads: _PageReads) -> str:
        """Name a payer; empty if its Organization cannot be read now, and then the page fails."""
        known = self._payers.get(party)
        if known is not None:
            return known
        payer = name_payer(party, self._directory)
        while isinstance(payer, NeedsOrganization):
            if not self._read(payer.reference, reads):
                return ""
            payer = name_payer(party, self._directory)
        self._payers[party] = payer
        return payer

    def _read(self, reference: str, reads: _PageReads) -> bool:
        """Read an Organization. Returns whether there is an answer, if only that there is no name."""
        if reads.stopped or reference in reads.failed:
            return False
        try:
            self._remember(reference, self.read(reference, reads.window))
        except REFUSED as error:
            self._refuse(reference, error, "the name of an Organization cannot be read")
        except RETRIED as error:
            if not self._count_failure(reference).gives_up:
                reads.failed[reference] = error
                return False
            self._refuse(reference, error, "reads of an Organization failed for an hour; it counts as refused")
        self._failing.pop(reference, None)
        return True

    def read(self, reference: str, window: FhirWindow) -> str | None:
        """Ask the server for a name; None if there is none, or we have no right to read it. Raises a ServerError."""
        try:
            name = window.organization(reference)
        except Forbidden as error:
            self.right.refused(error)
            return None
        if name is not None:
            self.right.named()
        return name

    def _refuse(self, reference: str, error: ServerError, message: str) -> None:
        """Continue without a name. The log does not say which Organization it is."""
        log_event(logger, logging.WARNING, message, reason=error.reason.value)
        self._remember(reference, None)

    def _count_failure(self, reference: str) -> FailingRead:
        now = self._clock.monotonic()
        failing = self._failing.get(reference)
        if failing is None or now - failing.latest_seconds > MAX_GAP_SECONDS:
            failing = FailingRead(now, now, 0)
        if len(self._failing) > REMEMBERED:
            self._failing.clear()
        self._failing[reference] = failing = FailingRead(failing.first_seconds, now, failing.tries + 1)
        return failing

    def _remember(self, reference: str, name: str | None) -> None:
        if len(self._kept) < REMEMBERED:
            self._kept[reference] = self.unsaved[reference] = name
        else:
            self._unkept[reference] = name

    def saved(self) -> None:
        """Confirm that the ledger holds what was unsaved."""
        self.unsaved.clear()

    # For a full comparison, which reads Organizations again.

    @property
    def has_unnamed(self) -> bool:
        """Whether some Organization has no name that we may read."""
        return None in self._kept.values()

    def oldest(self, count: int) -> list[str]:
        """List the Organizations that were read longest ago."""
        return list(islice(self._kept, count))

    def known(self, reference: str) -> str | None:
        """Return the remembered name."""
        return self._kept[reference]

    def differs(self, answers: Mapping[str, str | None]) -> bool:
        """Whether any answer is not the remembered one."""
        return any(self._kept[reference] != answer for reference, answer in answers.items())

    def renew(self, answers: Mapping[str, str | None]) -> None:
        """Replace what is remembered; these Organizations were now read last."""
        if self.differs(answers):
            self._payers.clear()
        for reference, answer in answers.items():
            del self._kept[reference]
            self._kept[reference] = answer
            self.unsaved.pop(reference, None)

    def forget_unkept(self) -> None:
        """Forget the names that the ledger does not keep."""
        self._unkept.clear()
        self._payers.clear()
