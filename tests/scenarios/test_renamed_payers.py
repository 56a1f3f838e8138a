"""A payer that is renamed in the file, or put under a parent: its series go on, and Prometheus sees each event once."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..support.builders import by_display, completed, failed, organization, reference
from ..support.exposition import by_payer, capped, own_value
from ..support.rig import FULL_ONLY, Rig, prepared

FAILURES = "fhir_task_failures_total"


@dataclass
class Increases:
    """What `sum(increase())` over every name adds up to, of the samples that a Prometheus got."""

    rig: Rig
    samples: list[dict[str, float]] = field(default_factory=list)

    def scrape(self, times: int = 1) -> None:
        for _ in range(times):
            found = {}
            for line in self.rig.scrape().splitlines():
                series, _, value = line.rpartition(" ")
                if series.startswith(FAILURES + "{"):
                    found[series] = float(value)
            self.samples.append(found)

    @property
    def sum(self) -> float:
        """Add up the rises between neighboring samples of each series; where one begins, nothing is seen."""
        return sum(
            now[series] - before[series] for before, now in pairwise(self.samples) for series in now.keys() & before
        )


def started(tmp_path: Path, *names: str, **options: Any) -> Rig:
    """Read one ended Task each of these payers."""
    tasks = (completed(f"old-{n}", owner=by_display(name), requester=None) for n, name in enumerate(names))
    return prepared(*tasks, path=str(tmp_path / "ledger.db"), comparisons=FULL_ONLY, **options).start().run_due()


def fail(rig: Rig, identifier: str, payer: str) -> None:
    rig.store.put(failed(identifier, owner=by_display(payer), requester=None))


def test_a_rename_with_the_former_name_continues_the_counters_and_the_slot(tmp_path: Path) -> None:
    rig = started(tmp_path, "Old Name", pairs_max=1)
    fail(rig, "a", "Old Name")
    assert by_payer(rig, FAILURES) == {"Old Name": 1}
    rig.restart(payer_yaml="- {name: New Name, formerly: [Old Name]}").run_due()
    assert by_payer(rig, FAILURES) == {"New Name": 1}
    assert by_payer(rig) == {"New Name": 2}
    fail(rig, "b", "Old Name")
    fail(rig, "c", "New Name")
    assert by_payer(rig, FAILURES) == {"New Name": 3}
    assert (own_value(rig, "fhir_task_exporter_pairs"), capped(rig)) == (1, 0)
    rig.restart().run_due()
    assert by_payer(rig, FAILURES) == {"New Name": 3}


def test_a_rename_without_the_former_name_is_a_new_pair(tmp_path: Path) -> None:
    rig = started(tmp_path, "Old Name")
    fail(rig, "a", "Old Name")
    rig.scrape()
    rig.restart(payer_yaml="- {name: New Name, references: [Organization/1]}").run_due()
    assert by_payer(rig, FAILURES) == {"Old Name": 1}


def test_prometheus_sees_each_event_once_across_a_rename(tmp_path: Path) -> None:
    rig = started(tmp_path, "Old Name", hold=60.0)
    seen = Increases(rig)
    seen.scrape(10)
    fail(rig, "shown", "Old Name")
    seen.scrape(10)
    assert seen.sum == 1
    fail(rig, "held", "Old Name")
    rig.restart(payer_yaml="- {name: New Name, formerly: [Old Name]}").run_due()
    seen.scrape(10)
    fail(rig, "afterwards", "Old Name")
    seen.scrape(10)
    assert seen.sum == 3


def test_a_group_under_a_new_name_has_the_sum_and_one_slot(tmp_path: Path) -> None:
    plans = [f"Plan {number}" for number in range(10)]
    rig = started(tmp_path, *plans)
    for number, plan in enumerate(plans):
        fail(rig, f"failed-{number}", plan)
    assert by_payer(rig, FAILURES) == dict.fromkeys(plans, 1)
    table = "\n".join(f"- {{name: {plan}, parent: Insurer}}" for plan in plans)
    rig.restart(payer_yaml=table).run_due()
    assert by_payer(rig, FAILURES) == {"Insurer": 10}
    assert by_payer(rig) == {"Insurer": 20}
    assert own_value(rig, "fhir_task_exporter_pairs") == 1


def test_a_group_under_a_name_with_series_does_not_look_like_a_burst_of_failures(tmp_path: Path) -> None:
    rig = started(tmp_path, "Insurer", "Plan", hold=60.0)
    seen = Increases(rig)
    seen.scrape(10)
    for number in range(5):
        fail(rig, f"plan-{number}", "Plan")
    fail(rig, "insurer", "Insurer")
    seen.scrape(10)
    assert seen.sum == 6
    fail(rig, "held", "Plan")
    seen.scrape()
    rig.restart(payer_yaml="- {name: Plan, parent: Insurer}").run_due()
    seen.scrape(10)
    fail(rig, "afterwards", "Plan")
    seen.scrape(10)
    assert seen.sum == 8
    assert by_payer(rig) == {"Insurer": 10}


def test_a_changed_pattern_or_parent_walks_everything_again(tmp_path: Path) -> None:
    orgs = [organization(f"plan-{number}", None) for number in range(3)]
    tasks = [
        completed(f"t{number}", owner=reference(f"Organization/plan-{number}"), requester=None) for number in (0, 1)
    ]
    rig = prepared(*orgs, *tasks, path=str(tmp_path / "ledger.db"), comparisons=FULL_ONLY).start().run_due()
    assert by_payer(rig) == {"unknown": 2}
    rig.restart(payer_yaml="- {name: Plan, reference_patterns: ['Organization/plan-[0-9]+']}").run_due()
    assert by_payer(rig) == {"Plan": 2}
    rig.restart(payer_yaml="- {name: Plan, reference_patterns: ['Organization/plan-0']}").run_due()
    assert by_payer(rig) == {"Plan": 1, "unknown": 1}
    rig.restart(payer_yaml="- {name: Plan, parent: Insurer, reference_patterns: ['Organization/plan-0']}").run_due()
    assert by_payer(rig) == {"Insurer": 1, "unknown": 1}
