"""The row about time left, time overrun, and the objective."""

from .kinds import Ready, bars, bars_now, lines
from .limits import EXCHANGE, GREEN, OBJECTIVE, ORANGE, RED, above, below, more_than
from .queries import COMPLETED, events, once, pairs, total
from .spec import COUNT, HALF, Measure, Query, Size, Words

BY_PAIR = "{{source_payer}} for {{requesting_payer}} {{fhir_source}}"
BY_PAYER = "{{source_payer}} {{fhir_source}}"


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (_time_left(), _overdue(), _not_started(), _missed(), _in_time())


def _time_left() -> Ready:
    words = Words(
        "Time left to the next deadline",
        "For each pair of payers, until the earliest deadline that is still ahead. Overdue exchanges are not here. "
        "Orange under 4 h.",
        "ask the source payer before the time is over.",
        "nothing in flight has a deadline ahead",
        ("P2PExchangeDueSoon",),
    )
    left = f"{once(pairs('fhir_task_next_due_timestamp_seconds'))} - time()"
    measure = Measure("s", below(EXCHANGE["due_soon_seconds"], ORANGE), 1, (0, None))
    return bars_now(words, Query(f"sort({left})", BY_PAIR), measure)


def _overdue() -> Ready:
    words = Words(
        "Overdue by payer",
        "Open exchanges past their deadline, by the payer that has to answer. The dashed line is the first one.",
        "one payer alone: speak to it. All payers at once: look at our own batch jobs and the way out.",
        "unknown: no fresh data",
        ("P2PExchangeOverdue",),
    )
    expr = total(once(pairs("fhir_tasks_overdue")), "source_payer")
    measure = COUNT._replace(steps=more_than(EXCHANGE["overdue_count"], RED))
    return lines(words, (Query(expr, BY_PAYER),), measure)


def _not_started() -> Ready:
    words = Words(
        "Longest wait for a start",
        "Time since the oldest exchange that is still in status requested was requested, by "
        "the payer that will have to answer: our own batch queue.",
        "look whether the batch jobs of our server run, and how many stand in the queue.",
        "none waits for a start",
        ("P2PExchangeNotStarted",),
    )
    oldest = once(pairs("fhir_task_oldest_authored_timestamp_seconds", 'status="requested"'))
    measure = Measure("s", above(EXCHANGE["not_started_seconds"], ORANGE))
    expr = f"time() - min by (job, fhir_source, source_payer) ({oldest})"
    return lines(words, (Query(expr, BY_PAYER),), measure, Size(8, 8))


def _missed() -> Ready:
    words = Words(
        "Deadlines missed per day (UTC)",
        "Exchanges that were open past their deadline or ended after it, each once, on the day it was seen. Those "
        "overdue when the exporter first started are not here.",
        "nothing at once: it is the record for the report. Overdue says what is still open.",
        "none known yet",
    )
    expr = total(once(events(pairs("fhir_task_deadlines_missed_total"), "1d")), "source_payer")
    return bars(words, Query(expr, BY_PAYER), "1d", Size(8, 8))


def _in_time() -> Ready:
    words = Words(
        "Completed within 24 h",
        "Share of completed exchanges that took 24 h at most. The objective of 95 % is ours, not the law's. Orange "
        "under the objective, red under 85 %: the budget is spent three times too fast. The alerts also want 20 "
        "completed exchanges in 3 days.",
        "sort the table Payers by p95 and find who is slow.",
        "none completed",
        ("P2PExchangeSlowBudgetBurn",),
    )
    steps = ((None, RED), (1 - OBJECTIVE["slow_ratio_fast"], ORANGE), (OBJECTIVE["objective_ratio"], GREEN))
    queries = tuple(Query(_share(window), f"last {window} {{{{fhir_source}}}}") for window in ("1d", "3d"))
    return lines(words, queries, Measure("percentunit", steps, 1, (0, 1)), HALF._replace(width=8))


def _share(window: str) -> str:
    """Divide sums; a ratio is never averaged."""
    bucket = pairs("fhir_task_duration_seconds_bucket", COMPLETED, f'le="{OBJECTIVE["slow_seconds"]:.1f}"')
    count = pairs("fhir_task_duration_seconds_count", COMPLETED)
    fast, all_ = (total(once(f"increase({selector}[{window}])")) for selector in (bucket, count))
    return f"{fast} / ({all_} > 0)"
