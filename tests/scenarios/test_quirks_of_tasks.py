"""Quirks of what Tasks go through and look like, Q15 to Q22 and Q33 to Q35: what the exporter makes of each."""

import json
from pathlib import Path

import pytest

from exporter.config import ReconcileSettings
from exporter.demo.server import Response
from exporter.metrics.negotiation import Format
from exporter.task.model import TIMED, Anomaly, Event, Status

from ..support import fake, quirk_tasks, quirks
from ..support.builders import CODE, TAG, Resource, at, by_display, completed, concept, failed, meta, organization, task
from ..support.quirks import played
from ..support.readings import errors, own, sweep_all, tasks, totals, up
from ..support.rig import Rig, value

EXAMPLES = Path(__file__).parents[1] / "support" / "samples" / "hl7"


def settled(*resources: Resource, **options: object) -> Rig:
    """Put an exporter on a server that holds these Tasks; the baseline is done."""
    rig = Rig(**options)  # type: ignore[arg-type]
    rig.store.put(organization("old-payer", "Old Payer"))
    rig.store.put(organization("new-payer", "New Payer"))
    for resource in resources:
        rig.store.put(resource)
    rig.clock.advance(60)
    rig.start().settle()
    return rig


def payers(rig: Rig) -> set[str]:
    """The source payers that have series."""
    return {series.pair.source for series in rig.worker.published.snapshot.counts if series.pair is not None}


def observed(rig: Rig) -> int:
    """How many durations were observed."""
    return sum(sum(each.counts) for each in rig.worker.published.snapshot.durations.values())


# --- Q15 to Q17: what Tasks go through


def test_q15_what_happens_between_two_polls_is_one_transition() -> None:
    rig = settled(task("known"))
    quirk_tasks.hurry(rig.store, "known", "in-progress", "completed")
    quirk_tasks.hurry(rig.store, "new", "requested", "in-progress", "failed")
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"completed": 1, "failed": 1}
    assert totals(rig, Event.CREATED) == {"": 1}


def test_q15_an_update_in_the_same_status_is_no_transition() -> None:
    rig = settled(completed("a"))
    quirk_tasks.touch(rig.store, completed("a"))
    rig.scrape()
    quirk_tasks.rewrite(rig.store, "a", output=None)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {}
    assert observed(rig) == 0


def test_q16_a_deleted_task_lowers_the_gauge_and_no_counter() -> None:
    rig = settled(task("a"), task("b"))
    rig.store.put(task("c", "in-progress"))
    rig.scrape()
    rig.store.delete("a")
    rig.store.delete("c")
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1}
    assert totals(rig, Event.VANISHED) == {"": 2}


def test_q16_an_id_expunged_and_made_again_at_version_one_is_a_new_task() -> None:
    rig = settled(task("a"))
    quirk_tasks.expunge_and_make_anew(rig.store, completed("a"))
    rig.scrape()
    assert totals(rig, Event.CREATED) == {"": 1}
    assert totals(rig, Event.VANISHED) == {"": 1}
    assert totals(rig, Event.TRANSITION) == {"completed": 1}
    assert totals(rig, Event.ANOMALY) == {}


def test_q16_an_untagged_task_is_gone_although_it_can_be_read() -> None:
    rig = settled(task("a"), task("b"))
    quirk_tasks.untag(rig.store, "a")
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q16_an_untagging_update_is_seen_where_the_server_cannot_search_by_tag() -> None:
    rig = Rig()
    rig.store.put(task("a"))
    rig.transport.answer = played(rig.store, quirks.tag_retired)
    rig.start().settle()
    rig.store.put(task("a", meta=meta()))
    rig.scrape()
    assert tasks(rig) == {}
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q16_a_purge_lowers_gauges_and_no_counter() -> None:
    rig = settled(comparisons=ReconcileSettings(open_interval=1e9))
    for n in range(250):
        rig.store.put(completed(f"t{n}"))
    rig.store.put(task("open"))
    rig.scrape()
    before = rig.text.render(rig.worker.published.snapshot, Format.TEXT).decode().count("_total")
    quirk_tasks.purge(rig.store)
    rig.sweep(full=True)
    after = rig.scrape()
    assert tasks(rig) == {"requested": 1}
    assert totals(rig, Event.TRANSITION) == {"completed": 250, "requested": 1}
    assert totals(rig, Event.VANISHED) == {"": 250}
    assert after.count("_total") == before


