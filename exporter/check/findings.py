"""What `check` says about configuration, searches and ledger: from answers to sentences. Nothing here sends anything.

Rule 1: FAIL is what somebody must fix, and says how; WARN is what the operator should look at; INFO needs no action.
Rule 2: no Task id, no value of a further search parameter, no secret.

What is said about the connection is in `steps`, about rights in `rights`, about a sample of Tasks in `samples`.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from .. import documents
from ..config import ExposedFile, Settings, WebConfig
from ..config.web_config import read_web_config
from ..config.web_options import ClientAuth
from ..errors import ExporterError
from ..ledger.inspect import LedgerStatus
from ..task.model import DOCUMENTED, Coding, Instant, Selection, Status
from ..task.search import LAST_INSTANT, NO_CODE, Bound, Search, with_status

SKEW_MS = 60_000
"""A smaller difference between two clocks is not reported: `Date` has whole seconds, and an answer takes some."""

TASKS_PER_SECOND = 1_000
"""What a real server delivers (HAPI 8.8.0, measured)."""


CLIENT_CERTIFICATES = {
    ClientAuth.NONE: "not asked for",
    ClientAuth.IF_GIVEN: "verified if given",
    ClientAuth.REQUIRED: "required",
}


class Mark(StrEnum):
    """How bad it is."""

    OK = "OK"
    INFO = "INFO"
    WARN = "WARN"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """One line for a person, what to do about it, and lines to copy into a file."""

    mark: Mark
    text: str
    remedy: str = ""
    copy: tuple[str, ...] = ()


def ok(text: str) -> Finding:
    """Report what is right."""
    return Finding(Mark.OK, text)


def info(text: str, remedy: str = "") -> Finding:
    """Report what is worth knowing, and needs no action."""
    return Finding(Mark.INFO, text, remedy)


def warn(text: str, remedy: str = "") -> Finding:
    """Report what the exporter copes with, and the operator should look at."""
    return Finding(Mark.WARN, text, remedy)


def fail(text: str, remedy: str) -> Finding:
    """Report what must be fixed, and how."""
    return Finding(Mark.FAIL, text, remedy)


def failed(subject: str, error: ExporterError) -> Finding:
    """Report what could not be found out."""
    return fail(f"{subject}: {error}", error.remedy)


def configured(settings: Settings, base: str) -> Iterator[Finding]:
    """Report which Tasks are selected, and on which server."""
    yield ok(f"configuration: server {base}")
    yield ok(f"configuration: {_selection(settings.fhir.selection)}")
    if settings.fhir.tag is None and settings.fhir.code is None:
        yield warn("configuration: every Task counts as an exchange", "Set --fhir.tag or --fhir.code.")
    yield _deadline(settings)
    if settings.web.config_file is not None:
        yield from _web(Path(settings.web.config_file))


def _web(path: Path) -> Iterator[Finding]:
    """Report how the port is protected. The file has no problems: they were found with the options."""
    read = read_web_config(path)
    config = read.config or WebConfig()
    clients = CLIENT_CERTIFICATES[config.client_auth]
    users = f"{len(config.users)} {'user' if len(config.users) == 1 else 'users'}"
    yield ok(f"configuration: web server: {config.scheme}, {users}, client certificates {clients}")
    for each in read.warnings:
        yield warn(f"configuration: {each}", f"{documents.url('web-configuration.md')} explains it.")


def exposed(file: ExposedFile) -> Finding:
    """Report a secret file that others on this machine may use."""
    return warn(
        f"configuration: others may read or write the secret file {file.path} (mode {file.mode})",
        "Give it to the user of the exporter and run chmod o= on it; in Kubernetes set defaultMode: 0440.",
    )


def _deadline(settings: Settings) -> Finding:
    days = settings.deadline.business_days
    if not days:
        return ok(f"configuration: deadline {span(settings.deadline.seconds)}")
    zone, place = str(settings.timezone), settings.holidays
    said = (
        f"configuration: deadline {days} business {'day' if days == 1 else 'days'}, {zone}, holidays {place or 'none'}"
    )
    if place is None or zone == "UTC":
        return warn(said, "Set --timezone and --holidays: else days are those of UTC, and no day is a public holiday.")
    return ok(said)


def _selection(selection: Selection) -> str:
    names = ", ".join(sorted({name for name, _ in selection.search}))
    further = f", further search parameters {names} (values not shown)" if names else ""
    return f"tag {_token(selection.tag)}, code {_token(selection.code)}{further}"


def _token(coding: Coding | None) -> str:
    return "any" if coding is None else f"{coding.system}|{coding.code}"


def clocks(theirs: Instant | None, ours: Instant) -> Finding:
    """Compare the server's clock with ours."""
    if theirs is None:
        return warn(
            "clock: the server sends no timestamp; using the local clock", "Keep both machines synchronized by NTP."
        )
    apart = theirs - ours
    if abs(apart) <= SKEW_MS:
        return ok(f"clock: the server's agrees with the local one (within {SKEW_MS // 1000} s)")
    which = "ahead of" if apart > 0 else "behind"
    remedy = "Keep both machines synchronized by NTP. Deadlines and ages are judged by the server's clock."
    return warn(f"clock: the server's is {span(abs(apart) / 1000)} {which} the local one", remedy)


TAG_REFUSED = warn(
    "search by _tag: refused; every Task is read, and its tag checked here",
    "Activate the search parameter on the server: a SearchParameter with code _tag, base Task, type token, expression "
    "Task.meta.tag, status active (Smile CDR and HAPI with INLINE tag storage need one), and reindex Tasks.",
)


class Probe(NamedTuple):
    """A search whose count must be 0: a server that counts anything ignored one of its parameters."""

    name: str
    search: Search
    mark_if_ignored: Mark
    remedy: str


