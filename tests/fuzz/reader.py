"""Target: bytes of a FHIR server or of an Admin API, to the values that become labels and counters."""

import json
import math
import re
from collections.abc import Callable, Iterator

from exporter.batch_jobs.decode import LARGEST_COUNT, decode_spring
from exporter.batch_jobs.decode import decode_page as decode_batch_jobs
from exporter.batch_jobs.model import BatchJob
from exporter.errors import LinkRefused, NotFhir, WrongResource
from exporter.fhir import links
from exporter.task.bundle import decode_count, decode_history, decode_organization, decode_page, decode_version
from exporter.task.capability import decode_capability
from exporter.task.deadline import Deadlines, FixedTime
from exporter.task.entry import PageContext
from exporter.task.export_job import ExportJob, StatusReply, read_job
from exporter.task.export_manifest import UNKNOWN_TYPE, decode_manifest
from exporter.task.labels import clean
from exporter.task.lifecycle import LONGEST_DURATION_SECONDS, Observation, compare
from exporter.task.model import DIGEST_PREFIX, REASONS, UNCLASSIFIED, Coding, Page, Pair, Party, Selection, Task
from exporter.task.payer_table import PayerTable
from exporter.task.payers import NeedsOrganization, PayerDirectory, name_payer
from exporter.task.reasons import classifier
from exporter.task.watched import decode_task

from .rules import caught, demand, demand_silence

BASE = "https://cdr.example.org/fhir"
TAG = Coding("http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes", "CDR_MANAGED")
CODE = Coding("http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp", "data-request")
SELECTIONS = (Selection(TAG, CODE), Selection(None, None))
NOW = 1_790_000_000_000
YEAR_2201 = 7_289_654_400_000
MOST_JOBS = 50

_CLASSIFY = classifier(((("ours"), re.compile("member", re.IGNORECASE)),))
_KNOWN_REASONS = {*REASONS, UNCLASSIFIED, "ours"}
_TABLE = PayerTable(keys={"Organization/old-payer": "Old Payer"}, identifiers=((re.compile("npi.*"), "By NPI"),))
_DIRECTORIES = (
    PayerDirectory(_TABLE, BASE, {"Organization/1": "HL7 \u202eInc"}),
    PayerDirectory(),
)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_DIGEST = re.compile(rf"{re.escape(DIGEST_PREFIX)}[0-9a-f]{{32}}")
_ORGANIZATION = re.compile(r"Organization/[A-Za-z0-9.-]{1,64}")
_JOB_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_RESOURCE_TYPE = re.compile(r"[A-Z][A-Za-z]{1,40}")


def check(data: bytes) -> None:
    """Read the bytes as everything that we ask a server for."""
    values = tuple(_texts(data))

    def attempt(read: Callable[[], object]) -> None:
        error = caught(read, NotFhir, WrongResource)
        if error is not None:
            demand_silence(error, values)

    for selection in SELECTIONS:
        attempt(lambda chosen=selection: _check_page(decode_page(data, chosen, _CLASSIFY)))  # type: ignore[misc]
        attempt(lambda chosen=selection: _check_page(decode_history(data, chosen, _CLASSIFY)))  # type: ignore[misc]
    attempt(lambda: _check_version(data))
    attempt(lambda: _check_count(decode_count(data)))
    attempt(lambda: _check_name(decode_organization(data)))
    attempt(lambda: _check_printable(*decode_capability(data)))
    attempt(lambda: _check_task(decode_task(data, _CLASSIFY, NOW).task))
    attempt(lambda: _check_batch_jobs(data))
    decode_manifest(data)
    for status in (200, 202, 404, 500):
        job = read_job(StatusReply(status, data, is_json=True, progress=data[:200].decode("latin-1"), date=NOW))
        if job is not None:
            _check_export(job)


def _texts(data: bytes) -> Iterator[str]:
    """Every text in the input, names of elements included."""
    yield from (text.decode("utf-8", "replace") for text in re.findall(rb'"([^"\\]{8,})"', data))


# What must hold of what was read


