"""What `check` says about the Tasks it has read: payers, reasons, anomalies. Nothing here sends anything.

Rule: of payers, name, reference and identifier are printed, so that the operator can write the table `payers:`; of
Tasks only counts; of persons only the type word, which is all that the decoder lets through.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .. import documents
from ..task.lifecycle import FUTURE_TOLERANCE_MS
from ..task.model import UNCLASSIFIED, UNKNOWN_PAYER, Anomaly, Instant, Pair, Party, Status, Task
from ..task.payers import PEOPLE, clean
from .findings import Finding, Mark, fail, info, ok, warn
from .findings import tasks as count_tasks

MOST_SHOWN = 30
"""Payers listed: the rest is a number."""

MOST_READ = 200
"""Payers looked at: each may cost a read of its Organization."""

NAMELESS = ("payers: some have no name", "Add names to the file of --config.file:")
NAMELESS_AND_REFUSED = (
    "payers: some have no name, since reads of Organization are refused",
    "Grant that right (see above) and run check again; or add names to the file of --config.file:",
)

_PLACE = re.compile(r"(?:https?://[^\s?#@]+/)?(?:Organization|HealthcareService)/[A-Za-z0-9.-]{1,64}")
Word = TypeVar("Word", bound=str)
_RESERVED = frozenset({"other", UNKNOWN_PAYER})


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
    yield ok(f"sample: {count_tasks(read)} read, {tagged} ours by tag")
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


@dataclass(frozen=True, slots=True)
class Naming:
    """What one reference to a payer is called, and in how many Tasks it answers (`source`) or asks."""

    party: Party | None
    name: str
    source: int
    requesting: int


def namings(tasks: Sequence[Task], named: Sequence[Pair]) -> list[Naming]:
    """List what each reference is called, the most frequent first."""
    names: dict[Party | None, str] = {}
    for task, pair in zip(tasks, named, strict=True):
        names[task.owner], names[task.requester] = pair
    sources, requesting = Counter(task.owner for task in tasks), Counter(task.requester for task in tasks)
    found = [Naming(party, name, sources[party], requesting[party]) for party, name in names.items()]
    return sorted(found, key=lambda one: (-one.source - one.requesting, one.name, repr(one.party)))


def payers(found: Sequence[Naming], configured: Mapping[str, str], *, refused: bool) -> Iterator[Finding]:
    """Report each payer's name and where it comes from, and what to write for those without.

    `refused` tells that Organization may not be read.
    """
    for one in found[:MOST_SHOWN]:
        mark = Mark.WARN if one.name == UNKNOWN_PAYER else Mark.OK
        roles = f"source of {one.source}, requesting {one.requesting}"
        yield Finding(mark, f"payer {one.name} ({roles}): {_origin(one.party)}")
    if len(found) > MOST_SHOWN:
        yield ok(f"payers: {len(found) - MOST_SHOWN} more")
    lines = snippet([one for one in found if _is_nameless(one, configured)])
    if lines:
        yield Finding(Mark.WARN, *(NAMELESS_AND_REFUSED if refused else NAMELESS), lines)


def _origin(party: Party | None) -> str:
    """Describe what the Task holds; a reference that may not be an organization's is not repeated."""
    if party is None:
        return "no reference in the Task"
    if party.kind in PEOPLE:
        return "no organization; persons are never named"
    place = _place(party)
    parts = [f"reference {place}" if place else "a reference of another form"] if party.reference else []
    parts += [f"identifier {_printable(party.identifier)}"] if party.identifier else []
    parts += ["display"] if party.display else []
    return ", ".join(parts)


def _place(party: Party) -> str | None:
    """Return the reference where it is an organization's and no more."""
    return party.reference if party.reference and _PLACE.fullmatch(party.reference) else None


def _is_nameless(one: Naming, configured: Mapping[str, str]) -> bool:
    """Tell whether the label is `unknown` or a bare identifier that the operator has not named so."""
    if one.party is None or one.party.kind in PEOPLE:
        return False
    bare = clean((one.party.identifier or "").partition("|")[2])
    return one.name == UNKNOWN_PAYER or (one.name == bare and one.name not in configured.values())


def snippet(nameless: Sequence[Naming]) -> tuple[str, ...]:
    """Write the table for `--config.file`: references that share a display share an entry."""
    entries: dict[str, dict[str, list[str]]] = {}
    for party in (one.party for one in nameless if one.party):
        key = _key(party)
        if key is not None:
            kind, text = key
            entries.setdefault(_suggested(party, len(entries) + 1), {}).setdefault(kind, []).append(text)
    lines = [line for name, keys in entries.items() for line in _entry(name, keys)]
    return ("payers:", *lines) if lines else ()


def _entry(name: str, keys: Mapping[str, list[str]]) -> Iterator[str]:
    """Write in JSON what may need quotes: it is YAML too."""
    yield f"  - name: {json.dumps(name, ensure_ascii=False)}"
    for kind, texts in keys.items():
        yield f"    {kind}: {json.dumps(texts, ensure_ascii=False)}"


def _key(party: Party) -> tuple[str, str] | None:
    """Choose what the operator's table can hold."""
    place, identifier = _place(party), party.identifier
    if place:
        return "references", place
    if identifier and identifier.isprintable() and identifier.count("|") == 1:
        return "identifiers", identifier
    return None


def _suggested(party: Party, number: int) -> str:
    shown = clean(party.display or "")
    return f"Payer {number}" if shown in _RESERVED else shown


def _printable(text: str | None) -> str:
    return "".join(each for each in text or "" if each.isprintable())
