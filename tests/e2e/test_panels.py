"""Every query of the dashboard, asked of a real Prometheus that scrapes real exporters.

North is a FHIR server that two replicas watch, as `serve` does; south is the demo's own exporter, on the same Tasks.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ..assets.monitoring.board import BOARD, asked, filled
from .process import Process, batch_jobs_of, demo, exporter
from .prometheus import Prometheus, prometheus

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SPEED = 120
"""A new exchange every 2.5 seconds, one in twelve fails. Faster ones would not be seen while they wait for a start."""
PATIENCE = 200
"""Seconds until each panel shows something: most in thirty, the demo's first new exchange within two minutes."""
FAST = {"$__rate_interval": "20s", "$__range": "1h", "$__interval": "2s"}
ONLY_WHEN_WRONG = {
    "panel Corrections by comparison per hour, query A",
    "panel Errors by reason per hour, query A",
    "panel Task anomalies by kind per hour, query A",
    "panel Tasks with anomalies, query A",
    "annotation Restarts of the exporter",
}
"""They hide zeros, and nothing is wrong here: asked without that."""
EXPORT_JOBS = 'job="fhir-export-jobs"'
"""The simulated server has none; test_export_jobs.py shows them on a real one."""
TOKENS = "fhir_task_exporter_token_expiry_timestamp_seconds"
"""The simulated server asks for none; test_oauth2.py gets them from a real one."""
ALERTS = "annotation Alerts"
"""Needs the rules, which are tested elsewhere."""


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("panels")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    with demo(folder, SPEED) as (address, base), _replica(base, folder / "a") as a, _replica(base, folder / "b") as b:
        replicas = [
            {"targets": [found.url.removeprefix("http://")], "labels": {"fhir_source": "north", "pod": pod}}
            for found, pod in ((a, "p-0"), (b, "p-1"))
        ]
        alone = {"targets": [address], "labels": {"fhir_source": "south"}}
        job = {"job_name": "fhir-task-exporter", "static_configs": [*replicas, alone]}
        every = {"scrape_interval": "2s", "scrape_timeout": "2s"}
        with prometheus({"global": every, "scrape_configs": [job]}, folder) as running:
            running.until("sum(fhir_task_up)", 3, PATIENCE)
            yield running


def _replica(base: str, folder: Path) -> AbstractContextManager[Process]:
    return exporter(base, folder, "--series.hold", "5s", "--poll.min-interval", "1s", *batch_jobs_of(base))


def _queries(source: str) -> dict[str, str]:
    found = {}
    for query in asked():
        where = query.where.partition(", ")[2]
        expr = filled(query.expr.replace("$fhir_source", source), FAST)
        found[where] = expr.replace(" > 0", "") if where in ONLY_WHEN_WRONG else expr
    absent = (EXPORT_JOBS, TOKENS)
    return {where: expr for where, expr in found.items() if where != ALERTS and not any(a in expr for a in absent)}


def test_every_panel_shows_something(watching: Prometheus) -> None:
    assert watching.unanswered(_queries("north"), PATIENCE) == {}


def test_two_servers_are_two_and_their_replicas_one(watching: Prometheus) -> None:
    both = watching.values(_queries("north|south")["panel In flight, query A"], "fhir_source")
    assert sorted(both) == ["north", "south"]
    # The exporters poll at different moments; were replicas added, north would be twice south.
    assert 0.5 < both["north"] / both["south"] < 1.5


def test_the_heat_map_shows_one_server_only(watching: Prometheus) -> None:
    where = "panel Durations of completed exchanges (heat map), query A"
    assert watching.unanswered({where: _queries("south")[where]}, PATIENCE) == {}
    assert watching.query(_queries("north|south")[where]) == []


def test_variables_offer_what_there_is(watching: Prometheus) -> None:
    offered = {}
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            selector = variable["definition"].removeprefix("label_values(").rpartition(", ")[0]
            offered[variable["name"]] = watching.label_values(variable["name"], filled(selector))
    assert offered["job"] == ["fhir-task-exporter"]
    assert offered["fhir_source"] == ["north", "south"]
    assert len(offered["instance"]) == 3
    assert len(offered["source_payer"]) > 3
    assert len(offered["requesting_payer"]) > 1
