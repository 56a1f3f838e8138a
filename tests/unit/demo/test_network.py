import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from exporter.demo.network import HISTORY_MS, HOUR_MS, Change, Network, advance, begin, fail_next, organizations
from exporter.demo.payers import NOTES, PAYERS, Naming
from exporter.task.model import TERMINAL, Instant
from exporter.task.reasons import classifier
from tests.support.fake import START

DAY = 24 * HOUR_MS


@cache
def lived(speed: float = 60.0, until: Instant = START + HOUR_MS, seed: int = 1) -> tuple[Change, ...]:
    _, changes = advance(begin(seed, START, speed), until)
    return changes


def latest(changes: Iterable[Change]) -> dict[str, Any]:
    return {str(change.resource["id"]): change.resource for change in changes}


def statuses(changes: Iterable[Change], identifier: str) -> list[object]:
    return [change.resource["status"] for change in changes if change.resource["id"] == identifier]


def instant(text: object) -> Instant:
    return round(datetime.fromisoformat(str(text)).timestamp() * 1000)


def owner(resource: Mapping[str, Any]) -> str:
    return json.dumps(resource["owner"])


def test_the_same_seed_gives_the_same_lives_and_another_seed_others() -> None:
    assert lived() == advance(begin(1, START, 60.0), START + HOUR_MS)[1]
    assert lived(seed=2) != lived()


def test_small_steps_and_one_long_step_give_the_same_changes() -> None:
    network, steps = begin(1, START, 60.0), list[Change]()
    for minutes in range(0, 61, 7):
        network, changes = advance(network, START + minutes * 60_000)
        steps += changes
    assert tuple(steps) == lived(until=network.at)


def test_what_happens_at_the_very_end_of_a_step_does_not_happen_again_in_the_next() -> None:
    at = next(change.at for change in lived() if change.at > START and change.resource["status"] == "requested")
    network, first = advance(begin(1, START, 60.0), at)
    _, second = advance(network, START + HOUR_MS)
    assert first[-1].at == at
    assert (*first, *second) == lived()


def test_nothing_happens_when_no_time_passes() -> None:
    network, _ = advance(begin(1, START, 60.0), START)
    assert advance(network, START) == (network, ())


def test_there_is_a_week_of_history_with_open_and_overdue_tasks_at_the_start() -> None:
    tasks = latest(lived(until=START)).values()
    ages = [START - instant(task["authoredOn"]) for task in tasks if task["status"] not in TERMINAL]
    assert len(tasks) > 1000
    assert min(change.at for change in lived(until=START)) < START - HISTORY_MS + DAY
    assert 20 < len(ages) < 150
    assert 3 < sum(age > DAY for age in ages) < 30


def test_every_task_goes_from_requested_through_in_progress_to_an_end() -> None:
    changes = lived(until=START + 2 * HOUR_MS)
    assert [change.at for change in changes] == sorted(change.at for change in changes)
    ends = Counter[object]()
    stages: dict[object, list[object]] = {}
    for change in changes:
        stages.setdefault(change.resource["id"], []).append(change.resource["status"])
    for first, *rest in stages.values():
        assert first == "requested"
        assert rest[:1] in ([], ["in-progress"])
        ends.update(rest[1:])
    assert set(ends) == {"completed", "failed", "cancelled"}


def test_speed_shortens_lives_but_not_the_durations_in_tasks() -> None:
    def median_hours(speed: float) -> float:
        _, changes = advance(begin(1, START, speed), START + 6 * HOUR_MS)
        spans = sorted(
            change.at - instant(change.resource["authoredOn"])
            for change in changes
            if change.resource["status"] == "completed" and change.at > START
        )
        return spans[len(spans) // 2] / HOUR_MS

    started = [sum(change.at > START for change in lived(speed=speed)) for speed in (1.0, 60.0)]
    assert started[1] > 30 * started[0]
    assert 0.5 < median_hours(60.0) < 6


def test_failed_tasks_carry_a_note_of_every_reason_and_no_other_task_has_one() -> None:
    tasks = latest(lived()).values()
    texts = {task["note"][0]["text"] for task in tasks if task["status"] == "failed"}
    assert all(any(text in texts for text in NOTES[reason]) for reason in NOTES)
    assert not any("note" in task for task in tasks if task["status"] != "failed")


@pytest.mark.parametrize(("reason", "text"), [(reason, text) for reason, texts in NOTES.items() for text in texts])
def test_notes_are_classified_as_their_reason(reason: str, text: str) -> None:
    assert classifier(())([text]) == reason


def test_some_completed_tasks_archived_documents_and_some_none() -> None:
    counts = Counter(len(task.get("output", ())) for task in latest(lived()).values() if task["status"] == "completed")
    assert counts[0] > 10
    assert max(counts) > 3


def test_owners_are_named_in_all_four_ways() -> None:
    tasks = list(latest(lived()).values())
    assert any("Organization/" in owner(task) for task in tasks)
    assert any("identifier" in owner(task) and "display" not in owner(task) for task in tasks)
    assert any(set(task["owner"]) == {"display"} for task in tasks)
    assert any("contained" in task for task in tasks)
    known = {resource["id"] for resource in organizations()}
    assert {payer.id for payer in PAYERS if payer.naming is Naming.REFERENCE} < known


def test_one_payer_is_slow_and_one_stalls() -> None:
    open_tasks = [task for task in latest(lived(until=START)).values() if task["status"] == "in-progress"]
    overdue = [task for task in open_tasks if START - instant(task["authoredOn"]) > DAY]
    open_at = Counter(owner(task) for task in open_tasks)
    (slow, _), (stalling, _) = open_at.most_common(2)
    assert "kestrelmoor" in slow + stalling
    assert "larkspan" in slow + stalling
    assert sum("larkspan" in owner(task) for task in overdue) > len(overdue) / 4


@pytest.mark.parametrize("pause", [0, 1, 60_000])
def test_an_injected_failure_comes_once(pause: int) -> None:
    network, _ = advance(begin(1, START, 1.0), START)
    network = fail_next(network, PAYERS[0], "auth")
    found = list[Change]()
    for now in (START + pause, START + pause + 1, START + pause + 2):
        network, changes = advance(network, now)
        found += changes
    failed = [change.resource for change in found if change.resource.get("note") == note_of(found, NOTES["auth"][0])]
    assert len(failed) == 1
    assert statuses(found, str(failed[0]["id"])) == ["requested", "failed"]
    assert network.failures == ()


def note_of(changes: Iterable[Change], text: str) -> object:
    return next(change.resource["note"] for change in changes if text in str(change.resource.get("note")))


def test_finished_tasks_are_forgotten() -> None:
    network: Network = begin(1, START, 60.0)
    network, _ = advance(network, START + 4 * HOUR_MS)
    assert len(network.alive) < 200


def test_the_first_task_after_the_start_comes_at_the_speed_of_the_simulation() -> None:
    start = 1_700_000_000_000
    late = []
    for seed in range(20):
        network, _ = advance(begin(seed, start, speed=60.0), start)
        late.append((network.next_start - start) / 1000)
    assert sum(late) / len(late) < 20  # seconds; 12 Tasks an hour, sixty times as fast, are one in five seconds
