"""What a bundled dashboard must be: dashboard-linter's rules on all kinds of panel, and our own."""

import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from exporter.task.model import Status

from . import promql
from .board import BOARD, PATH, ROOT, SERIES, panels, shown

UNITS = frozenset({"locale", "s", "percentunit", "bytes", "reqps", "dateTimeFromNow", "string"})
"""Ids of Grafana's own list that we use. `seconds`, say, is none: it would be written as text."""
PANELS = pytest.mark.parametrize("panel", shown(), ids=lambda panel: panel["title"])
CHOICES = [variable for variable in BOARD["templating"]["list"] if variable["type"] == "query"]


def test_the_head_suits_import_and_provisioning_on_grafana_10_to_13() -> None:
    assert BOARD["uid"] == "p2p-exchanges"
    assert BOARD["schemaVersion"] == 39
    assert BOARD["editable"] is False
    assert (BOARD["refresh"], BOARD["graphTooltip"], BOARD["timezone"]) == ("1m", 1, "browser")
    assert BOARD["time"] == {"from": "now-24h", "to": "now"}
    assert BOARD["tags"]
    assert not {"id", "version", "__inputs", "__requires", "__elements"} & BOARD.keys()


def test_rows_are_those_that_the_documents_name_and_the_last_are_folded() -> None:
    rows = [(panel["title"], panel["collapsed"]) for panel in BOARD["panels"] if panel["type"] == "row"]
    open_rows = ["Overview", "Deadlines", "Flow", "Failures", "Latency", "Payers"]
    folded = ["Export jobs", "Batch jobs", "Exporter health"]
    assert rows == [*((title, False) for title in open_rows), *((title, True) for title in folded)]


def test_ids_are_one_to_n_with_rows() -> None:
    assert [panel["id"] for panel in panels()] == list(range(1, len(panels()) + 1))


def test_no_two_panels_overlap_and_none_leaves_the_grid() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in panels()]
    assert all(at["x"] + at["w"] <= 24 and at["w"] > 0 and at["h"] > 0 for _, at in places)
    overlapping = [(first, second) for (first, a), (second, b) in combinations(places, 2) if _overlap(a, b)]
    assert overlapping == []


def _overlap(first: dict[str, int], second: dict[str, int]) -> bool:
    return all(
        first[start] < second[start] + second[length] and second[start] < first[start] + first[length]
        for start, length in (("x", "w"), ("y", "h"))
    )


