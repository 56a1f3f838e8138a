"""Requests for a reload: who is answered with what, and what the log and the metrics say."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter import config
from exporter.config import CONFIG_FILE, Settings
from exporter.errors import ConfigurationError, LedgerFailed
from exporter.metrics.negotiation import Format
from exporter.metrics.telemetry import Telemetry
from exporter.metrics.vocabulary import ConfigFile
from exporter.reload import (
    BUG,
    KEPT,
    NOTHING_TO_READ,
    UNCHANGED,
    Configuration,
    Reloader,
    ReloadRequest,
    Requests,
    Reread,
    catch_hangups,
)

from ..support.fake import HandClock
from .test_logs import logging_to_text

CANARY = "hunter2canary"
URL = "fhir: {url: 'https://cdr.example.org/fhir'}\n"


class Bench:
    """A file, a reloader of it whose clock does not sleep, and what was put into force."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("")
        self.clock, self.telemetry, self.requests = HandClock(), Telemetry(), Requests()
        self.applied: list[Settings] = []
        self.apply: Callable[[Settings], None] = self.applied.append
        self.first = self.load()
        configuration = Configuration(self.first, self.load, self._apply)
        self.reads = 0
        self.reread = configuration.reread
        self.reloader = Reloader(self.requests, [self._reread], self.telemetry, self.clock, self.clock.advance)

    def _apply(self, new: Settings) -> None:
        self.apply(new)

    def _reread(self) -> Reread:
        self.reads += 1
        return self.reread()

    def again(self) -> Reread:
        """Read it as `serve` does."""
        flags = {CONFIG_FILE.name: [str(self.path)]}
        return Configuration(self.first, lambda: config.reload_settings(flags, {}), self._apply).reread()

    def load(self) -> Settings:
        return config.load_settings({CONFIG_FILE.name: [str(self.path)]}, {})

    def write(self, text: str) -> None:
        self.path.write_text(URL + text)

    def reload(self) -> ReloadRequest:
        request = self.reloader.ask()
        self.reloader.step()
        assert request.done.done()
        return request

    def gauge(self, name: str) -> str:
        lines = self.telemetry.render(Format.TEXT).decode().splitlines()
        return next(
            line.split()[1] for line in lines if line.startswith(f"fhir_task_exporter_config_last_reload_{name} ")
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "exporter.yaml")


def test_a_change_is_put_into_force_and_named(bench: Bench) -> None:
    bench.write("deadline: 7h")
    with logging_to_text("info", "logfmt") as text:
        request = bench.reload()
    assert (request.done.result(), request.said) == (True, ("Reloaded: --deadline.",))
    assert [each.deadline.seconds for each in bench.applied] == [7 * 3600]
    assert 'msg="configuration reloaded"' in text.getvalue()
    assert "changed=--deadline" in text.getvalue()


def test_what_did_not_change_touches_nothing(bench: Bench) -> None:
    request = bench.reload()
    assert (request.done.result(), request.said, bench.applied) == (True, (UNCHANGED,), [])
    assert float(bench.gauge("success_timestamp_seconds")) == bench.clock.at / 1000


def test_what_needs_a_restart_is_said_each_time_and_is_no_failure(bench: Bench) -> None:
    bench.write("poll: {min-interval: 7s}\nfhir.timeout: 7s")
    bench.path.write_text(URL + "poll: {min-interval: 7s}")
    for _ in range(2):
        with logging_to_text("info", "logfmt") as text:
            request = bench.reload()
        assert request.done.result() is True
        assert request.said == ("Changed, but needs a restart: --poll.min-interval.",)
        assert 'msg="changed, but needs a restart" file=config options=--poll.min-interval' in text.getvalue()
    assert bench.applied == []


def test_a_wrong_file_changes_nothing_and_every_problem_is_said_without_a_value(bench: Bench) -> None:
    bench.write(f"deadline: 7h\npairs: {{max: {CANARY}}}\nlog: {{level: {CANARY}}}\n{CANARY[:2]}: 1")
    with logging_to_text("info", "logfmt") as text:
        request = bench.reload()
    assert (request.done.result(), len(request.said), request.said[-1]) == (False, 4, KEPT)
    assert any("--config.file line 3" in each for each in request.said)
    assert text.getvalue().count('msg="configuration not reloaded; it is as before"') == 3
    assert CANARY not in text.getvalue() + "".join(request.said)
    assert (bench.applied, bench.gauge("successful")) == ([], "0.0")


def test_a_file_that_vanished_changes_nothing_until_it_is_back(bench: Bench) -> None:
    bench.path.unlink()
    assert bench.reload().done.result() is False
    assert bench.gauge("successful") == "0.0"
    bench.write("deadline: 7h")
    assert bench.reload().said == ("Reloaded: --deadline.",)
    assert bench.gauge("successful") == "1.0"


def test_a_config_map_that_is_replaced_is_read_through_its_links(tmp_path: Path) -> None:
    for name, text in (("old", ""), ("new", "deadline: 7h")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "exporter.yaml").write_text(URL + text)
    (tmp_path / "..data").symlink_to("old")
    (tmp_path / "exporter.yaml").symlink_to("..data/exporter.yaml")
    configuration = Configuration(
        load := _loads(tmp_path / "exporter.yaml"), lambda: _loads(tmp_path / "exporter.yaml"), lambda _: None
    )
    assert load.deadline.seconds == 86_400
    (tmp_path / "..data.new").symlink_to("new")
    (tmp_path / "..data.new").rename(tmp_path / "..data")
    assert configuration.reread().effective == ("--deadline",)


def _loads(path: Path) -> Settings:
    return config.load_settings({CONFIG_FILE.name: [str(path)]}, {})


