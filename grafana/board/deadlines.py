"""The row about time left, missed deadlines, and the objective."""

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
        "For each pair of payers, time until the next deadline. Excludes overdue exchanges. Orange under 4 h.",
        "contact the source payer before the deadline.",
        "nothing in flight has a deadline ahead",
        ("P2PExchangeDueSoon",),
    )
    left = f"{once(pairs('fhir_task_next_due_timestamp_seconds'))} - time()"
    measure = Measure("s", below(EXCHANGE["due_soon_seconds"], ORANGE), 1, (0, None))
    return bars_now(words, Query(f"sort({left})", BY_PAIR), measure)


def _overdue() -> Ready:
    words = Words(
        "Overdue by payer",
        "Open exchanges past their deadline, by the payer that has to answer. The dashed line is at 1.",
        "a single payer: contact it. All payers at once: check our own batch jobs and outgoing network.",
        "unknown: no fresh data",
        ("P2PExchangeOverdue", "P2PExchangeLongOverdue"),
    )
    expr = total(once(pairs("fhir_tasks_overdue")), "source_payer")
    measure = COUNT._replace(steps=more_than(EXCHANGE["overdue_count"], RED))
    return lines(words, (Query(expr, BY_PAYER),), measure)


def _not_started() -> Ready:
    words = Words(
        "Longest wait for a start",
        "Age of the oldest exchange still in status requested, by the payer that will have to answer: it waits in our "
        "own batch queue.",
        "check whether the batch jobs of our server run, and how long the queue is.",
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
        "Exchanges that were open past their deadline or ended after it, counted once, on the day this was detected. "
        "Excludes those overdue when the exporter first started.",
        "nothing immediate: this is the record for reports. Overdue shows what is still open.",
        "none known yet",
    )
    expr = total(once(events(pairs("fhir_task_deadlines_missed_total"), "1d")), "source_payer")
    return bars(words, Query(expr, BY_PAYER), "1d", Size(8, 8))


def _in_time() -> Ready:
    words = Words(
        "Completed within 24 h",
        "Fraction of completed exchanges that took at most 24 h. The objective of 95 % is internal, not the law's. "
        "Orange below the objective, red below 85 %: the budget is used up three times too fast. The alerts also "
        "require 20 completed exchanges in 3 days.",
        "sort the table Payers by p95 to find slow payers.",
        "none completed",
        ("P2PExchangeSlowBudgetBurn",),
    )
    steps = ((None, RED), (1 - OBJECTIVE["slow_ratio_fast"], ORANGE), (OBJECTIVE["objective_ratio"], GREEN))
    queries = tuple(Query(_share(window), f"last {window} {{{{fhir_source}}}}") for window in ("1d", "3d"))
    return lines(words, queries, Measure("percentunit", steps, 1, (0, 1)), HALF._replace(width=8))


def _share(window: str) -> str:
    """Divide sums: ratios must not be averaged."""
    bucket = pairs("fhir_task_duration_seconds_bucket", COMPLETED, f'le="{OBJECTIVE["slow_seconds"]:.1f}"')
    count = pairs("fhir_task_duration_seconds_count", COMPLETED)
    fast, all_ = (total(once(f"increase({selector}[{window}])")) for selector in (bucket, count))
    return f"{fast} / ({all_} > 0)"