def _check_page(page: Page) -> None:
    demand(page.matches == len(page.tasks), "every match gives one Task")
    demand(page.clock is None or 0 <= page.clock < YEAR_2201, "the time of a page is within the years that count")
    if page.next is not None:
        _check_link(page.next)
    for task in page.tasks:
        _check_task(task)
    pair = Pair("source", "requesting")
    changes = compare({}, ((task, pair) for task in page.tasks), Observation(NOW, Deadlines(FixedTime(86_400_000))))
    for _, seconds in changes.durations:
        demand(math.isfinite(seconds), "a duration is finite")
        demand(0 <= seconds <= LONGEST_DURATION_SECONDS, "a duration is between nothing and ten years")
    demand(all(count >= 0 for count in changes.counts.values()), "a counter only goes up")


def _check_link(link: str) -> None:
    found: list[str] = []
    refused = caught(lambda: found.append(links.resolve(BASE, link)), LinkRefused)
    if refused is not None:
        demand_silence(refused, (link,))
    for address in found:
        demand(address == BASE or address.startswith((f"{BASE}/", f"{BASE}?")), "a page link leads to our server")


def _check_version(data: bytes) -> None:
    task = decode_version(data, PageContext(SELECTIONS[0], _CLASSIFY, NOW))
    if task is not None:
        _check_task(task)


def _check_task(task: Task) -> None:
    demand(_ID.fullmatch(task.id) or _DIGEST.fullmatch(task.id), "a Task has an id of FHIR, or a digest")
    demand(task.version == "" or _ID.fullmatch(task.version), "a version has the form of an id")
    for instant in (task.updated, task.authored or 0):
        demand(0 <= instant < YEAR_2201, "a date is within the years that count")
    demand(task.reason in _KNOWN_REASONS, "a reason is one of a closed list")
    demand(0 <= task.documents <= task.outputs, "documents are outputs")
    for party in (task.owner, task.requester):
        for directory in _DIRECTORIES:
            _check_payer(name_payer(party, directory), party)


def _check_payer(payer: str | NeedsOrganization, party: Party | None) -> None:
    if isinstance(payer, NeedsOrganization):
        demand(_ORGANIZATION.fullmatch(payer.reference), "only Organizations of our server are read")
        demand(".." not in payer.reference.split("/"), "a reference does not climb")
        return
    _check_label(payer)
    kind = party.kind if party else None
    if kind in {"Patient", "Practitioner", "RelatedPerson", "Person", "PractitionerRole"}:
        demand(payer == kind, "a person is shown as their type")


def _check_label(text: str) -> None:
    demand(text == clean(text), "a label is clean")
    demand(text.isprintable() and 0 < len(text) <= 80, "a label is short and printable")
    text.encode()


def _check_count(count: int | None) -> None:
    demand(count is None or 0 <= count < 2**53, "a count is a number that a float can hold")


def _check_name(name: str | None) -> None:
    demand(name is None or (name.strip() and len(name) <= 512), "a name is there, and short")
    _check_label(clean(name or ""))


def _check_printable(*texts: str) -> None:
    demand(all(text.isprintable() for text in texts), "what a terminal shows is printable")


def _check_batch_jobs(data: bytes) -> None:
    for job in (
        *_jobs(lambda: decode_batch_jobs(data, MOST_JOBS).jobs),
        *_jobs(lambda: decode_spring(data, MOST_JOBS)),
    ):
        demand(_JOB_NAME.fullmatch(job.name), "the name of a batch job is a clean label")
        demand(0 <= job.errors <= LARGEST_COUNT, "errors of a batch job are a count")
        demand(job.records is None or 0 <= job.records <= LARGEST_COUNT, "records of a batch job are a count")
        demand(job.progress is None or 0 <= job.progress <= 1, "progress is a share")
        demand(job.since is None or 0 <= job.since < YEAR_2201, "a date is within the years that count")


def _jobs(read: Callable[[], tuple[BatchJob, ...]]) -> tuple[BatchJob, ...]:
    try:
        jobs = read()
    except (NotFhir, WrongResource):
        return ()
    demand(len(jobs) <= MOST_JOBS, "not more batch jobs are read than asked for")
    return jobs


