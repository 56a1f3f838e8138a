"""What we ask the Admin API: the batch jobs of one module. Every address that is fetched is made here.

Rule: nothing is ever changed there. How an address is fetched is the business of `fhir/http`, what the bytes mean that
of `decode`.

See docs/design.md#batch-jobs.
"""

from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice

from ..errors import ClientFault
from ..fhir.http import Http, Session
from ..metrics.vocabulary import AdminOperation
from .decode import JobPage, decode_page, decode_spring
from .model import BatchJob, JobList, find_job

READ_SECONDS = 30.0
"""What one read of all jobs may take."""

MOST_JOBS = 10_000
"""Jobs in one read: a node that purges ended jobs has far fewer."""

COUNT = 200
"""Jobs that we ask for at once; a server may give fewer."""

MOST_PAGES = 100
"""Requests in one read, whatever the server gives."""


class BatchJobs:
    """The batch jobs of a module, which is a FHIR Storage module."""

    def __init__(self, http: Http, module: str) -> None:
        self.http = http
        self.module = module

    def read(self) -> JobList:
        """Read all jobs, unfinished ones first; raises a ServerError."""
        with self.http.session(READ_SECONDS) as session:
            reading = _Reading(session, self.module)
            jobs = tuple(islice(reading.jobs(), MOST_JOBS + 1))
        return JobList(jobs[:MOST_JOBS], complete=not reading.stopped and len(jobs) <= MOST_JOBS)

    def job(self, id_: str) -> BatchJob | None:
        """Look for one job by its id; raises a ServerError. It reads no further than to that job."""
        with self.http.session(READ_SECONDS) as session:
            return find_job(islice(_Reading(session, self.module).jobs(), MOST_JOBS), id_)


class _Reading:
    """One read of the lists. `stopped`: there was more than a read may take."""

    def __init__(self, session: Session, module: str) -> None:
        self._session = session
        self._module = module
        self._seen: set[str] = set()
        self._pages = 0
        self.stopped = False

    def jobs(self) -> Iterator[BatchJob]:
        """Yield each job once."""
        unfinished = self._page(ended=False, start=0)
        if unfinished is None:
            yield from self._earlier_api()
            return
        yield from self._follow(unfinished, ended=False)
        ended = self._page(ended=True, start=0)
        if ended is not None:
            yield from self._follow(ended, ended=True)

    def _follow(self, page: JobPage, *, ended: bool) -> Iterator[BatchJob]:
        """Go on until a page brings nothing new: how many jobs a server gives at most is not documented.

        Nor is it documented whether `start` counts all jobs, or those of each name: if more jobs came than we asked
        for, each name has been paged by itself.
        """
        start = 0
        while new := [job for job in page.jobs if job.id not in self._seen]:
            self._seen.update(job.id for job in new)
            yield from {job.id: job for job in new}.values()
            start += page.longest if len(page.jobs) > COUNT else len(page.jobs)
            if self._pages >= MOST_PAGES or len(self._seen) > MOST_JOBS:
                self.stopped = True
                return
            page = self._page(ended=ended, start=start) or JobPage((), 0)

    def _page(self, *, ended: bool, start: int) -> JobPage | None:
        """Ask for a page; None if the server does not know this address."""
        self._pages += 1
        query = f"start={start}&count={COUNT}&ended={str(ended).lower()}"
        body = self._get(f"batch2-job/modules/{self._module}?{query}")
        return None if body is None else decode_page(body, MOST_JOBS + 1)

    def _earlier_api(self) -> Iterator[BatchJob]:
        """Ask as servers until 2023 want to be asked."""
        body = self._get(f"batch-job/{self._module}")
        if body is None:
            raise ClientFault("The Admin API knows no batch jobs of this module.", HTTPStatus.NOT_FOUND)
        yield from decode_spring(body, MOST_JOBS + 1)

    def _get(self, path: str) -> bytes | None:
        reply = self._session.get(path, AdminOperation.BATCH_JOBS, accept={HTTPStatus.NOT_FOUND})
        return None if reply.status == HTTPStatus.NOT_FOUND else reply.body
