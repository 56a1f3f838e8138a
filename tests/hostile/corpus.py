"""The whole table, run: a few exporters at a time, each takes the next case of its kind."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ..support.canaries import hits_in
from .judge import Case, Seen, judge, recovered
from .plays import make_bombs
from .subject import Kind, Subject
from .wire import good

LANES = {Kind.BEARER: 3, Kind.OAUTH2: 4}
"""How many exporters of a kind run at a time; else one."""

Report = Callable[[Seen], None]


def run(cases: Iterable[Case], report: Report = lambda _: None) -> list[Seen]:
    """Run the cases; `report` is told of each when it has ended. They come back in the order of the table.

    A case in which a request ran out of time without cause, as happens on a busy machine, is tried once more.
    """
    table = list(cases)
    make_bombs()
    first = _run(table, report)
    again = {each.case.name: each for each in _run([each.case for each in first if each.was_late], report)}
    seen = [again.get(each.case.name, each) for each in first]
    order = {case.name: number for number, case in enumerate(table)}
    return sorted(seen, key=lambda each: order[each.case.name])


def _run(table: list[Case], report: Report) -> list[Seen]:
    shared = {kind: deque(case for case in table if case.kind is kind and not case.alone) for kind in Kind}
    alone = deque(case for case in table if case.alone)
    with ThreadPoolExecutor(16) as pool:
        lanes = [pool.submit(_alone, alone, report) for _ in range(2)]
        lanes += [pool.submit(_lane, kind, shared[kind], report) for kind in Kind for _ in range(LANES.get(kind, 1))]
        return [each for lane in lanes for each in lane.result()]


def _alone(waiting: deque[Case], report: Report) -> list[Seen]:
    """Give each case an exporter of its own."""
    seen = []
    while waiting:
        case = waiting.popleft()
        first = case.play if case.fresh else good
        with (
            tempfile.TemporaryDirectory(prefix="hostile-") as folder,
            Subject(Path(folder), case.kind, first) as subject,
        ):
            assert case.fresh or not (wrong := recovered(subject)), wrong
            seen.append(judge(case, subject))
        report(seen[-1])
    return seen


def _lane(kind: Kind, waiting: deque[Case], report: Report) -> list[Seen]:
    """Let the cases share an exporter."""
    seen: list[Seen] = []
    if not waiting:
        return seen
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder, Subject(Path(folder), kind) as subject:
        assert not (wrong := recovered(subject)), wrong
        while waiting:
            seen.append(judge(waiting.popleft(), subject))
            report(seen[-1])
        found = tuple(hits_in(subject.shown_at_the_end(), *subject.secrets))
    if seen and found:
        seen[-1] = replace(seen[-1], hits=found, faults=(*seen[-1].faults, f"at the end of {kind}: {found[:5]}"))
        report(seen[-1])
    return seen