def _check_export(job: ExportJob) -> None:
    demand(job.progress_ratio is None or 0 <= job.progress_ratio <= 1, "progress is a share")
    demand(job.words.isprintable() and len(job.words) <= 100, "the words of a job are short and printable")
    for counts in (job.files, job.error_files, job.manifest.resources):
        demand(len(counts) <= 151, "the types of files are bounded")
        demand(
            all(word == UNKNOWN_TYPE or _RESOURCE_TYPE.fullmatch(word) for word in counts), "a type is a clean label"
        )
        demand(all(math.isfinite(float(count)) and count >= 0 for count in counts.values()), "a count is a number")
    demand(job.since is None or 0 <= job.since < YEAR_2201, "a date is within the years that count")


def dictionary() -> Iterator[str]:
    """Words that the mutator puts in: JSON's marks and what the reader looks for."""
    yield from ('{"', '":', '"}', "[]", "{}", "null", "true", "1e999", "\\ud800", "\\u0000", "\\u202e")
    yield from ("resourceType", "Bundle", "searchset", "history", "entry", "resource", "search", "mode", "match")
    yield from ("Task", "meta", "tag", "lastUpdated", "versionId", "status", "completed", "failed", "authoredOn")
    yield from ("owner", "requester", "reference", "display", "identifier", "system", "value", "contained", "note")
    yield from ("OperationOutcome", "issue", "severity", "error", "code", "diagnostics", "Organization", "name")
    yield from ("output", "valueReference", "DocumentReference/", "statusReason", "concept", "coding", "text")
    yield from ("link", "relation", "next", "url", "total", "jobs", "jobInstances", "jobExecutions", "endTime")
    yield from ("transactionTime", "count", "countSeverity", "deleted", "2026-11-23T10:00:00.000Z", "-14:00")
    yield from (TAG.system, TAG.code, CODE.system, CODE.code, "https://cdr.example.org/fhir?_getpages=1")


_PERSON = {"reference": "Practitioner/1", "display": "Dr. A"}


def seeds() -> Iterator[bytes]:
    """The official examples of FHIR, alone and in a page, and answers of other kinds."""
    from tests.support.builders import completed, failed, task

    from .samples import samples

    found = list(samples())
    yield from found
    meta = {"versionId": "2", "lastUpdated": "2026-11-23T10:00:00.000Z", "tag": [TAG._asdict()]}
    tasks = [
        *(task(meta=meta), completed(meta=meta), failed(note_text="Member match failed", meta=meta)),
        task(owner={"display": "Old\u202e  Payer\n"}, requester=_PERSON, meta=meta),
        *map(json.loads, found),
    ]
    for kind in ("searchset", "history"):
        yield from (_bundle(kind, each) for each in tasks)
    yield b'{"jobs":{"EXPORT":[{"instanceId":"a","status":"IN_PROGRESS","progress":0.5,"errorCount":1}]}}'
    yield (
        b'{"jobInstances":[{"id":1,"jobName":"a"}],"jobExecutions":[{"id":2,"jobInstanceId":1,"status":"STARTED",'
        b'"startTime":"2026-11-23T10:00:00Z","exitStatus":{"exitCode":"NOOP"}}]}'
    )
    yield (
        b'{"transactionTime":"2026-11-23T10:00:00Z","output":[{"type":"Patient","count":3,"url":"x"}],'
        b'"error":[{"type":"OperationOutcome","countSeverity":{"error":1}}],"link":[{"relation":"next","url":"y"}]}'
    )
    yield b"Status set to IN_PROGRESS at 2026-11-23T10:00:00Z, 12.5% done"


def _bundle(kind: str, resource: object) -> bytes:
    entry = {"resource": resource, "search": {"mode": "match"}, "request": {"method": "PUT"}}
    link = [{"relation": "next", "url": f"{BASE}?_getpages=1"}]
    meta = {"lastUpdated": "2026-11-23T10:00:00.000Z"}
    return json.dumps({"resourceType": "Bundle", "type": kind, "meta": meta, "link": link, "entry": [entry]}).encode()
