"""An export job as an observation. PURE: no I/O, no clock.

See docs/watch.md#export-jobs.
"""

from collections.abc import Iterator, Mapping

from ..task.dates import format_instant
from ..task.export_job import ExportJob, ExportState
from ..task.export_manifest import Counts
from .model import End, Json, Observation
from .texts import table

ENDS: Mapping[ExportState, End] = {
    ExportState.COMPLETED: End.COMPLETED,
    ExportState.FAILED: End.FAILED,
    ExportState.CANCELLED: End.FAILED,
    ExportState.GONE: End.FAILED,
}

SAID: Mapping[ExportState, str] = {
    ExportState.FAILED: "The job failed. The log of the FHIR server says why; what it answered may name members.",
    ExportState.CANCELLED: "The job was cancelled.",
    ExportState.GONE: (
        "The server does not know this job: it was removed after it ended, the id is wrong, or the server shows it "
        "only to the user that started it. (A Task is written Task/ID.)"
    ),
}
"""What is said at an end that has no files."""


def observe_export(job: ExportJob, elapsed: float | None) -> Observation:
    """Judge an answer. `elapsed` is how long the job runs or took, in seconds; None if it was never seen running."""
    completed = job.state is ExportState.COMPLETED
    return Observation(
        state=job.state.value,
        end=ENDS.get(job.state),
        elapsed=elapsed,
        ratio=job.progress_ratio,
        wait_seconds=job.retry_after_seconds,
        words=job.words,
        report=tuple(_report(job)),
        data=_files(job) if completed else {},
    )


def _report(job: ExportJob) -> Iterator[str]:
    if job.state in SAID:
        yield SAID[job.state]
    if job.state is not ExportState.COMPLETED:
        return
    resources = job.manifest.resources
    header = ("TYPE", "FILES", "RESOURCES") if resources else ("TYPE", "FILES")
    if job.files:
        yield from table(header, ((kind, *counts) for kind, *counts in _rows(job.files, resources)))
    else:
        yield "No files: the export found nothing."
    if job.error_files:
        yield ""
        yield from table(("TYPE", "ERROR FILES"), _rows(job.error_files, {}))
    yield from _remarks(job)


def _rows(files: Counts, resources: Counts) -> Iterator[tuple[str, ...]]:
    """Yield a row for each type, and one for all where there are several; `resources` are known for some."""
    for kind in sorted(files):
        known = (f"{resources[kind]:,}" if kind in resources else "-",) if resources else ()
        yield kind, f"{files[kind]:,}", *known
    if len(files) > 1:
        yield "total", f"{sum(files.values()):,}", *((f"{sum(resources.values()):,}",) if resources else ())


def _remarks(job: ExportJob) -> Iterator[str]:
    if job.manifest.deleted_files:
        yield f"Files of deleted resources: {job.manifest.deleted_files:,}"
    if job.manifest.more:
        yield "The manifest has further pages, which are not counted here."
    if job.manifest.transaction_time is not None:
        yield f"As of {format_instant(job.manifest.transaction_time)}"
    if job.expires is not None:
        yield f"Files are kept until {format_instant(job.expires)}"


def _files(job: ExportJob) -> Mapping[str, Json]:
    manifest, expires = job.manifest, job.expires
    return {
        "files": dict(job.files),
        "resources": dict(manifest.resources) or None,
        "error_files": dict(job.error_files),
        "deleted_files": manifest.deleted_files,
        "transaction_time": None if manifest.transaction_time is None else format_instant(manifest.transaction_time),
        "expires": None if expires is None else format_instant(expires),
    }
