"""Exemplars: the Task behind the last event of each bucket and each reason, only where the operator asks for them.

See docs/design.md#exemplars.
"""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar

from exporter.metrics.families import TaskText
from exporter.metrics.negotiation import Format
from exporter.task.model import Event

from ..support.builders import at, completed, failed, task
from ..support.exposition import totals
from ..support.rig import Rig, settled

LONGEST_ID = "t" * 64


def exemplars(rig: Rig) -> dict[tuple[str, str], Exemplar]:
    """Parse what Prometheus is given; by the sample's name and its reason or bound."""
    text = TaskText().render(rig.worker.published.snapshot, Format.OPENMETRICS).decode()
    found: dict[tuple[str, str], Exemplar] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar is not None:
                label = sample.labels.get("le") or sample.labels["reason"]
                assert (sample.name, label) not in found
                found[sample.name, label] = sample.exemplar
    return found


def shown_at(exemplar: Exemplar) -> float:
    assert exemplar.timestamp is not None
    return float(exemplar.timestamp)


def ids(rig: Rig) -> set[str]:
    return {each.labels["task_id"] for each in exemplars(rig).values()}


def end(rig: Rig, resource: dict[str, Any]) -> None:
    rig.clock.advance(1)
    rig.store.put(resource)
    rig.scrape()


def test_a_bucket_and_a_failure_name_the_task_that_was_counted_last() -> None:
    rig = settled(task("a"), task("b"), exemplars=True)
    assert exemplars(rig) == {}
    end(rig, failed("a", "401 Unauthorized", authoredOn=at(0)))
    end(rig, failed(LONGEST_ID, "401 Unauthorized", authoredOn=at(0)))
    end(rig, completed("b", authoredOn=at(-1)))
    found = exemplars(rig)
    assert {key: each.labels for key, each in found.items()} == {
        ("fhir_task_failures_total", "auth"): {"task_id": LONGEST_ID},
        ("fhir_task_duration_seconds_bucket", "300.0"): {"task_id": LONGEST_ID},
        ("fhir_task_duration_seconds_bucket", "7200.0"): {"task_id": "b"},
    }
    assert found["fhir_task_failures_total", "auth"].value == 1
    assert 3600 < found["fhir_task_duration_seconds_bucket", "7200.0"].value < 7200
    assert shown_at(found["fhir_task_duration_seconds_bucket", "7200.0"]) == rig.clock.at / 1000


def test_the_text_format_and_an_exporter_that_was_not_asked_have_no_id() -> None:
    asked = settled(task("a"), exemplars=True)
    end(asked, failed("canary-a"))
    assert "canary-a" not in asked.published_text()
    rig = settled(task("a"))
    end(rig, failed("canary-a"))
    for form in Format:
        assert b"canary-a" not in TaskText().render(rig.worker.published.snapshot, form)


def test_an_exemplar_is_held_as_long_as_its_series() -> None:
    rig = settled(task("a"), task("known"), exemplars=True, hold=120)
    end(rig, failed("a"))
    while not totals(rig, Event.FAILURE):
        assert ids(rig) == set()
        rig.scrape()
    assert ids(rig) == {"a"}
    first_shown = rig.clock.at / 1000
    rig.scrape()
    assert [shown_at(each) for each in exemplars(rig).values()] == [first_shown] * 2


def test_of_two_events_while_a_series_is_held_the_last_is_shown() -> None:
    rig = settled(task("known"), exemplars=True, hold=120)
    end(rig, failed("first"))
    end(rig, failed("second"))
    for _ in range(12):
        rig.scrape()
    assert ids(rig) == {"second"}


def test_they_do_not_outlive_the_process(tmp_path: Path) -> None:
    rig = settled(task("known"), exemplars=True, path=str(tmp_path / "ledger.db"))
    end(rig, failed("before"))
    rig.restart()
    rig.scrape()
    assert ids(rig) == set()
    end(rig, failed("after"))
    assert ids(rig) == {"after"}


def test_a_page_that_is_not_committed_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = settled(task("known"), exemplars=True)
    with monkeypatch.context() as patched:
        patched.setattr(type(rig.context.watermark), "save", lambda *_: 1 / 0)
        end(rig, failed("lost"))
    assert ids(rig) == set()
    end(rig, failed("kept"))
    assert ids(rig) <= {"kept", "lost"}


def test_there_is_one_for_each_sample_at_most() -> None:
    rig = settled(task("known"), exemplars=True)
    for number in range(300):
        rig.store.put(failed(f"t-{number:03}"))
    rig.scrape()
    assert len(rig.worker.published.snapshot.exemplars) == 2
