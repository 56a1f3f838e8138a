"""The lives of Tasks: who requests from whom, how long it takes, and how it ends.

Rule 1: `advance(network, now)` is pure: it returns the network afterwards and the changes to put into a store.
Rule 2: the same seed and instants give the same lives. Nothing here knows a clock, a store or a request.

`speed` shortens lives: at 60 an exchange of an hour takes a minute. So that durations and deadlines stay realistic, a
Task is authored earlier than it appears, by as much as was saved.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from ..task.model import Instant
from .dates import format_stamp
from .payers import NOTES, NPI, PAYERS, REQUESTERS, Naming, Payer
from .store import Resource

SECOND_MS, HOUR_MS = 1000, 3_600_000
HISTORY_MS = 7 * 24 * HOUR_MS
TASKS_PER_HOUR = 12
MEDIAN_QUEUED_HOURS = 0.05
CANCELLED_AFTER_HOURS = 48.0
"""When somebody cancels a Task that stalls."""

TAG = {"system": "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes", "code": "CDR_MANAGED"}
CODE = {"system": "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp", "code": "data-request"}


class Change(NamedTuple):
    """A resource as it is from `at` on."""

    at: Instant
    resource: Resource


class Step(NamedTuple):
    """The entry into a status."""

    at: Instant
    status: str


class Life(NamedTuple):
    """One Task from its creation to its end, all decided when it is created."""

    number: int
    payer: Payer
    requester: str
    authored: Instant
    steps: tuple[Step, ...]
    note: str | None = None
    documents: int = 0


class Failure(NamedTuple):
    """A failure that was injected."""

    payer: Payer
    reason: str


@dataclass(frozen=True, slots=True)
class Network:
    """The simulation at `at`. Before `start`, time ran at normal speed."""

    seed: int
    speed: float
    start: Instant
    at: Instant
    started: int = 0
    """Lives so far."""
    next_start: Instant = 0
    alive: tuple[Life, ...] = ()
    failures: tuple[Failure, ...] = ()


def begin(seed: int, start: Instant, speed: float) -> Network:
    """Create a network whose first `advance`, to `start` or later, returns a week of history."""
    first = start - HISTORY_MS
    return Network(seed, speed, start, first - 1, next_start=first)


def organizations() -> tuple[Resource, ...]:
    """List the payers that the simulated server has as Organizations."""
    known = [(payer.id, payer.name) for payer in PAYERS if payer.naming is Naming.REFERENCE]
    return tuple(
        {"resourceType": "Organization", "id": identifier, "active": True, "name": name}
        for identifier, name in (*known, *REQUESTERS)
    )


def fail_next(network: Network, payer: Payer, reason: str = "export") -> Network:
    """Let a new Task of this payer be requested and fail at the next `advance`."""
    return replace(network, failures=(*network.failures, Failure(payer, reason)))


def advance(network: Network, now: Instant) -> tuple[Network, tuple[Change, ...]]:
    """Let time pass up to and including `now`; changes are sorted by their instants."""
    network = _start_lives(network, now)
    changes = [
        Change(step.at, _task(life, step))
        for life in network.alive
        for step in life.steps
        if network.at < step.at <= now
    ]
    alive = tuple(life for life in network.alive if life.steps[-1].at > now)
    return replace(network, at=max(now, network.at), alive=alive), tuple(sorted(changes, key=lambda change: change.at))


def _start_lives(network: Network, now: Instant) -> Network:
    """Add the lives that start by `now`, injected failures included."""
    alive, started, at = list(network.alive), network.started, network.next_start
    while at <= now:
        dice = Random(f"{network.seed} {started}")  # seeded: a simulation must be repeatable
        alive.append(_life(network, started, at, dice))
        started += 1
        at = 1 + _instant(network, at, dice.expovariate(TASKS_PER_HOUR))
    for failure in network.failures:
        alive.append(_failing_life(network, started, failure, now))
        started += 1
    return replace(network, alive=tuple(alive), started=started, next_start=at, failures=())


def _life(network: Network, number: int, start: Instant, dice: Random) -> Life:
    payer = dice.choices(PAYERS, [payer.share for payer in PAYERS])[0]
    queued = dice.lognormvariate(0, 0.8) * MEDIAN_QUEUED_HOURS
    worked = dice.lognormvariate(0, 0.7) * payer.median_hours
    status = _final_status(payer, dice)
    if dice.random() < payer.stalling:
        worked, status = CANCELLED_AFTER_HOURS, "cancelled"
    plan = ((0.0, "requested"), (queued, "in-progress"), (queued + worked, status))
    steps = tuple(Step(_instant(network, start, hours), word) for hours, word in plan)
    return Life(
        number=number,
        payer=payer,
        requester=dice.choices(REQUESTERS, [3, 1])[0][0],
        authored=min(start, steps[-1].at - round((queued + worked) * HOUR_MS)),
        steps=steps,
        note=_note(payer, dice) if status == "failed" else None,
        documents=0 if status != "completed" or dice.random() < payer.empty else dice.randint(1, 6),
    )


def _instant(network: Network, start: Instant, hours: float) -> Instant:
    """Return the instant so many hours after the start of a life: what lies after `network.start` happens faster."""
    at = start + round(hours * HOUR_MS)
    pivot = max(start, network.start)
    return at if at <= pivot else pivot + round((at - pivot) / network.speed)


def _final_status(payer: Payer, dice: Random) -> str:
    draw = dice.random()
    if draw < payer.failing:
        return "failed"
    return "cancelled" if draw < payer.failing + payer.cancelled else "completed"


def _note(payer: Payer, dice: Random) -> str:
    return dice.choice(NOTES[dice.choice(payer.reasons or tuple(NOTES))])


def _failing_life(network: Network, number: int, failure: Failure, now: Instant) -> Life:
    """Create a life of one millisecond, so that both of its steps lie after the last `advance`."""
    steps = (Step(max(network.at + 1, now - 1), "requested"), Step(max(network.at + 1, now), "failed"))
    requester, note = REQUESTERS[0][0], NOTES[failure.reason][0]
    return Life(number, failure.payer, requester, now - 30 * SECOND_MS, steps, note)


def _task(life: Life, step: Step) -> Resource:
    """Write a Task as Smile CDR documents it, as it is from this step on."""
    last = step == life.steps[-1]
    task: dict[str, object] = {
        "resourceType": "Task",
        "id": f"p2p-task-{life.number:06x}",
        "meta": {"tag": [TAG]},
        "status": step.status,
        "intent": "order",
        "code": {"coding": [CODE]},
        "focus": {"reference": f"Consent/consent-{life.number}"},
        "for": {"reference": f"Patient/member-{life.number}"},
        "authoredOn": format_stamp(life.authored),
        "requester": {"reference": f"Organization/{life.requester}"},
    }
    task |= _owner(life.payer)
    if last and life.note:
        task["note"] = [{"time": format_stamp(step.at), "text": life.note}]
    if last and life.documents:
        task["output"] = [_document(life.number, n) for n in range(life.documents)]
    return task


def _owner(payer: Payer) -> dict[str, object]:
    organization = {"resourceType": "Organization", "id": "payer", "name": payer.name}
    named: dict[Naming, dict[str, object]] = {
        Naming.REFERENCE: {"owner": {"reference": f"Organization/{payer.id}"}},
        Naming.IDENTIFIER: {"owner": {"identifier": {"system": NPI, "value": payer.npi}}},
        Naming.DISPLAY: {"owner": {"display": payer.name}},
        Naming.CONTAINED: {"contained": [organization], "owner": {"reference": "#payer", "display": payer.name}},
    }
    return named[payer.naming]


def _document(task: int, number: int) -> dict[str, object]:
    kind = {"coding": [{"code": "documentreference"}]}
    return {"type": kind, "valueReference": {"reference": f"DocumentReference/archive-{task}-{number}"}}
