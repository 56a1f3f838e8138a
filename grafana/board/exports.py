"""The row about bulk export jobs of our own server, collapsed: it is empty unless Prometheus probes some."""

from .kinds import Ready, areas, bars_now, lines, number
from .limits import EXPORT, LABELLED, ORANGE, above, more_than
from .queries import probed, server, total
from .spec import COUNT, Measure, Query, Size, Words

NONE_PROBED = "no export job is probed"
THIRD = Size(8, 7)


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (*(_failed(), _unreadable()), _states(), *(_time(), _files(), _error_files()))


def _failed() -> Ready:
    words = Words(
        "Export jobs failed",
        "Bulk export jobs of your own FHIR server that ended as failed, as long as they are probed.",
        "somebody waits for the data: read the job in the Batch Jobs view of the server, then start it again.",
        NONE_PROBED,
        ("P2PExportJobFailed",),
    )
    state = probed("fhir_export_job_state", 'state="failed"')
    measure = COUNT._replace(steps=more_than(EXPORT["job_failed_count"], ORANGE))
    return number(words, Query(total(server(state, "instance"))), measure, Size(12, 4))


def _unreadable() -> Ready:
    words = Words(
        "Export jobs not readable",
        "Export jobs whose status the exporter could not read with the last probe; their state is unknown.",
        "see Errors by reason and the log of the exporter: the job itself may be well.",
        NONE_PROBED,
        ("P2PExportJobUnreadable",),
    )
    read = server(probed("probe_success"), "instance")
    measure = COUNT._replace(steps=more_than(EXPORT["job_unreadable_count"], ORANGE))
    return number(words, Query(total(f"1 - {read}")), measure, Size(12, 4))


def _states() -> Ready:
    words = Words(
        "Export jobs by state",
        "Probed export jobs in each state: gone means that the server does not know the job, or no longer.",
        "queued for long: the batch jobs of the server stand still. unknown: see Export jobs not readable.",
        NONE_PROBED,
    )
    states = total(server(probed("fhir_export_job_state"), "instance", "state"), "state")
    return areas(words, Query(f"{states} > 0", "{{state}} {{fhir_source}}"), Size(24, 7))


def _time() -> Ready:
    words = Words(
        "Duration of export jobs",
        "How long each export job has taken so far, or took if a probe saw it run. The line is the limit.",
        "above the line: look at the Batch Jobs view of the server; large exports run for hours.",
        NONE_PROBED,
        ("P2PExportJobSlow",),
    )
    expr = server(probed("fhir_export_job_duration_seconds"), "instance")
    measure = Measure("s", above(EXPORT["job_slow_seconds"], ORANGE))
    return lines(words, (Query(expr, "{{instance}} {{fhir_source}}"),), measure, THIRD)


def _files() -> Ready:
    words = Words(
        "Exported files by resource type",
        "Files in the manifests of the export jobs; unknown: the server gives no type.",
        "none of an expected type: the export left it out, or there is no such data.",
        "no files yet",
    )
    expr = f"sort_desc({server(probed('fhir_export_job_files'), 'instance', 'type')})"
    measure = Measure(steps=LABELLED, bounds=(0, None))
    return bars_now(words, Query(expr, "{{type}} {{instance}}"), measure, THIRD)


def _error_files() -> Ready:
    words = Words(
        "Files with errors",
        "Files in the manifests that report errors: the export completed, but without some resources.",
        "read these files on the server; whoever asked for the data misses something.",
        "none",
    )
    expr = f"sort_desc({server(probed('fhir_export_job_error_files'), 'instance', 'type')} > 0)"
    measure = Measure(steps=LABELLED, bounds=(0, None))
    return bars_now(words, Query(expr, "{{type}} {{instance}}"), measure, THIRD)
