"""The row about what comes in, what is under way, and how it ends."""

from .kinds import Ready, areas, bars, bars_now, number
from .limits import BLUE, EXCHANGE, LABELLED, ORANGE, more_than
from .queries import ENDED, OPEN, events, once, pairs, total, transitions
from .spec import COUNT, Measure, Query, Words

STATUS = "{{status}} {{fhir_source}}"
QUIET = "none known yet"


def panels() -> tuple[Ready, ...]:
    """List them from left to right."""
    return (
        *(_open(), _outcomes(), _created(), _on_server()),
        *(_cancelled(), _reopened(), _vanished(), _empty()),
    )


def _open() -> Ready:
    words = Words(
        "In flight by status",
        "Open exchanges by the status of their Task, as of the last complete poll, stacked.",
        "requested that grows: our batch queue. in-progress that grows: the other payers' exports.",
        "unknown: no fresh data",
        ("P2PNothingCompletes", "P2PExchangeNotStarted"),
    )
    return areas(words, Query(total(once(pairs("fhir_tasks", OPEN), "status"), "status"), STATUS))


def _outcomes() -> Ready:
    words = Words(
        "Outcomes per hour",
        "Exchanges that ended, by how they ended. Entered-in-error is left out.",
        "no bars while something is in flight: nothing completes.",
        QUIET,
        ("P2PNothingCompletes", "P2PExchangeFailed"),
    )
    return bars(words, Query(transitions("1h", ENDED, "status"), STATUS))


def _created() -> Ready:
    words = Words(
        "Requested per hour",
        "Exchanges first seen after the exporter's first start, by the payer that has to answer.",
        "none on a working day: members may be waiting for requests that nobody sends.",
        QUIET,
        ("P2PNothingCreated",),
    )
    expr = total(once(events(pairs("fhir_task_created_total"), "1h")), "source_payer")
    return bars(words, Query(expr, "{{source_payer}} {{fhir_source}}"))


def _on_server() -> Ready:
    words = Words(
        "Tasks on the server by status",
        "All Tasks of exchanges that the FHIR server holds, ended ones included. A purge makes it smaller.",
        "nothing; it is here to compare with a search on the server.",
        "unknown: no fresh data",
    )
    expr = total(once(pairs("fhir_tasks"), "status"), "status")
    return bars_now(words, Query(f"sort_desc({expr})", STATUS), Measure(steps=LABELLED, bounds=(0, None)))


def _cancelled() -> Ready:
    words = Words(
        "Cancelled (last 1 h)",
        "Exchanges seen to be cancelled: most likely by hand, in the batch job manager.",
        "ask who works there.",
        QUIET,
        ("P2PExchangesCancelled",),
    )
    measure = COUNT._replace(steps=more_than(EXCHANGE["cancelled_count"], BLUE))
    return number(words, Query(transitions("1h", 'status="cancelled"')), measure)


def _reopened() -> Ready:
    words = Words(
        "Reopened (last 1 h)",
        "Exchanges that had ended and are open again. What they do next is counted again.",
        "ask who restarted them; counts of outcomes hold these twice.",
        QUIET,
        ("P2PExchangesReopened",),
    )
    return number(words, Query(total(once(events(pairs("fhir_task_reopened_total"), "1h")))))


def _vanished() -> Ready:
    words = Words(
        "Vanished (last 1 h)",
        "Tasks deleted, purged or untagged on the server, as found by a sweep. Counters keep what they counted.",
        "ask whether a purge was planned; if not, look after the database.",
        QUIET,
        ("P2PTasksVanished",),
    )
    expr = total(once(events(pairs("fhir_task_vanished_total"), "1h")))
    return number(words, Query(expr), COUNT._replace(steps=more_than(EXCHANGE["vanished_count"], ORANGE)))


def _empty() -> Ready:
    words = Words(
        "Completed without output (last 1 d)",
        "Exchanges seen to complete with no output at all. Where originals are not archived, all are so.",
        "if one payer alone does it, its exports may be empty: compare documents in the table Payers.",
        QUIET,
        ("P2PCompletedEmpty",),
    )
    return number(words, Query(total(once(events(pairs("fhir_task_completed_empty_total"), "1d")))))