def test_q17_a_task_that_fails_opens_and_fails_again_is_two_failures_and_one_reopening() -> None:
    rig = settled(task("a"))
    for status in ("failed", "in-progress", "failed"):
        rig.store.put(task("a", status))
        rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"failed": 2, "in-progress": 1}
    assert totals(rig, Event.REOPENED) == {"": 1}
    assert totals(rig, Event.FAILURE) == {"unclassified": 2}


def test_q17_a_newer_version_with_an_older_stamp_is_newer() -> None:
    rig = settled(task("a"))
    rig.store.put(task("a", "in-progress"))
    rig.scrape()
    quirk_tasks.put_back_in_time(rig.store, completed("a"))
    rig.scrape()
    assert tasks(rig) == {"completed": 1}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "completed": 1}
    assert totals(rig, Event.ANOMALY) == {}


def test_q17_a_lagging_replica_is_asked_once_more_and_believed_no_further() -> None:
    rig = settled(task("a"), comparisons=ReconcileSettings(open_interval=1e9))
    old = quirk_tasks.Backup(rig.store)
    rig.store.put(task("a", "in-progress"))
    rig.scrape()
    lagging = fake.store(rig.clock)
    old.restore(lagging)
    replica = quirks.when(lambda request: "_id" not in dict(request.query), lambda _: fake.honest(lagging))
    rig.transport.answer = played(rig.store, replica)
    rig.ledger._states["watermark"] = "0"  # so that the old version is on the page at all
    rig.scrape()
    assert tasks(rig) == {"in-progress": 1}
    assert totals(rig, Event.ANOMALY) == {}
    rig.transport.answer = fake.honest(rig.store)
    rig.store.put(failed("a"))
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "failed": 1}


# --- Q18 to Q22: what Tasks look like


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


def test_q18_a_sweep_finds_all_open_tasks_in_few_searches_those_without_a_status_too() -> None:
    rig = settled(*quirk_tasks.of_each_status(), *(task(f"open-{n}", None if n % 2 else "ready") for n in range(300)))
    rig.scrape(3_600)
    before = rig.transport.count
    rig.worker.step()
    rig.settle()
    assert rig.transport.count - before <= 5
    assert not any(dict(request.query).get("_id") for request in rig.transport.requests[before:])


def test_q18_a_full_comparison_agrees_on_statuses_nobody_knows() -> None:
    rig = settled(*quirk_tasks.of_each_status(), comparisons=ReconcileSettings(open_interval=1e9))
    rig.sweep(full=True)
    before = rig.transport.count
    rig.sweep(full=True)
    assert rig.transport.count - before < 20
    assert value(own(rig), 'fhir_task_exporter_reconcile_corrections_total{sweep="full"}') == 0


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


OWNERS = {
    "absent": "unknown",
    "empty": "unknown",
    "relative": "Old Payer",
    "versioned": "Old Payer",
    "on our base": "Old Payer",
    "elsewhere": "unknown",
    "dangling": "unknown",
    "logical": "unknown",
    "identifier": "9941339108",
    "identifier and display": "9941339108",
    "display": "Old Payer",
    "contained": "Contained Payer",
    "contained, not sent": "unknown",
    "practitioner": "Practitioner",
    "typed practitioner": "Practitioner",
}


