"""What makes a text the label of a payer, and which types are never named. Light: the configuration imports it."""

import unicodedata

from .model import UNKNOWN_PAYER

PEOPLE = frozenset(
    {
        *("Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person"),
        *("CareTeam", "Group", "Device"),
    }
)
"""Types whose texts may name a person: a care team, a group or a device is often called after its patient."""

_MAX_LABEL = 80
"""Characters of a label: what the documentation says to allow for (label_value_length_limit)."""
_MAX_CLEANED = 1024
"""Characters of a name that are cleaned before it is cut: some of them may be invisible."""


def clean(text: str) -> str:
    """Make a label value: printable NFC on one line, at most 80 characters; `unknown` if nothing is left."""
    return visible(text) or UNKNOWN_PAYER


def visible(text: str) -> str:
    """Make what `clean` makes, or nothing.

    What `str.isprintable` allows is kept: no controls, bidirectional marks or surrogates.
    """
    spaced = (" " if character.isspace() else character for character in text[:_MAX_CLEANED])
    printable = "".join(character for character in spaced if character.isprintable())
    return " ".join(unicodedata.normalize("NFC", printable).split())[:_MAX_LABEL].rstrip()
