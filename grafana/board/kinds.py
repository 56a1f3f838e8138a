"""The panel types of the dashboard, with common settings. No metric is named here.

This module sets what grafana-foundation-sdk does not: the legend, `calcs` and ids.
"""

from grafana_foundation_sdk.builders import bargauge, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .limits import GREY, NONE, Steps
from .spec import COUNT, HALF, QUARTER, WHOLE, Column, Label, Measure, Query, Size, Words

PROMETHEUS = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOKS = "${runbook_url:raw}"


STATUS_COLOURS = {
    "completed": "green",
    "failed": "red",
    "cancelled": "purple",
    "rejected": "orange",
    "requested": "yellow",
    "in-progress": "blue",
}
"""The same in every graph, whichever statuses it has; other statuses get a palette color."""


class Ready(Builder[dashboard.Panel]):
    """A finished panel, for a dashboard that accepts builders only."""

    def __init__(self, panel: dashboard.Panel) -> None:
        self._panel = panel

    def build(self) -> dashboard.Panel:
        """Return the panel."""
        return self._panel


def number(words: Words, query: Query, measure: Measure = COUNT, size: Size = QUARTER) -> Ready:
    """Show one number per FHIR server, as of the end of the range."""
    panel = (
        stat.Panel()
        .with_target(ask(query, 0).instant())
        .reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE if measure.steps == NONE else common.BigValueColorMode.BACKGROUND)
    )
    if measure.steps != NONE:
        panel = panel.mappings([_unknown(words.none)])
    return dress(panel.build(), words, measure, size)


def bars_now(words: Words, query: Query, measure: Measure, size: Size = HALF) -> Ready:
    """Show one bar per series, as of the end of the range."""
    panel = (
        bargauge.Panel()
        .with_target(ask(query, 0).instant())
        .reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
    )
    return dress(panel.build(), words, measure, size)


def lines(words: Words, queries: tuple[Query, ...], measure: Measure = COUNT, size: Size = HALF) -> Ready:
    """Show values over time; a limit is a dashed line."""
    style = common.GraphThresholdsStyleMode.OFF if measure.steps == NONE else common.GraphThresholdsStyleMode.DASHED
    panel = _over_time(queries).thresholds_style(parts.GraphThresholdsStyleConfig().mode(style))
    return dress(panel.show_points(common.VisibilityMode.AUTO).build(), words, measure, size)


def areas(words: Words, query: Query, size: Size = HALF) -> Ready:
    """Show parts of a whole over time."""
    return dress(_stacked(query).fill_opacity(30).build(), words, COUNT, size)


def bars(words: Words, query: Query, step: str = "1h", size: Size = HALF) -> Ready:
    """Show counts per time step: the query's window must have the same length."""
    panel = _stacked(query).draw_style(common.GraphDrawStyle.BARS).bar_alignment(common.BarAlignment.BEFORE)
    return dress(panel.fill_opacity(80).line_width(0).build(), words, COUNT, size, step)


def warmth(words: Words, query: Query, measure: Measure, size: Size = HALF) -> Ready:
    """Show a classic histogram over time, in cells of an hour or more."""
    panel = (
        heatmap.Panel()
        .with_target(ask(query, 0).range().format(PromQueryFormat.HEATMAP))
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Blues").steps(32).exponent(0.5))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(common.HeatmapCellLayout.AUTO))
        .y_axis(heatmap.YAxisConfig().unit(measure.unit))
        .tooltip(heatmap.HeatmapTooltip().mode(common.TooltipDisplayMode.SINGLE))
        .show_legend()
    )
    return dress(panel.build(), words, measure, size, "1h")


def rows(words: Words, labels: tuple[Label, ...], columns: tuple[Column, ...], size: Size = WHOLE) -> Ready:
    """Show a table with one line per label set, sorted by the first column."""
    panel = table.Panel().sort_by([parts.TableSortByFieldState().display_name(columns[0].title).desc(True)])
    for place, column in enumerate(columns):
        target = ask(Query(column.expr, ""), place).instant().format(PromQueryFormat.TABLE)
        panel = panel.with_target(target).override_by_name(_value(place, columns), _column(column))
    for label in labels:
        panel = panel.override_by_name(label.name, _label(label))
    order = {label.name: place for place, label in enumerate(labels)}
    panel = panel.with_transformation(dashboard.DataTransformerConfig("merge", options={}))
    tidy = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": {}}
    panel = panel.with_transformation(dashboard.DataTransformerConfig("organize", options=tidy))
    return dress(panel.build(), words, COUNT, size)


