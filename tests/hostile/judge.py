"""One case: a good state, the hostile answers, what the exporter makes of them, and whether it recovers."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..e2e.process import total
from ..support.canaries import hits_in
from .subject import COMPARISONS, POLL_TIMEOUT, POLLS, Kind, Subject, ended, reasons_in
from .wire import Accept, Play, good
from .world import World, counted, differences

LIMIT_SECONDS = POLL_TIMEOUT + 7
"""A hostile poll must have ended by then. By itself the slowest takes POLL_TIMEOUT; other tests may run beside it."""
MOST_MIB = 256
RECOVERS_WITHIN = 15.0
TOKEN_SECONDS = 1.05
"""As long as a token is valid, and a moment."""
GLANCE = 0.3
"""Seconds of the first scrape, which must be answered while the server does its worst."""

BUGS = ("Traceback", "reason=internal", "internal error", "level=error", "Exception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row. `reason` is what `errors_total` must count, and nothing else; None: nothing at all.

    `adds` is what the hostile answer itself lets the exporter count. `silences`: the server is left alone afterwards,
    however good it is, until a restart.
    """

    group: str
    does: str
    play: Play = good
    accept: Accept | None = None
    reason: str | None
    kind: Kind = Kind.BEARER
    adds: Mapping[str, int] = field(default_factory=dict)
    event: Callable[[World], None] = World.happens
    silences: bool = False
    fresh: bool = False
    """The server is hostile from the start of the exporter on, and there is no ledger yet."""
    alone: bool = False
    """It leaves so much behind that no other case may follow."""
    probes: int | None = None
    """The status of an export job is asked for meanwhile: what `probe_success` must say."""

    @property
    def name(self) -> str:
        return f"{self.group}: {self.does}"

    def is_counted(self, reasons: tuple[str, ...]) -> bool:
        """Whether these are right: on a slow machine the limit of time may come before that of size."""
        if self.reason == "too_large":
            return set(reasons) in ({"too_large"}, {"timeout"}, {"too_large", "timeout"})
        return reasons == ((self.reason,) if self.reason else ())


@dataclass(frozen=True, slots=True)
class Seen:
    """What a case was seen to do; `faults` is empty where all is as it must be."""

    case: Case
    reasons: tuple[str, ...]
    seconds: float
    peak_mib: int
    recovered: bool
    hits: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def was_late(self) -> bool:
        """Whether its only fault is a request that ran out of time, or a poll that took too long."""
        late = [each for each in self.faults if each.startswith(("counted", "took"))]
        return bool(late) and len(late) == len(self.faults) and ("timeout" in self.reasons or "took" in late[0])


def judge(case: Case, subject: Subject) -> Seen:
    """Play one case to an exporter in a good state, and bring it back to one."""
    world, front = subject.world, subject.target
    before = "" if case.fresh else subject.scrape()
    logged, strays = subject.process.log.stat().st_size, len(front.strays)
    if case.kind is Kind.OAUTH2:
        time.sleep(TOKEN_SECONDS)
        subject.change_secret()
    subject.forget_peak()
    if not case.fresh:
        case.event(world)
    world.truth.update(case.adds)
    if not case.fresh:  # else it plays already, and to hang up now would be another fault
        front.switch(case.play, case.accept)
    began = time.monotonic()
    probed = subject.probe() if case.probes is not None else ""
    text = _ended(subject, case, before)
    seconds = time.monotonic() - began
    reasons = tuple(sorted(reasons_in(text) - reasons_in(before)))
    faults = [] if case.is_counted(reasons) else [f"counted {reasons}"]
    if case.probes is not None and f"\nprobe_success {case.probes}" not in probed:
        faults.append("the probe ended otherwise")
    if seconds > LIMIT_SECONDS:
        faults.append(f"took {seconds:.1f} s")
    if case.silences:
        faults += _silence(subject)
    peak, log = subject.peak_mib(), subject.log_from(logged)
    front.switch()
    world.clock_ahead_ms = 0
    if case.kind is Kind.OAUTH2:
        subject.change_secret()
    if case.silences:
        subject.start()
        logged = 0
    wrong = recovered(subject)
    faults += [wrong] if wrong else []
    log += subject.log_from(logged)
    faults += [f"{bug} in the log" for bug in BUGS if bug in log]
    faults += [f"{peak} MiB"] if peak >= MOST_MIB else []
    found = tuple(hits_in([*subject.shown(), ("log", log), ("probe", probed)], *subject.secrets))
    faults += [f"connected elsewhere {subject.elsewhere.connections} times"] if subject.elsewhere.connections else []
    faults += [f"asked for {path}" for path in front.strays[strays:]]
    faults += [f"{len(found)} hits: {found[:5]}"] if found else []
    return Seen(case, reasons, seconds, peak, not wrong, found, tuple(faults))


def _ended(subject: Subject, case: Case, before: str) -> str:
    """Scrape until what the case plays to has ended; the first scrape has no time to wait for it."""
    end = time.monotonic() + 2 * LIMIT_SECONDS
    seconds = GLANCE
    while not _has_ended(subject, case, before, text := subject.scrape(seconds)) and time.monotonic() < end:
        seconds = 10.0
        time.sleep(0.01)
    return text


def _has_ended(subject: Subject, case: Case, before: str, text: str) -> bool:
    if case.kind is Kind.BASIC and case.fresh and "operation=batch_jobs" not in subject.log_from(0):
        return False  # they are read once a minute, the first time at the start
    if case.kind is not Kind.COMPARING:
        return ended(text, POLLS) > ended(before, POLLS)
    counted_one = case.reason is None or reasons_in(text) != reasons_in(before)
    return counted_one and ended(text, COMPARISONS) >= ended(before, COMPARISONS) + 2


def _silence(subject: Subject) -> list[str]:
    """Check that a scrape sends no request to a server that asked to be left alone."""
    asked = subject.target.connections, subject.target.requests
    subject.scrape()
    now = subject.target.connections, subject.target.requests
    return [] if asked == now else ["asked though it was told to wait"]


def recovered(subject: Subject) -> str:
    """Scrape until every counter is the truth, and once more; says what is wrong, or nothing, and forgives it."""
    end = time.monotonic() + RECOVERS_WITHIN
    truth = Counter({key: n for key, n in subject.world.truth.items() if n})
    while True:
        text = subject.scrape()
        wrong = differences(truth, counted(text))
        if total(text, "fhir_task_up") == 1 and not wrong:
            break
        if time.monotonic() > end:
            subject.world.truth = counted(text)
            return f"not recovered: {wrong or 'not up'}"
        time.sleep(0.02)
    return differences(truth, counted(subject.scrape()))
