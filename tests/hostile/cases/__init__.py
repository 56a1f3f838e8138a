"""The table: every case, by group. A new case is one row in one of these files."""

from ..judge import Case
from . import body, links, others, status, tasks, tls, token, wire

CASES: tuple[Case, ...] = (
    *(each for part in (status, wire, body, links, tls, tasks, others, token) for each in part.cases()),
)
