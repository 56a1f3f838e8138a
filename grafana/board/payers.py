"""The row with one line per pair of payers."""

from .kinds import Ready, rows
from .limits import EXCHANGE, GREEN, OBJECTIVE, ORANGE, RED, above, more_than
from .links import PAIR_LABELS
from .queries import COMPLETED, FAILED, OPEN, PAIR, events, once, pairs, quantile
from .spec import COUNT, Column, Measure, Words

BY_PAIR = ", ".join(PAIR)


def panels() -> tuple[Ready, ...]:
    """Build the table."""
    words = Words(
        "Payers (counts and p95 over the range)",
        "One line per pair of the payer that has to answer and the payer that asked. In flight, Overdue, Oldest and "
        "Last completed are as of the last complete poll; the others cover the time range. p95 is the duration of "
        "completed exchanges. Click a payer to filter by it.",
        "red in Overdue or Oldest: contact the source payer. Failed: see the reason in the table above.",
        "none",
        ("P2PExchangeOverdue", "P2PExchangeFailed", "P2PRefreshDue"),
    )
    return (rows(words, PAIR_LABELS, (*_now(), *_in_range())),)


def _now() -> tuple[Column, ...]:
    oldest = once(pairs("fhir_task_oldest_authored_timestamp_seconds"), "status")
    ages = (
        (None, GREEN),
        (EXCHANGE["oldest_warning_seconds"], ORANGE),
        (EXCHANGE["oldest_critical_seconds"], RED),
    )
    overdue = COUNT._replace(steps=more_than(EXCHANGE["overdue_count"], RED))
    return (
        Column("In flight", f"sum by ({BY_PAIR}) ({once(pairs('fhir_tasks', OPEN), 'status')})"),
        Column("Overdue", once(pairs("fhir_tasks_overdue")), overdue),
        Column("Oldest", f"time() - min by ({BY_PAIR}) ({oldest})", Measure("s", ages, 1)),
    )


def _in_range() -> tuple[Column, ...]:
    ended = "fhir_task_transitions_total"
    last = pairs("fhir_task_last_transition_timestamp_seconds", COMPLETED)
    slow = Measure("s", above(OBJECTIVE["slow_seconds"], RED), 1)
    return (
        Column("Completed", once(events(pairs(ended, COMPLETED), "$__range"))),
        Column("Failed", once(events(pairs(ended, FAILED), "$__range"))),
        Column("Documents", once(events(pairs("fhir_task_archived_documents_total"), "$__range"))),
        Column("p95", quantile(0.95, "$__range", "source_payer", "requesting_payer"), slow),
        Column("Last completed", f"1000 * {once(last)}", Measure("dateTimeFromNow")),
    )
