"""The row about failures, and the one about durations."""

from .kinds import Ready, bars, bars_now, lines, rows, warmth
from .limits import EXCHANGE, OBJECTIVE, ORANGE, RED, above
from .links import PAIR_LABELS
from .queries import COMPLETED, FAILED, ONE_SERVER, ended, events, once, pairs, quantile, total, transitions
from .spec import Column, Label, Measure, Query, Size, Words

REASONS = "{{reason}} {{fhir_source}}"
EXEMPLARS = "With --metrics.exemplars, points lead to single Tasks."


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (_table(), _reasons(), _ratio(), _ratio_by_payer())


def latency() -> tuple[Ready, ...]:
    """List the panels about durations."""
    return (_quantiles(), _heatmap())


def _table() -> Ready:
    words = Words(
        "Failures by payer and reason (range)",
        "Exchanges that failed within the time range, by the reason that the exporter derived from the Task. Click a "
        "payer to filter by it.",
        "many with one payer and one reason: contact the payer. One reason with many payers: check our side. "
        "unclassified: add a rule to the configuration file.",
        "no failures in this range",
        ("P2PExchangeFailed",),
    )
    failed = f"{once(events(pairs('fhir_task_failures_total'), '$__range'), 'reason')} > 0"
    labels = (*PAIR_LABELS, Label("reason", "Reason"))
    return rows(words, labels, (Column("Failed", failed),), Size(12, 9))


def _reasons() -> Ready:
    words = Words(
        "Failures by reason per hour",
        f"Exchanges that failed, by classified reason, stacked. {EXEMPLARS}",
        "auth and kickoff jump when a credential or an address is wrong; timeout and export build up slowly.",
        "none known yet",
        ("P2PExchangeFailed",),
    )
    expr = total(once(events(pairs("fhir_task_failures_total"), "1h"), "reason"), "reason")
    return bars(words, Query(expr, REASONS, exemplars=True), size=Size(12, 9))


def _ratio() -> Ready:
    floor = EXCHANGE["failure_ratio_floor"]
    words = Words(
        "Failure ratio over time (last 6 h)",
        f"Failed / ended exchanges over the last 6 hours, if at least {floor} ended. The line is the limit.",
        "if several payers fail at once, the cause is most likely on our side: credentials, network, certificate.",
        f"fewer than {floor} ended",
        ("P2PExchangeFailureRatioHigh",),
    )
    expr = f"{transitions('6h', FAILED)} / ({ended('6h')} >= {floor})"
    measure = Measure("percentunit", above(EXCHANGE["failure_ratio"], RED), bounds=(0, 1))
    return lines(words, (Query(expr),), measure)


def _ratio_by_payer() -> Ready:
    floor = EXCHANGE["all_failing_floor"]
    words = Words(
        "Failure ratio by payer (last 6 h)",
        f"The same by the payer that has to answer, if at least {floor} ended. Orange if all failed.",
        "contact the payer, unless the failures began with a change on our side.",
        f"no payer ended {floor} or more",
        ("P2PSourcePayerAllFailing",),
    )
    ratio = f"{transitions('6h', FAILED, 'source_payer')} / ({ended('6h', 'source_payer')} >= {floor})"
    measure = Measure("percentunit", above(1, ORANGE), 0, (0, 1))
    return bars_now(words, Query(f"sort_desc({ratio})", "{{source_payer}} {{fhir_source}}"), measure)


def _quantiles() -> Ready:
    words = Words(
        "Duration of completed exchanges (last 1 d)",
        "p50 and p95 of the time from authoredOn to the version first seen completed: an upper bound, estimated from "
        "buckets. The line is at 24 h. "
        f"{EXEMPLARS}",
        "only p95 high: a slow payer, see the table Payers. Both high: our queue or the network.",
        "none completed in a day",
        ("P2PExchangeSlowBudgetBurn",),
    )
    shares = (0.5, "p50", False), (0.95, "p95", True)  # both read the same buckets, so one has the exemplars
    queries = tuple(Query(quantile(share, "1d"), f"{name} {{{{fhir_source}}}}", each) for share, name, each in shares)
    return lines(words, queries, Measure("s", above(OBJECTIVE["slow_seconds"], RED), 1))


def _heatmap() -> Ready:
    words = Words(
        "Durations of completed exchanges (heat map)",
        "Completed exchanges by duration; each cell is an hour or more. Empty if several FHIR servers are selected: "
        "select one above, since they are never mixed. "
        f"{EXEMPLARS}",
        "a second band far above the first is usually one slow payer: see the table Payers.",
        "none completed, or several FHIR servers selected",
    )
    buckets = once(f"increase({pairs('fhir_task_duration_seconds_bucket', COMPLETED)}[$__rate_interval])", "le")
    return warmth(words, Query(f"{total(buckets, 'le')} and on () ({ONE_SERVER})", "{{le}}", True), Measure("s"))
