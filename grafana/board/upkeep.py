"""The second half of the row about the exporter itself: errors, odd Tasks, clocks, and what it uses."""

from .kinds import Ready, bars, bars_now, lines
from .limits import EXPORTER, LABELLED, ORANGE, above
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
    )


def _errors() -> Ready:
    words = Words(
        "Errors by reason per hour",
        "What went wrong between the exporter and the FHIR server or the ledger.",
        "the log line of the same time says what to do next; so does `fhir-task-exporter check`.",
        "no errors",
        ("P2PPollErrors", "P2PSourceDown"),
    )
    return bars(words, hourly("fhir_task_exporter_errors_total", "reason"), size=SMALL)


def _odd() -> Ready:
    words = Words(
        "Odd Tasks by kind per hour",
        "Versions of Tasks that are not as they should be, counted once for each kind. missing_owner raises no alert.",
        "counts or ages may be wrong by so many; report the kind to who runs the FHIR server.",
        "none known yet",
        ("P2PTaskAnomalies",),
    )
    kinds = server(f"round(increase({own('fhir_task_anomalies_total')}[1h]))", "kind")
    return bars(words, Query(f"{kinds} > 0", "{{kind}} {{fhir_source}}"), size=SMALL)


def _odd_now() -> Ready:
    words = Words(
        "Odd Tasks on the server",
        "Tasks that show an oddity as of the last complete poll, those from before the exporter included.",
        "nothing at once; search the server for them when numbers look wrong.",
        "none, or no fresh data",
    )
    expr = f"sort_desc({server(own('fhir_tasks_anomalous'), 'kind')} > 0)"
    measure = Measure(steps=LABELLED, bounds=(0, None))
    return bars_now(words, Query(expr, "{{kind}} {{fhir_source}}"), measure, SMALL)


def _skew() -> Ready:
    words = Words(
        "Clock skew",
        "The FHIR server's clock minus the exporter's, either way. The line is the limit.",
        "mend the clock that is wrong: deadlines go by the server's, ages on this board by Prometheus'.",
        "the server has not told its time",
        ("P2PClockSkew",),
    )
    expr = replica("max", f"abs({own('fhir_task_exporter_clock_skew_seconds')})")
    return lines(words, (Query(expr, EACH),), Measure("s", above(EXPORTER["clock_skew_seconds"], ORANGE)), SMALL)


def _late() -> Ready:
    words = Words(
        "Largest lateness",
        "Longest time from the stamp of a version to when the server showed it, since the exporter's start.",
        "near --poll.overlap (30 s): raise that, or versions are found by the next sweep only.",
        SILENT,
    )
    expr = replica("max", own("fhir_task_exporter_largest_lateness_seconds"))
    return lines(words, (Query(expr, EACH),), Measure("s"), SMALL)


def _sweeps() -> Ready:
    words = Words(
        "Corrections by sweep per hour",
        "Tasks that a sweep found to differ from the ledger: vanished ones, and what polls did not see.",
        "many without a purge: versions become visible late, see Largest lateness.",
        "no corrections",
    )
    return bars(words, hourly("fhir_task_exporter_reconcile_corrections_total", "sweep"), size=SMALL)


def _ledger() -> Ready:
    words = Words(
        "Size of the ledger",
        "The database on the exporter's disk.",
        "compare with the free space of the volume: with a full disk nothing is lost, but nothing new is counted.",
        SILENT,
    )
    return lines(words, (_each("fhir_task_exporter_ledger_bytes"),), Measure("bytes"), SMALL)


def _memory() -> Ready:
    words = Words(
        "Memory",
        "Resident memory of the exporter.",
        "near the limit of the container: it will be killed, and go on after the restart.",
        SILENT,
    )
    return lines(words, (_each("process_resident_memory_bytes"),), Measure("bytes"), SMALL)


def _scrapes() -> Ready:
    words = Words(
        "Scrapes by answer per hour",
        "fresh: a poll of its own. reused: a picture still young. late: the poll still ran. stale: it failed.",
        "many late: raise the scrape time-out, or look at Duration of polls.",
        "no scrapes",
    )
    return bars(words, hourly("fhir_task_exporter_scrapes_total", "answer"), size=SMALL)


def hourly(name: str, label: str) -> Query:
    """Count what the exporter did in an hour, by a label."""
    counted = replica("sum", f"round(increase({own(name)}[1h]))", label)
    return Query(f"{counted} > 0", f"{{{{{label}}}}} {EACH}")


def _each(name: str) -> Query:
    return Query(replica("max", own(name)), EACH)
