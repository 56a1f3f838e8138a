"""How the dashboard asks: selectors, and the aggregations that keep replicas and FHIR servers apart.

Rule 1: every selector names the variables, so that what is chosen above holds in every panel.
Rule 2: replicas of the exporter count the same exchanges. `once` takes the highest of them before `total` adds up
payers. Two FHIR servers differ in `job` or `fhir_source`, which every result keeps: they are never added.
`without (instance)` would not do: Prometheus Operator adds `pod`, and then each replica stays.
"""

from exporter.task.model import TERMINAL, TIMED, Status

SERVER = ("job", "fhir_source")
PAIR = (*SERVER, "source_payer", "requesting_payer")
TARGETS = 'job=~"$job", instance=~"$instance", fhir_source=~"$fhir_source"'
PAYERS = 'source_payer=~"$source_payer", requesting_payer=~"$requesting_payer"'

OPEN = f'status!~"{"|".join(status for status in Status if status in TERMINAL)}"'
"""In flight: a status that may still change."""

ENDED = f'status=~"{"|".join(status for status in Status if status in TIMED)}"'
"""Entered-in-error is left out: such a Task was never an exchange."""

ONE_SERVER = f"count(count by ({', '.join(SERVER)}) (fhir_task_exporter_build_info{{{TARGETS}}})) == 1"
"""True while one FHIR server is looked at."""


def own(name: str, *matchers: str) -> str:
    """Select a metric that knows no payers."""
    return f"{name}{{{', '.join((TARGETS, *matchers))}}}"


def pairs(name: str, *matchers: str) -> str:
    """Select a metric of pairs of payers."""
    return own(name, PAYERS, *matchers)


def events(selector: str, window: str) -> str:
    """Count what happened in a window, whole: increase() extrapolates, two events measure as 2.034."""
    return f"round(increase({selector}[{window}]))"


def once(inner: str, *labels: str) -> str:
    """Take each pair of payers once, however many replicas tell of it."""
    return f"max by ({', '.join((*PAIR, *labels))}) ({inner})"


def total(inner: str, *labels: str) -> str:
    """Add up payers that were taken once, for each FHIR server by itself."""
    return f"sum by ({', '.join((*SERVER, *labels))}) ({inner})"


def server(inner: str, *labels: str) -> str:
    """Take the highest of the replicas that watch a FHIR server."""
    return f"max by ({', '.join((*SERVER, *labels))}) ({inner})"


def replica(function: str, inner: str, *labels: str) -> str:
    """Look at each replica by itself: for metrics of the exporter's own life."""
    return f"{function} by ({', '.join((*SERVER, 'instance', *labels))}) ({inner})"


def transitions(window: str, status: str, *labels: str) -> str:
    """Count the exchanges that entered a status in a window."""
    return total(once(events(pairs("fhir_task_transitions_total", status), window), "status"), *labels)


def ended(window: str, *labels: str) -> str:
    """Count the exchanges that ended in a window."""
    return transitions(window, ENDED, *labels)


def quantile(share: float, window: str, *labels: str) -> str:
    """Estimate how long a share of the completed exchanges took at most, in seconds.

    The comparison drops NaN, which is what a window without exchanges gives.
    """
    buckets = once(f"increase({pairs('fhir_task_duration_seconds_bucket', COMPLETED)}[{window}])", "le")
    return f"histogram_quantile({share}, {total(buckets, *labels, 'le')}) >= 0"


COMPLETED = 'status="completed"'
FAILED = 'status="failed"'
