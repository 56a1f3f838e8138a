"""Every metric that we show: its name, kind, unit, labels, label values and help, in one table.

Rule 1: a name, a help text or a label value of ours is written here and nowhere else.
Rule 2: nothing here holds a number that was measured, or knows a Task.

Names are as Prometheus sees them, `_total` included. The names and meanings are a contract with those who write
dashboards and alerts: a change is a line under "breaking" in CHANGELOG.md.

See docs/design.md#metrics.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from ..errors import ErrorReason
from ..task.model import DURATION_BUCKETS, LASTING, OPEN, REASONS, TIMED, UNCLASSIFIED, Anomaly, Event, Status
from .vocabulary import Answer, Operation, Outcome, Sweep


class MetricType(StrEnum):
    """The kinds of metric that both text formats know."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Label(NamedTuple):
    """A label and what it may say. `closed` vocabularies never grow while we run; open ones are bounded otherwise."""

    name: str
    values: tuple[str, ...]
    meaning: str
    closed: bool = True


class Definition(NamedTuple):
    """One metric family. `buckets` are upper bounds in seconds, without infinity."""

    name: str
    kind: MetricType
    help: str
    labels: tuple[Label, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """Say the names alone, in the order in which values are given."""
        return tuple(label.name for label in self.labels)


def _ordered(words: frozenset[Status] | frozenset[Anomaly]) -> tuple[str, ...]:
    """List a set of closed words in the order of their vocabulary, so that documents do not change by themselves."""
    return tuple(word.value for enum in (Status, Anomaly) for word in enum if word in words)


CODES = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")

SOURCE = Label(
    "source_payer", (), "who answers: the name of `Task.owner`; `unknown`, and `other` past `--pairs.max`", False
)
REQUESTING = Label("requesting_payer", (), "who asks: the name of `Task.requester`; likewise", False)
STATUS = Label("status", tuple(Status), "the codes of FHIR R4 `Task.status`; `unknown` for any other or none")
OPEN_STATUS = Label("status", _ordered(OPEN), "the statuses that may still change")
TIMED_STATUS = Label("status", _ordered(TIMED), "the terminal statuses, but for entered-in-error")
REASON = Label("reason", (*REASONS, UNCLASSIFIED), "why a Task failed; the operator may add words of their own", False)
KIND = Label("kind", tuple(Anomaly), "what is odd about a Task or its version")
LASTING_KIND = Label("kind", _ordered(LASTING), "what a Task can be seen to show now")
OUTCOME = Label("outcome", tuple(Outcome), "`partial` kept some pages, `failed` none")
ANSWER = Label(
    "answer", tuple(Answer), "a poll of its own; a picture still young; a poll that still runs; a failed one"
)
OPERATION = Label("operation", tuple(Operation), "what the request was for")
CODE = Label("code", CODES, "the class of the HTTP status; `none` where no answer came")
ERROR = Label("reason", tuple(ErrorReason), "what went wrong")
SWEEP = Label("sweep", tuple(Sweep), "`open` compares the open and recent Tasks, `full` all of them by counts")
VERSION = Label("version", (), "the version of this programme", False)
PYTHON = Label("python_version", (), "the version of Python", False)

PAIR = (SOURCE, REQUESTING)
HELD = "A new event may show --series.hold late, so that increase() sees it"
POLLED = "as of the last complete poll"

EVENTS: Mapping[Event, Definition] = {
    Event.CREATED: Definition(
        "fhir_task_created_total",
        MetricType.COUNTER,
        f"Tasks first seen after the baseline, in whatever status. {HELD}.",
        PAIR,
    ),
    Event.TRANSITION: Definition(
        "fhir_task_transitions_total",
        MetricType.COUNTER,
        f"Tasks seen to enter the status since the baseline, new ones included. {HELD}.",
        (*PAIR, STATUS),
    ),
    Event.DURATION: Definition(
        "fhir_task_duration_seconds",
        MetricType.HISTOGRAM,
        "How long ended Tasks took: authoredOn to lastUpdated of the version first seen in that status: "
        f"an upper bound. {HELD}.",
        (*PAIR, TIMED_STATUS),
        "seconds",
        DURATION_BUCKETS,
    ),
    Event.FAILURE: Definition(
        "fhir_task_failures_total",
        MetricType.COUNTER,
        f"Tasks seen to fail, by classified reason; the sum equals the transitions to failed. {HELD}.",
        (*PAIR, REASON),
    ),
    Event.DEADLINE_MISSED: Definition(
        "fhir_task_deadlines_missed_total",
        MetricType.COUNTER,
        f"Tasks seen open past their deadline or ended after it, once each; not those overdue in the baseline. {HELD}.",
        PAIR,
    ),
    Event.ARCHIVED_DOCUMENT: Definition(
        "fhir_task_archived_documents_total",
        MetricType.COUNTER,
        f"DocumentReference outputs of Tasks seen to complete. {HELD}.",
        PAIR,
    ),
    Event.COMPLETED_EMPTY: Definition(
        "fhir_task_completed_empty_total",
        MetricType.COUNTER,
        f"Tasks seen to complete with no output at all. {HELD}.",
        PAIR,
    ),
    Event.REOPENED: Definition(
        "fhir_task_reopened_total",
        MetricType.COUNTER,
        f"Tasks seen in a terminal status, then open again. {HELD}.",
        PAIR,
    ),
    Event.VANISHED: Definition(
        "fhir_task_vanished_total",
        MetricType.COUNTER,
        f"Tasks found deleted, purged or untagged on the server, at the earliest by the next sweep. {HELD}.",
        PAIR,
    ),
    Event.ANOMALY: Definition(
        "fhir_task_anomalies_total",
        MetricType.COUNTER,
        f"Odd versions of Tasks, once per counted version and kind, none in the baseline. {HELD}.",
        (KIND,),
    ),
}
"""What is counted, by the ledger's word for it."""

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
        f"Earliest authoredOn among the open Tasks in the status, {POLLED}; absent where there is none.",
        (*PAIR, OPEN_STATUS),
        "seconds",
    ),
    "oldest_updated": Definition(
        "fhir_task_oldest_updated_timestamp_seconds",
        MetricType.GAUGE,
        f"Earliest lastUpdated among the open Tasks in the status, {POLLED}; absent where there is none.",
        (*PAIR, OPEN_STATUS),
        "seconds",
    ),
    "last_transition": Definition(
        "fhir_task_last_transition_timestamp_seconds",
        MetricType.GAUGE,
        f"Server time of the latest transition to the status, {POLLED}; absent where none was seen.",
        (*PAIR, STATUS),
        "seconds",
    ),
    "stalled": Definition(
        "fhir_tasks_stalled",
        MetricType.GAUGE,
        f"Open Tasks in the status that have not changed for --stalled-after, {POLLED}.",
        (*PAIR, OPEN_STATUS),
    ),
    "next_due": Definition(
        "fhir_task_next_due_timestamp_seconds",
        MetricType.GAUGE,
        f"Earliest deadline still ahead among open Tasks, {POLLED}; absent where there is none.",
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
        f"Tasks that show the oddity, {POLLED}, those of the baseline included.",
        (LASTING_KIND,),
    ),
}
"""What is true of the server, by the name of the field of `Gauges`."""

