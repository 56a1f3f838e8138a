"""Reading the numbers of a rig: what a test says of counters and gauges in one short line each."""

from exporter.metrics.negotiation import Format
from exporter.task.model import Event

from .rig import Rig, value


def totals(rig: Rig, event: Event) -> dict[str, int]:
    """What an event counts by label, over all pairs, as shown; what is 0 is left out."""
    found: dict[str, int] = {}
    for series, n in rig.worker.published.snapshot.counts.items():
        if series.event is event and n:
            found[series.label] = found.get(series.label, 0) + n
    return found


def tasks(rig: Rig) -> dict[str, int]:
    """The gauge of Tasks by status, over all pairs; what is 0 is left out."""
    gauges = rig.worker.published.snapshot.gauges
    assert gauges is not None
    found: dict[str, int] = {}
    for key, n in gauges.tasks.items():
        if n:
            found[key.status] = found.get(key.status, 0) + n
    return found


def errors(rig: Rig) -> dict[str, int]:
    """`fhir_task_exporter_errors_total` by reason; what is 0 is left out."""
    found = {}
    for line in own(rig).splitlines():
        if line.startswith("fhir_task_exporter_errors_total{"):
            label, n = line.rsplit(" ", 1)
            if float(n):
                found[label.split('"')[1]] = int(float(n))
    return found


def own(rig: Rig) -> str:
    """The exposition of our own metrics."""
    return rig.telemetry.render(Format.TEXT).decode()


def up(rig: Rig) -> bool:
    """What `fhir_task_up` says."""
    return value(own(rig), "fhir_task_up") == 1


def work(rig: Rig, most: int = 10_000) -> None:
    """Let the worker work until it has nothing to do, or has done so much; where it would sleep, time passes."""
    for _ in range(most):
        if not rig.worker.busy:
            return
        rest = rig.worker.rest_seconds()
        if rest > 0:
            rig.clock.advance(rest + 0.001)
        rig.worker.step()


def sweep_all(rig: Rig) -> None:
    """Let both sweeps be due, and do them."""
    rig.clock.advance(rig.comparisons.full_interval + 1)
    while rig.worker.rest_seconds() <= 0:
        rig.worker.step()
