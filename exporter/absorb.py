"""How Tasks that the server showed become part of the ledger: compare, then commit.

Rule: what a page changes is one transaction, together with what was read to name its payers.

See docs/design.md#pages-and-commits, docs/design.md#history, docs/decisions/0001-doubtful-versions-are-read-twice.md.
"""

from collections.abc import Callable, Sequence

from .context import WalkContext
from .fhir.client import FhirWindow
from .ledger.state import StateKey
from .ledger.transaction import Transaction
from .task.lifecycle import Changes, Observation, compare
from .task.model import NO_PAIR, Task
from .task.versions import Verdict, verdict

DOUBTFUL = frozenset({Verdict.STALE, Verdict.RECREATED})
"""What a lagging replica can look like: the older of two versions may have the newer stamp."""


def absorb(
    context: WalkContext,
    window: FhirWindow,
    tasks: Sequence[Task],
    observation: Observation,
    finish: Callable[[Transaction, Changes], None] = lambda _, __: None,
) -> Changes:
    """Compare Tasks with what is known and commit what changed; `finish` adds to the same transaction."""
    known = context.ledger.known([task.id for task in tasks])
    doubtful = {
        task.id for task in tasks if task.id in known and task.named and verdict(known[task.id], task) in DOUBTFUL
    }
    if doubtful:
        tasks = _read_again(window, tasks, doubtful)
    tasks = context.history.with_unseen(known, tasks, observation, context.baseline_from or 0)
    pairs = context.namer.pairs(tasks, window)
    with context.ledger.transaction() as tx:
        slots = tx.slots(pair for pair in pairs if pair != NO_PAIR)
        placed = [(task, slots.get(pair, NO_PAIR)) for task, pair in zip(tasks, pairs, strict=True)]
        changes = compare(known, placed, observation)
        tx.apply(changes)
        _save_names(context, tx)
        finish(tx, changes)
    context.namer.saved()
    context.exemplars.add(changes.exemplars)
    return changes


def _save_names(context: WalkContext, tx: Transaction) -> None:
    """Save, with a page, which Organizations were read for it, and under which names its Tasks show."""
    tx.save_organizations(context.namer.unsaved)
    ledger, names = context.ledger, context.rules.names_fingerprint
    saved = ledger.state(StateKey.NAMES)
    if not (ledger.baseline_complete or ledger.walk_state):
        tx.set_state(StateKey.NAMES, names)
    elif saved not in {None, names}:
        tx.set_state(StateKey.NAMES, None)  # names may be changed back before everything was walked


def _read_again(window: FhirWindow, tasks: Sequence[Task], doubtful: set[str]) -> list[Task]:
    """Read doubtful Tasks once more: a lagging replica may have answered. What is gone by now is left out."""
    again = {task.id: task for task in window.read(sorted(doubtful)).tasks}
    return [again.get(task.id, task) for task in tasks if task.id in again or task.id not in doubtful]