@pytest.mark.parametrize("kind", quirk_tasks.OWNERS)
def test_q20_an_owner_is_named_as_the_contract_says_and_never_asked_for_elsewhere(kind: str) -> None:
    rig = Rig()
    rig.store.put(organization("old-payer", "Old Payer"))
    rig.store.put(task("a", **quirk_tasks.OWNERS[kind]))
    rig.transport.answer = played(rig.store, quirks.elements_ignored) if kind == "contained" else fake.honest(rig.store)
    rig.start().settle()
    assert payers(rig) == {OWNERS[kind]}
    assert all(url.startswith(fake.BASE) for url in rig.transport.urls)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_q20_an_organization_that_cannot_be_read_is_asked_for_once(status: int) -> None:
    rig = Rig()
    for n in range(3):
        rig.store.put(
            task(f"t{n}", owner={"reference": "Organization/secret", "display": "By Display"}, requester=None)
        )
    missing = quirks.always(Response(status, (), b""))
    rig.transport.answer = played(rig.store, quirks.when(lambda request: "Organization" in request.path, missing))
    rig.start().settle()
    rig.store.put(completed("t0", owner={"reference": "Organization/secret", "display": "By Display"}))
    rig.scrape()
    assert payers(rig) == {"By Display"}
    assert sum("Organization/secret" in url for url in rig.transport.urls) == 1


def test_q20_an_organization_that_fails_fails_the_page_and_no_event_lands_on_a_wrong_payer() -> None:
    switch = quirks.Switch()
    rig = settled()
    failing = quirks.when(lambda r: switch(r) and "third" in r.path, quirks.always(Response(503, (), b"")))
    rig.transport.answer = played(rig.store, failing)
    rig.store.put(organization("third", "Third Payer"))
    rig.store.put(failed("a", owner={"reference": "Organization/third"}))
    rig.scrape()
    assert errors(rig) == {"server_error": 1}
    assert not up(rig)
    switch.on = False
    rig.scrape()
    assert payers(rig) == {"Third Payer"}
    assert totals(rig, Event.TRANSITION) == {"failed": 1}


def test_q21_ten_thousand_owners_make_a_bounded_text() -> None:
    rig = Rig(pairs_max=20, payers={"Organization/old-payer": "Named"})
    for resource in quirk_tasks.many_owners(10_000):
        rig.store.put(resource)
    rig.clock.advance(60)
    rig.start().settle()
    rig.store.put(task("named"))
    text = rig.scrape()
    assert len(payers(rig)) == 22
    assert {"other", "Named"} < payers(rig)
    assert len(text.splitlines()) < 22 * 70
    assert tasks(rig) == {"requested": 10_001}
    assert value(own(rig), "fhir_task_exporter_pairs_capped") == 9_980


def test_q22_only_tasks_of_our_tag_and_code_are_ours() -> None:
    for retired in (False, True):
        rig = Rig(comparisons=ReconcileSettings(open_interval=1e9))
        for resource in quirk_tasks.foreign():
            rig.store.put(resource)
        rig.transport.answer = played(rig.store, *([quirks.tag_retired] if retired else []))
        rig.start().settle()
        rig.sweep(full=True)
        rig.scrape()
        assert tasks(rig) == {"requested": 1}
        assert up(rig)


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


# --- Q33 to Q35


@pytest.mark.parametrize("identifier", quirk_tasks.IDS)
def test_q33_ids_are_opaque(identifier: str) -> None:
    rig = settled(task(identifier))
    rig.store.put(task(identifier, "in-progress"))
    rig.scrape()
    assert tasks(rig) == {"in-progress": 1}
    rig.store.delete(identifier)
    rig.sweep()
    rig.scrape()
    assert totals(rig, Event.VANISHED) == {"": 1}


def test_q33_versions_that_are_uuids_go_by_their_stamps() -> None:
    rig = Rig()
    quirk_tasks.put_with_uuid(rig.store, task("a"), 900)
    rig.start().settle()
    for number, status in ((3, "in-progress"), (700, "failed"), (20, "in-progress")):
        rig.clock.advance(1)
        quirk_tasks.put_with_uuid(rig.store, task("a", status), number)
        rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 2, "failed": 1}
    assert totals(rig, Event.REOPENED) == {"": 1}
    assert totals(rig, Event.ANOMALY) == {}


