"""The row that answers: "Is anything wrong now?"."""

from .kinds import Ready, number
from .limits import EXCHANGE, EXPORTER, GREEN, ORANGE, RED, above, more_than
from .queries import COMPLETED, FAILED, OPEN, ended, once, own, pairs, server, total, transitions
from .spec import COUNT, Measure, Query, Words

STALE = "unknown: no fresh data"


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (_in_flight(), _overdue(), _oldest(), _stalled(), _failed(), _ratio(), _success(), _age())


def _in_flight() -> Ready:
    words = Words(
        "In flight",
        "Exchanges that are requested, in progress or in another open status, as of the last complete poll.",
        "nothing by itself. If it keeps growing, see Outcomes per hour: maybe nothing completes.",
        STALE,
        ("P2PNothingCompletes",),
    )
    return number(words, Query(total(once(pairs("fhir_tasks", OPEN), "status"))))


def _overdue() -> Ready:
    words = Words(
        "Overdue",
        "Open exchanges past their deadline (--deadline, default 24 h). We made the request: either the other payer is "
        "late, or our own job is stuck. This alone does not mean that we are in breach. What was overdue when the "
        "exporter first started is included, but does not page.",
        "find the payer in the table Payers, and check whether others have overdue exchanges too.",
        STALE,
        ("P2PExchangeOverdue", "P2PExchangeLongOverdue"),
    )
    expr = total(once(pairs("fhir_tasks_overdue")))
    return number(words, Query(expr), COUNT._replace(steps=more_than(EXCHANGE["overdue_count"], RED)))


def _oldest() -> Ready:
    words = Words(
        "Oldest in flight",
        "Time since the oldest open exchange was requested (authoredOn). Orange after 18 h, red after 24 h.",
        "find the payer in the table Payers; check in Longest wait for a start whether our batch queue drains.",
        "none in flight",
    )
    oldest = once(pairs("fhir_task_oldest_authored_timestamp_seconds"), "status")
    steps = (
        (None, GREEN),
        (EXCHANGE["oldest_warning_seconds"], ORANGE),
        (EXCHANGE["oldest_critical_seconds"], RED),
    )
    return number(words, Query(f"time() - min by (job, fhir_source) ({oldest})"), Measure("s", steps, 1))


def _stalled() -> Ready:
    words = Words(
        "Stalled",
        "Open exchanges that have not changed for --stalled-after (default 4 h).",
        "check the batch jobs of our own server, then the other payer's export.",
        STALE,
        ("P2PExchangeStalled",),
    )
    expr = total(once(pairs("fhir_tasks_stalled"), "status"))
    return number(words, Query(expr), COUNT._replace(steps=more_than(EXCHANGE["stalled_count"], ORANGE)))


def _failed() -> Ready:
    words = Words(
        "Failed (last 1 h)",
        "Exchanges that failed in the last hour of the range. No member data was received, and nothing is retried.",
        "read the reason in Failures by payer and reason, then the note of the Task in Smile CDR.",
        "none known yet",
        ("P2PExchangeFailed",),
    )
    measure = COUNT._replace(steps=more_than(EXCHANGE["failed_count"], ORANGE))
    return number(words, Query(transitions("1h", FAILED)), measure)


def _ratio() -> Ready:
    floor = EXCHANGE["failure_ratio_floor"]
    words = Words(
        "Failure ratio (last 6 h)",
        f"Failed / ended exchanges, over the payers selected above. Shown if at least {floor} ended.",
        "see Failure ratio by payer: if several payers fail, the cause is most likely on our side.",
        f"fewer than {floor} ended",
        ("P2PExchangeFailureRatioHigh",),
    )
    expr = f"{transitions('6h', FAILED)} / ({ended('6h')} >= {floor})"
    return number(words, Query(expr), Measure("percentunit", above(EXCHANGE["failure_ratio"], RED), 1, (0, 1)))


def _success() -> Ready:
    words = Words(
        "Success share (range)",
        "Completed / ended exchanges within the time range of the dashboard.",
        "nothing by itself; Failure ratio has the limit. Change the time range to compare with last week.",
        "none ended",
    )
    expr = f"{transitions('$__range', COMPLETED)} / ({ended('$__range')} > 0)"
    return number(words, Query(expr), Measure("percentunit", decimals=1, bounds=(0, 1)))


def _age() -> Ready:
    words = Words(
        "Age of the data",
        "Time since the last complete poll of the FHIR server by any replica. Everything on this dashboard about "
        "exchanges is this old; after --poll.max-staleness (default 5 min) the gauges disappear.",
        "open the row Exporter health: is the exporter up, and is the FHIR server up?",
        "never polled",
        ("P2PPollStale", "P2PSourceDown"),
    )
    expr = f"time() - {server(own('fhir_task_exporter_last_complete_poll_timestamp_seconds'))}"
    return number(words, Query(expr), Measure("s", above(EXPORTER["stale_seconds"], RED)))
