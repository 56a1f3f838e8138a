"""Quirks of what Tasks look like, Q18 to Q26: statuses, dates, tags and codes, malformed entries."""

import json
from pathlib import Path

import pytest

from exporter.demo.server import Request, Response
from exporter.task.model import TIMED, Anomaly, Event, Status

from ..support import fake, quirk_tasks, quirks
from ..support.builders import CODE, TAG, completed, concept, meta, task
from ..support.exposition import errors, is_up, observed, tasks, totals
from ..support.fake import is_count
from ..support.rig import FULL_ONLY, filled, settled

CANARY = "CANARY-4711"
EXAMPLES = Path(__file__).parents[1] / "support" / "samples" / "hl7"


# --- Q18, Q19: statuses and dates


def test_q18_every_status_is_counted_and_none_spoils_its_page() -> None:
    rig = settled()
    for resource in quirk_tasks.of_each_status():
        rig.store.put(resource)
    rig.scrape()
    expected = dict.fromkeys((status.value for status in Status), 1) | {"unknown": 2}
    assert tasks(rig) == expected
    assert totals(rig, Event.TRANSITION) == expected
    assert totals(rig, Event.ANOMALY) == {Anomaly.UNKNOWN_STATUS: 1, Anomaly.MISSING_STATUS: 1}
    assert observed(rig) == len(TIMED)


@pytest.mark.parametrize("word", ["", "COMPLETED", "inprogress", "completed ", "unknown", "a" * 10_000, "fé", "\u0000"])
def test_q18_a_word_that_is_no_status_is_unknown(word: str) -> None:
    rig = settled()
    rig.store.put(task("a", word))
    rig.scrape()
    assert tasks(rig) == {"unknown": 1}
    assert totals(rig, Event.CREATED) == {"": 1}


def test_q19_odd_dates_crash_nothing_and_only_two_instants_make_a_duration() -> None:
    rig = settled()
    odd = quirk_tasks.dated()
    for resource in odd:
        rig.store.put(resource)
    rig.scrape()
    assert tasks(rig) == {"completed": len(odd)}
    histograms = rig.worker.published.snapshot.durations.values()
    assert all(each.sum >= 0 for each in histograms)
    # offsets of ±14:00, second 60, START itself, and authoredOn under meta are instants before the stamp
    assert observed(rig) == 5
    found = totals(rig, Event.ANOMALY)
    assert found == {
        Anomaly.MISSING_AUTHORED_ON: found[Anomaly.MISSING_AUTHORED_ON],
        Anomaly.PARTIAL_AUTHORED_ON: found[Anomaly.PARTIAL_AUTHORED_ON],
        Anomaly.NEGATIVE_DURATION: 1,
    }
    assert sum(found.values()) + observed(rig) == len(odd)


@pytest.mark.parametrize(
    ("authored", "seconds"),
    [
        ("2026-11-20T12:00:00Z", 60),
        ("2026-11-21T02:00:00+14:00", 60),
        ("2026-11-19T22:00:00-14:00", 60),
        ("2026-11-20T12:00:59.999999999Z", 0.001),
        ("2026-11-20T12:01:00Z", 0),
        ("2026-11-20T12:00:60Z", 1),
    ],
)
def test_q19_a_duration_is_the_time_between_the_two_instants_in_any_zone(authored: str, seconds: float) -> None:
    rig = settled()
    rig.store.put(completed("a", authoredOn=authored))
    rig.scrape()
    [histogram] = [each for each in rig.worker.published.snapshot.durations.values() if sum(each.counts)]
    assert histogram.sum == pytest.approx(seconds)


# --- Q22: Tasks of other writers


def test_q22_only_tasks_with_the_tag_and_the_code_are_counted() -> None:
    for retired in (False, True):
        quirk = [quirks.tag_retired] if retired else []
        rig = settled(*quirk_tasks.foreign(), quirks=quirk, comparisons=FULL_ONLY)
        rig.compare(full=True)
        rig.scrape()
        assert tasks(rig) == {"requested": 1}
        assert is_up(rig)


