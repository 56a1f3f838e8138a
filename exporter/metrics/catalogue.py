"""Every metric of the exporter in one table: name, type, unit, labels and help.

Rule 1: metric names, help texts and label names are defined here and nowhere else; label values are the words of
`vocabulary`, `errors` and `task/model`.
Rule 2: no measured values and no Tasks in this module.

Names are as Prometheus sees them, including `_total`. Dashboards and alerts depend on names and meanings: list every
change under "breaking" in CHANGELOG.md.

See docs/design.md#metrics.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from ..errors import ErrorReason
from ..task.export_job import ExportState
from ..task.export_manifest import UNKNOWN_TYPE
from ..task.model import DURATION_BUCKETS, LASTING, OPEN, REASONS, TIMED, UNCLASSIFIED, Anomaly, Event, Status
from .vocabulary import BatchJobStatus, Comparison, Operation, Outcome, ScrapeAnswer


class MetricType(StrEnum):
    """The metric types that both text formats support."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Label(NamedTuple):
    """A label and its values. A `closed` set of values never grows at run time; open sets are bounded elsewhere."""

    name: str
    values: tuple[str, ...]
    meaning: str
    closed: bool = True


class Definition(NamedTuple):
    """One metric family. `buckets` are upper bounds in seconds, without +Inf."""

    name: str
    kind: MetricType
    help: str
    labels: tuple[Label, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """List the label names, in the order in which values are passed."""
        return tuple(label.name for label in self.labels)


def _ordered(words: frozenset[Status] | frozenset[Anomaly]) -> tuple[str, ...]:
    """List the values in the order of their enum, so that generated documents are stable."""
    return tuple(word.value for enum in (Status, Anomaly) for word in enum if word in words)


EXEMPLAR_LABEL = "task_id"
"""The only label of an exemplar, and the only place for the id of a Task."""

CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")

SOURCE = Label(
    "source_payer",
    (),
    "payer that answers the request, from `Task.owner`; `unknown` if not known, `other` beyond `--pairs.max`",
    False,
)
REQUESTING = Label(
    "requesting_payer",
    (),
    "payer that made the request, from `Task.requester`; `unknown` if not known, `other` beyond `--pairs.max`",
    False,
)
STATUS = Label("status", tuple(Status), "FHIR R4 `Task.status`; `unknown` if missing or not an R4 code")
OPEN_STATUS = Label("status", _ordered(OPEN), "the open (not terminal) statuses")
TIMED_STATUS = Label("status", _ordered(TIMED), "the terminal statuses, except entered-in-error")
REASON = Label(
    "reason", (*REASONS, UNCLASSIFIED), "why a Task failed; `reasons` in the configuration file can add values", False
)
KIND = Label("kind", tuple(Anomaly), "kind of anomaly of a Task or one of its versions")
LASTING_KIND = Label("kind", _ordered(LASTING), "kinds of anomaly that a Task can currently have")
OUTCOME = Label("outcome", tuple(Outcome), "`complete`; `partial`: some pages were kept; `failed`: none were")
ANSWER = Label(
    "answer",
    tuple(ScrapeAnswer),
    "`fresh`: a new poll; `reused`: a snapshot younger than `--poll.min-interval`; "
    "`late`: the last snapshot, as the poll is still running; `stale`: the last snapshot, as the poll failed",
)
OPERATION = Label("operation", tuple(Operation), "purpose of the request")
CODE = Label("code", CODES, "class of the HTTP status; `none` if there was no response")
ERROR = Label("reason", tuple(ErrorReason), "kind of error")
COMPARISON = Label(
    "sweep", tuple(Comparison), "comparison: `open` covers open and recent Tasks, `full` covers all Tasks, by counts"
)
VERSION = Label("version", (), "version of the exporter", False)
PYTHON = Label("python_version", (), "version of Python", False)

PAIR = (SOURCE, REQUESTING)
POLLED = "as of the last complete poll"

EVENTS: Mapping[Event, Definition] = {
    Event.CREATED: Definition(
        "fhir_task_created_total",
        MetricType.COUNTER,
        "Tasks first seen after the baseline, in any status.",
        PAIR,
    ),
    Event.TRANSITION: Definition(
        "fhir_task_transitions_total",
        MetricType.COUNTER,
        "Task transitions into the status, since the baseline; includes the first status of new Tasks.",
        (*PAIR, STATUS),
    ),
    Event.DURATION: Definition(
        "fhir_task_duration_seconds",
        MetricType.HISTOGRAM,
        "Duration of ended Tasks, authoredOn to lastUpdated of the version first seen in that status: an upper bound.",
        (*PAIR, TIMED_STATUS),
        "seconds",
        DURATION_BUCKETS,
    ),
    Event.FAILURE: Definition(
        "fhir_task_failures_total",
        MetricType.COUNTER,
        "Task transitions to failed, by classified reason; the sum over reasons equals all transitions to failed.",
        (*PAIR, REASON),
    ),
    Event.DEADLINE_MISSED: Definition(
        "fhir_task_deadlines_missed_total",
        MetricType.COUNTER,
        "Tasks found open past their deadline or ended after it, once each; excludes Tasks overdue in the baseline.",
        PAIR,
    ),
    Event.ARCHIVED_DOCUMENT: Definition(
        "fhir_task_archived_documents_total",
        MetricType.COUNTER,
        "DocumentReference outputs of completed Tasks, since the baseline.",
        PAIR,
    ),
    Event.COMPLETED_EMPTY: Definition(
        "fhir_task_completed_empty_total",
        MetricType.COUNTER,
        "Tasks completed without any output, since the baseline.",
        PAIR,
    ),
    Event.REOPENED: Definition(
        "fhir_task_reopened_total",
        MetricType.COUNTER,
        "Task transitions from a terminal status back to an open one, since the baseline.",
        PAIR,
    ),
    Event.VANISHED: Definition(
        "fhir_task_vanished_total",
        MetricType.COUNTER,
        "Tasks deleted, purged or untagged on the server, counted when a comparison or a poll detects it.",
        PAIR,
    ),
    Event.ANOMALY: Definition(
        "fhir_task_anomalies_total",
        MetricType.COUNTER,
        "Task versions with an anomaly, once per counted version and kind; excludes the baseline.",
        (KIND,),
    ),
}
"""Counters and the histogram of Tasks, by the event in the ledger."""

GAUGES: Mapping[str, Definition] = {
    "tasks": Definition(
        "fhir_tasks",
        MetricType.GAUGE,
        f"Tasks on the server in the status, {POLLED}.",
        (*PAIR, STATUS),
    ),
    "oldest_authored": Definition(
        "fhir_task_oldest_authored_timestamp_seconds",
        MetricType.GAUGE,
        f"Earliest authoredOn of open Tasks in the status, {POLLED}; absent if there are none.",
        (*PAIR, OPEN_STATUS),
        "seconds",
    ),
    "oldest_updated": Definition(
        "fhir_task_oldest_updated_timestamp_seconds",
        MetricType.GAUGE,
        f"Earliest lastUpdated of open Tasks in the status, {POLLED}; absent if there are none.",
        (*PAIR, OPEN_STATUS),
        "seconds",
    ),
    "last_transition": Definition(
        "fhir_task_last_transition_timestamp_seconds",
        MetricType.GAUGE,
        f"Server time of the latest transition to the status, {POLLED}; absent if none was seen.",
        (*PAIR, STATUS),
        "seconds",
    ),
    "stalled": Definition(
        "fhir_tasks_stalled",
        MetricType.GAUGE,
        f"Open Tasks in the status unchanged for --stalled-after, {POLLED}.",
        (*PAIR, OPEN_STATUS),
    ),
    "next_due": Definition(
        "fhir_task_next_due_timestamp_seconds",
        MetricType.GAUGE,
        f"Earliest future deadline of open Tasks, {POLLED}; absent if there is none.",
        PAIR,
        "seconds",
    ),
    "overdue": Definition(
        "fhir_tasks_overdue",
        MetricType.GAUGE,
        f"Open Tasks past their deadline, {POLLED}.",
        PAIR,
    ),
    "anomalous": Definition(
        "fhir_tasks_anomalous",
        MetricType.GAUGE,
        f"Tasks that currently have this anomaly, including baseline Tasks, {POLLED}.",
        (LASTING_KIND,),
    ),
}
"""Gauges of Tasks, by the name of the field of `Gauges`."""

REQUEST_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds. An idle search takes 5 to 50 ms on a healthy server; `--fhir.timeout` is 10 s."""

POLL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds. Fine up to the usual scrape timeout; catch-ups and a baseline of a million Tasks take minutes."""

UP = Definition(
    "fhir_task_up",
    MetricType.GAUGE,
    "1 if the last page of a poll or of the baseline was read from the FHIR server and committed, else 0.",
)


def _own(name: str, kind: MetricType, text: str, *labels: Label, unit: str = "") -> Definition:
    return Definition(f"fhir_task_exporter_{name}", kind, text, labels, unit)


OWN: Mapping[str, Definition] = {
    "up": UP,
    "build": _own(
        "build_info",
        MetricType.GAUGE,
        "Always 1; labels show the version of the exporter and of Python.",
        VERSION,
        PYTHON,
    ),
    "polls": _own(
        "polls_total",
        MetricType.COUNTER,
        "Polls of the FHIR server; the baseline counts as one poll.",
        OUTCOME,
    ),
    "poll_duration": _own(
        "poll_duration_seconds", MetricType.HISTOGRAM, "Duration of polls, whatever their outcome.", unit="seconds"
    )._replace(buckets=POLL_BUCKETS),
    "scrapes": _own(
        "scrapes_total", MetricType.COUNTER, "Requests for /metrics, by the snapshot that was served.", ANSWER
    ),
    "last_complete_poll": _own(
        "last_complete_poll_timestamp_seconds",
        MetricType.GAUGE,
        "When the last complete poll ended, by the exporter's clock; kept across restarts; absent before the first.",
        unit="seconds",
    ),
    "watermark": _own(
        "watermark_timestamp_seconds",
        MetricType.GAUGE,
        "Start of the next poll's search, by the server's clock; absent until the baseline is complete.",
        unit="seconds",
    ),
    "baseline_complete": _own(
        "baseline_complete", MetricType.GAUGE, "1 if the baseline (the initial scan) is complete, else 0."
    ),
    "baseline_progress": _own(
        "baseline_progress_ratio",
        MetricType.GAUGE,
        "Fraction of Tasks read by the initial scan.",
        unit="ratio",
    ),
    "tracked_tasks": _own("tracked_tasks", MetricType.GAUGE, "Tasks in the ledger."),
    "requests": _own("requests_total", MetricType.COUNTER, "Requests to the FHIR server.", OPERATION, CODE),
    "request_duration": _own(
        "request_duration_seconds",
        MetricType.HISTOGRAM,
        "Duration of requests to the FHIR server, including those without a response.",
        OPERATION,
        unit="seconds",
    )._replace(buckets=REQUEST_BUCKETS),
    "received": _own(
        "received_bytes_total",
        MetricType.COUNTER,
        "Response bytes received from the FHIR server, before decompression.",
        unit="bytes",
    ),
    "errors": _own("errors_total", MetricType.COUNTER, "Errors, by reason.", ERROR),
    "reconciles": _own(
        "reconciles_total",
        MetricType.COUNTER,
        "Finished comparisons of the ledger with the FHIR server.",
        COMPARISON,
        OUTCOME,
    ),
    "reconcile_corrections": _own(
        "reconcile_corrections_total",
        MetricType.COUNTER,
        "Tasks that a comparison found to differ from the ledger.",
        COMPARISON,
    ),
    "largest_lateness": _own(
        "largest_lateness_seconds",
        MetricType.GAUGE,
        "Longest delay from the timestamp of a version to when it became visible, since the exporter started.",
        unit="seconds",
    ),
    "ledger": _own("ledger_bytes", MetricType.GAUGE, "Size of the ledger on disk.", unit="bytes"),
    "pairs": _own("pairs", MetricType.GAUGE, "Pairs of payers with a slot in the ledger; slots are permanent."),
    "pairs_capped": _own(
        "pairs_capped", MetricType.GAUGE, "Pairs of payers beyond --pairs.max; their Tasks are shown as other, other."
    ),
    "clock_skew": _own(
        "clock_skew_seconds",
        MetricType.GAUGE,
        "The FHIR server's clock minus the exporter's; absent until the server sends a timestamp.",
        unit="seconds",
    ),
    "token_expiry": _own(
        "token_expiry_timestamp_seconds",
        MetricType.GAUGE,
        "When the access token for the FHIR server expires; absent without OAuth2 and before the first token.",
        unit="seconds",
    ),
    "config_successful": _own(
        "config_last_reload_successful",
        MetricType.GAUGE,
        "1 if the last read of each configuration file succeeded; 0 while one is broken, so that what it held before "
        "stays in force.",
    ),
    "config_success": _own(
        "config_last_reload_success_timestamp_seconds",
        MetricType.GAUGE,
        "When a configuration file was last read successfully; at first the start of the exporter.",
        unit="seconds",
    ),
}
"""Metrics of the exporter itself, by the name that `telemetry` uses."""


BATCH_JOB = Label(
    "job",
    (),
    "name of the job definition, such as `BULK_EXPORT`; `other` beyond 50 names. Prometheus renames this label to "
    "`exported_job`, since `job` is its own",
    False,
)
BATCH_STATUS = Label(
    "status", tuple(BatchJobStatus), "state of the batch job; `errored` is retried; `unknown` for any other word"
)
ENDED_BATCH_STATUS = Label(
    "status",
    (BatchJobStatus.COMPLETED, BatchJobStatus.FAILED, BatchJobStatus.CANCELLED),
    "how the batch job ended",
)
LISTED = "as of the last read"


def _batch_jobs(name: str, text: str, *labels: Label, unit: str = "") -> Definition:
    return Definition(f"smilecdr_batch_jobs{name}", MetricType.GAUGE, text, labels, unit)


BATCH_JOBS: Mapping[str, Definition] = {
    "up": _batch_jobs("_up", "1 if the last read of the batch jobs from the Admin API succeeded, else 0."),
    "jobs": _batch_jobs(
        "",
        f"Batch jobs that the Admin API lists in the status, {LISTED}; ended jobs are purged.",
        BATCH_JOB,
        BATCH_STATUS,
    ),
    "oldest_unfinished": _batch_jobs(
        "_oldest_unfinished_timestamp_seconds",
        f"When the oldest unfinished batch job was created, or started if no creation is given, {LISTED}; absent if "
        "there is none.",
        BATCH_JOB,
        unit="seconds",
    ),
    "errors": _batch_jobs("_errors", f"Sum of the error counts of the listed batch jobs, {LISTED}.", BATCH_JOB),
    "last_end": _batch_jobs(
        "_last_end_timestamp_seconds",
        f"When the last listed batch job with this outcome ended, {LISTED}; absent if there is none.",
        BATCH_JOB,
        ENDED_BATCH_STATUS,
        unit="seconds",
    ),
    "truncated": _batch_jobs(
        "_truncated", f"1 if there were more batch jobs than are read at once (10,000), {LISTED}, else 0."
    ),
}
"""Gauges of batch jobs, only with `--batch-jobs.url`."""


def _process(name: str, kind: MetricType, text: str, unit: str = "") -> Definition:
    return Definition(f"process_{name}", kind, text, (), unit)


PROCESS = (
    _process("virtual_memory_bytes", MetricType.GAUGE, "Virtual memory size in bytes.", "bytes"),
    _process("resident_memory_bytes", MetricType.GAUGE, "Resident memory size in bytes.", "bytes"),
    _process(
        "start_time_seconds", MetricType.GAUGE, "Start time of the process since unix epoch in seconds.", "seconds"
    ),
    _process("cpu_seconds_total", MetricType.COUNTER, "Total user and system CPU time spent in seconds.", "seconds"),
    _process("open_fds", MetricType.GAUGE, "Number of open file descriptors."),
    _process("max_fds", MetricType.GAUGE, "Maximum number of open file descriptors."),
)
"""Exported by prometheus-client for any process on Linux: listed here for the documents, defined there."""

EXPORT_STATE = Label(
    "state",
    tuple(ExportState),
    "`gone`: the server does not know the job, or no longer; `unknown`: its status could not be read, or says nothing",
)
RESOURCE_TYPE = Label(
    "type", (UNKNOWN_TYPE,), "FHIR resource type of the files; `unknown` where the server gives none", False
)


def _export_job(name: str, text: str, *labels: Label, unit: str = "") -> Definition:
    return Definition(f"fhir_export_job_{name}", MetricType.GAUGE, text, labels, unit)


PROBE: Mapping[str, Definition] = {
    "success": Definition(
        "probe_success",
        MetricType.GAUGE,
        "1 if the status of the export job could be read, whatever it is, else 0.",
    ),
    "probe_duration": Definition(
        "probe_duration_seconds",
        MetricType.GAUGE,
        "Duration of the request for the status, also where its answer is used again.",
        unit="seconds",
    ),
    "state": _export_job(
        "state",
        "1 for the state of the export job, else 0. It is a job of your own server, so your own duty to answer.",
        EXPORT_STATE,
    ),
    "progress": _export_job(
        "progress_ratio",
        "Fraction of the export job that is done; absent without a percentage from the server (HAPI, Smile CDR).",
        unit="ratio",
    ),
    "duration": _export_job(
        "duration_seconds",
        "Time from the start of the export job, as the server gives it or else the first probe, to now or to the first "
        "probe that found it ended; absent if no probe saw it running.",
        unit="seconds",
    ),
    "retry_after": _export_job(
        "retry_after_seconds",
        "How long the server asks to wait, 300 at most; probes within that time get the same answer again.",
        unit="seconds",
    ),
    "transaction_time": _export_job(
        "transaction_timestamp_seconds",
        "transactionTime of the manifest: the exported data is as of then.",
        unit="seconds",
    ),
    "expires": _export_job(
        "expires_timestamp_seconds",
        "Until when the exported files are kept; absent where the server does not say.",
        unit="seconds",
    ),
    "files": _export_job("files", "Files in the manifest of the export job.", RESOURCE_TYPE),
    "error_files": _export_job(
        "error_files", "Files with errors in the manifest of the export job: its data is incomplete.", RESOURCE_TYPE
    ),
}
"""Metrics of one export job, which `/probe` alone serves, by the name that `metrics/probe` uses."""

TASKS = (*GAUGES.values(), *EVENTS.values())
CATALOGUE = (*TASKS, *OWN.values(), *BATCH_JOBS.values(), *PROCESS)
"""What `/metrics` serves."""
