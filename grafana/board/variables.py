"""The variables, annotations and links of the dashboard."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import dashboard

from .kinds import PROMETHEUS, RUNBOOKS
from .queries import PAYERS, TARGETS

BUILD = "fhir_task_exporter_build_info"
CREATED = "fhir_task_created_total"
JOB = 'job=~"$job"'
INSTANCE = f'{JOB}, instance=~"$instance"'
TAG = "p2p"

Variable = build.DatasourceVariable | build.QueryVariable | build.TextBoxVariable


def variables() -> tuple[Variable, ...]:
    """List the variables; each narrows those after it."""
    return (
        build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _choice("job", "Job", BUILD),
        _choice("instance", "Instance", f"{BUILD}{{{JOB}}}"),
        # The only label that may be absent: `.+` would then match nothing.
        _choice("fhir_source", "FHIR server", f"{BUILD}{{{INSTANCE}}}", ".*"),
        _choice("source_payer", "Source payer", f"{CREATED}{{{TARGETS}}}"),
        _choice("requesting_payer", "Requesting payer", f"{CREATED}{{{TARGETS}, {PAYERS.split(', ')[0]}}}"),
        _address("runbook_url", "Runbooks", "https://fhir-task-exporter.example/runbooks"),
        _address("cdr_url", "Smile CDR", "https://smile-cdr.example"),
    )


def annotations() -> tuple[build.AnnotationQuery, ...]:
    """Mark alerts and restarts of the exporter in all panels."""
    firing = 'ALERTS{alertstate="firing", alertname=~"P2P.*", job=~"$job", fhir_source=~"$fhir_source"}'
    restart = f"changes(process_start_time_seconds{{{TARGETS}}}[$__rate_interval]) > 0"
    return (
        _note("Alerts", "red", firing, ("{{alertname}}", "{{source_payer}} {{requesting_payer}} {{fhir_source}}")),
        _note("Restarts of the exporter", "purple", restart, ("Restart", "{{instance}} {{fhir_source}}")),
    )


def links() -> tuple[build.DashboardLink, ...]:
    """Link to the runbooks, to the server, and to other dashboards with the same tag."""
    kinds = dashboard.DashboardLinkType
    return (
        build.DashboardLink("Runbooks").type(kinds.LINK).icon("doc").url(RUNBOOKS).target_blank(True),
        build.DashboardLink("Smile CDR")
        .type(kinds.LINK)
        .icon("external link")
        .url("${cdr_url:raw}")
        .target_blank(True),
        build.DashboardLink("More")
        .type(kinds.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True),
    )


def _choice(name: str, label: str, source: str, every: str = ".+") -> build.QueryVariable:
    query: dict[str, object] = {"query": f"label_values({source}, {name})", "refId": "A"}
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query(query)
        .definition(f"label_values({source}, {name})")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .regex("")
        .options([])
        .multi(True)
        .include_all(True)
        .all_value(every)
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _address(name: str, label: str, example: str) -> build.TextBoxVariable:
    option = dashboard.VariableOption(selected=True, text=example, value=example)
    return build.TextBoxVariable(name).label(label).default_value(example).current(option).options([option])


def _note(name: str, color: str, expr: str, said: tuple[str, str]) -> build.AnnotationQuery:
    title, text = said
    target = prometheus.Dataquery().datasource(PROMETHEUS).expr(expr).ref_id("Anno").range()
    return (
        build.AnnotationQuery()
        .name(name)
        .datasource(PROMETHEUS)
        .enable(True)
        .icon_color(color)
        .expr(expr)
        .target(target)
        .title_format(title)
        .text_format(text)
        .step("60s")
    )
