"""What a payer is called in a label.

Nothing here reads anything: where an Organization's name decides, `name` says which one to read. Addresses on other
hosts are never asked for, and persons are never named.

See docs/fhir-quirks.md#owner-resolution.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .model import UNKNOWN_PAYER, Party
from .parties import PEOPLE

_LONGEST = 80
"""Characters of a label: what the documentation tells operators to allow for (label_value_length_limit)."""
_LOOKED_AT = 1024
"""Characters of a name that are looked at before it is cut: some of them may be invisible."""

_ORGANIZATION = re.compile(r"Organization/(?!\.+\Z)[A-Za-z0-9.-]{1,64}")


class Unread(NamedTuple):
    """An answer that needs one read first: of this reference, relative to the base."""

    reference: str


@dataclass(frozen=True, slots=True)
class Book:
    """What is known of payers.

    `configured` maps references and identifiers (`system|value`, or the value alone) to the operator's names.
    `base` is the server's own, without or with a slash at its end. `read` maps relative references to the names that
    were read, None where there is none or we may not read it.
    """

    configured: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    read: Mapping[str, str | None] = field(default_factory=dict)


def name(party: Party | None, book: Book) -> str | Unread:
    """Give the label of a payer, or what to read first; then call again with what was read."""
    if party is None:
        return UNKNOWN_PAYER
    if party.kind in PEOPLE:
        return party.kind or UNKNOWN_PAYER
    own = _own(party.reference, book.base)
    mapped = _mapped(party.reference, own, book)
    if mapped is None and own is not None and own not in book.read:
        return Unread(own)
    candidates = (
        mapped,
        book.read.get(own) if own else None,
        party.contained,
        *_identified(party.identifier, book.configured),
        party.display,
    )
    return next((label for text in candidates if text and (label := _visible(text))), UNKNOWN_PAYER)


def clean(text: str) -> str:
    """Make a label value: printable NFC on one line, at most 80 characters; `unknown` where nothing is left."""
    return _visible(text) or UNKNOWN_PAYER


def _visible(text: str) -> str:
    """Drop controls, bidi marks, surrogates and the like: str.isprintable is the standard library's word for them."""
    spaced = (" " if letter.isspace() else letter for letter in text[:_LOOKED_AT])
    seen = "".join(letter for letter in spaced if letter.isprintable())
    return " ".join(unicodedata.normalize("NFC", seen).split())[:_LONGEST].rstrip()


def _own(reference: str | None, base: str) -> str | None:
    """Give the relative form of an Organization on our own server; None for all else."""
    if reference is None:
        return None
    root = base.rstrip("/") + "/"
    relative = reference.removeprefix(root) if base else reference
    return relative if _ORGANIZATION.fullmatch(relative) else None


def _mapped(reference: str | None, own: str | None, book: Book) -> str | None:
    """Look a reference up as it came, and on our own server in its other form too."""
    forms = (reference, own, f"{book.base.rstrip('/')}/{own}" if own else None)
    return next((book.configured[form] for form in forms if form and form in book.configured), None)


def _identified(identifier: str | None, configured: Mapping[str, str]) -> tuple[str | None, ...]:
    """Give what an identifier may be called, best first: by token, by value, else the value itself."""
    if identifier is None:
        return ()
    value = identifier.partition("|")[2]
    return configured.get(identifier), configured.get(value), value
