"""What happens on the server, and what the exporter must therefore count: kept by adding up, not by asking anybody."""

import json
import re
import threading
from collections import Counter

from exporter.clock import SystemClock
from exporter.demo.dates import format_stamp
from exporter.demo.server import Request, Response, answer
from exporter.demo.store import Store

from ..support import fake, loaded, quirks

HOUR_MS = 3_600_000
AT_FIRST = 3
"""Tasks that are there before the exporter is: gauges alone show them."""

COUNTED = {
    "fhir_task_created_total": "created",
    "fhir_task_failures_total": "failures",
    "fhir_task_transitions_total": "transitions",
    "fhir_task_duration_seconds_count": "durations",
    "fhir_task_vanished_total": "vanished",
    "fhir_task_reopened_total": "reopened",
    "fhir_task_deadlines_missed_total": "missed",
    "fhir_task_archived_documents_total": "documents",
    "fhir_task_completed_empty_total": "empty",
    "fhir_task_anomalies_total": "anomalies",
    "fhir_tasks": "tasks",
}
"""Each metric of Tasks, and the word for it here."""

SAMPLE = re.compile(r"^(fhir_task\w+)\{(.*)\} (\S+)$", re.MULTILINE)
DETAIL = re.compile(r'\b(?:status|kind)="([^"]*)"')


class World:
    """The Tasks of one server, each full of canaries, behind a lock; and the truth about them."""

    def __init__(self) -> None:
        self.clock_ahead_ms = 0
        self._lock = threading.Lock()
        self._store = Store(lambda: SystemClock().wall() + self.clock_ahead_ms, fake.BASE)
        self._answer = quirks.played(
            lambda request: answer(self._store, request), quirks.elements_ignored, quirks.editing(loaded.load_bundle)
        )
        self._number = 0
        self.truth: Counter[str] = Counter()
        self._store.put(loaded.organization("old-payer", "Old Payer"))
        self._store.put(loaded.organization("new-payer", "New Payer"))
        for number in range(AT_FIRST):
            self._put(f"h-first-{number}", "requested")
        self.truth["tasks requested"] = AT_FIRST
        self._mover = "requested"

    def answer(self, request: Request) -> Response:
        """Answer as an honest server does, with canaries in whatever it sends."""
        if request.path.startswith("/fhir/admin/"):
            jobs = json.dumps(loaded.batch_jobs()).encode()
            return Response(200, (("content-type", "application/json"), *loaded.HEADERS), jobs)
        with self._lock:
            status, headers, body = self._answer(request)
        return Response(status, (*headers, *loaded.HEADERS), body)

    def happens(self, *, new_payer: bool = False, hurries: bool = False) -> None:
        """Let a Task be born failed, and another move; its payer may be a new one, and it may move twice."""
        self._number += 1
        owner = {}
        if new_payer:
            id_ = f"payer-{self._number}"
            self._store.put(loaded.organization(id_, f"Payer {self._number}"))
            owner["owner"] = loaded.bare_payer(id_)
        self._put(f"h-{self._number:04}", "failed", **owner)
        self.truth.update(["created", "failures", "transitions failed", "durations failed", "tasks failed"])
        for _ in range(2 if hurries else 1):
            self._move()

    def _move(self) -> None:
        before, after = self._mover, "in-progress" if self._mover == "requested" else "requested"
        self._put("h-first-0", after)
        self._mover = after
        self.truth.update({f"transitions {after}": 1, f"tasks {after}": 1, f"tasks {before}": -1})

    def _put(self, id_: str, status: str, **elements: object) -> None:
        authored = format_stamp(SystemClock().wall() - HOUR_MS)
        with self._lock:
            self._store.put(loaded.task(id_, status, authored, **elements))


def counted(text: str) -> Counter[str]:
    """Read what an exporter counts, in the words of the truth."""
    found: Counter[str] = Counter()
    for name, labels, value in SAMPLE.findall(text):
        if name in COUNTED and value != "0.0":
            detail = DETAIL.search(labels)
            found[f"{COUNTED[name]} {detail[1]}" if detail else COUNTED[name]] += int(float(value))
    return found


def differences(truth: Counter[str], found: Counter[str]) -> str:
    """Name what differs: nothing where nothing does."""
    wrong = [f"{key} {found[key]}, not {truth[key]}" for key in sorted({*truth, *found}) if found[key] != truth[key]]
    return "; ".join(wrong)
