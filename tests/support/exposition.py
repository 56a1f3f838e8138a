"""The numbers that an exporter shows: counters and gauges of Tasks, and the metrics of the exporter itself."""

from exporter.metrics.negotiation import Format
from exporter.metrics.vocabulary import Comparison, Outcome
from exporter.task.model import Event, Gauges

from .rig import Rig


def sample_value(text: str, series: str) -> float | None:
    """Find one sample in a text exposition."""
    return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.rsplit(" ", 1)[0] == series), None)


# --- Tasks


def totals(rig: Rig, event: Event) -> dict[str, int]:
    """What an event counts by label, over all pairs, as shown; what is 0 is left out."""
    found: dict[str, int] = {}
    for series, n in rig.worker.published.snapshot.counts.items():
        if series.event is event and n:
            found[series.label] = found.get(series.label, 0) + n
    return found


def gauges(rig: Rig) -> Gauges:
    """The gauges as shown; there are some once the baseline is complete."""
    shown = rig.worker.published.snapshot.gauges
    assert shown is not None
    return shown


def tasks(rig: Rig) -> dict[str, int]:
    """`fhir_tasks` by status, over all pairs; what is 0 is left out."""
    found: dict[str, int] = {}
    for key, n in gauges(rig).tasks.items():
        if n:
            found[key.status] = found.get(key.status, 0) + n
    return found


def observed(rig: Rig) -> int:
    """How many durations were observed."""
    return sum(sum(each.counts) for each in rig.worker.published.snapshot.durations.values())


def payers(rig: Rig) -> set[str]:
    """The source payers that have series."""
    return {series.pair.source for series in rig.worker.published.snapshot.counts if series.pair is not None}


def by_payer(rig: Rig, metric: str = "fhir_tasks", label: str = "source_payer") -> dict[str, float]:
    """Add a metric up by payer, as a scrape now shows it; what is 0 is left out."""
    found: dict[str, float] = {}
    for line in rig.scrape().splitlines():
        if line.startswith(metric + "{"):
            name = line.partition(f'{label}="')[2].partition('"')[0]
            found[name] = found.get(name, 0) + float(line.rsplit(" ", 1)[1])
    return {name: n for name, n in found.items() if n}


# --- The exporter


def own_metrics(rig: Rig) -> str:
    """The text exposition of the exporter's own metrics."""
    return rig.telemetry.render(Format.TEXT).decode()


def own_value(rig: Rig, series: str) -> float | None:
    """One sample of the exporter's own metrics."""
    return sample_value(own_metrics(rig), series)


def is_up(rig: Rig) -> bool:
    """What `fhir_task_up` says."""
    return own_value(rig, "fhir_task_up") == 1


def errors(rig: Rig) -> dict[str, int]:
    """`fhir_task_exporter_errors_total` by reason; what is 0 is left out."""
    found = {}
    for line in own_metrics(rig).splitlines():
        if line.startswith("fhir_task_exporter_errors_total{"):
            label, n = line.rsplit(" ", 1)
            if float(n):
                found[label.split('"')[1]] = int(float(n))
    return found


def comparisons(rig: Rig, kind: Comparison, outcome: Outcome) -> float | None:
    """How many comparisons of a kind have ended so."""
    return own_value(rig, f'fhir_task_exporter_reconciles_total{{outcome="{outcome}",sweep="{kind}"}}')


def capped(rig: Rig) -> float | None:
    """How many pairs have no slot."""
    return own_value(rig, "fhir_task_exporter_pairs_capped")
