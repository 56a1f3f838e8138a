"""What readers and testers found by trying: each was wrong once."""

import httpx
import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response
from exporter.metrics.vocabulary import Answer
from exporter.task.model import OTHER_PAIR, Coding, Event, Pair, Selection
from exporter.task.payers import PairRule

from ..support import fake
from ..support.builders import completed, organization, task
from ..support.readings import tasks, totals, work
from ..support.rig import Rig


@pytest.mark.parametrize("page", [1_001, 1_500, 2_500])
def test_a_server_that_ignores_count_is_walked_to_its_end(page: int) -> None:
    rig = Rig()
    for number in range(6_000):
        rig.store.put(task(f"p2p-task-{number:06}"))
        rig.clock.advance(0.01)

    def generous(request: Request) -> Response:
        query = tuple((name, str(page) if name == "_count" else value) for name, value in request.query)
        return fake.honest(rig.store)(request._replace(query=query))

    rig.store.page_limit = page
    rig.transport.answer = generous
    rig.start().settle()
    assert tasks(rig) == {"requested": 6_000}
    assert rig.transport.count < 40


def test_a_long_walk_does_not_make_its_own_picture_stale() -> None:
    rig = Rig()
    for number in range(600):
        rig.store.put(task(f"p2p-task-{number:06}"))

    def slow(request: Request) -> Response:
        rig.clock.advance(200)
        return fake.honest(rig.store)(request)

    rig.transport.answer = slow
    rig.start().settle()
    assert tasks(rig) == {"requested": 600}


def test_a_version_that_could_not_be_read_once_hides_none_that_follow() -> None:
    rig = Rig()
    rig.store.put(task("a"), version="1")
    rig.start().settle()
    rig.clock.advance(60)
    rig.store.put(task("a", "in-progress"), version="")
    rig.scrape()
    rig.store.put(completed("a"), version="3")
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "completed": 1}


def test_an_organization_that_cannot_be_read_stops_no_task() -> None:
    rig = Rig()
    rig.store.put(organization())
    rig.store.put(task("a"))

    def login_page(request: Request) -> Response:
        if "/Organization/" in request.path:
            return Response(200, (("content-type", "text/html"),), b"<html>Log in</html>")
        return fake.honest(rig.store)(request)

    rig.transport.answer = login_page
    rig.start().settle()
    assert tasks(rig) == {"requested": 1}


def test_a_poll_wanted_while_a_sweep_is_told_to_wait_waits_too() -> None:
    rig = Rig(comparisons=ReconcileSettings(open_interval=60))
    rig.store.put(task("a"))
    rig.start().settle()
    rig.clock.advance(61)
    throttled = Response(429, (("retry-after", "120"),), b"")
    rig.transport.answer = lambda request: throttled
    rig.worker.step()
    asked = rig.transport.count
    rig.transport.answer = fake.honest(rig.store)
    assert rig.worker.scrape().immediate is Answer.STALE
    assert rig.worker.rest_seconds() > 100
    assert rig.transport.count == asked
    assert not rig.worker.up


@pytest.mark.parametrize(
    ("pair", "admitted"),
    [
        (Pair("known", "x"), True),
        (Pair("x", "known"), True),
        (Pair("known", "named"), True),
        (Pair("taken", "x"), False),
        (Pair("x", "taken"), False),
        (Pair("x", "y"), False),
    ],
)
def test_a_configured_payer_past_the_cap_has_one_slot(pair: Pair, admitted: bool) -> None:
    rule = PairRule(1, frozenset({"known", "named", "taken"}))
    assert rule.admits(pair, 1, {"taken", "us"}) is admitted
    assert rule.admits(OTHER_PAIR, 1, {"taken", "us"})


def slow(rig: Rig, pages: int) -> fake.Answer:
    """A server so slow that a window of the usual time holds so many requests and no more."""
    asked = 0

    def answer(request: Request) -> Response:
        nonlocal asked
        asked = asked + 1 if request.path.endswith("/fhir") else 1
        if asked > pages * rig.worker._walk_timeout.factor:
            raise httpx.ReadTimeout("too late", request=httpx.Request("GET", fake.BASE))
        return fake.honest(rig.store)(request)

    return answer


def test_a_poll_that_takes_longer_than_a_window_may_goes_on_where_it_was() -> None:
    rig = Rig()
    rig.store.page_limit = 50
    rig.start().settle()
    for number in range(999):
        rig.store.put(task(f"p2p-task-{number:06}"))
        rig.clock.advance(0.01)
    rig.transport.answer = slow(rig, 6)
    for _ in range(6):
        rig.scrape(120)
    assert totals(rig, Event.CREATED) == {"": 999}
    assert rig.worker.up


def test_tasks_of_one_stamp_that_take_longer_than_a_window_may_are_given_more_time() -> None:
    rig = Rig()
    rig.store.page_limit = 20
    for number in range(300):
        rig.store.put(task(f"p2p-task-{number:06}"))
    rig.clock.advance(60)
    rig.transport.answer = slow(rig.start(), 4)
    work(rig)
    assert tasks(rig) == {"requested": 300}


def test_a_failing_server_is_not_asked_more_often_than_the_least_interval() -> None:
    rig = Rig()
    rig.start().settle()
    rig.transport.answer = lambda request: Response(503, (), b"")
    rig.scrape(60)
    asked = rig.transport.count
    for _ in range(40):
        rig.scrape(0.1)
        assert rig.last is Answer.STALE
    assert rig.transport.count == asked
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape(5)
    assert rig.worker.up


def test_a_tag_that_would_split_a_search_is_escaped() -> None:
    rig = Rig(selection=Selection(Coding("http://x/t", "a,b|c$d\\e"), None))
    rig.start().settle()
    asked = dict(rig.transport.requests[0].query)
    assert asked["_tag"] == "http://x/t|a\\,b\\|c\\$d\\\\e"