REQUEST_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds. An idle search takes 5 to 50 ms on a healthy server; `--fhir.timeout` is 10 s."""

POLL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds. Up to the usual scrape time-out finely; catch-ups and the baseline of a million take minutes."""

UP = Definition(
    "fhir_task_up",
    MetricType.GAUGE,
    "1 when the last page of a poll, baseline or catch-up was read from the FHIR server and committed, else 0.",
)


def _own(name: str, kind: MetricType, text: str, *labels: Label, unit: str = "") -> Definition:
    return Definition(f"fhir_task_exporter_{name}", kind, text, labels, unit)


OWN: Mapping[str, Definition] = {
    "up": UP,
    "build": _own(
        "build_info", MetricType.GAUGE, "Always 1; the labels say which version runs on which Python.", VERSION, PYTHON
    ),
    "polls": _own(
        "polls_total", MetricType.COUNTER, "Polls of the FHIR server; a baseline and a catch-up are one each.", OUTCOME
    ),
    "poll_duration": _own(
        "poll_duration_seconds", MetricType.HISTOGRAM, "How long polls took, in whatever outcome.", unit="seconds"
    )._replace(buckets=POLL_BUCKETS),
    "scrapes": _own(
        "scrapes_total", MetricType.COUNTER, "Requests for /metrics, by the picture they were given.", ANSWER
    ),
    "last_complete_poll": _own(
        "last_complete_poll_timestamp_seconds",
        MetricType.GAUGE,
        "When the last complete poll ended, by our own clock, restarts survived; absent until there was one.",
        unit="seconds",
    ),
    "watermark": _own(
        "watermark_timestamp_seconds",
        MetricType.GAUGE,
        "Where the next poll begins to search, by the server's clock; absent until the baseline is complete.",
        unit="seconds",
    ),
    "baseline_complete": _own(
        "baseline_complete", MetricType.GAUGE, "1 once every Task has been read for the first time, else 0."
    ),
    "baseline_progress": _own(
        "baseline_progress_ratio",
        MetricType.GAUGE,
        "Share of the Tasks that the baseline has read, of the server's own count.",
        unit="ratio",
    ),
    "tracked_tasks": _own("tracked_tasks", MetricType.GAUGE, "Tasks that the ledger holds."),
    "requests": _own("requests_total", MetricType.COUNTER, "Requests to the FHIR server.", OPERATION, CODE),
    "request_duration": _own(
        "request_duration_seconds",
        MetricType.HISTOGRAM,
        "How long requests to the FHIR server took, unanswered ones included.",
        OPERATION,
        unit="seconds",
    )._replace(buckets=REQUEST_BUCKETS),
    "received": _own(
        "received_bytes_total", MetricType.COUNTER, "Bytes of answers of the FHIR server, on the wire.", unit="bytes"
    ),
    "errors": _own("errors_total", MetricType.COUNTER, "What went wrong, by reason.", ERROR),
    "reconciles": _own("reconciles_total", MetricType.COUNTER, "Finished sweeps.", SWEEP, OUTCOME),
    "reconcile_corrections": _own(
        "reconcile_corrections_total", MetricType.COUNTER, "Tasks that a sweep found to differ from the ledger.", SWEEP
    ),
    "largest_lateness": _own(
        "largest_lateness_seconds",
        MetricType.GAUGE,
        "Longest time from the stamp of a version to when it became visible, since the start.",
        unit="seconds",
    ),
    "ledger": _own("ledger_bytes", MetricType.GAUGE, "Size of the ledger on disk.", unit="bytes"),
    "pairs": _own("pairs", MetricType.GAUGE, "Pairs of payers that hold a slot in the ledger, for good."),
    "pairs_capped": _own(
        "pairs_capped", MetricType.GAUGE, "Pairs of payers met past --pairs.max, whose Tasks are shown as other, other."
    ),
    "clock_skew": _own(
        "clock_skew_seconds",
        MetricType.GAUGE,
        "The FHIR server's clock minus ours; absent until it has told its own.",
        unit="seconds",
    ),
}
"""Our own life, by the name that `telemetry` uses."""


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
"""What prometheus-client tells of any process on Linux: listed here for the documents, worded there."""

TASKS = (*GAUGES.values(), *EVENTS.values())
CATALOGUE = (*TASKS, *OWN.values(), *PROCESS)
