"""What `check` says about the Tasks it has read: payers, reasons, anomalies. Nothing here sends anything.

Rule: of payers, name, reference and identifier are printed, so that the operator can write the table `payers:`; of
Tasks only counts; of persons only the type word, which is all that the decoder lets through.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .. import documents
from ..task.labels import PEOPLE
from ..task.lifecycle import FUTURE_TOLERANCE_MS
from ..task.model import UNCLASSIFIED, UNKNOWN_PAYER, Anomaly, Instant, Pair, Party, Status, Task
from .findings import Finding, Mark, fail, info, ok, warn
from .findings import tasks as count_tasks
from .proposal import Naming, Proposal, place_of

MOST_SHOWN = 30
"""Payers listed: the rest is a number."""

MOST_READ = 200
"""Payers looked at: each may cost a read of its Organization."""

NAMELESS = ("payers: some have no name", "Add names to the file of --config.file")
NAMELESS_AND_REFUSED = (
    "payers: some have no name, since reads of Organization are refused",
    "Grant that right (see above) and run check again; or add names to the file of --config.file",
)
READ_FIRST = f"Optional. Those with one parent become one payer, for good: {documents.url('payers.md')} says more."

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True)
class Sample:
    """Tasks read, and the server's clock meanwhile. `by_tag` tells whether the server was asked for our tag only."""

    tasks: Sequence[Task]
    now: Instant
    by_tag: bool

    @property
    def ours(self) -> list[Task]:
        """The exchanges among them."""
        return [task for task in self.tasks if task.tagged and task.usable]


def with_few_payers(tasks: Sequence[Task]) -> list[Task]:
    """Leave out Tasks of payers that are one too many to be read."""
    seen: set[Party | None] = set()
    kept = []
    for task in tasks:
        parties = {task.owner, task.requester}
        if len(seen | parties) <= MOST_READ:
            seen |= parties
            kept.append(task)
    return kept


def diagnose(sample: Sample) -> Iterator[Finding]:
    """Report what the Tasks show, except for payers."""
    tagged = [task for task in sample.tasks if task.tagged]
    yield from _tags(sample, len(tagged))
    foreign = sum(Anomaly.FOREIGN in task.anomalies for task in tagged)
    if foreign:
        text = f"foreign: of {count_tasks(len(tagged))} with our tag, {foreign} with another code, not counted"
        yield info(text, "No action is needed; if they are exchanges, set --fhir.code.")
    yield from _reasons(sample.ours)
    yield from _anomalies(tagged, sample.now)


def _tags(sample: Sample, tagged: int) -> Iterator[Finding]:
    read = len(sample.tasks)
    yield ok(f"sample: {count_tasks(read)} read, {tagged} with the tag")
    if sample.by_tag and tagged < read:
        text = f"search by _tag: ignored; of {count_tasks(read)}, {read - tagged} without it, left out here"
        yield warn(text, "Let _tag through to the server: without it every Task is read.")


def _reasons(ours: Sequence[Task]) -> Iterator[Finding]:
    reasons = Counter(task.reason for task in ours if task.status is Status.FAILED)
    if not reasons:
        return
    yield ok(f"failures: {_listed(reasons)}")
    if reasons[UNCLASSIFIED]:
        remedy = (
            "Read some of their notes on the server, and add patterns under `reasons:` in --config.file; "
            "`fhir-task-exporter reasons test` tries them."
        )
        yield warn(f"failures: no reason matches {reasons[UNCLASSIFIED]} of {reasons.total()}", remedy)


def _anomalies(tagged: Sequence[Task], now: Instant) -> Iterator[Finding]:
    kinds = Counter[Anomaly](kind for task in tagged for kind in task.anomalies if kind is not Anomaly.FOREIGN)
    kinds[Anomaly.FUTURE_STAMP] += sum(task.updated > now + FUTURE_TOLERANCE_MS for task in tagged)
    if +kinds:
        yield warn(f"anomalies: {_listed(+kinds)}", f"{documents.url('metrics.md')} says what each kind means.")
    elif tagged:
        yield ok("anomalies: none")


def _listed(counts: Mapping[Word, int]) -> str:
    """List counts, the largest first."""
    return ", ".join(f"{word} {count}" for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def pairs(ours: Sequence[Pair], limit: int) -> Finding:
    """Compare the pairs of payers with how many may have labels of their own."""
    count = len(set(ours))
    if count <= limit:
        return ok(f"pairs of payers: {count} in the sample, of at most {limit}")
    text = f"pairs of payers: {count} in the sample; those past {limit} are shown as other"
    return fail(text, f"Raise --pairs.max to {2 * count}, say, and give one payer one name under `payers:`.")


def payers(found: Sequence[Naming]) -> Iterator[Finding]:
    """Report each payer's name and where it comes from."""
    for one in found[:MOST_SHOWN]:
        mark = Mark.WARN if one.name == UNKNOWN_PAYER else Mark.OK
        roles = f"answers {one.source:,}, asks {one.requesting:,}"
        yield Finding(mark, f"payer {one.name} ({roles}): {_origin(one.party)}")
    if len(found) > MOST_SHOWN:
        yield ok(f"payers: {len(found) - MOST_SHOWN} more")


def proposed(table: Proposal, count: int, *, refused: bool) -> Iterator[Finding]:
    """Show a table for the payers that have no entry. With it, the sample has `count` pairs.

    `refused` tells that Organization may not be read.
    """
    if not table.lines:
        return
    if table.nameless:
        text, remedy = NAMELESS_AND_REFUSED if refused else NAMELESS
        yield Finding(Mark.WARN, text, f"{remedy}; with these, the sample has {pairs_of(count)}:", table.lines)
    else:
        text = f"payers: a table of those without an entry; with it, the sample has {pairs_of(count)}"
        yield Finding(Mark.INFO, text, READ_FIRST, table.lines)


def pairs_of(count: int) -> str:
    """Count pairs in words."""
    return "1 pair of payers" if count == 1 else f"{count} pairs of payers"


def _origin(party: Party | None) -> str:
    """Describe what the Task holds; a reference that may not be an organization's is not repeated."""
    if party is None:
        return "no reference in the Task"
    if party.kind in PEOPLE:
        return "no organization; persons are never named"
    place = place_of(party)
    parts = [f"reference {place}" if place else "a reference of another form"] if party.reference else []
    parts += [f"identifier {_printable(party.identifier)}"] if party.identifier else []
    parts += ["display"] if party.display else []
    return ", ".join(parts)


def _printable(text: str | None) -> str:
    return "".join(each for each in text or "" if each.isprintable())
