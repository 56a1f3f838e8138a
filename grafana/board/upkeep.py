"""The second half of the row about the exporter itself: errors, anomalies, clocks, and resource usage."""

from .kinds import Ready, bars, bars_now, lines
from .limits import EXPORTER, LABELLED, ORANGE, above, below
from .queries import own, replica, server
from .spec import Measure, Query, Size, Words

EACH = "{{instance}} {{fhir_source}}"
SMALL = Size(8, 7)
SILENT = "no exporter answers"


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (
        *(_errors(), _odd(), _odd_now()),
        *(_skew(), _late(), _sweeps()),
        *(_ledger(), _memory(), _scrapes()),
        *(_token(), _config()),
    )


def _errors() -> Ready:
    words = Words(
        "Errors by reason per hour",
        "Errors between the exporter and the FHIR server or the ledger.",
        "read the log line of that time, which says what to do, or run `fhir-task-exporter check`.",
        "no errors",
        ("P2PPollErrors", "P2PSourceDown", "P2PTokenNotRenewed", "P2PLedgerTrouble"),
    )
    return bars(words, hourly("fhir_task_exporter_errors_total", "reason"), size=SMALL)


def _odd() -> Ready:
    words = Words(
        "Task anomalies by kind per hour",
        "Malformed or inconsistent Task versions, counted once per kind. missing_owner raises no alert.",
        "counts or ages of that many exchanges may be wrong; report the kind to the administrator of the FHIR server.",
        "none known yet",
        ("P2PTaskAnomalies",),
    )
    kinds = server(f"round(increase({own('fhir_task_anomalies_total')}[1h]))", "kind")
    return bars(words, Query(f"{kinds} > 0", "{{kind}} {{fhir_source}}"), size=SMALL)


def _odd_now() -> Ready:
    words = Words(
        "Tasks with anomalies",
        "Tasks that currently have an anomaly, as of the last complete poll, including those from before the exporter.",
        "nothing immediate; search the server for them if numbers look wrong.",
        "none, or no fresh data",
    )
    expr = f"sort_desc({server(own('fhir_tasks_anomalous'), 'kind')} > 0)"
    measure = Measure(steps=LABELLED, bounds=(0, None))
    return bars_now(words, Query(expr, "{{kind}} {{fhir_source}}"), measure, SMALL)


def _skew() -> Ready:
    words = Words(
        "Clock skew",
        "Difference between the clocks of the FHIR server and the exporter, without sign. The line is the limit.",
        "fix the wrong clock: deadlines use the server's clock, ages on this dashboard use Prometheus' clock.",
        "the server sends no timestamp",
        ("P2PClockSkew",),
    )
    expr = replica("max", f"abs({own('fhir_task_exporter_clock_skew_seconds')})")
    return lines(words, (Query(expr, EACH),), Measure("s", above(EXPORTER["clock_skew_seconds"], ORANGE)), SMALL)


def _late() -> Ready:
    words = Words(
        "Largest lateness",
        "Longest delay from the timestamp of a version to when it became visible, since the exporter started.",
        "close to --poll.overlap (default 30 s): raise it, or later versions are only found by the next comparison.",
        SILENT,
    )
    expr = replica("max", own("fhir_task_exporter_largest_lateness_seconds"))
    return lines(words, (Query(expr, EACH),), Measure("s"), SMALL)


def _sweeps() -> Ready:
    words = Words(
        "Corrections by comparison per hour",
        "Tasks that a comparison found to differ from the ledger: vanished ones, and changes that polls missed.",
        "many without a purge: versions become visible late, see Largest lateness.",
        "no corrections",
    )
    return bars(words, hourly("fhir_task_exporter_reconcile_corrections_total", "sweep"), size=SMALL)


def _ledger() -> Ready:
    words = Words(
        "Size of the ledger",
        "The database on the exporter's disk.",
        "compare with the free space of the volume: if the disk is full, nothing is lost, but nothing new is counted.",
        SILENT,
    )
    return lines(words, (_each("fhir_task_exporter_ledger_bytes"),), Measure("bytes"), SMALL)


def _memory() -> Ready:
    words = Words(
        "Memory",
        "Resident memory of the exporter.",
        "close to the container's limit: it will be killed, and continues after the restart.",
        SILENT,
    )
    return lines(words, (_each("process_resident_memory_bytes"),), Measure("bytes"), SMALL)


def _scrapes() -> Ready:
    words = Words(
        "Scrapes by answer per hour",
        "fresh: a new poll. reused: a recent snapshot. late: the poll was still running. stale: the poll failed.",
        "many late: raise the scrape timeout, or see Duration of polls.",
        "no scrapes",
    )
    return bars(words, hourly("fhir_task_exporter_scrapes_total", "answer"), size=SMALL)


def _token() -> Ready:
    words = Words(
        "Access token valid for",
        "Time until the access token for the FHIR server expires. It is renewed when a fifth of it is left.",
        "falling to 0: run `fhir-task-exporter check`, and see whether the client's secret or key has expired.",
        "no access token is used, or none was ever obtained",
        ("P2PTokenNotRenewed",),
    )
    expr = replica("max", f"{own('fhir_task_exporter_token_expiry_timestamp_seconds')} - time()")
    return lines(words, (Query(expr, EACH),), Measure("s"), SMALL)


def _config() -> Ready:
    words = Words(
        "Configuration files usable",
        "1 if the last read of each configuration file succeeded; 0 while the former one is in force instead.",
        "read the log, which has a line for each problem, or run `fhir-task-exporter check`; fix the file and reload.",
        SILENT,
        ("P2PConfigReloadFailed",),
    )
    query = Query(replica("min", own("fhir_task_exporter_config_last_reload_successful")), EACH)
    return lines(words, (query,), Measure("locale", below(1, ORANGE), bounds=(0, 1)), Size(16, 7))


def hourly(name: str, label: str) -> Query:
    """Count what the exporter did in an hour, by a label."""
    counted = replica("sum", f"round(increase({own(name)}[1h]))", label)
    return Query(f"{counted} > 0", f"{{{{{label}}}}} {EACH}")


def _each(name: str) -> Query:
    return Query(replica("max", own(name)), EACH)
