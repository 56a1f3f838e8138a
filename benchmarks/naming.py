"""What naming payers costs with few and with many patterns: for a payer that is new, and for each Task after that."""

import time
from typing import Any, cast

from exporter.clock import SystemClock
from exporter.config.patterns import quick
from exporter.names import Namer
from exporter.task.model import Party, Status, Task
from exporter.task.payer_table import PayerTable

PAYERS, TASKS, PAGE = 300, 30_000, 200
NO_WINDOW: Any = cast("Any", None)
"""Nothing is read: no payer has a reference to our own server."""


def namer(patterns: int) -> Namer:
    """Make a namer whose last pattern alone matches."""
    texts = [rf"http://hl7\.org/fhir/sid/us-npi\|{n:05}[0-9]+x" for n in range(patterns - 1)]
    found = tuple((quick(text), "Payer") for text in (*texts, r"http://hl7\.org/fhir/sid/us-npi\|.*"))
    return Namer(PayerTable(identifiers=found), "http://fhir.example/fhir", SystemClock())


def measure(patterns: int) -> tuple[float, float]:
    """Give microseconds for a new payer, and for a Task of a known one."""
    parties = [Party(identifier=f"http://hl7.org/fhir/sid/us-npi|{n:05}12345") for n in range(PAYERS)]
    tasks = [Task(f"t{n}", "1", 0, Status.COMPLETED, owner=parties[n % PAYERS]) for n in range(TASKS)]
    named = namer(patterns)
    began = time.perf_counter()
    named.pairs(tasks[:PAYERS], NO_WINDOW)
    new = time.perf_counter() - began
    began = time.perf_counter()
    for first in range(0, TASKS, PAGE):
        named.pairs(tasks[first : first + PAGE], NO_WINDOW)
    known = time.perf_counter() - began
    return new / PAYERS * 1e6, known / TASKS * 1e6