def test_q22_a_task_that_becomes_foreign_and_ours_again_is_no_new_task() -> None:
    rig = settled(task("a"))
    rig.store.put(task("a", "in-progress", code=concept()))
    rig.scrape()
    assert tasks(rig) == {}
    rig.store.put(task("a", "completed"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {}
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert tasks(rig) == {"completed": 1}


def test_a_task_completed_under_another_code_counts_when_it_is_ours_again() -> None:
    rig = filled(2).start().settle()
    rig.store.put(completed("p2p-task-000000", code=concept(TAG)))
    rig.scrape()
    rig.store.put(completed("p2p-task-000000"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    rig.store.put(completed("p2p-task-000000", code=concept(TAG)))
    rig.scrape()
    rig.store.put(completed("p2p-task-000000"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert totals(rig, Event.CREATED) == {}


# --- Q24, Q26: too much, and malformed


def test_q24_full_resources_leave_nothing_behind() -> None:
    rig = settled(quirks=[quirks.elements_ignored])
    rig.store.put(quirk_tasks.full_of(CANARY))
    text = rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 1}
    assert CANARY not in text


@pytest.mark.parametrize("raw", quirk_tasks.MALFORMED.values(), ids=quirk_tasks.MALFORMED)
def test_q26_a_malformed_task_costs_no_other_and_is_counted_at_most_once(raw: bytes) -> None:
    rig = settled(task("a"))
    rig.play(quirks.raw_entry(raw))
    rig.store.put(completed("b"))
    for _ in range(4):
        rig.scrape()
    assert is_up(rig)
    assert totals(rig, Event.CREATED)[""] in {1, 2}
    assert tasks(rig)["completed"] >= 1
    assert totals(rig, Event.ANOMALY).get(Anomaly.UNPARSABLE, 0) <= 1


@pytest.mark.parametrize("raw", quirk_tasks.MALFORMED.values(), ids=quirk_tasks.MALFORMED)
def test_q26_comparisons_survive_a_malformed_task(raw: bytes) -> None:
    rig = settled(task("a"))
    rig.play(quirks.when(quirks.is_search, quirks.raw_entry(raw)))
    for _ in range(2):
        rig.compare_all()
        rig.scrape()
    assert is_up(rig)
    assert tasks(rig)["requested"] >= 1
    assert "internal" not in errors(rig)


@pytest.mark.parametrize("raw", quirk_tasks.BROKEN.values(), ids=quirk_tasks.BROKEN)
def test_q26_a_page_that_is_no_json_is_not_half_a_page(raw: bytes) -> None:
    rig = settled(task("a"))
    rig.play(quirks.raw_entry(raw))
    rig.store.put(completed("b"))
    rig.scrape()
    if is_up(rig):
        assert tasks(rig)["completed"] == 1
    else:
        assert errors(rig) == {"not_fhir": 1}
        assert tasks(rig) == {"requested": 1}


def test_an_unreadable_task_with_a_changing_score_is_one_anomaly() -> None:
    rig = filled(2).start().settle()
    scores = iter(range(1_000))

    def scored(request: Request) -> Response:
        response = fake.honest(rig.store)(request)
        if is_count(request) or not request.path.endswith("/Task"):
            return response
        bundle = json.loads(response.body)
        entry = {"resource": {"resourceType": "Task", "id": ["odd"], "status": 7}}
        entry |= {"search": {"mode": "match", "score": next(scores)}}
        bundle["entry"] = [*bundle.get("entry", []), entry]
        return response._replace(body=json.dumps(bundle).encode())

    rig.transport.answer = scored
    for _ in range(4):
        rig.scrape()
    assert totals(rig, Event.ANOMALY) == {Anomaly.UNPARSABLE: 1}


def examples() -> list[Path]:
    return sorted(EXAMPLES.glob("Task-*.json"))


def test_hl7s_own_examples_of_tasks_are_read_whole() -> None:
    rig = settled()
    for path in examples():
        resource = json.loads(path.read_text())
        resource.setdefault("meta", {})["tag"] = meta(TAG)["tag"]
        resource["code"] = concept(CODE)
        rig.store.put(resource)
    text = rig.scrape()
    assert sum(tasks(rig).values()) == len(examples()) > 5
    assert Anomaly.UNPARSABLE not in totals(rig, Event.ANOMALY)
    assert not any(word in text for word in ("Patient/", "Practitioner/", "Task/", "Peter", "Adam"))
