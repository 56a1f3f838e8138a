"""Reading Organizations again: a right may have been granted, or a name changed, since they were read.

Rule: an answer that differs is committed together with the need to walk everything, before any Task is named by it.

See docs/design.md#organizations.
"""

from collections.abc import Iterator, Sequence

from .desk import Desk, Progress
from .errors import ServerError, Throttled
from .ledger.state import StateKey

MOST = 1_000
"""Organizations read in one full comparison."""

BATCH = 50
"""Answers in one transaction."""

MOST_FAILED = 10
"""Failures in a row after which the rest waits for the next comparison: the server itself may be down.

What failed counts as read, so that it is asked again last; being throttled counts as half of that many.
"""


def refresh_names(desk: Desk) -> Iterator[Progress]:
    """Read again what was read longest ago, one request a Progress. A different answer makes `desk.renamed` true."""
    desk.namer.forget_unkept()
    references = desk.namer.oldest(MOST)
    refresh = _Refresh(desk)
    for start in range(0, len(references), BATCH):
        yield from refresh.turns(references[start : start + BATCH])
        refresh.keep()


class _Refresh:
    """The answers of a batch, and how many reads failed in a row."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._answers: dict[str, str | None] = {}
        self._failed = 0

    def turns(self, references: Sequence[str]) -> Iterator[Progress]:
        """Read, each in a window of its own, since a poll that comes between may take long."""
        for reference in references:
            if self._failed < MOST_FAILED:
                yield Progress(throttled=self._read(reference))

    def _read(self, reference: str) -> Throttled | None:
        """Read one; a failure keeps the old answer. Returns the request to wait, if that is what came."""
        try:
            with self._desk.server.window() as window:
                self._answers[reference] = window.organization(reference)
        except ServerError as error:
            self._answers[reference] = self._desk.namer.known(reference)
            throttled = error if isinstance(error, Throttled) else None
            self._failed += MOST_FAILED // 2 if throttled else 1
            self._desk.telemetry.count_error(error.reason)
            return throttled
        self._failed = 0
        return None

    def keep(self) -> None:
        """Commit the answers of this batch, and begin the next one."""
        desk, answers = self._desk, self._answers
        if not answers:
            return
        with desk.ledger.transaction() as tx:
            tx.save_organizations(answers)
            if desk.namer.differs(answers):
                tx.set_instant(StateKey.NAMES, None)
        desk.namer.renew(answers)
        self._answers = {}
