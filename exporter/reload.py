"""Reading the configuration files again: on SIGHUP, and on `POST /-/reload` if that is allowed.

Rule 1: a signal handler and the web server only put a request into a queue. One thread reads, and hands what it read to
the worker, which alone may change the rest; it answers every request that came before it began to read.
Rule 2: a file that cannot be used changes nothing, and every problem is said: in the log, and to whoever asked.

See docs/configuration.md#reload.
"""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from . import logs
from .config import Settings, find_changes
from .errors import ConfigurationError, ExporterError
from .logs import log_bug, log_event
from .metrics.vocabulary import ConfigFile

if TYPE_CHECKING:  # the command line imports this module first of all
    from .clock import Clock
    from .metrics.telemetry import Telemetry

logger = logging.getLogger(__name__)

MIN_INTERVAL_SECONDS = 1.0
"""Between two reads of the files; what is asked for meanwhile gets the second one."""

NOTHING_TO_READ = "Nothing to read: the exporter was started without a configuration file."
UNCHANGED = "The configuration was read again. Nothing changed."
KEPT = "What was in force stays in force."
BUG = "Internal error. See the log."

RELOADED = "configuration reloaded"
NOT_RELOADED = "configuration not reloaded; it is as before"
"""The log messages for every file, whoever read it: a runbook looks for them."""


@dataclass(slots=True)
class ReloadRequest:
    """The result of `done` is whether all files could be used; then `said` has the sentences for whoever asked."""

    done: "Future[bool]" = field(default_factory=Future)
    said: tuple[str, ...] = ()


Requests = SimpleQueue[ReloadRequest | int]
"""Unlike other queues, a signal handler may put something into it at any moment. A signal is its number."""


class ReloadSource(NamedTuple):
    """Where requests come from, and what resolves the settings again as at the start; None where no file is named."""

    requests: Requests
    load: Callable[[], Settings] | None = None


class Reread(NamedTuple):
    """How one file was read again. No sentence repeats a value.

    `effective` and `waiting` name what differs: what is now in force, and what needs a restart.
    """

    file: ConfigFile
    problems: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def catch_hangups() -> Requests:
    """Let SIGHUP ask for a reload instead of ending the process; what is asked before there is a Reloader waits.

    The handler has no line of Python that the next signal could interrupt: many at once would nest without end.
    """
    queue = Requests()
    signal.signal(signal.SIGHUP, queue.put)  # type: ignore[arg-type] # the frame is taken for `block`, which has no effect
    return queue


class Configuration:
    """The file of `--config.file`: reads it again, and puts into force what differs.

    `apply` is called with new settings in which all that needs a restart is as before; it raises an ExporterError.
    """

    def __init__(self, in_force: Settings, load: Callable[[], Settings], apply: Callable[[Settings], None]) -> None:
        self._in_force = in_force
        self._load = load
        self._apply = apply

    def reread(self) -> Reread:
        """Read the file, with flags and variables before it as at the start."""
        try:
            changes = find_changes(self._in_force, self._load())
            if changes.effective:
                self._put_into_force(changes.settings)
        except ConfigurationError as error:
            return Reread(ConfigFile.CONFIG, error.problems)
        except ExporterError as error:
            return Reread(ConfigFile.CONFIG, (str(error), error.remedy))
        return Reread(ConfigFile.CONFIG, (), changes.effective, changes.waiting)

    def _put_into_force(self, settings: Settings) -> None:
        self._apply(settings)
        if settings.log != self._in_force.log:
            logs.configure(settings.log.level, settings.log.format)
        self._in_force = settings


class Reloader:
    """The thread that reads. `rereads` has one function for each file."""

    def __init__(
        self,
        requests: Requests,
        rereads: Sequence[Callable[[], Reread]],
        telemetry: "Telemetry",
        clock: "Clock",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._requests = requests
        self._rereads = rereads
        self._telemetry = telemetry
        self._clock = clock
        self._sleep = sleep
        self._next_seconds = clock.monotonic()

    def ask(self) -> ReloadRequest:
        """Ask for a reload, from any thread."""
        request = ReloadRequest()
        self._requests.put(request)
        return request

    def run(self) -> None:
        """Work for good; the thread is a daemon, and holds nothing that must be closed."""
        while True:
            self.step()

    def step(self) -> None:
        """Wait for a request, read everything once, and answer all requests that came before the reading."""
        asked = [self._requests.get()]  # signals are not answered
        self._sleep(max(0.0, self._next_seconds - self._clock.monotonic()))
        self._next_seconds = self._clock.monotonic() + MIN_INTERVAL_SECONDS
        asked += self._waiting()
        complete, said = self._read_all()
        for request in asked:
            if isinstance(request, ReloadRequest):
                request.said = said
                request.done.set_result(complete)

    def _waiting(self) -> list[ReloadRequest | int]:
        found: list[ReloadRequest | int] = []
        try:
            while True:
                found.append(self._requests.get_nowait())
        except Empty:
            return found

    def _read_all(self) -> tuple[bool, tuple[str, ...]]:
        """Read every file; returns whether all could be used, and what there is to say."""
        if not self._rereads:
            log_event(logger, logging.INFO, "nothing to reload: started without a configuration file")
            return True, (NOTHING_TO_READ,)
        try:
            found = [reread() for reread in self._rereads]
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread; its text could hold anything
            log_bug(logger, "reading the configuration again failed", error)
            self._telemetry.set_config_broken(ConfigFile.CONFIG)
            return False, (BUG,)
        for each in found:
            self._take_note(each)
        return not any(each.problems for each in found), sentences(found)

    def _take_note(self, each: Reread) -> None:
        """Log how a file was read, and show it in the metrics."""
        if each.problems:
            self._telemetry.set_config_broken(each.file)
        else:
            self._telemetry.set_config_read(each.file, self._clock.wall())
        log_reread(logger, each)


def log_reread(own: logging.Logger, each: Reread) -> None:
    """Log how a file was read, in the words that the runbook looks for, whoever asked for it."""
    for problem in each.problems:
        log_event(own, logging.ERROR, NOT_RELOADED, file=each.file, problem=problem)
    if each.effective:
        log_event(own, logging.INFO, RELOADED, file=each.file, changed=", ".join(each.effective))
    elif not each.problems:
        log_event(own, logging.INFO, f"{RELOADED}; nothing to apply", file=each.file)
    if each.waiting:
        log_event(own, logging.WARNING, "changed, but needs a restart", file=each.file, options=", ".join(each.waiting))


def sentences(found: Sequence[Reread]) -> tuple[str, ...]:
    """Say to whoever asked what came of it."""
    problems = [problem for each in found for problem in each.problems]
    effective = [name for each in found for name in each.effective]
    waiting = [name for each in found for name in each.waiting]
    return (
        *problems,
        *((KEPT,) if problems else ()),
        *((f"Reloaded: {', '.join(effective)}.",) if effective else ()),
        *((f"Changed, but needs a restart: {', '.join(waiting)}.",) if waiting else ()),
        *((UNCHANGED,) if not (problems or effective or waiting) else ()),
    )
