"""Marked strings, one for each place that a secret may come from, and the search for them in all their forms."""

import base64
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b

MARK = "Canary"
"""How each canary begins: what is found under no name of its own is found by this."""

_MADE: set[str] = set()


@cache
def canary(place: str) -> str:
    """Give the canary of a place, such as `Task.note.text`: a word of its own, the same each time."""
    word = "".join(part.capitalize() for part in place.replace(":", ".").replace("-", ".").split("."))
    made = f"{MARK}{word}{blake2b(place.encode(), digest_size=3).hexdigest()}"
    _MADE.add(made)
    return made


def all_canaries() -> tuple[str, ...]:
    """List every canary that was made, and their common mark."""
    return (*sorted(_MADE), MARK)


@cache
def forms(secret: str) -> dict[str, str]:
    """How a string may hide."""
    data = secret.encode()
    found = {"raw": secret, "hex": data.hex(), "percent": "".join(f"%{byte:02x}" for byte in data)}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + data).decode()
        found[f"base64 at {shift}"] = whole[2 * bool(shift) + 2 * (shift == 2) :].rstrip("=")[:-1]
    return found


def hits(text: str, *secrets: str) -> list[str]:
    """Name the strings that are in a text, in whatever form and case."""
    lower = text.lower()
    return [f"{secret} ({form})" for secret in secrets for form, each in forms(secret).items() if each.lower() in lower]


def hits_in(sources: Iterable[tuple[str, str]], *others: str) -> list[str]:
    """Look for every canary, and what else is secret, in named texts; says which is where.

    A canary in any form begins with the mark in that form, so that the mark alone is looked for first.
    """
    suspect = ((name, text) for name, text in sources if hits(text, MARK, *others))
    return [f"{name}: {hit}" for name, text in suspect for hit in hits(text, *all_canaries(), *others)]