def ask(query: Query, place: int) -> prometheus.Dataquery:
    """Make a target; its letter is derived from its position."""
    target = prometheus.Dataquery().datasource(PROMETHEUS).expr(query.expr).ref_id("ABCDEFGHIJKL"[place])
    return target.legend_format(query.legend).exemplar(query.exemplars)


def dress(panel: dashboard.Panel, words: Words, measure: Measure, size: Size, interval: str = "1m") -> Ready:
    """Set the fields that all panels have."""
    panel.title, panel.description, panel.datasource = words.title, words.description, PROMETHEUS
    panel.interval, panel.grid_pos = interval, dashboard.GridPos(w=size.width, h=size.height)
    panel.links = [_runbook(alert) for alert in words.alerts] or None
    panel.field_config = panel.field_config or dashboard.FieldConfigSource(overrides=[])
    settings = panel.field_config.defaults
    settings.unit, settings.decimals, settings.no_value = measure.unit, measure.decimals, words.none
    settings.min_val, settings.max_val = measure.bounds
    settings.thresholds = _thresholds(measure.steps)
    palette = panel.type_val in {"timeseries", "heatmap"}
    settings.color = dashboard.FieldColor(
        dashboard.FieldColorModeId.PALETTE_CLASSIC if palette else dashboard.FieldColorModeId.THRESHOLDS
    )
    return Ready(panel)


def _over_time(queries: tuple[Query, ...]) -> timeseries.Panel:
    panel = timeseries.Panel().axis_soft_min(0).fill_opacity(0).span_nulls(False)
    if any(query.legend.startswith("{{status}}") for query in queries):
        for status, colour in STATUS_COLOURS.items():
            fixed = dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})
            panel = panel.override_by_regexp(f"/^{status}\\b/", [fixed])
    for place, query in enumerate(queries):
        panel = panel.with_target(ask(query, place).range())
    legend = parts.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST).calcs([])
    tooltip = parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    return panel.legend(legend.placement(common.LegendPlacement.BOTTOM)).tooltip(tooltip)


def _stacked(query: Query) -> timeseries.Panel:
    return _over_time((query,)).stacking(parts.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))


def _value(place: int, columns: tuple[Column, ...]) -> str:
    """Return Grafana's name for the values of a query: it adds a letter only if there are several queries."""
    return f"Value #{'ABCDEFGHIJKL'[place]}" if len(columns) > 1 else "Value"


def _column(column: Column) -> list[dashboard.DynamicConfigValue]:
    said: dict[str, object] = {"displayName": column.title, "unit": column.measure.unit}
    if column.measure.unit != "dateTimeFromNow":
        said["custom.minWidth"] = 90
    if column.measure.decimals is not None:
        said["decimals"] = column.measure.decimals
    if column.measure.steps != NONE:
        said["thresholds"] = _thresholds(column.measure.steps)
        said["custom.cellOptions"] = {"type": "color-text"}
    return [dashboard.DynamicConfigValue(name, value) for name, value in said.items()]


def _label(label: Label) -> list[dashboard.DynamicConfigValue]:
    link = {"title": "Show only this", "url": label.link, "targetBlank": False}
    # Otherwise a payer known only by a number would be formatted as one: 9900000017 as 10 Bil.
    said: dict[str, object] = {"displayName": label.title, "unit": "string"} | ({"links": [link]} if label.link else {})
    return [dashboard.DynamicConfigValue(name, value) for name, value in said.items()]


def _unknown(said: str) -> dashboard.SpecialValueMap:
    """Show no data in gray: Grafana would use the color of the first step, green."""
    grey = dashboard.ValueMappingResult(text=said, color=GREY)
    match = dashboard.SpecialValueMatch.NULL_AND_NAN
    return dashboard.SpecialValueMap(dashboard.DashboardSpecialValueMapOptions(match, grey))


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    marks = [dashboard.Threshold(value, colour) for value, colour in steps]
    return dashboard.ThresholdsConfig(dashboard.ThresholdsMode.ABSOLUTE, marks)


def _runbook(alert: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(
        f"Runbook {alert}", dashboard.DashboardLinkType.LINK, url=f"{RUNBOOKS}/{alert}.md", target_blank=True
    )
