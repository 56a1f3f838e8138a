"""Backing off: waits that the server asks for, and pauses of our own.

See docs/design.md#backing-off.
"""

import logging
import socket

import httpx
import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Request, Response
from exporter.metrics.vocabulary import ScrapeAnswer

from ..support import quirks
from ..support.builders import task
from ..support.exposition import errors, is_up
from ..support.rig import Rig, filled, settled


def test_q30_a_throttled_comparison_keeps_polls_away_too() -> None:
    rig = settled(task("a"))
    rig.play(quirks.throttled("120"))
    rig.compare()
    asked = rig.transport.count
    rig.scrape(60)
    assert rig.transport.count == asked
    rig.play()
    rig.scrape(70)
    assert is_up(rig)


def test_q30_failures_of_the_baseline_are_tried_again_ever_more_slowly() -> None:
    rig = Rig()
    rig.play(quirks.down)
    rig.start()
    pauses = []
    for _ in range(12):
        rig.worker.step()
        pauses.append(rig.worker.rest_seconds())
        rig.clock.advance(pauses[-1] + 0.001)
    assert all(0.5 * min(60, 2**n) <= pause <= min(60, 2**n) for n, pause in enumerate(pauses))
    assert errors(rig) == {"unreachable": 12}


def test_no_request_is_sent_before_retry_after_has_passed() -> None:
    rig = filled(1).start().settle()
    rig.play(quirks.always(Response(503, (("retry-after", "100"),), b"")))
    rig.scrape()
    asked = rig.transport.count
    for _ in range(6):
        rig.scrape(15)
    assert rig.transport.count == asked
    rig.play()
    rig.scrape(15)
    assert rig.worker.up


def test_a_failing_server_is_not_asked_more_often_than_the_least_interval() -> None:
    rig = Rig()
    rig.start().settle()
    rig.play(quirks.always(Response(503, (), b"")))
    rig.scrape(60)
    asked = rig.transport.count
    for _ in range(40):
        rig.scrape(0.1)
        assert rig.last_answer is ScrapeAnswer.STALE
    assert rig.transport.count == asked
    rig.play()
    rig.scrape(5)
    assert rig.worker.up


def test_a_poll_wanted_while_a_comparison_must_wait_waits_too() -> None:
    rig = settled(task("a"), comparisons=ReconcileSettings(open_interval=60))
    rig.clock.advance(61)
    rig.play(quirks.throttled("120"))
    rig.worker.step()
    asked = rig.transport.count
    rig.play()
    assert rig.worker.scrape().immediate is ScrapeAnswer.STALE
    assert rig.worker.rest_seconds() > 100
    assert rig.transport.count == asked
    assert not rig.worker.up


@pytest.mark.parametrize("header", ["0", "Thu, 01 Jan 1970 00:00:00 GMT", None])
def test_a_server_that_asks_for_no_wait_is_still_asked_slowly(header: str | None) -> None:
    rig = filled(3).start()
    rig.play(quirks.throttled(header))
    began = rig.clock.monotonic()
    rig.run(200)
    while rig.clock.monotonic() - began < 3_600:
        rig.clock.advance(max(rig.worker.rest_seconds(), 0.001))
        rig.worker.step()
    assert rig.transport.count < 4 * (rig.clock.monotonic() - began) / 60 + 20


def test_a_young_snapshot_is_served_again_without_a_request() -> None:
    rig = filled(1).start().settle()
    rig.scrape()
    asked = rig.transport.count
    rig.scrape(1)
    assert rig.last_answer is ScrapeAnswer.REUSED
    assert rig.transport.count == asked


def broken(cause: Exception) -> quirks.Quirk:
    """Break each request as the network does."""

    def refuse(_: Request) -> Response:
        raise httpx.ConnectError("no connection") from cause

    return lambda _answer: refuse


def test_each_kind_of_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rig = settled(task("a"))
    unknown_name = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with caplog.at_level(logging.WARNING):
        for cause in (ConnectionRefusedError(), ConnectionRefusedError(), unknown_name, unknown_name):
            rig.play(broken(cause))
            rig.scrape(600)
    said = [record.fields["error"] for record in caplog.records if "asking the FHIR server" in record.getMessage()]  # type: ignore[attr-defined]
    assert ["refused" in each for each in said] == [True, False]
