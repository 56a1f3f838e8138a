"""The lives of Tasks: who asks whom, how long it takes, and how it ends.

Rule 1: `advance(network, now)` is pure: it returns the network afterwards and the changes to put into a store.
Rule 2: the same seed and the same instants give the same lives. No clock, no store, no request is known here.

`speed` shortens lives: an exchange of an hour takes a minute at 60. So that durations and deadlines stay those of
real exchanges, a Task is authored earlier than it appears, by what the shortening saved.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from ..task.model import Instant
from .dates import written
from .payers import NOTES, NPI, PAYERS, REQUESTERS, Naming, Payer
from .store import Resource

SECOND, HOUR = 1000, 3_600_000
"""Milliseconds."""
HISTORY = 7 * 24 * HOUR
BIRTHS_PER_HOUR = 12
QUEUED_HOURS = 0.05
GIVEN_UP_HOURS = 48.0
"""After so long a person cancels what stalls."""

TAG = {"system": "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes", "code": "CDR_MANAGED"}
CODE = {"system": "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp", "code": "data-request"}


class Change(NamedTuple):
    """A resource as it stands from `at` on."""

    at: Instant
    resource: Resource


class Step(NamedTuple):
    """The entry into a status."""

    at: Instant
    status: str


class Life(NamedTuple):
    """One Task, from its birth to its end, decided at its birth."""

    number: int
    payer: Payer
    requester: str
    authored: Instant
    steps: tuple[Step, ...]
    note: str | None = None
    documents: int = 0


class Fault(NamedTuple):
    """A failure that somebody asked for."""

    payer: Payer
    reason: str


@dataclass(frozen=True, slots=True)
class Network:
    """Where the simulation stands at `at`; lives before `start` ran at the speed of the world."""

    seed: int
    speed: float
    start: Instant
    at: Instant
    births: int = 0
    next_birth: Instant = 0
    alive: tuple[Life, ...] = ()
    faults: tuple[Fault, ...] = ()


def begin(seed: int, start: Instant, speed: float) -> Network:
    """Make a network whose first `advance` to `start` or later brings a week of history."""
    first = start - HISTORY
    return Network(seed, speed, start, first - 1, next_birth=first)


def organizations() -> tuple[Resource, ...]:
    """List the payers that the simulated server knows as Organizations."""
    known = [(payer.id, payer.name) for payer in PAYERS if payer.naming is Naming.REFERENCE]
    return tuple(
        {"resourceType": "Organization", "id": identifier, "active": True, "name": name}
        for identifier, name in (*known, *REQUESTERS)
    )


def fail_next(network: Network, payer: Payer, reason: str = "export") -> Network:
    """Have a Task of this payer requested and failed at the next `advance`."""
    return replace(network, faults=(*network.faults, Fault(payer, reason)))


def advance(network: Network, now: Instant) -> tuple[Network, tuple[Change, ...]]:
    """Let time pass up to `now`, included; changes come in the order of their instants."""
    network = _born(network, now)
    changes = [
        Change(step.at, _task(life, step))
        for life in network.alive
        for step in life.steps
        if network.at < step.at <= now
    ]
    alive = tuple(life for life in network.alive if life.steps[-1].at > now)
    return replace(network, at=max(now, network.at), alive=alive), tuple(sorted(changes, key=lambda change: change.at))


def _born(network: Network, now: Instant) -> Network:
    """Add the lives that begin by `now`, those that were asked to fail included."""
    alive, births, at = list(network.alive), network.births, network.next_birth
    while at <= now:
        dice = Random(f"{network.seed} {births}")  # seeded: a simulation must be repeatable
        alive.append(_life(network, births, at, dice))
        births += 1
        at = 1 + _moment(network, at, dice.expovariate(BIRTHS_PER_HOUR))
    for fault in network.faults:
        alive.append(_faulty(network, births, fault, now))
        births += 1
    return replace(network, alive=tuple(alive), births=births, next_birth=at, faults=())


def _life(network: Network, number: int, born: Instant, dice: Random) -> Life:
    payer = dice.choices(PAYERS, [payer.share for payer in PAYERS])[0]
    queued = dice.lognormvariate(0, 0.8) * QUEUED_HOURS
    worked = dice.lognormvariate(0, 0.7) * payer.hours
    status = _ending(payer, dice)
    if dice.random() < payer.stalling:
        worked, status = GIVEN_UP_HOURS, "cancelled"
    plan = ((0.0, "requested"), (queued, "in-progress"), (queued + worked, status))
    steps = tuple(Step(_moment(network, born, hours), word) for hours, word in plan)
    return Life(
        number=number,
        payer=payer,
        requester=dice.choices(REQUESTERS, [3, 1])[0][0],
        authored=min(born, steps[-1].at - round((queued + worked) * HOUR)),
        steps=steps,
        note=_note(payer, dice) if status == "failed" else None,
        documents=0 if status != "completed" or dice.random() < payer.empty else dice.randint(1, 6),
    )


def _moment(network: Network, born: Instant, hours: float) -> Instant:
    """Say when something happens that comes so long after a birth: what lies after `start` goes faster."""
    at = born + round(hours * HOUR)
    pivot = max(born, network.start)
    return at if at <= pivot else pivot + round((at - pivot) / network.speed)


def _ending(payer: Payer, dice: Random) -> str:
    lot = dice.random()
    if lot < payer.failing:
        return "failed"
    return "cancelled" if lot < payer.failing + payer.cancelled else "completed"


def _note(payer: Payer, dice: Random) -> str:
    return dice.choice(NOTES[dice.choice(payer.reasons or tuple(NOTES))])


def _faulty(network: Network, number: int, fault: Fault, now: Instant) -> Life:
    """Make a life of one millisecond, so that both of its steps lie after the last `advance`."""
    steps = (Step(max(network.at + 1, now - 1), "requested"), Step(max(network.at + 1, now), "failed"))
    requester, note = REQUESTERS[0][0], NOTES[fault.reason][0]
    return Life(number, fault.payer, requester, now - 30 * SECOND, steps, note)


def _task(life: Life, step: Step) -> Resource:
    """Write a Task as Smile CDR documents it, as it stands from this step on."""
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
        "authoredOn": written(life.authored),
        "requester": {"reference": f"Organization/{life.requester}"},
    }
    task |= _owner(life.payer)
    if last and life.note:
        task["note"] = [{"time": written(step.at), "text": life.note}]
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
