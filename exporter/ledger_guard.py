"""Watching the file of the open ledger, in a thread of its own: what happens to it is logged, counted and shown.

A removed file goes on working until the process ends, so no poll would ever fail. A poll may take minutes, and a disk
that hangs holds whoever looks at it: neither the worker nor the main thread can do this.

See docs/decisions/0038-a-ledger-that-is-lost-is-said-not-saved.md.
"""

import logging
import threading

from .errors import LedgerError
from .ledger.file import LedgerFile
from .logs import log_event
from .metrics.telemetry import Telemetry

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 15.0


class LedgerGuard:
    """The thread that looks at the file: it calls `run`; all else may be called by any thread."""

    def __init__(self, file: LedgerFile | None, telemetry: Telemetry) -> None:
        self._file = file
        self._telemetry = telemetry
        self._stopped = threading.Event()
        self.trouble: LedgerError | None = None
        """What was found last."""

    def stop(self) -> None:
        """Ask the thread to end, before the ledger is closed: closing removes its `-wal`."""
        self._stopped.set()

    def run(self) -> None:
        """Look every INTERVAL_SECONDS until stopped; a look that is under way then says nothing."""
        while not self._stopped.wait(INTERVAL_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once. Trouble is counted each time, so that an alert lasts as long, and logged when it changes."""
        before, found = self.trouble, None if self._file is None else self._file.trouble()
        if self._stopped.is_set():
            return
        self.trouble = found
        if found is not None:
            self._telemetry.count_error(found.reason)
            if type(found) is not type(before):
                log_event(logger, logging.ERROR, "the ledger is in trouble", error=str(found), remedy=found.remedy)
        elif before is not None:
            log_event(logger, logging.INFO, "the ledger is as it was")
