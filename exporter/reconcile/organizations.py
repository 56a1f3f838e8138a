"""Reading Organizations again: a permission may have been granted, or a name changed, since they were read.

Rule: an answer that differs is committed together with the need to walk everything, before any Task is named by it.

See docs/design.md#organizations.
"""

from collections.abc import Iterator, Sequence

from ..context import WalkContext
from ..errors import ServerError, Throttled
from ..ledger.state import StateKey
from ..steps import Compared
from .failures import count_error

MOST = 1_000
"""Organizations read in one full comparison."""

BATCH = 50
"""Answers in one transaction."""

MOST_FAILED = 10
"""Failures in a row after which the rest waits for the next comparison: the server itself may be down.

What failed counts as read, so that it is asked again last; being throttled counts as half of that many.
"""


def read_again(context: WalkContext) -> Iterator[Compared]:
    """Read again what was read longest ago, one request a step. A different answer makes `names_changed` true."""
    context.namer.forget_unkept()
    context.namer.right.begin_comparison()
    references = context.namer.oldest(MOST)
    reading = _Reading(context)
    for start in range(0, len(references), BATCH):
        yield from reading.steps(references[start : start + BATCH])
        reading.save()
    context.namer.right.end_comparison()


class _Reading:
    """The answers of a batch, and how many reads failed in a row."""

    def __init__(self, context: WalkContext) -> None:
        self._context = context
        self._answers: dict[str, str | None] = {}
        self._failed = 0

    def steps(self, references: Sequence[str]) -> Iterator[Compared]:
        """Read, each in a window of its own, since a poll that comes between may take long."""
        for reference in references:
            if self._failed < MOST_FAILED:
                yield self._read(reference)

    def _read(self, reference: str) -> Compared:
        """Read one; a failure keeps the old answer."""
        try:
            with self._context.server.window() as window:
                self._answers[reference] = self._context.namer.read(reference, window)
        except ServerError as error:
            self._answers[reference] = self._context.namer.known(reference)
            self._failed += MOST_FAILED // 2 if isinstance(error, Throttled) else 1
            return count_error(self._context, error)
        self._failed = 0
        return Compared()

    def save(self) -> None:
        """Commit the answers of this batch, and begin the next one."""
        namer, answers = self._context.namer, self._answers
        if not answers:
            return
        with self._context.ledger.transaction() as tx:
            tx.save_organizations(answers)
            if namer.differs(answers):
                tx.set_state(StateKey.NAMES, None)
        namer.renew(answers)
        self._answers = {}