def test_a_failing_disk_keeps_what_was_in_force_and_the_next_reload_tries_again(bench: Bench) -> None:
    def fails(_: Settings) -> None:
        raise LedgerFailed("the ledger cannot be written (SQLITE_FULL)")

    bench.write("deadline: 7h")
    works, bench.apply = bench.apply, fails
    request = bench.reload()
    assert request.done.result() is False
    assert request.said[0] == "the ledger cannot be written (SQLITE_FULL)"
    bench.apply = works
    assert bench.reload().said == ("Reloaded: --deadline.",)


def test_the_log_follows_its_level_and_format(bench: Bench) -> None:
    bench.write("log: {level: debug, format: json}")
    with logging_to_text("info", "logfmt"):
        bench.reload()
        root = logging.getLogger()
        assert root.level == logging.DEBUG
        assert root.handlers[0].format(logging.makeLogRecord({"msg": "x"})).startswith("{")


def test_requests_that_come_together_are_answered_by_one_reading(bench: Bench) -> None:
    requests = [bench.reloader.ask() for _ in range(10)]
    bench.reloader.step()
    assert (bench.reads, [each.said for each in requests]) == (1, [(UNCHANGED,)] * 10)


def test_a_request_within_a_second_waits_and_sees_the_file_as_it_is_then(bench: Bench) -> None:
    bench.reload()
    before = bench.clock.monotonic()
    bench.write("deadline: 7h")
    assert bench.reload().said == ("Reloaded: --deadline.",)
    assert bench.clock.monotonic() - before == 1.0


def test_a_request_that_comes_during_a_reading_gets_the_next_one(bench: Bench) -> None:
    later: list[ReloadRequest] = []

    def ask_meanwhile() -> Reread:
        later.append(bench.reloader.ask())
        return Reread(ConfigFile.CONFIG)

    bench.reread = ask_meanwhile
    first = bench.reloader.ask()
    bench.reloader.step()
    assert (first.done.done(), later[0].done.done()) == (True, False)
    bench.reloader.step()
    assert later[0].done.done()


def test_without_a_file_there_is_nothing_to_read_and_that_is_no_failure() -> None:
    clock, telemetry = HandClock(), Telemetry()
    reloader = Reloader(Requests(), [], telemetry, clock, clock.advance)
    request = reloader.ask()
    reloader.step()
    assert (request.done.result(), request.said) == (True, (NOTHING_TO_READ,))


def test_two_files_are_both_read_though_the_first_is_broken(bench: Bench) -> None:
    problem = Reread(ConfigFile.CONFIG, ("one",))
    web = Reread(ConfigFile.WEB, (), ("tls_server_config",))
    reloader = Reloader(
        bench.requests, [lambda: problem, lambda: web], bench.telemetry, bench.clock, bench.clock.advance
    )
    request = reloader.ask()
    reloader.step()
    assert request.done.result() is False
    assert request.said == ("one", KEPT, "Reloaded: tls_server_config.")
    assert bench.gauge("successful") == "0.0"


def test_a_bug_ends_no_thread_and_its_text_goes_nowhere(bench: Bench) -> None:
    works = bench.reread

    def breaks() -> Reread:
        raise RuntimeError(CANARY)

    bench.reread = breaks
    with logging_to_text("debug", "logfmt") as text:
        request = bench.reload()
    assert (request.done.result(), request.said, CANARY in text.getvalue()) == (False, (BUG,), False)
    assert bench.gauge("successful") == "0.0"
    bench.reread = works
    assert bench.reload().done.result() is True


@pytest.fixture
def default_hangup() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("default_hangup")
def test_hangups_are_kept_until_there_is_someone_to_read() -> None:
    requests = catch_hangups()
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGHUP)
    assert requests.qsize() == 3


@pytest.mark.usefixtures("default_hangup")
def test_a_thread_that_waits_is_woken_by_a_hangup(bench: Bench) -> None:
    bench.requests = catch_hangups()
    done = threading.Event()
    reloader = Reloader(bench.requests, [bench.reread], bench.telemetry, bench.clock, bench.clock.advance)

    def work() -> None:
        reloader.step()
        done.set()

    threading.Thread(target=work, daemon=True).start()
    os.kill(os.getpid(), signal.SIGHUP)
    assert done.wait(30)


def test_a_file_that_became_a_pipe_is_refused_at_once(bench: Bench) -> None:
    bench.path.unlink()
    os.mkfifo(bench.path)
    answers: list[Reread] = []
    reading = threading.Thread(target=lambda: answers.append(bench.again()), daemon=True)
    reading.start()
    reading.join(10)
    assert [each.problems for each in answers] == [("--config.file: is not a regular file",)]


def test_a_pipe_that_gave_its_text_at_the_start_is_no_empty_file_later(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{URL}deadline: 7h\n".encode())
    os.close(writing)
    flags = {CONFIG_FILE.name: [f"/proc/self/fd/{reading}"], "fhir.url": ["https://cdr.example.org/fhir"]}
    in_force = config.load_settings(flags, {})
    assert in_force.deadline.seconds == 7 * 3600
    configuration = Configuration(in_force, lambda: config.reload_settings(flags, {}), lambda _: None)
    assert configuration.reread() == Reread(ConfigFile.CONFIG, ("--config.file: is not a regular file",))


def test_a_file_of_any_size_is_refused_without_being_read(bench: Bench) -> None:
    with bench.path.open("wb") as file:
        file.truncate(1024**4)  # of holes
    assert bench.again().problems == ("--config.file: file is larger than 4096 KiB",)
    with pytest.raises(ConfigurationError):
        bench.load()
