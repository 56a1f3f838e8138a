"""The table `payers:` that `check` proposes, from the payers of the sample. Nothing here sends anything.

Rule 1: what is printed can be copied as it is: the loader of the file takes it.
Rule 2: payers are grouped only where their names are spelled alike; where one may be a plan of the other, the parent is
a comment, since series that were joined cannot be taken apart.
Rule 3: it has a bounded length, whatever the server holds.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from ..task.labels import PEOPLE, clean
from ..task.model import OTHER_PAYER, UNKNOWN_PAYER, Pair, Party, Task
from ..task.payer_table import PayerTable
from .spelling import insurer, spelling

MOST_ENTRIES = 50
MOST_KEYS = 50
"""References or identifiers in an entry."""

_PLACE = re.compile(r"(?:https?://[^\s?#@]+/)?(?:Organization|HealthcareService)/[A-Za-z0-9.-]{1,64}")
Key = tuple[str, str]
"""The kind of a key, as in the file, and its text."""

_UNUSABLE = frozenset({OTHER_PAYER, UNKNOWN_PAYER})


@dataclass(frozen=True, slots=True)
class Naming:
    """What one reference to a payer is called, and in how many Tasks it answers (`source`) or asks."""

    party: Party | None
    name: str
    source: int
    requesting: int


@dataclass(slots=True)
class Entry:
    """One entry of the proposed table. `plan_of` is a parent that a person must confirm."""

    name: str
    keys: dict[str, list[str]] = field(default_factory=dict)
    former: str | None = None
    parent: str | None = None
    plan_of: str | None = None

    @property
    def label(self) -> str:
        """What the payer is shown as."""
        return self.parent or self.name

    @property
    def is_useful(self) -> bool:
        """Whether the loader takes it: it leads to a label."""
        return bool(self.keys or self.parent)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The entries, the most frequent payers first. `nameless` tells whether some of them have no name so far."""

    entries: Sequence[Entry]
    nameless: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The text for the file; none if there is nothing to propose."""
        if not self.entries:
            return ()
        left = len(self.entries) - MOST_ENTRIES
        rest = (f"  # {left} more: run check again with this table",) if left > 0 else ()
        return ("payers:", *(line for entry in self.entries[:MOST_ENTRIES] for line in _written(entry)), *rest)

    def count_pairs(self, tasks: Sequence[Task], named: Sequence[Pair]) -> int:
        """Count the pairs that these Tasks would have with the table."""
        keys = {text: entry.label for entry in self.entries for texts in entry.keys.values() for text in texts}
        shown = {entry.former: entry.label for entry in self.entries if entry.former is not None}
        shown |= {entry.name: entry.label for entry in self.entries}

        def label(party: Party | None, name: str) -> str:
            kind, text = (key_of(party) if party and party.kind not in PEOPLE else None) or ("", "")
            by_key = kind == "references" or (party is not None and _is_bare(party, name))
            return (keys.get(text) if by_key else None) or shown.get(name, name)

        return len(
            {
                (label(task.owner, pair.source), label(task.requester, pair.requesting))
                for task, pair in zip(tasks, named, strict=True)
            }
        )


def namings(tasks: Sequence[Task], named: Sequence[Pair]) -> list[Naming]:
    """List what each reference is called, the most frequent first."""
    names: dict[Party | None, str] = {}
    for task, pair in zip(tasks, named, strict=True):
        names[task.owner], names[task.requester] = pair
    sources, requesting = Counter(task.owner for task in tasks), Counter(task.requester for task in tasks)
    found = [Naming(party, name, sources[party], requesting[party]) for party, name in names.items()]
    return sorted(found, key=lambda one: (-one.source - one.requesting, one.name, repr(one.party)))


def propose(found: Sequence[Naming], table: PayerTable) -> Proposal:
    """Make the table of the payers that the operator's own table does not name."""
    draft = _Draft(table, {one.name for one in found})
    for one in found:
        if one.party is not None and one.party.kind not in PEOPLE and one.name not in table.labels:
            draft.add(one.party, one.name)
    entries = list(draft.entries.values())
    _group(entries, table)
    return Proposal([entry for entry in entries if entry.is_useful], draft.nameless)


