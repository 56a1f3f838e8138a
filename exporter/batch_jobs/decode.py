"""From the Admin API's JSON to BatchJobs, by an allow-list. PURE: no I/O, no clock.

Rule 1: an element that is not named in a class here never becomes a Python value: `parameters`, `report`,
`errorMessage`, `userData` and `exitDescription` hold identifiers.
Rule 2: each element is decoded by itself, so that one of another type does not cost the job, nor one job the list.

Two generations. Since 2023: `{"jobs": {NAME: [job, …]}}`, jobs as HAPI's JobInstance has them. Before: Spring Batch's
`jobInstances` with their `jobExecutions`, the last of which is the state of the job. No Smile CDR was available: where
the documentation shows no full answer, several spellings are read.

See docs/design.md#batch-jobs, docs/fhir-quirks.md#q37.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from typing import NamedTuple, TypeVar

from msgspec import Raw, ValidationError
from msgspec.json import Decoder

from ..errors import NotFhir, WrongResource
from ..metrics.vocabulary import BatchJobStatus
from ..task.dates import parse_instant
from ..task.fhir_json import ABSENT, DECODE_ERRORS, Element, decode_or_none
from ..task.model import Instant
from .model import ENDED, OTHER, BatchJob

T = TypeVar("T")

LARGEST_COUNT = 10**15
"""Larger numbers are no counts, and a float could not hold their sum."""

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")

STATUSES: Mapping[str, BatchJobStatus] = {
    **{status.name: status for status in BatchJobStatus},
    "STARTING": BatchJobStatus.QUEUED,
    "STARTED": BatchJobStatus.IN_PROGRESS,
    "EXECUTING": BatchJobStatus.IN_PROGRESS,
    "STOPPING": BatchJobStatus.IN_PROGRESS,
    "STOPPED": BatchJobStatus.CANCELLED,
    "ABANDONED": BatchJobStatus.CANCELLED,
    "NOOP": BatchJobStatus.COMPLETED,
}
"""HAPI's words, then those of Spring Batch; its UNKNOWN is ours."""


class _Jobs(Element):
    jobs: dict[str, list[Raw] | None]


class _Job(Element):
    name: Raw = ABSENT
    job_definition_id: Raw = ABSENT
    id: Raw = ABSENT
    instance_id: Raw = ABSENT
    status: Raw = ABSENT
    cancelled: Raw = ABSENT
    create_time: Raw = ABSENT
    start_time: Raw = ABSENT
    end_time: Raw = ABSENT
    error_count: Raw = ABSENT
    combined_records_processed: Raw = ABSENT
    progress: Raw = ABSENT


class _Spring(Element):
    job_instances: list[Raw] | None = None
    job_executions: list[Raw] | None = None


class _Instance(Element):
    id: Raw = ABSENT
    instance_id: Raw = ABSENT
    job_name: Raw = ABSENT
    name: Raw = ABSENT
    job_executions: Raw = ABSENT


class _Execution(Element):
    id: Raw = ABSENT
    job_instance_id: Raw = ABSENT
    job_instance: Raw = ABSENT
    job_name: Raw = ABSENT
    status: Raw = ABSENT
    exit_status: Raw = ABSENT
    create_time: Raw = ABSENT
    start_time: Raw = ABSENT
    end_time: Raw = ABSENT


class _ExitStatus(Element):
    exit_code: Raw = ABSENT


_JOBS, _JOB, _SPRING = Decoder(_Jobs), Decoder(_Job), Decoder(_Spring)
_INSTANCE, _EXECUTION, _EXIT = Decoder(_Instance), Decoder(_Execution), Decoder(_ExitStatus)
_TEXT, _TEXT_OR_NUMBER, _NUMBER, _FLAG = Decoder(str), Decoder(str | int), Decoder(float), Decoder(bool)
_LIST = Decoder(list[Raw])


class JobPage(NamedTuple):
    """One answer: its jobs, and how many the longest list of one name has."""

    jobs: tuple[BatchJob, ...]
    longest: int


def decode_page(body: bytes, most: int) -> JobPage:
    """Read an answer of `/batch2-job/modules/…`, at most so many jobs of it; raises NotFhir or WrongResource."""
    lists = _decode(body, _JOBS).jobs
    jobs = (_job(raw, name) for name, listed in lists.items() for raw in listed or ())
    return JobPage(tuple(islice(jobs, most)), max((len(listed or ()) for listed in lists.values()), default=0))