def test_q33_opaque_versions_within_one_millisecond_are_both_counted() -> None:
    rig = Rig()
    rig.start().settle()
    quirk_tasks.put_with_uuid(rig.store, task("a"), 1)
    rig.clock.advance(0)
    stamp = rig.clock.at
    rig.scrape()
    rig.store.put(completed("a"), version="f0e1d2c3-0000-0000-0000-000000000000", stamp=stamp)
    rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"requested": 1, "completed": 1}


def test_q34_ten_minutes_down_are_caught_up_with() -> None:
    rig = settled(task("a"))
    rig.scrape()
    rig.transport.answer = played(rig.store, quirks.down)
    for _ in range(10):
        rig.store.put(task(f"meanwhile-{rig.clock.at}"))
        rig.scrape(60)
        assert not up(rig)
    assert errors(rig) == {"unreachable": 10}
    rig.transport.answer = fake.honest(rig.store)
    rig.scrape()
    assert up(rig)
    assert totals(rig, Event.CREATED) == {"": 10}
    assert tasks(rig) == {"requested": 11}


def test_q34_a_restored_backup_counts_nothing_twice_and_shows() -> None:
    rig = settled(task("a"), task("b"), comparisons=ReconcileSettings(lookback=3_600))
    backup = quirk_tasks.Backup(rig.store)
    rig.store.put(task("a", "in-progress"))
    rig.scrape()
    rig.store.put(failed("a"))
    rig.store.put(completed("c"))
    rig.scrape()
    backup.restore(rig.store)
    sweep_all(rig)
    rig.scrape()
    assert tasks(rig) == {"requested": 2}
    assert totals(rig, Event.TRANSITION) == {"in-progress": 1, "failed": 1, "completed": 1}
    assert totals(rig, Event.ANOMALY) == {Anomaly.WENT_BACK: 1}
    for status in ("in-progress", "failed", "in-progress"):
        rig.store.put(task("a", status))
        rig.scrape()
    assert totals(rig, Event.TRANSITION) == {"in-progress": 2, "failed": 1, "completed": 1}


def test_q34_a_task_that_was_untagged_in_the_backup_leaves_the_gauges() -> None:
    rig = settled(task("a"), task("b"))
    rig.store.put(task("b", "in-progress"))
    rig.scrape()
    rig.store.put(task("b", meta=meta()), version="1", stamp=rig.clock.at - 100_000)
    rig.sweep()
    rig.scrape()
    assert tasks(rig) == {"requested": 1}


def test_q35_an_empty_server_gives_zeros_and_is_up() -> None:
    rig = settled()
    text = rig.scrape()
    assert up(rig)
    assert value(text, 'fhir_task_anomalies_total{kind="foreign"}') == 0
    assert value(own(rig), "fhir_task_exporter_baseline_complete") == 1


def test_q35_many_old_tasks_are_a_baseline_and_count_nothing() -> None:
    rig = Rig()
    quirk_tasks.load(rig.store, 10_000)
    rig.clock.advance(60)
    rig.start().settle()
    rig.scrape()
    assert sum(tasks(rig).values()) == 10_000
    assert totals(rig, Event.CREATED) == {}
    assert observed(rig) == 0
    assert rig.transport.count < 80


# --- official examples


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


def test_odd_names_of_payers_stay_one_line_each() -> None:
    rig = settled(task("a", owner=by_display('Pa"y\\er\n\u202eevil\x00 # HELP x')))
    rig.store.put(completed("b", owner=by_display("   "), authoredOn=at(-1)))
    text = rig.scrape()
    assert payers(rig) == {'Pa"y\\er evil # HELP x', "unknown"}
    assert all(line.startswith(("#", "fhir_task")) for line in text.splitlines())
