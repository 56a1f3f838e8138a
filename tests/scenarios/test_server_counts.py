"""The server's own counts: they only help, and no number depends on them."""

import pytest

from exporter.demo.server import Request, Response
from exporter.metrics.vocabulary import Comparison, Outcome, ScrapeAnswer
from exporter.task.model import Event

from ..support import fake, quirks
from ..support.builders import completed
from ..support.exposition import comparisons, is_up, own_value, tasks, totals
from ..support.fake import is_count
from ..support.rig import FULL_ONLY, filled, settled

# --- Counts that fail


COUNTS_FAIL = [
    Response(500, (), b""),
    Response(504, (), b""),
    Response(403, (), b""),
    Response(429, (("retry-after", "30"),), b""),
    Response(200, (("content-type", "text/html"),), b"<html>"),
]


@pytest.mark.parametrize("response", COUNTS_FAIL, ids=lambda response: str(response.status))
def test_a_baseline_needs_no_count(response: Response) -> None:
    rig = filled(2_500, quirks=[quirks.when(is_count, quirks.always(response))]).start()
    rig.run(200)
    assert tasks(rig) == {"requested": 2_500}
    assert is_up(rig)
    assert rig.transport.count < 30


@pytest.mark.parametrize("response", COUNTS_FAIL, ids=lambda response: str(response.status))
def test_a_catch_up_needs_no_count(response: Response) -> None:
    rig = filled(5).start().settle()
    rig.burst(4_500, seconds_apart=0.1)
    rig.play(quirks.when(is_count, quirks.always(response)))
    rig.worker.scrape()
    rig.run(200)
    assert totals(rig, Event.CREATED) == {"": 4_500}


@pytest.mark.parametrize("response", COUNTS_FAIL, ids=lambda response: str(response.status))
def test_a_full_comparison_whose_counts_fail_walks(response: Response) -> None:
    rig = settled(
        *(completed(f"p2p-task-{number:06}") for number in range(600)), seconds_apart=0.5, comparisons=FULL_ONLY
    )
    rig.store.delete("p2p-task-000007")
    rig.play(quirks.when(is_count, quirks.always(response)))
    rig.compare(full=True)
    rig.run()
    rig.scrape(61)
    assert tasks(rig) == {"completed": 599}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert comparisons(rig, Comparison.FULL, Outcome.COMPLETE) == 1


def test_a_throttled_count_lets_the_comparison_wait_as_it_was_asked_to() -> None:
    rig = filled(500, comparisons=FULL_ONLY).start().settle()
    rig.play(quirks.when(is_count, quirks.always(Response(429, (("retry-after", "200"),), b""))))
    rig.clock.advance(rig.comparisons.full_interval + 1)
    rig.transport.requests.clear()
    for _ in range(50):
        rig.worker.step()
        if rig.worker.rest_seconds() > 0:
            break
    assert sum(map(is_count, rig.transport.requests)) == 1
    assert is_count(rig.transport.requests[-1])
    assert not is_up(rig)
    assert rig.worker.rest_seconds() > 190
    assert rig.worker.scrape().immediate is ScrapeAnswer.STALE


def test_a_throttled_count_of_the_baseline_is_a_wait_too() -> None:
    rig = filled(2_500)
    rig.play(quirks.when(is_count, quirks.always(Response(429, (("retry-after", "120"),), b""))))
    rig.start()
    rig.run_due()
    assert sum(map(is_count, rig.transport.requests)) == 1
    assert is_count(rig.transport.requests[-1])
    assert rig.worker.rest_seconds() > 110
    assert not is_up(rig)
    rig.run(100)
    assert tasks(rig) == {"requested": 2_500}
    assert sum(map(is_count, rig.transport.requests)) == 1


# --- Q5: totals that are wrong


@pytest.mark.parametrize("total", [None, 0, 3, 10**9])
def test_q5_a_total_on_pages_is_ignored(total: int | None) -> None:
    on_pages = quirks.when(lambda request: not is_count(request), quirks.total(total))
    rig = filled(450, quirks=[on_pages]).start().settle()
    assert tasks(rig) == {"requested": 450}


def test_q5_a_wrong_count_spoils_no_baseline() -> None:
    for total in (None, 0, 10**9):
        rig = filled(450, quirks=[quirks.total(total)]).start().settle()
        assert tasks(rig) == {"requested": 450}
        assert own_value(rig, "fhir_task_exporter_baseline_progress_ratio") == 1


@pytest.mark.parametrize("total", ["5.0", '"5"', "null", "-1", '{"value": 5}', "1e400", "true"])
def test_a_total_on_a_page_is_ignored_whatever_it_is(total: str) -> None:
    rig = filled(3)

    def odd(request: Request) -> Response:
        response = fake.honest(rig.store)(request)
        start = response.body.find(b'"total":')
        if start < 0 or is_count(request):
            return response
        end = response.body.index(b",", start)
        return response._replace(body=response.body[:start] + b'"total":' + total.encode() + response.body[end:])

    rig.transport.answer = odd
    rig.start().settle()
    assert tasks(rig) == {"requested": 3}