class _Draft:
    """The entries so far. What the operator's table or another entry holds is not repeated."""

    def __init__(self, table: PayerTable, names: Collection[str]) -> None:
        self.entries: dict[str, Entry] = {}
        self.nameless = False
        self._configured = table.labels | table.shown_as.keys()
        taken = self._configured | set(names)
        self._numbered = (name for number in count(1) if (name := f"Payer {number}") not in taken)
        self._keys = set(table.keys)
        self._unusable_formers = {*_UNUSABLE, *PEOPLE, *self._configured}

    def add(self, party: Party, name: str) -> None:
        """Add what a payer is recognized by, under its name or a better one."""
        key, bare = key_of(party), _is_bare(party, name)
        if key[1] in self._keys if key else bare:
            return
        new = self._better_name(party) if bare else name
        if new in _UNUSABLE:
            return
        entry = self.entries.setdefault(new, Entry(new))
        if key is not None:
            self._keys.add(key[1])
            entry.keys.setdefault(key[0], []).append(key[1])
        if bare:
            self.nameless = True
            self._keep_former(entry, name)

    def _better_name(self, party: Party) -> str:
        shown = clean(party.display or "")
        return next(self._numbered) if shown in self._configured | _UNUSABLE else shown

    def _keep_former(self, entry: Entry, name: str) -> None:
        """Let the series of an identifier go on under the name."""
        if entry.former is None and name not in self._unusable_formers:
            self._unusable_formers.add(name)
            entry.former = name


def _is_bare(party: Party, name: str) -> bool:
    return name == UNKNOWN_PAYER or name == clean((party.identifier or "").partition("|")[2])


def key_of(party: Party) -> Key | None:
    """Choose what the operator's table can hold: its kind and text."""
    place, identifier = place_of(party), party.identifier
    if place:
        return "references", place
    if identifier and identifier.isprintable() and identifier.count("|") == 1:
        return "identifiers", identifier
    return None


def place_of(party: Party) -> str | None:
    """Return the reference where it is an organization's and no more."""
    return party.reference if party.reference and _PLACE.fullmatch(party.reference) else None


# Groups


def _group(entries: Sequence[Entry], table: PayerTable) -> None:
    """Give a parent to what is spelled like an earlier one; and note whose plan the others may be."""
    names = {entry.name for entry in entries}
    heads = {spelling(label): label for label in sorted(table.labels)}
    for entry in entries:
        head = heads.setdefault(spelling(entry.name), entry.name)
        entry.parent = None if head == entry.name else head
        if entry.former in names:
            entry.former = None
    plans = [entry for entry in entries if entry.parent is None and insurer(entry.name)]
    insurers = Counter(insurer(entry.name) for entry in plans)
    for entry in plans:
        whose = insurer(entry.name) or ""
        common = heads.get(whose) or (_before_of(entry.name) if insurers[whose] > 1 else None)
        entry.plan_of = None if common == entry.name else common


def _before_of(name: str) -> str:
    return re.split(r"(?i)\s+of\s", name, maxsplit=1)[0]


# The text


def _written(entry: Entry) -> Iterator[str]:
    """Write in JSON what may need quotes: it is YAML too."""
    yield f"  - name: {_text(entry.name)}"
    if entry.parent:
        yield f"    parent: {_text(entry.parent)}"
    elif entry.plan_of:
        yield f"    # parent: {_text(entry.plan_of)}  (if this is one of its plans)"
    for kind, texts in entry.keys.items():
        yield f"    {kind}: {_text(texts[:MOST_KEYS])}"
        if len(texts) > MOST_KEYS:
            yield f"    # {len(texts) - MOST_KEYS} more {kind}; a pattern may match them all"
    if entry.former:
        yield f"    formerly: {_text([entry.former])}"


def _text(value: str | Sequence[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
