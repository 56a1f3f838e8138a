"""The metrics of `/probe`: one export job as families, and these as text.

Nothing of a job's id, address or words is in them; resource types are bounded where the manifest is read.

See docs/design.md#export-jobs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from ..task.export_job import ExportJob, ExportState
from ..task.model import Instant
from .catalogue import PROBE
from .families import encode_families
from .negotiation import Format


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found. `job` is None where its status could not be read.

    `job_seconds` is how long the job took so far, where that is known; `retry_after_seconds` what the server asked for.
    """

    request_seconds: float
    job: ExportJob | None = None
    job_seconds: float | None = None
    retry_after_seconds: float | None = None


def render(result: ProbeResult, form: Format) -> bytes:
    """Write a complete exposition."""
    return encode_families(families(result), form)


def families(result: ProbeResult) -> Iterator[Metric]:
    """List the families that have samples: what is not known is absent."""
    job = result.job
    state = ExportState.UNKNOWN if job is None else job.state
    yield _family("success", {(): float(job is not None)})
    yield _family("probe_duration", {(): result.request_seconds})
    yield _family("state", {(each,): float(each is state) for each in ExportState})
    for name, value in _values(result, job):
        if value is not None:
            yield _family(name, {(): value})
    for name, counts in (("files", job.files), ("error_files", job.error_files)) if job else ():
        if counts:
            yield _family(name, {(type_,): float(count) for type_, count in sorted(counts.items())})


def _values(result: ProbeResult, job: ExportJob | None) -> Iterator[tuple[str, float | None]]:
    yield "retry_after", result.retry_after_seconds
    yield "duration", result.job_seconds
    if job is not None:
        yield "progress", job.progress_ratio
        yield "transaction_time", _seconds(job.manifest.transaction_time)
        yield "expires", _seconds(job.expires)


def _family(name: str, samples: Mapping[tuple[str, ...], float]) -> Metric:
    definition = PROBE[name]
    family = GaugeMetricFamily(definition.name, definition.help, labels=definition.label_names, unit=definition.unit)
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def _seconds(instant: Instant | None) -> float | None:
    return None if instant is None else instant / 1000