def probes(middle: Instant, status: Status) -> tuple[Probe, ...]:
    """Make the searches. `middle` is a stamp among those of the Tasks, `status` one that some of them have."""
    other = Status.DRAFT if status is not Status.DRAFT else Status.REJECTED
    activate = "Activate the search parameter {} for Task on the server, and reindex Tasks."
    until_then = "Until then each full comparison reads every Task instead of counting."
    walks = "No action is needed; each full comparison reads every Task instead of counting."
    return (
        Probe("_lastUpdated from", Search(Bound("ge", LAST_INSTANT)), Mark.FAIL, activate.format("_lastUpdated")),
        Probe("_lastUpdated before", Search(until=1), Mark.INFO, walks),
        Probe("_lastUpdated from and before", Search(Bound("ge", middle), middle), Mark.INFO, walks),
        Probe("_tag", Search(filters=(("_tag", NO_CODE),)), Mark.WARN, f"Let _tag through to the server. {until_then}"),
        Probe(
            "status",
            Search(filters=(("status", status.value), ("status", other.value))),
            *(Mark.FAIL, activate.format("status")),
        ),
        Probe(
            "status:not",
            Search(filters=(("status", status.value), ("status:not", status.value))),
            *(
                Mark.FAIL,
                "Let the modifier :not of the search parameter status through: open Tasks are found by it.",
            ),
        ),
    )


def probed(probe: Probe, count: int | None) -> Finding:
    """Report the answer to a probe; None means that the server refused it."""
    if count == 0:
        return ok(f"search by {probe.name}: obeyed")
    return Finding(
        probe.mark_if_ignored, f"search by {probe.name}: {'refused' if count is None else 'ignored'}", probe.remedy
    )


BY_STATUS = {status: with_status(status) for status in Status}
"""The searches to count."""

UNCOUNTED = warn(
    "counts: the server gives none (_summary=count)",
    "Allow _summary=count. Until then each full comparison reads every Task, and the baseline shows no percentage.",
)


UNCOUNTED_BY_TAG = info(
    "counts: none, since the server refuses _tag", "As for _tag; until then each comparison reads every Task."
)
UNPROBED = info("search parameters: not tested, since that needs counts of Tasks")


def nothing(others: int) -> Finding:
    """Report that no Task matches; `others` are those without regard to the tag."""
    remedy = "Check --fhir.tag and --fhir.search, and whether an exchange has ever been started."
    return warn(f"Tasks: none matches the search; without the tag it would be {others:,}", remedy)


def counted(total: int, counts: Mapping[Status, int]) -> list[Finding]:
    """Report how many Tasks there are, by the server's own count, and how long the baseline takes."""
    shown = [*DOCUMENTED, *(status for status in Status if status not in DOCUMENTED and counts.get(status))]
    each = ", ".join(f"{status} {counts[status]:,}" for status in shown) if counts else "by status unknown"
    seconds = max(1.0, total / TASKS_PER_SECOND)
    return [
        ok(f"Tasks: {total:,} ({each})"),
        ok(f"baseline: about {span(seconds)}, at {TASKS_PER_SECOND:,} Tasks a second"),
    ]


def paged(asked: int, given: int | None) -> Finding:
    """Compare the page size with the one asked for; `given` is None where all Tasks fit on one page."""
    if given is None:
        return ok(f"pages: too few Tasks to fill one of {asked}")
    if given >= asked:
        return ok(f"pages: of {tasks(given)}, as asked for")
    remedy = "No action is needed; for a faster baseline, raise the server's maximum page size."
    return info(f"pages: the server sends {tasks(given)} per page; {asked} were requested", remedy)


def sorted_by(stamps: Sequence[Instant]) -> Finding:
    """Report whether a page is sorted by its stamps."""
    if list(stamps) == sorted(stamps):
        return ok("_sort: obeyed")
    return fail(
        "_sort: ignored; Tasks are not sorted by their stamps, so some may be missed",
        "Let _sort=_lastUpdated,_id through to the server; look for a proxy that drops it.",
    )


LEDGER = {
    LedgerStatus.MEMORY: warn(
        "ledger: in memory only", "Give a path in --ledger, or counters start at 0 after each start."
    ),
    LedgerStatus.ABSENT: ok("ledger: none yet; serve will create it"),
    LedgerStatus.EMPTY: ok("ledger: empty, made for another server or selection; serve will take it over"),
    LedgerStatus.BEGUN: ok("ledger: belongs to this server; its baseline is not complete"),
    LedgerStatus.COMPLETE: ok("ledger: belongs to this server; its baseline is complete"),
}
TO_REBIND = warn(
    "ledger: made for another address or selection; serve will look for its Tasks here, as --ledger.rebind asks",
    "Remove --ledger.rebind if the FHIR server is not the same one at a new address.",
)
IN_USE = info("ledger: in use by another process", "No action is needed if that is the running exporter.")


def summary(findings: Sequence[Finding]) -> str:
    """Sum up in one sentence."""
    count = sum(finding.mark is Mark.FAIL for finding in findings)
    if not count:
        return "No problems found."
    problems, them = ("problem", "it") if count == 1 else ("problems", "them")
    return f"{count} {problems} found. Fix {them} and run check again."


def tasks(count: int) -> str:
    """Write how many Tasks."""
    return f"{count:,} Task" if count == 1 else f"{count:,} Tasks"


def span(seconds: float) -> str:
    """Write a duration roughly, as a person would."""
    units = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))
    size, word = next((unit for unit in units if seconds >= 2 * unit[0]), (1, "seconds"))
    count = round(seconds / size)
    return f"{count} {word if count != 1 else word[:-1]}"
