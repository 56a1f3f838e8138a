"""The row about exchanges that start, are in flight, and end."""

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
        "requested grows: our batch queue. in-progress grows: the other payers' exports.",
        "unknown: no fresh data",
        ("P2PNothingCompletes", "P2PExchangeNotStarted"),
    )
    return areas(words, Query(total(once(pairs("fhir_tasks", OPEN), "status"), "status"), STATUS))


def _outcomes() -> Ready:
    words = Words(
        "Outcomes per hour",
        "Exchanges that ended, by terminal status, without entered-in-error.",
        "no bars although something is in flight: nothing completes.",
        QUIET,
        ("P2PNothingCompletes", "P2PExchangeFailed"),
    )
    return bars(words, Query(transitions("1h", ENDED, "status"), STATUS))


def _created() -> Ready:
    words = Words(
        "Requested per hour",
        "Exchanges first seen after the exporter's first start, by the payer that has to answer.",
        "none on a working day: members may be waiting for requests that are not being sent.",
        QUIET,
        ("P2PNothingCreated",),
    )
    expr = total(once(events(pairs("fhir_task_created_total"), "1h")), "source_payer")
    return bars(words, Query(expr, "{{source_payer}} {{fhir_source}}"))


def _on_server() -> Ready:
    words = Words(
        "Tasks on the server by status",
        "All Tasks of exchanges on the FHIR server, including ended ones. A purge reduces it.",
        "nothing; use it to compare with a search on the server.",
        "unknown: no fresh data",
    )
    expr = total(once(pairs("fhir_tasks"), "status"), "status")
    return bars_now(words, Query(f"sort_desc({expr})", STATUS), Measure(steps=LABELLED, bounds=(0, None)))


def _cancelled() -> Ready:
    words = Words(
        "Cancelled (last 1 h)",
        "Exchanges that were cancelled, most likely by hand in the batch job manager.",
        "find out who cancelled them.",
        QUIET,
        ("P2PExchangesCancelled",),
    )
    measure = COUNT._replace(steps=more_than(EXCHANGE["cancelled_count"], BLUE))
    return number(words, Query(transitions("1h", 'status="cancelled"')), measure)


def _reopened() -> Ready:
    words = Words(
        "Reopened (last 1 h)",
        "Exchanges that went from a terminal status back to an open one. Their next outcome is counted again.",
        "find out who restarted them; outcome counts include them twice.",
        QUIET,
        ("P2PExchangesReopened",),
    )
    return number(words, Query(total(once(events(pairs("fhir_task_reopened_total"), "1h")))))


def _vanished() -> Ready:
    words = Words(
        "Vanished (last 1 h)",
        "Tasks deleted, purged or untagged on the server, as detected by a comparison. Counters are unaffected.",
        "check whether a purge was planned; if not, check the exporter's read permission and the database.",
        QUIET,
        ("P2PTasksVanished",),
    )
    expr = total(once(events(pairs("fhir_task_vanished_total"), "1h")))
    return number(words, Query(expr), COUNT._replace(steps=more_than(EXCHANGE["vanished_count"], ORANGE)))


def _empty() -> Ready:
    words = Words(
        "Completed without output (last 1 d)",
        "Exchanges that completed without any output. If originals are not archived, this is all of them.",
        "only one payer: its exports may be empty, compare Documents in the table Payers.",
        QUIET,
        ("P2PCompletedEmpty",),
    )
    return number(words, Query(total(once(events(pairs("fhir_task_completed_empty_total"), "1d")))))
