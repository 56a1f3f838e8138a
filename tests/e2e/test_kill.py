"""A hundred times killed with signal 9 in the middle of its work, the exporter has counted everything once."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.kills import interrupt
from tests.support.builders import organization, task

from .process import SimulatedServer, exporter, total, until

pytestmark = pytest.mark.e2e

ROUNDS = 100
CHANGES = 60
STATUSES = ("requested", "in-progress", "completed", "failed", "cancelled")
OPTIONS = ("--series.hold", "0s", "--poll.min-interval", "0s", "--fhir.page-size", "10")


def change(server: SimulatedServer, dice: random.Random, number: int, truth: Counter[str]) -> None:
    """Create Tasks and move known ones; each change is one that a poll must see."""
    for _ in range(CHANGES):
        status = dice.choice(STATUSES)
        fresh = truth["created"] == 0 or dice.random() < 0.5
        if fresh:
            identifier = f"p2p-task-{truth['created']}"
            truth["created"] += 1
            truth[status] += 1
        else:
            identifier = f"p2p-task-{dice.randrange(truth['created'])}"
            record = server.store.get("Task", identifier)
            if record is None or record.group.status == status or f"{number}:{identifier}" in truth:
                continue
            truth[status] += 1
        truth[f"{number}:{identifier}"] = 1
        server.put(task(identifier, status))


@pytest.mark.timeout(600)
def test_no_kill_loses_or_repeats_an_event(tmp_path: Path) -> None:
    dice = random.Random(20261122)
    server = SimulatedServer()
    server.put(organization("old-payer"), organization("new-payer", "New Payer"))
    truth: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    interrupted = 0
    for number in range(ROUNDS):
        with exporter(server.base, tmp_path, *OPTIONS) as process:
            if number:
                early = process.scrape(timeout=0.02)
                for status in STATUSES:
                    seen = total(early, "fhir_task_transitions_total", status=status)
                    assert shown[status] <= seen <= truth[status]
            until(process, "fhir_task_exporter_baseline_complete", 1)
            text = until(process, "fhir_task_created_total", truth["created"])
            for status in STATUSES:
                shown[status] = int(total(text, "fhir_task_transitions_total", status=status))
                assert shown[status] == truth[status]
            change(server, dice, number, truth)
            interrupted += interrupt(process.url, dice)
            process.kill()
    assert interrupted > ROUNDS // 3