def test_a_data_source_is_named_by_the_variable_only() -> None:
    assert _uids(BOARD) == {"${datasource}"}
    holders = [*shown(), *CHOICES, *BOARD["annotations"]["list"]]
    holders += [target for panel in shown() for target in panel["targets"]]
    holders += [note["target"] for note in BOARD["annotations"]["list"]]
    assert all(holder["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for holder in holders)
    assert "${DS_" not in PATH.read_text(encoding="utf-8")


def _uids(thing: object) -> set[str]:
    if isinstance(thing, list):
        return set().union(*map(_uids, thing))
    if not isinstance(thing, dict):
        return set()
    here = {thing["datasource"]["uid"]} if isinstance(thing.get("datasource"), dict) else set()
    return here.union(*map(_uids, thing.values()))


def test_variables_narrow_one_another_in_order() -> None:
    names = [variable["name"] for variable in BOARD["templating"]["list"]]
    assert names == [
        *("datasource", "job", "instance", "fhir_source", "source_payer", "requesting_payer"),
        *("runbook_url", "cdr_url"),
    ]
    source = BOARD["templating"]["list"][0]
    assert (source["type"], source["query"], source["label"]) == ("datasource", "prometheus", "Data source")
    for place, variable in enumerate(CHOICES):
        used = set(re.findall(r"\$(\w+)", variable["definition"]))
        assert used == set(names[1 : 1 + place]), variable["name"]


@pytest.mark.parametrize("variable", CHOICES, ids=lambda variable: variable["name"])
def test_a_variable_offers_all_and_asks_again_when_the_range_changes(variable: dict[str, Any]) -> None:
    assert (variable["multi"], variable["includeAll"]) == (True, True)
    assert (variable["refresh"], variable["sort"]) == (2, 1)
    assert variable["current"] == {"selected": True, "text": ["All"], "value": ["$__all"]}
    # The one label that may be absent must match nothing too.
    assert variable["allValue"] == (".*" if variable["name"] == "fhir_source" else ".+")
    assert variable["query"]["query"] == variable["definition"]
    asks = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
    assert asks, variable["definition"]
    (selector,) = promql.selectors(asks[1])
    assert asks[2] == variable["name"]
    assert asks[2] in SERIES[selector.metric].labels


@PANELS
def test_a_panel_has_a_unit_a_text_without_data_and_a_query(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    said = [
        value for held in panel["fieldConfig"]["overrides"] for value in held["properties"] if value["id"] == "unit"
    ]
    assert {defaults["unit"], *(value["value"] for value in said)} <= UNITS
    assert defaults["noValue"]
    assert panel["title"]
    assert panel["targets"]
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGHIJKL"[: len(panel["targets"])])
    assert panel["type"] in {"stat", "bargauge", "timeseries", "table", "heatmap"}, "no library panels, no plugins"
    assert panel["interval"] in {"1m", "1h", "1d"}


@PANELS
def test_no_axis_leaves_out_ticks(panel: dict[str, Any]) -> None:
    """With `decimals: 0` it does, and Grafana (10.2, tried) writes the text for no data in their place."""
    assert panel["type"] != "timeseries" or panel["fieldConfig"]["defaults"].get("decimals") != 0


@PANELS
def test_stats_and_tables_ask_for_one_instant_and_graphs_for_the_range(panel: dict[str, Any]) -> None:
    now = panel["type"] in {"stat", "bargauge", "table"}
    for target in panel["targets"]:
        assert (target["instant"], target["range"]) == (now, not now)
        assert isinstance(target["exemplar"], bool)
        assert target.get("format") == {"table": "table", "heatmap": "heatmap"}.get(panel["type"])
    if panel["type"] in {"stat", "bargauge"}:
        assert panel["options"]["reduceOptions"]["calcs"] == ["lastNotNull"]
    if panel["type"] == "timeseries":
        assert panel["options"]["legend"]["showLegend"] is True


def test_graphs_of_series_with_exemplars_ask_for_them_once() -> None:
    """An exemplar belongs to a bucket or to a failure. Grafana asks for it in each query over a range that says so."""
    asking = [
        (panel["title"], panel["type"], target)
        for panel in shown()
        for target in panel["targets"]
        if target["exemplar"]
    ]
    assert len({title for title, _, _ in asking}) == len(asking) == 3
    for _, kind, target in asking:
        assert kind in {"timeseries", "heatmap"}
        assert re.search(r"fhir_task_(duration_seconds_bucket|failures_total)\{", target["expr"])


def test_tables_lead_into_the_payer_of_the_line() -> None:
    tables = [panel for panel in shown() if panel["type"] == "table"]
    assert [panel["title"].split(" ")[0] for panel in tables] == ["Failures", "Payers"]
    names = {variable["name"] for variable in BOARD["templating"]["list"]}
    for panel in tables:
        held = {held["matcher"]["options"]: held["properties"] for held in panel["fieldConfig"]["overrides"]}
        for label in ("source_payer", "requesting_payer"):
            (links,) = [value["value"] for value in held[label] if value["id"] == "links"]
            url = links[0]["url"]
            assert url.startswith("/d/p2p-exchanges?${__url_time_range}&")
            assert url.endswith(f"&var-{label}=${{__data.fields.{label}:percentencode}}")
            assert set(re.findall(r"\${(\w+):queryparam}", url)) < names


def test_colours_are_given_to_statuses_that_exist() -> None:
    rules = [held["matcher"] for panel in shown() for held in panel["fieldConfig"]["overrides"]]
    coloured = {rule["options"] for rule in rules if rule["id"] == "byRegexp"}
    assert coloured
    assert coloured <= {rf"/^{status}\b/" for status in Status}


def test_a_payer_known_by_a_number_is_written_as_text() -> None:
    for panel in (panel for panel in shown() if panel["type"] == "table"):
        for held in panel["fieldConfig"]["overrides"]:
            units = [value["value"] for value in held["properties"] if value["id"] == "unit"]
            assert (units == ["string"]) == (not held["matcher"]["options"].startswith("Value")), held


def test_columns_of_a_table_are_the_answers_of_its_queries() -> None:
    for panel in (panel for panel in shown() if panel["type"] == "table"):
        held = {held["matcher"]["options"] for held in panel["fieldConfig"]["overrides"]}
        letters = [target["refId"] for target in panel["targets"]]
        values = {f"Value #{letter}" for letter in letters} if len(letters) > 1 else {"Value"}
        labels = {name for target in panel["targets"] for name in promql.labels(target["expr"]) - {"le", "status"}}
        assert held == values | labels
        assert [change["id"] for change in panel["transformations"]] == ["merge", "organize"]


def test_links_lead_to_runbooks_server_and_boards_alike() -> None:
    urls = [link.get("url") for link in BOARD["links"]]
    assert urls == ["${runbook_url:raw}", "${cdr_url:raw}", None]
    more = BOARD["links"][2]
    assert (more["type"], more["keepTime"], more["includeVars"]) == ("dashboards", True, True)
    assert set(more["tags"]) <= set(BOARD["tags"])


def test_provisioning_loads_the_folder_and_lets_nobody_change_it() -> None:
    folder = ROOT / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards/p2p.yaml").read_text(encoding="utf-8"))["providers"]
    assert provider["allowUiUpdates"] is False
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text(encoding="utf-8"))["datasources"]
    assert (source["type"], source["editable"]) == ("prometheus", False)
