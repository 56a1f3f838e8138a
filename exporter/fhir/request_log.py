"""What is counted of each request to the FHIR server, and its line in the log at level debug.

The line has no address, no query and no id. Only a page's line waits a moment, until its entries are counted.
"""

import logging
from enum import StrEnum
from http import HTTPStatus

from ..logs import Field, log_event
from ..metrics.telemetry import Telemetry
from ..metrics.vocabulary import Operation

logger = logging.getLogger(__name__)

PAGED = frozenset({Operation.SEARCH, Operation.PAGE, Operation.READ})
"""Operations whose answer may be a page."""


class RequestLog:
    """The requests of one session. Exactly one line is written for each, at the latest when the session ends."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._waiting: dict[str, Field] = {}

    def ended(self, operation: StrEnum, status: int | None, seconds: float, received: int) -> None:
        """Take note of a request that has ended; `status` is None where there was no answer."""
        self._telemetry.count_request(operation, status, seconds)
        self._telemetry.count_received_bytes(received)
        self.write()
        self._waiting = {"operation": operation, "status": status, "seconds": round(seconds, 3), "bytes": received}
        if operation not in PAGED or status != HTTPStatus.OK:
            self.write()

    def write(self, tasks: int | None = None) -> None:
        """Write the line that waits, if one does; `tasks` are the entries of its page."""
        fields, self._waiting = self._waiting, {}
        if fields:
            log_event(logger, logging.DEBUG, "request", **fields, **({} if tasks is None else {"tasks": tasks}))
