"""Progress for people: what the log says of long work is the ledger's own count, and never looks like a loss."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from exporter.demo.server import Response

from ..support import quirks
from ..support.builders import task
from ..support.exposition import own_value, tasks
from ..support.fake import is_count
from ..support.rig import Rig, filled

Lines = list[tuple[str, Mapping[str, object]]]

NO_COUNT = quirks.when(is_count, quirks.always(Response(500, (), b"")))
COUNT_THROTTLED = quirks.when(is_count, quirks.always(Response(429, (("retry-after", "30"),), b"")))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], Lines]:
    """List the lines about progress so far, and forget them."""
    caplog.set_level(logging.INFO, "exporter.progress")

    def taken() -> Lines:
        found = [(each.message, each.__dict__["fields"]) for each in caplog.records if each.name == "exporter.progress"]
        caplog.clear()
        return found

    return taken


def work(rig: Rig, steps: int = 10_000) -> None:
    """Work, each request so slow that each page has its line."""
    for _ in range(steps):
        if not rig.worker.busy:
            return
        rig.clock.advance(max(11.0, rig.worker.rest_seconds() + 0.001))
        rig.worker.step()


def plausible(found: Lines) -> bool:
    """Whether no line looks like a loss: what is expected is never less than what was read, and never null."""
    return all("expected" not in fields or fields["expected"] >= fields["tasks"] for _, fields in found)  # type: ignore[operator]


@pytest.mark.parametrize("pages", [2, 12])
def test_a_baseline_that_was_interrupted_names_every_task_of_the_ledger(
    tmp_path: Path, lines: Callable[[], Lines], pages: int
) -> None:
    rig = filled(2_500, path=str(tmp_path / "ledger.db")).start()
    rig.interrupt(pages)
    lines()
    rig.start()
    work(rig)
    found = lines()
    assert found[-1] == ("baseline complete", {"tasks": 2_500})
    assert own_value(rig, "fhir_task_exporter_tracked_tasks") == 2_500
    assert plausible(found)


def test_a_baseline_names_what_the_server_counts_while_it_runs_and_no_more_at_its_end(
    lines: Callable[[], Lines],
) -> None:
    rig = filled(450).start()
    work(rig)
    assert lines() == [
        ("baseline running", {"tasks": 200}),
        ("baseline running", {"tasks": 400, "expected": 450}),
        ("baseline complete", {"tasks": 450}),
    ]


def test_a_baseline_resumed_when_the_server_has_more_tasks_asks_again_how_many(
    tmp_path: Path, lines: Callable[[], Lines]
) -> None:
    rig = filled(2_100, path=str(tmp_path / "ledger.db")).start()
    rig.interrupt(4)
    rig.burst(2_500, seconds_apart=1, name="meanwhile")
    lines()
    rig.start()
    work(rig)
    found = lines()
    assert found[-1] == ("baseline complete", {"tasks": 4_600})
    assert plausible(found)
    assert ("baseline running", {"tasks": 4_200, "expected": 4_600}) in found
    assert sum(map(is_count, rig.transport.requests)) == 2


def test_a_server_that_lost_tasks_since_it_counted_names_no_more_than_were_read(lines: Callable[[], Lines]) -> None:
    rig = filled(1_000).start()
    work(rig, 2)
    for number in range(600, 700):
        rig.store.delete(f"p2p-task-{number:06}")
    work(rig)
    found = lines()
    assert found[-1] == ("baseline complete", {"tasks": 900})
    assert plausible(found)
    assert tasks(rig) == {"requested": 900}


@pytest.mark.parametrize("quirk", [NO_COUNT, COUNT_THROTTLED], ids=["no count", "throttled"])
@pytest.mark.parametrize("pages", [0, 3])
def test_a_server_that_gives_no_count_has_none_in_the_log(
    tmp_path: Path, lines: Callable[[], Lines], quirk: quirks.Quirk, pages: int
) -> None:
    rig = filled(2_500, path=str(tmp_path / "ledger.db"), quirks=[quirk]).start()
    rig.interrupt(pages)
    lines()
    rig.start()
    work(rig)
    found = lines()
    assert found[-1] == ("baseline complete", {"tasks": 2_500})
    assert all(set(fields) == {"tasks"} for _, fields in found)


def test_a_server_that_counts_fewer_than_it_shows_is_asked_twice_and_then_not_believed(
    lines: Callable[[], Lines],
) -> None:
    rig = filled(2_500, quirks=[quirks.when(is_count, quirks.total(300))]).start()
    work(rig)
    found = lines()
    assert found[-1] == ("baseline complete", {"tasks": 2_500})
    assert plausible(found)
    assert sum(map(is_count, rig.transport.requests)) == 2


@pytest.mark.parametrize("quirk", [None, NO_COUNT, COUNT_THROTTLED], ids=["counted", "no count", "throttled"])
@pytest.mark.parametrize("pages", [1, 3])
def test_a_poll_of_many_pages_names_the_tasks_that_it_read(
    tmp_path: Path, lines: Callable[[], Lines], quirk: quirks.Quirk | None, pages: int
) -> None:
    rig = filled(5, path=str(tmp_path / "ledger.db")).start().settle()
    rig.burst(2_500, seconds_apart=0.1)
    rig.play(*([] if quirk is None else [quirk]))
    rig.worker.scrape()
    work(rig, pages)
    rig.stop()
    lines()
    rig.store.put(task("meanwhile"))
    rig.start()
    work(rig)
    found = lines()
    assert found[-1] == ("poll complete", {"tasks": 2_501})
    assert {name for name, _ in found} == {"poll running", "poll complete"}
    assert plausible(found)
