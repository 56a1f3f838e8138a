"""What the operator's table says of payers: their names by key or pattern, and which names are shown as another one.

A *key* is a reference or an identifier as it is written in a Task. A *label* is the name that `/metrics` shows: that of
the entry, or of its parent.

See docs/payers.md, docs/decisions/0033-a-renamed-payer-keeps-its-series.md.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .model import Pair

Patterns = tuple[tuple[re.Pattern[str], str], ...]
"""Patterns with their labels, in the order of the file."""

LONGEST_MATCHED = 256
"""Characters of a text that patterns look at; a longer text matches none. So no server makes a pattern take long."""


@dataclass(frozen=True, slots=True)
class PayerTable:
    """The table.

    `keys` maps references and identifiers (`system|value`, or the value alone) to labels. `shown_as` maps names that
    are no labels (of children, and former ones) to the label in their place; no label is one of its keys.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    references: Patterns = ()
    identifiers: Patterns = ()
    shown_as: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> frozenset[str]:
        """Every label that the table gives."""
        patterns = (label for _, label in (*self.references, *self.identifiers))
        return frozenset((*self.keys.values(), *patterns, *self.shown_as.values()))

    def label(self, name: str) -> str:
        """Return what a payer of this name is shown as."""
        return self.shown_as.get(name, name)

    def pair(self, pair: Pair) -> Pair:
        """Return what a pair of these names is shown as."""
        return Pair(self.label(pair.source), self.label(pair.requesting))

    def of_key(self, *texts: str | None) -> str | None:
        """Look texts up as they are; the first one that is a key decides."""
        return next((self.keys[text] for text in texts if text and text in self.keys), None)


def matching(patterns: Patterns, texts: Iterable[str | None]) -> str | None:
    """Return the label of the first pattern that matches the whole of any of the texts."""
    short = [text for text in texts if text and len(text) <= LONGEST_MATCHED]
    if not short:
        return None
    return next((label for pattern, label in patterns if any(map(pattern.fullmatch, short))), None)
