"""Queries of the dashboard: selectors, and aggregations that keep replicas and FHIR servers apart.

Rule 1: every selector uses the variables, so that the selection applies to every panel. Export jobs have another scrape
job, so only the FHIR server can be selected for them.
Rule 2: replicas of the exporter count the same exchanges. `once` takes the maximum over replicas before `total` adds
up payers. Two FHIR servers differ in `job` or `fhir_source`, which every result keeps, so they are never added.
`without (instance)` does not work: Prometheus Operator adds `pod`, so each replica would be kept.
"""

from exporter.task.model import TERMINAL, TIMED, Status

SERVER = ("job", "fhir_source")
PAIR = (*SERVER, "source_payer", "requesting_payer")
TARGETS = 'job=~"$job", instance=~"$instance", fhir_source=~"$fhir_source"'
EXPORT_JOBS = 'job="fhir-export-jobs", fhir_source=~"$fhir_source"'
PAYERS = 'source_payer=~"$source_payer", requesting_payer=~"$requesting_payer"'

OPEN = f'status!~"{"|".join(status for status in Status if status in TERMINAL)}"'
"""In flight: not in a terminal status."""

ENDED = f'status=~"{"|".join(status for status in Status if status in TIMED)}"'
"""Without entered-in-error: such a Task was never an exchange."""

ONE_SERVER = f"count(count by ({', '.join(SERVER)}) (fhir_task_exporter_build_info{{{TARGETS}}})) == 1"
"""True if exactly one FHIR server is selected."""


def own(name: str, *matchers: str) -> str:
    """Select a metric without payer labels."""
    return f"{name}{{{', '.join((TARGETS, *matchers))}}}"


def probed(name: str, *matchers: str) -> str:
    """Select a metric of export jobs: they have a scrape job of their own, and an instance for each job."""
    return f"{name}{{{', '.join((EXPORT_JOBS, *matchers))}}}"


def pairs(name: str, *matchers: str) -> str:
    """Select a metric of pairs of payers."""
    return own(name, PAYERS, *matchers)


def events(selector: str, window: str) -> str:
    """Count events in a window, rounded: increase() extrapolates, two events give 2.034."""
    return f"round(increase({selector}[{window}]))"


def once(inner: str, *labels: str) -> str:
    """Take each pair of payers once, however many replicas expose it."""
    return f"max by ({', '.join((*PAIR, *labels))}) ({inner})"


def total(inner: str, *labels: str) -> str:
    """Sum the result of `once` over payers, per FHIR server."""
    return f"sum by ({', '.join((*SERVER, *labels))}) ({inner})"


def server(inner: str, *labels: str) -> str:
    """Take the maximum over the replicas of a FHIR server."""
    return f"max by ({', '.join((*SERVER, *labels))}) ({inner})"


def replica(function: str, inner: str, *labels: str) -> str:
    """Aggregate per replica, for metrics of the exporter itself."""
    return f"{function} by ({', '.join((*SERVER, 'instance', *labels))}) ({inner})"


def transitions(window: str, status: str, *labels: str) -> str:
    """Count the exchanges that entered a status in a window."""
    return total(once(events(pairs("fhir_task_transitions_total", status), window), "status"), *labels)


def ended(window: str, *labels: str) -> str:
    """Count the exchanges that ended in a window."""
    return transitions(window, ENDED, *labels)


def quantile(share: float, window: str, *labels: str) -> str:
    """Estimate a quantile of the duration of completed exchanges, in seconds.

    The comparison drops NaN, the result for a window without exchanges.
    """
    buckets = once(f"increase({pairs('fhir_task_duration_seconds_bucket', COMPLETED)}[{window}])", "le")
    return f"histogram_quantile({share}, {total(buckets, *labels, 'le')}) >= 0"


COMPLETED = 'status="completed"'
FAILED = 'status="failed"'
