"""Tasks as people write them in the end-to-end tests, and what each of them says.

What is out of the ordinary is here once, beside the label or the anomaly that must come of it.
"""

import random
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from exporter.demo.dates import format_stamp
from exporter.task.model import Coding

from ..support.builders import Resource, by_display, by_identifier, concept, contained, note, output, reference
from .truth import DAY, TIMED, Facts

HOUR = 3_600_000
"""Milliseconds."""


class Owner(NamedTuple):
    """A way to name the other payer, and the label it must get."""

    label: str
    elements: dict[str, Any]


OWNERS = (
    Owner("Old Payer", {"owner": reference("Organization/old-payer")}),
    Owner("Second Payer", {"owner": reference("Organization/second-payer/_history/1")}),
    Owner("9941339108", {"owner": by_identifier("9941339108")}),
    Owner("Display Payer", {"owner": by_display("Display Payer")}),
    Owner("unknown", contained("Left Out By Elements")),
)
NOBODY = Owner("unknown", {"owner": None})
REASONS = {
    "member_match": "Member match failed: no such member.",
    "timeout": "Timed out while polling.",
    "auth": "Could not authenticate: invalid_client.",
    "unclassified": "It went wrong.",
}


def facts(resource: Resource, updated: int) -> Facts:
    """Read a Task as its author meant it."""
    if not any(each["code"] == "data-request" for each in resource["code"]["coding"]):
        return Facts(resource.get("status", "unknown"), ("", ""), updated, None, kinds=frozenset({"foreign"}))
    owner = next((each.label for each in OWNERS if each.elements["owner"] == resource.get("owner")), "unknown")
    requester = "New Payer" if "requester" in resource else "unknown"
    when = resource.get("authoredOn")
    authored = milliseconds(when) if when and "T" in when else None
    outputs = resource.get("output", [])
    text = resource["note"][0]["text"] if "note" in resource else None
    return Facts(
        status=resource.get("status", "unknown"),
        pair=(owner, requester),
        updated=updated,
        authored=authored,
        reason=next((reason for reason, words in REASONS.items() if words == text), "unclassified"),
        documents=sum(each["type"]["coding"][0]["code"] == "documentreference" for each in outputs),
        outputs=len(outputs),
        kinds=frozenset(_kinds(resource, updated, authored)),
    )


def _kinds(resource: Resource, updated: int, authored: int | None) -> Iterator[str]:
    for element, kind in (
        *(("status", "missing_status"), ("authoredOn", "missing_authored_on"), ("owner", "missing_owner")),
        *(("requester", "missing_requester"), ("focus", "missing_focus"), ("for", "missing_for")),
    ):
        if element not in resource:
            yield kind
    if "authoredOn" in resource and authored is None:
        yield "partial_authored_on"
    if authored is not None and authored > updated and resource.get("status") in TIMED:
        yield "negative_duration"


def odd(dice: random.Random) -> dict[str, Any]:
    """Choose what is out of the ordinary about a new Task; mostly nothing."""
    return dice.choice(
        [
            *({}, {}, {}, {}),
            {"authoredOn": None},
            {"authoredOn": "2026-11"},
            {"authoredOn": format_stamp(now() - 2 * DAY)},
            {"authoredOn": format_stamp(now() + HOUR)},
            {"focus": None, "for": None},
            {"requester": None, "owner": OWNERS[0].elements["owner"], "contained": None},
            {"owner": None, "contained": None},
            {"code": concept(Coding("http://example.org/codes", "another"))},
        ]
    )


def ending(dice: random.Random) -> dict[str, Any]:
    """Choose how a Task ends."""
    return dice.choice(
        [
            {"status": "completed", "output": output(dice.randrange(3), dice.randrange(2))},
            {"status": "failed", "note": note(dice.choice([*REASONS.values()]))},
            {"status": "cancelled"},
            {"status": "rejected"},
            {"status": "entered-in-error"},
        ]
    )


def now() -> int:
    """This machine's time, which is the server's too."""
    return time.time_ns() // 1_000_000


def stamp(stored: Resource) -> int:
    """When the server wrote a version."""
    return milliseconds(stored["meta"]["lastUpdated"])


def milliseconds(instant: str) -> int:
    """Read an instant as FHIR writes it."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
