"""The row about the exporter itself, collapsed: open it when the numbers above look wrong."""

from . import upkeep
from .kinds import Ready, bars, lines, number
from .limits import EXPORTER, ORANGE, RED, above, below, more_than
from .queries import own, replica, server
from .spec import COUNT, Measure, Query, Words
from .upkeep import EACH, SILENT, SMALL, hourly

INCOMPLETE = 'outcome!="complete"'


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (
        *(_replicas(), _answers(), _baseline(), _capped()),
        *(_age(), _polls(), _poll_errors()),
        *(_poll_time(), _requests(), _request_time()),
        *upkeep.panels(),
    )


def _replicas() -> Ready:
    words = Words(
        "Replicas up",
        "Replicas of the exporter that Prometheus can scrape, per FHIR server.",
        "0: check the process or the pod. No value: Prometheus has no target for this job.",
        "no target",
        ("P2PExporterDown", "P2PExporterAbsent", "P2PReplicaDown"),
    )
    return number(words, Query(f"sum by (job, fhir_source) ({own('up')})"), COUNT._replace(steps=below(1, RED)))


def _answers() -> Ready:
    words = Words(
        "FHIR server up",
        "1 if the last page of a poll was read and committed by at least one replica, else 0.",
        "see Errors by reason; `fhir-task-exporter check` explains the cause.",
        SILENT,
        ("P2PSourceDown",),
    )
    return number(words, Query(server(own("fhir_task_up"))), COUNT._replace(steps=below(1, RED)))


def _baseline() -> Ready:
    words = Words(
        "Baseline",
        "Fraction of Tasks read by the initial scan. There are no metrics about exchanges before it is complete.",
        "wait while it makes progress; if it makes none for 15 min, see Errors by reason.",
        SILENT,
        ("P2PNeverPolled",),
    )
    expr = server(own("fhir_task_exporter_baseline_progress_ratio"))
    return number(words, Query(expr), Measure("percentunit", decimals=0, bounds=(0, 1)))


def _capped() -> Ready:
    words = Words(
        "Pairs beyond --pairs.max",
        "Pairs of payers shown as other, other, since all slots are taken.",
        "raise --pairs.max, or list the payers in the configuration file: listed payers always get a slot.",
        SILENT,
        ("P2PPairsCapped",),
    )
    measure = COUNT._replace(steps=more_than(EXPORTER["pairs_capped_count"], ORANGE))
    return number(words, Query(server(own("fhir_task_exporter_pairs_capped"))), measure)


def _age() -> Ready:
    words = Words(
        "Age of the data by replica",
        "Time since each replica's last complete poll. The line is the limit.",
        "one replica: its network or its ledger. All: the FHIR server.",
        "never polled",
        ("P2PPollStale", "P2PReplicaDown"),
    )
    expr = f"time() - {replica('max', own('fhir_task_exporter_last_complete_poll_timestamp_seconds'))}"
    return lines(words, (Query(expr, EACH),), Measure("s", above(EXPORTER["stale_seconds"], RED)), SMALL)


def _polls() -> Ready:
    words = Words(
        "Polls by outcome per hour",
        "partial: some pages were kept; failed: none were. Each scrape starts a poll or joins a running one.",
        "see Errors by reason.",
        "no polls",
        ("P2PPollErrors",),
    )
    return bars(words, hourly("fhir_task_exporter_polls_total", "outcome"), size=SMALL)


def _poll_errors() -> Ready:
    words = Words(
        "Polls not complete (last 30 min)",
        "Fraction of each replica's polls that were partial or failed. The line is the limit.",
        "see Errors by reason and Requests by code.",
        "no polls",
        ("P2PPollErrors",),
    )
    polls = "fhir_task_exporter_polls_total"
    bad = replica("sum", f"increase({own(polls, INCOMPLETE)}[30m])")
    every = replica("sum", f"increase({own(polls)}[30m])")
    measure = Measure("percentunit", above(EXPORTER["poll_error_ratio"], ORANGE), bounds=(0, 1))
    return lines(words, (Query(f"{bad} / ({every} > 0)", EACH),), measure, SMALL)


def _poll_time() -> Ready:
    words = Words(
        "Duration of polls, p95",
        "p95 of the duration of polls, including the baseline.",
        "longer than the scrape timeout: scrapes get the last snapshot. Check the load of the FHIR server.",
        "no polls",
    )
    return lines(words, (_slowest("fhir_task_exporter_poll_duration_seconds_bucket"),), Measure("s"), SMALL)


def _requests() -> Ready:
    words = Words(
        "Requests by code",
        "Requests to the FHIR server per second, by class of the HTTP status; none: no response.",
        "4xx: credentials or address. 5xx and none: the server, or a proxy in front of it.",
        "no requests",
    )
    rate = replica("sum", f"rate({own('fhir_task_exporter_requests_total')}[$__rate_interval])", "code")
    return lines(words, (Query(f"{rate} > 0", f"{{{{code}}}} {EACH}"),), Measure("reqps"), SMALL)


def _request_time() -> Ready:
    words = Words(
        "Duration of requests, p95",
        "p95 of the duration of requests to the FHIR server, by operation.",
        "search high: the server lacks an index or is busy. token high: the authorization server.",
        "no requests",
    )
    query = _slowest("fhir_task_exporter_request_duration_seconds_bucket", "operation")
    return lines(words, (query,), Measure("s"), SMALL)


def _slowest(name: str, *labels: str) -> Query:
    """Estimate a p95; the comparison drops NaN, the result for a period without requests."""
    buckets = replica("sum", f"rate({own(name)}[$__rate_interval])", *labels, "le")
    said = " ".join(f"{{{{{label}}}}}" for label in labels)
    return Query(f"histogram_quantile(0.95, {buckets}) >= 0", f"{said} {EACH}".strip())
