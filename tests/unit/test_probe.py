"""When a probe asks the server, when it does not, and that nothing is left behind whatever happens."""

import threading
from collections.abc import Callable

import pytest

from exporter.errors import ErrorReason, NotFhir, TargetRefused, Throttled
from exporter.fhir.export_status import ExportStatus
from exporter.metrics.probe import ProbeResult
from exporter.metrics.telemetry import Telemetry
from exporter.probe import MAX_JOBS, MAX_REQUESTS, Probe, ProbeOptions, Probes, ProbesBusy
from exporter.task.export_job import ExportJob, ExportState

from ..support.fake import HandClock

BASE = "https://cdr.example/fhir"
HANGS = 30.0
WAITING = ExportJob(ExportState.QUEUED, retry_after_seconds=120.0)


class Server(ExportStatus):
    """Answers as it is told; keeps what it was asked, and how many asked at a time."""

    def __init__(self, answer: Callable[[], ExportJob]) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.connections = 0
        self.gate = threading.Event()
        self.gate.set()

    def connect(self) -> ExportStatus:
        self.connections += 1
        return self

    def read(self, address: str, seconds: float) -> ExportJob:
        self.asked.append(address)
        assert self.gate.wait(HANGS)
        return self.answer()


class Rig:
    def __init__(self, answer: Callable[[], ExportJob] = lambda: WAITING, min_interval: float = 5.0) -> None:
        self.clock, self.telemetry, self.server = HandClock(), Telemetry(), Server(answer)
        options = ProbeOptions(BASE, "$export-poll-status", 10.0, min_interval)
        self.probes = Probes(self.server.connect, options, self.clock, self.telemetry)

    def ask(self, job: str = "a") -> ProbeResult:
        return result(self.probes.start(job))

    def errors(self, reason: ErrorReason) -> float | None:
        return self.telemetry.registry.get_sample_value("fhir_task_exporter_errors_total", {"reason": reason})


def result(probe: Probe) -> ProbeResult:
    assert probe.done.result(HANGS)
    assert probe.result is not None
    return probe.result


def fails(error: Exception) -> Callable[[], ExportJob]:
    def fail() -> ExportJob:
        raise error

    return fail


def test_within_the_wait_of_the_server_the_answer_is_the_same() -> None:
    rig = Rig()
    first = rig.ask()
    rig.clock.advance(119)
    assert rig.ask() is first
    assert len(rig.server.asked) == 1
    rig.clock.advance(1)
    assert rig.ask() is not first
    assert rig.server.asked == [f"{BASE}/$export-poll-status?_jobId=a"] * 2


def test_two_ways_to_write_a_target_are_one_job() -> None:
    rig = Rig()
    first = rig.ask("a")
    assert rig.ask(f"{BASE}/%24export-poll-status?_jobId=a") is first
    assert rig.ask("/fhir/$export-poll-status?_jobId=a") is first


def test_without_a_wait_it_is_that_of_polls() -> None:
    rig = Rig(lambda: ExportJob(ExportState.COMPLETED))
    rig.ask()
    rig.clock.advance(4)
    rig.ask()
    assert len(rig.server.asked) == 1
    rig.clock.advance(1)
    rig.ask()
    assert len(rig.server.asked) == 2


def test_a_failed_poll_keeps_to_the_wait_too_and_says_nothing_about_the_job() -> None:
    rig = Rig(fails(Throttled("wait", 60.0)))
    first = rig.ask()
    assert (first.job, first.retry_after_seconds) == (None, 60.0)
    rig.clock.advance(59)
    assert rig.ask() is first
    rig.clock.advance(1)
    rig.ask()
    assert len(rig.server.asked) == 2
    assert rig.errors(ErrorReason.THROTTLED) == 2


def test_one_job_is_asked_for_once_at_a_time() -> None:
    rig = Rig()
    rig.server.gate.clear()
    probes = [rig.probes.start("a") for _ in range(20)]
    rig.server.gate.set()
    assert {id(result(probe)) for probe in probes} == {id(result(probes[0]))}
    assert len(rig.server.asked) == 1


def test_there_are_so_many_requests_at_a_time_and_no_more() -> None:
    rig = Rig()
    rig.server.gate.clear()
    running = [rig.probes.start(f"job-{n}") for n in range(MAX_REQUESTS)]
    with pytest.raises(ProbesBusy):
        rig.probes.start("one-more")
    assert rig.probes.start("job-0") is running[0]
    rig.server.gate.set()
    for probe in running:
        result(probe)
    rig.ask("one-more")
    assert rig.server.connections <= MAX_REQUESTS


def test_a_connection_is_used_again() -> None:
    rig = Rig()
    for n in range(10):
        rig.ask(f"job-{n}")
    assert rig.server.connections == 1


def test_the_table_is_bounded_and_keeps_what_is_within_its_wait() -> None:
    rig = Rig()
    for n in range(MAX_JOBS):
        rig.ask(f"job-{n}")
    with pytest.raises(ProbesBusy):
        rig.probes.start("one-more")
    assert len(rig.server.asked) == MAX_JOBS
    rig.clock.advance(121)
    rig.ask("job-0")
    rig.ask("one-more")
    assert len(rig.server.asked) == MAX_JOBS + 2
    rig.ask("job-0")
    assert len(rig.server.asked) == MAX_JOBS + 2, "the job asked for longest ago makes room, not this one"


def test_a_failing_connection_and_a_bug_end_the_probe_and_leave_room() -> None:
    for error, reason in ((NotFhir("x"), ErrorReason.NOT_FHIR), (KeyError("canary"), ErrorReason.INTERNAL)):
        rig = Rig(fails(error), min_interval=0.0)
        for _ in range(3 * MAX_REQUESTS):
            assert rig.ask().job is None
        assert rig.errors(reason) == 3 * MAX_REQUESTS


def test_a_thread_that_cannot_start_ends_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError

    rig = Rig(min_interval=0.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(3 * MAX_REQUESTS):
            assert rig.ask().job is None
    assert rig.ask().job is WAITING


def test_a_target_that_is_refused_costs_nothing() -> None:
    rig = Rig()
    before = threading.active_count()
    with pytest.raises(TargetRefused):
        rig.probes.start("https://evil.example/fhir/$export-poll-status?_jobId=a")
    assert rig.server.connections == 0
    assert threading.active_count() == before


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(fails(NotFhir("x")), min_interval=0.0)
    caplog.set_level("INFO")
    for job in "ab":
        rig.ask(job)
    rig.server.answer = lambda: ExportJob(ExportState.COMPLETED)
    for job in "ab":
        rig.ask(job)
    assert [record.getMessage() for record in caplog.records] == [
        "the status of an export job cannot be read",
        "the status of export jobs can be read again",
    ]