def decode_spring(body: bytes, most: int) -> tuple[BatchJob, ...]:
    """Read an answer of `/batch-job/…`, at most so many jobs of it; raises NotFhir or WrongResource.

    A job is an instance with its last execution: those of an instance stand in it, or in a list beside the instances.
    """
    answer = _decode(body, _SPRING)
    if answer.job_instances is None and answer.job_executions is None:
        raise WrongResource("The answer of the Admin API lists no batch jobs.")
    latest: dict[str, BatchJob] = {}
    for raw in answer.job_instances or ():
        _keep_latest(latest, _instance(raw))
    _keep_latest(latest, (_execution(raw, None) for raw in answer.job_executions or ()))
    return tuple(islice(latest.values(), most))


def _keep_latest(latest: dict[str, BatchJob], states: Iterable[BatchJob]) -> None:
    for state in states:
        known = latest.get(state.id, state)
        if (state.since or 0) >= (known.since or 0):
            latest[state.id] = replace(state, name=known.name) if state.name == OTHER else state


def _instance(raw: Raw) -> Iterator[BatchJob]:
    """Yield an instance without a state, then its executions."""
    found = decode_or_none(raw, _INSTANCE) or _Instance()
    instance = BatchJob(
        _name(found.job_name, found.name), _id(raw, found.id, found.instance_id), BatchJobStatus.UNKNOWN
    )
    yield instance
    yield from (_execution(each, instance) for each in decode_or_none(found.job_executions, _LIST) or ())


def _execution(raw: Raw, instance: BatchJob | None) -> BatchJob:
    """Read an execution; one that stands beside the instances names its own."""
    found = decode_or_none(raw, _EXECUTION) or _Execution()
    own = decode_or_none(found.job_instance, _INSTANCE) or _Instance()
    exit_code = (decode_or_none(found.exit_status, _EXIT) or _ExitStatus()).exit_code
    return BatchJob(
        name=instance.name if instance else _name(found.job_name, own.job_name),
        id=instance.id if instance else _id(raw, found.job_instance_id, own.id, found.id),
        status=_status(found.status, exit_code, found.exit_status),
        created=_instant(found.create_time),
        started=_instant(found.start_time),
        ended=_instant(found.end_time),
    )


def _job(raw: Raw, name: str) -> BatchJob:
    """Read a job from the list of this name. One that cannot be read counts, in status unknown."""
    found = decode_or_none(raw, _JOB) or _Job()
    status = _status(found.status)
    if decode_or_none(found.cancelled, _FLAG) and status not in ENDED:
        status = BatchJobStatus.CANCELLED  # the flag is up to a minute ahead of the status
    return BatchJob(
        name=_name(found.name, found.job_definition_id, otherwise=name),
        id=_id(raw, found.id, found.instance_id),
        status=status,
        created=_instant(found.create_time),
        started=_instant(found.start_time),
        ended=_instant(found.end_time),
        errors=_count(found.error_count) or 0,
        records=_count(found.combined_records_processed),
        progress=_progress(found.progress),
    )


def _decode(body: bytes, decoder: Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except ValidationError:
        raise WrongResource("The answer of the Admin API lists no batch jobs.") from None
    except DECODE_ERRORS:
        raise NotFhir("The answer of the Admin API is not JSON.") from None


def _name(*spellings: Raw, otherwise: str = OTHER) -> str:
    """Return the first that is a label value; nothing else leaves this file."""
    texts = (*(decode_or_none(raw, _TEXT) for raw in spellings), otherwise)
    return next((text for text in texts if text is not None and _NAME.fullmatch(text)), OTHER)


def _id(raw: Raw, *spellings: Raw) -> str:
    """Return the first id; a digest of the job replaces a missing one, so that it counts once."""
    texts = (str(decode_or_none(each, _TEXT_OR_NUMBER) or "") for each in spellings)
    return next((text for text in texts if _ID.fullmatch(text)), None) or sha256(raw).hexdigest()


def _status(*spellings: Raw) -> BatchJobStatus:
    """Return the first status that is known."""
    words = ((decode_or_none(raw, _TEXT) or "").upper().replace("-", "_") for raw in spellings)
    return next((STATUSES[word] for word in words if word in STATUSES), BatchJobStatus.UNKNOWN)


def _instant(raw: Raw) -> Instant | None:
    return parse_instant(decode_or_none(raw, _TEXT))


def _count(raw: Raw) -> int | None:
    number = decode_or_none(raw, _NUMBER)
    return int(number) if number is not None and 0 <= number <= LARGEST_COUNT else None


def _progress(raw: Raw) -> float | None:
    number = decode_or_none(raw, _NUMBER)
    return number if number is not None and 0 <= number <= 1 else None
