"""The ledger against a naive memory: whatever the order, the repeats, the lag and the crashes, the counts are the same.

The oracle knows nothing of SQL, windows or rows. Of versions this test knows what a person would: the higher number is
the newer one, and where a page shows an older one than was seen, the server is asked again. It knows numbers only:
versions without an order, and Tasks that vanish, are in test_lifecycle, test_versions and test_vanished.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.absorb import absorb
from exporter.context import WalkContext, WalkRules
from exporter.exemplars import Exemplars
from exporter.history import HistoryReader
from exporter.ledger import Binding, open_ledger
from exporter.ledger.state import ALL_GENERATIONS, PollEnd, StateKey
from exporter.ledger.transaction import Transaction
from exporter.names import Namer
from exporter.task.deadline import Deadlines, FixedTime
from exporter.task.lifecycle import Changes, Observation
from exporter.task.model import Event, Page, Selection, Snapshot, Status, Task
from exporter.task.payer_table import PayerTable
from exporter.task.payers import PairRule

from ..support.fake import START, HandClock
from ..support.oracle import Oracle

IDS = [f"p2p-task-{n}" for n in range(6)]
LENGTH = Deadlines(FixedTime(10**15))
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Every step commits with fsync; on a disk a thousand of them take minutes."""

STATUSES = st.sampled_from([*Status])


class Crash(Exception):
    """The process dies here."""


@dataclass
class TruthWindow:
    """Reads by id give what the server holds now."""

    truth: dict[str, list[Task]]

    def read(self, ids: list[str]) -> Page:
        return Page(tuple(self.truth[id_][-1] for id_ in ids if id_ in self.truth))


class Exactness(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = TemporaryDirectory(dir=MEMORY)
        self.truth: dict[str, list[Task]] = {}
        self.oracle = Oracle()
        self.newest: dict[str, int] = {}
        """The number of the newest version seen, by Task."""
        self.counting = False
        self.at = START
        self.snapshot = Snapshot()
        self.open()

    def open(self) -> None:
        path = Path(self.folder.name) / "ledger.db"
        self.ledger, aside = open_ledger(str(path), Binding("http://fhir.example/fhir", Selection()), PairRule(100))
        assert aside is None

    def context(self) -> WalkContext:
        """What `absorb` uses: the ledger, the names of payers and the rules."""
        clock, rules, nothing = HandClock(), WalkRules(LENGTH, 30_000, 0, 0), cast("Any", None)
        return WalkContext(
            server=nothing,
            ledger=self.ledger,
            clock=clock,
            telemetry=nothing,
            namer=Namer(PayerTable(), "", clock),
            history=HistoryReader(nothing, clock, nothing, wanted=False),
            hold=nothing,
            exemplars=Exemplars(clock, Snapshot(), wanted=False),
            rules=rules,
            server_clock=nothing,
            watermark=nothing,
        )

    @rule(id_=st.sampled_from(IDS), status=STATUSES, older=st.booleans())
    def write(self, id_: str, status: Status, older: bool) -> None:
        """The server writes a version; its stamp may be older than its predecessor's."""
        self.at += 1000
        versions = self.truth.setdefault(id_, [])
        stamp = versions[-1].updated - 7 if older and versions else self.at
        versions.append(Task(id_, str(len(versions) + 1), stamp, status))

    def deliver(self, page: list[Task], crash: bool) -> None:
        def finish(tx: Transaction, _: Changes) -> None:
            if crash:
                raise Crash
            tx.set_state(StateKey.WATERMARK, self.at)
            self.snapshot = tx.end_poll(PollEnd(self.at, LENGTH, 0, not self.counting, ALL_GENERATIONS))

        try:
            absorb(self.context(), TruthWindow(self.truth), page, Observation(self.at, LENGTH, self.counting), finish)  # type: ignore[arg-type]
        except Crash:
            return
        for task in page:
            self.see(task)

    def see(self, task: Task) -> None:
        """Let the oracle see a version, or the one that a second look finds; one that was seen before it never sees."""
        newest = self.newest.get(task.id, 0)
        seen = self.truth[task.id][-1] if int(task.version) < newest else task
        if int(seen.version) > newest:
            self.newest[task.id] = int(seen.version)
            self.oracle.see(task.id, seen.status, counting=self.counting)

    @precondition(lambda self: self.truth)
    @rule(data=st.data(), crash=st.sampled_from([False, False, False, True]))
    def page(self, data: st.DataObject, crash: bool) -> None:
        """A page comes: shuffled, with repeats, overlapping what came before."""
        ids = data.draw(st.lists(st.sampled_from(sorted(self.truth)), max_size=8))
        self.deliver([self.truth[id_][-1] for id_ in ids], crash)

    @precondition(lambda self: self.truth)
    @rule(data=st.data())
    def lagging_page(self, data: st.DataObject) -> None:
        """A replica answers that is behind; what is new is read, what is older than what was seen is read once more."""
        ids = data.draw(st.lists(st.sampled_from(sorted(self.truth)), max_size=4, unique=True))
        self.deliver([data.draw(st.sampled_from(self.truth[id_])) for id_ in ids], crash=False)

    @rule()
    def end_baseline(self) -> None:
        self.counting = True

    @rule()
    def kill(self) -> None:
        """The process dies between two steps, perhaps before it published; the next one shows what was committed."""
        self.ledger.close()
        self.open()
        self.snapshot = self.ledger.counters()

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "ledger"):
            return
        counted = {
            (series.event, "", series.label): n
            for series, n in self.snapshot.counts.items()
            if n and series.event is not Event.DEADLINE_MISSED
        }
        assert counted == dict(+self.oracle.counts)

    @invariant()
    def gauges_agree(self) -> None:
        if hasattr(self, "ledger") and self.snapshot.gauges is not None:
            tasks = Counter({("", key.status): n for key, n in self.snapshot.gauges.tasks.items()})
            assert +tasks == self.oracle.gauge()

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()


Exactness.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestExactness = Exactness.TestCase
