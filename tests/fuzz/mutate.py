"""Changes of JSON that leave it JSON: most changes of bytes do not, and would test the parser of msgspec alone."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

Mutate = Callable[[bytes, int], bytes]
"""libFuzzer's own mutator: the bytes, and how many there may be."""

LEAVES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 10**400, "", " ", "\x00", "\u202e", "\ud800", "x" * 600, [], {}, [None], {"a": None}),
    *("Task", "Bundle", "match", "include", "completed", "failed", "requested", "none", "error", "next", "CDR_MANAGED"),
    *("2026-11-23T10:00:00.000Z", "2026-11-23T10:00:60+14:00", "1970-01-01T00:00:00Z", "2200-12-31T23:59:59.999Z"),
    *("0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026", "Organization/1", "Patient/1", "#a", "../Organization/1"),
    *(
        "COMPLETED",
        "IN_PROGRESS",
        "12.5%",
        "https://cdr.example.org/fhir?_getpages=1",
        "https://evil.example/fhir",
        "//e",
    ),
)
"""Values that a reader could stumble over, and those that lead it further."""


def mutate_json(data: bytes, limit: int, seed: int, mutate: Mutate) -> bytes:
    """Change one place of a JSON text; every third time, or where it is no JSON, some bytes."""
    random = Random(seed)
    if random.random() < 1 / 3:
        return mutate(data, limit)
    try:
        root = {"": json.loads(data)}
        _change(root, random, mutate)
        changed = json.dumps(root[""], separators=(",", ":")).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return mutate(data, limit)
    return changed if len(changed) <= limit else mutate(data, limit)


def _change(root: Any, random: Random, mutate: Mutate) -> None:
    places = list(_places(root))
    holder, key = random.choice(places)
    action = random.randrange(5)
    if action == 0:
        holder[key] = random.choice(LEAVES)
    elif action == 1:
        other, other_key = random.choice(places)
        holder[key] = json.loads(json.dumps(other[other_key]))
    elif action == 2 and key != "":
        del holder[key]
    elif action == 3 and isinstance(holder[key], dict):
        other, other_key = random.choice(places)
        holder[key][str(other_key)] = random.choice(LEAVES)
    elif isinstance(holder[key], list):
        holder[key] += holder[key][:1] or [random.choice(LEAVES)]
    elif isinstance(holder[key], str):
        holder[key] = mutate(holder[key].encode("utf-8", "replace"), 400).decode("utf-8", "replace")
    else:
        holder[key] = random.choice(LEAVES)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every place below a node, as what holds it and its key there."""
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in ((node, key), *_places(node[key]))]
