"""When comparisons run, how they share the server with polls, and what they survive.

See docs/design.md#open-comparison.
"""

from pathlib import Path

import httpx
import pytest

from exporter.demo.server import Request, Response
from exporter.jobs import ComparisonJob
from exporter.ledger.state import StateKey
from exporter.metrics.vocabulary import Comparison, Outcome
from exporter.task.dates import format_instant
from exporter.task.model import Event

from ..support import fake, quirks
from ..support.builders import completed, organization, reference, task
from ..support.exposition import comparisons, errors, gauges, is_up, tasks, totals
from ..support.fake import is_count, is_open_search
from ..support.rig import FULL_ONLY, Rig, filled, settled

# --- Polls and comparisons


def test_a_comparison_waits_for_the_catch_up_that_its_poll_becomes() -> None:
    rig = filled(5).start().settle()
    rig.burst(4_500, seconds_apart=0.1)
    rig.store.delete("p2p-task-000000")
    rig.compare()
    assert comparisons(rig, Comparison.OPEN, Outcome.COMPLETE) == 1
    rig.scrape(15)
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.CREATED) == {"": 4_500}


def test_a_scrape_that_waits_while_a_comparison_polls_gets_that_poll() -> None:
    rig = filled(5).start().settle()
    rig.burst(4_500, seconds_apart=0.1)
    rig.clock.advance(rig.comparisons.open_interval + 1)
    since = f"ge{format_instant(rig.ledger.state(StateKey.WATERMARK) or 0)}"
    scrapes = []
    poll_for_comparison = rig.worker._poll_for

    def scraped_just_before(job: ComparisonJob) -> None:
        scrapes.append(rig.worker.scrape())
        poll_for_comparison(job)

    rig.worker._poll_for = scraped_just_before  # type: ignore[method-assign]
    rig.worker.step()
    rig.run()
    assert len(scrapes) == 1
    assert scrapes[0].poll is not None
    assert scrapes[0].poll.done()
    asked = [request for request in rig.transport.searches() if not is_count(request)]
    first = next(place for place, request in enumerate(asked) if ("_lastUpdated", since) in request.query)
    assert len(asked) - first == 3  # the windows of one catch-up
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 4_500}


def test_restarts_do_not_put_the_full_comparison_off(tmp_path: Path) -> None:
    tasks_and_payers = [
        *(completed(f"p2p-task-{number:05}") for number in range(3)),
        *(organization(identifier) for identifier in ("old-payer", "new-payer")),
    ]
    rig = settled(*tasks_and_payers, path=str(tmp_path / "ledger.db"))
    rig.store.delete("p2p-task-00000")
    for _ in range(4):
        for _ in range(10):
            rig.scrape(300)
            rig.run()
            rig.run_due()
        rig.restart()
    rig.scrape()
    assert tasks(rig) == {"completed": 2}
    assert totals(rig, Event.VANISHED) == {"": 1}


# --- Comparisons that fail


def test_a_full_comparison_that_did_not_end_is_tried_again_within_minutes() -> None:
    rig = filled(3).start().settle()
    rig.play(quirks.when(lambda request: request.path.endswith("/Task"), quirks.always(Response(500, (), b""))))
    rig.compare_all()
    assert comparisons(rig, Comparison.FULL, Outcome.PARTIAL) == 1
    rig.play()
    rig.clock.advance(2 * rig.comparisons.open_interval)
    rig.run_due()
    assert comparisons(rig, Comparison.FULL, Outcome.COMPLETE) == 1


def test_a_failed_comparison_lowers_no_up_and_is_tried_again() -> None:
    rig = settled(task("a"), task("gone"))
    rig.scrape()
    rig.store.delete("gone")
    rig.play(quirks.refusing("status:not"))
    rig.compare()
    assert is_up(rig)
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert errors(rig) == {"client_error": 1}
    rig.play()
    rig.compare()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}


def test_q23_a_refused_status_search_is_an_error_of_the_comparison_alone() -> None:
    rig = settled(task("a"))
    rig.play(quirks.refusing("status:not"))
    rig.compare()
    assert errors(rig) == {"client_error": 1}
    rig.scrape()
    assert is_up(rig)
    assert tasks(rig) == {"requested": 1}


def test_a_comparison_that_runs_out_of_time_gets_more() -> None:
    rig = filled(3).start().settle()
    asked: list[int] = []
    whole_window = rig.context.server.window

    def limited(factor: int = 1) -> object:
        asked.append(factor)
        return whole_window(factor)

    rig.context.server.window = limited  # type: ignore[method-assign,assignment]

    def late(request: Request) -> Response:
        if is_open_search(request) or any("ge" in v for n, v in request.query if n == "_lastUpdated"):
            raise httpx.ReadTimeout("late")
        return fake.honest(rig.store)(request)

    for _ in range(2):
        rig.play()
        pages = iter(range(100))

        def second_page_late(request: Request) -> Response:
            return late(request) if next(pages) == 1 else fake.honest(rig.store)(request)  # noqa: B023

        rig.transport.answer = second_page_late
        rig.compare()
    rig.play()
    asked.clear()
    rig.compare()
    assert 4 in asked
    asked.clear()
    rig.compare()
    assert set(asked) == {1}


# --- Servers that fail now and then


def failing_each(rig: Rig, number: int, response: Response) -> None:
    """Let one of so many requests fail."""
    asked = iter(range(1, 1_000_000))
    honest = fake.honest(rig.store)
    rig.transport.answer = lambda request: response if next(asked) % number == 0 else honest(request)


LOSSY = [Response(503, (), b""), Response(429, (("retry-after", "1"),), b"")]


@pytest.mark.parametrize("response", LOSSY, ids=lambda response: str(response.status))
def test_a_walk_of_everything_survives_a_server_that_fails_now_and_then(tmp_path: Path, response: Response) -> None:
    rig = settled(
        *(completed(f"p2p-task-{number:05}", owner=reference("Organization/one")) for number in range(12_000)),
        seconds_apart=0.5,
        path=str(tmp_path / "ledger.db"),
        comparisons=FULL_ONLY,
    )
    rig.restart(payers={"Organization/one": "One"})
    failing_each(rig, 50, response)
    for _ in range(3):
        rig.compare(full=True)
        rig.run()
    rig.play()
    rig.scrape()
    assert {key.pair.source for key, n in gauges(rig).tasks.items() if n} == {"One"}


@pytest.mark.parametrize("response", LOSSY, ids=lambda response: str(response.status))
def test_a_purge_is_found_on_a_server_that_fails_now_and_then(response: Response) -> None:
    rig = settled(
        *(completed(f"p2p-task-{number:05}") for number in range(3_000)), seconds_apart=0.5, comparisons=FULL_ONLY
    )
    for number in range(400):
        rig.store.delete(f"p2p-task-{7 * number:05}")
    failing_each(rig, 40, response)
    for _ in range(4):
        rig.compare(full=True)
        rig.run()
    rig.play()
    rig.scrape(61)
    assert tasks(rig) == {"completed": 2_600}
    assert totals(rig, Event.VANISHED) == {"": 400}
