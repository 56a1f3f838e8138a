"""Replicas that lag: what one answer does not show is not gone, and an old version is not news."""

from collections.abc import Callable

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response
from exporter.task.model import Event

from ..support import fake, quirks
from ..support.builders import TAG, failed, task
from ..support.exposition import tasks, totals
from ..support.fake import is_open_search
from ..support.quirk_tasks import Backup
from ..support.rig import FULL_ONLY, Rig, filled, settled


class Lagging:
    """A replica that stays as the server was when it was made, and answers some of the requests."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.replica = fake.store(rig.clock)
        Backup(rig.store).restore(self.replica)
        self.asked: Callable[[Request], bool] = lambda request: False

    def __call__(self, request: Request) -> Response:
        source = self.replica if self.asked(request) else self.rig.store
        return fake.honest(source)(request)


def test_q17_a_lagging_replica_is_asked_once_more_and_its_old_version_is_ignored() -> None:
    rig = settled(task("a"), comparisons=FULL_ONLY)
    old = Backup(rig.store)
    rig.store.put(task("a", "in-progress"))
    rig.scrape()
    replica = fake.store(rig.clock)
    old.restore(replica)
    rig.play(quirks.when(lambda request: "_id" not in dict(request.query), lambda _: fake.honest(replica)))
    rig.ledger._states["watermark"] = "0"  # so that the old version is on the page at all
    rig.scrape()
    assert tasks(rig) == {"in-progress": 1}
    assert totals(rig, Event.ANOMALY) == {}
    rig.play()
    rig.store.put(failed("a"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "failed": 1}


def test_a_lagging_replica_makes_no_task_vanish() -> None:
    rig = filled(3).start().settle()
    lagging = Lagging(rig)
    rig.transport.answer = lagging
    rig.store.put(task("young"))
    rig.scrape(5)
    assert totals(rig, Event.CREATED) == {"": 1}
    lagging.asked = is_open_search
    rig.compare()
    lagging.asked = lambda request: False
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert totals(rig, Event.CREATED) == {"": 1}
    assert tasks(rig) == {"requested": 4}


def test_a_task_first_seen_within_the_minute_does_not_vanish_though_every_look_misses_it() -> None:
    rig = filled(3, comparisons=ReconcileSettings(open_interval=20)).start().settle()
    lagging = Lagging(rig)
    rig.transport.answer = lagging
    rig.store.put(task("young"))
    rig.scrape(5)
    lagging.asked = lambda request: is_open_search(request) or request.path.endswith("/Task/young")
    rig.compare()
    lagging.asked = lambda request: False
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert totals(rig, Event.CREATED) == {"": 1}


@pytest.mark.parametrize("change", ["first seen", "edited"])
def test_what_every_look_misses_does_not_vanish_within_a_minute_of_a_change(change: str) -> None:
    """A search, an index and a replica can all lag: in the first minute even a 404 proves nothing."""
    rig = filled(3, comparisons=ReconcileSettings(open_interval=20)).start().settle()
    if change == "edited":
        rig.clock.advance(300)
        rig.store.put(task("p2p-task-000000", "in-progress"))
    else:
        rig.store.put(task("p2p-task-000009"), stamp=rig.clock.at - 25_000_000)
        rig.store.meta_add("p2p-task-000001", TAG)
    rig.compare()
    name = "p2p-task-000000" if change == "edited" else "p2p-task-000009"
    backup = Backup(rig.store)
    rig.store.expunge(name)
    rig.compare()
    assert totals(rig, Event.VANISHED) == {}
    backup.restore(rig.store)
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    rig.store.expunge(name)
    rig.clock.advance(120)
    rig.worker.step()
    rig.settle()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_a_task_that_changed_while_others_were_looked_up_is_not_dropped() -> None:
    rig = filled(6).start().settle()
    lagging = Lagging(rig)
    for name in ("p2p-task-000001", "p2p-task-000002"):
        lagging.replica.expunge(name)
    rig.transport.answer = lagging
    rig.clock.advance(2_000)
    rig.run()
    rig.scrape()
    lagging.asked = lambda request: is_open_search(request) or request.path.endswith("/p2p-task-000002")
    rig.clock.advance(rig.comparisons.open_interval + 1)
    while not any(request.path.endswith("/p2p-task-000001") for request in rig.transport.requests):
        assert rig.worker.rest_seconds() <= 0
        rig.worker.step()
    rig.store.put(task("p2p-task-000002", "in-progress"))
    rig.scrape()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {}
    assert tasks(rig) == {"requested": 5, "in-progress": 1}
