"""A fake server of export jobs: for each job id the answers that docs/fhir-quirks.md#q38 lists, in HAPI's words."""

import json
from collections.abc import Mapping
from typing import Any

from exporter.demo.server import Request, Response

SECRET = "PHI-CANARY-JOB"
AT = "2026-11-20T11:58:20.000+00:00"
"""100 seconds before `fake.START`."""
DATE = ("Date", "Fri, 20 Nov 2026 12:00:00 GMT")
JSON = ("Content-Type", "application/json")
FILES = [("Task", 2), ("Organization", 1), (None, 1)]


def running(word: str, seconds: str = "120") -> Response:
    progress = ("X-Progress", f"Build in progress - Status set to {word} at {AT}")
    return Response(202, (DATE, DATE, ("Retry-After", seconds), progress), b"")


def manifest(**more: Any) -> bytes:
    output = [{"url": f"https://x/{SECRET}"} | ({"type": name} if name else {}) for name, n in FILES for _ in range(n)]
    return json.dumps({"transactionTime": AT, "request": SECRET, "output": output, "error": [], **more}).encode()


def outcome(code: str | None, diagnostics: str = SECRET) -> bytes:
    issue = {"severity": "error", "diagnostics": diagnostics} | ({"code": code} if code else {})
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


ANSWERS: Mapping[str, Response] = {
    "queued": running("QUEUED"),
    "in-progress": running("IN_PROGRESS"),
    "errored": running("ERRORED"),
    "finalize": running("FINALIZE"),
    "cancelled-old": running("CANCELLED"),
    "percentage": Response(202, (DATE, ("X-Progress", "in progress (30%)"), ("Retry-After", "18000")), b""),
    "partial": Response(202, (DATE, JSON), manifest(link=[{"relation": "next", "url": SECRET}])),
    "completed": Response(200, (DATE, JSON), manifest()),
    "with-errors": Response(200, (DATE, JSON), manifest(error=[{"type": "OperationOutcome", "url": SECRET}])),
    "outcome-v4": Response(200, (DATE, JSON), manifest(outcome=[{"url": SECRET}])),
    "expiring": Response(200, (DATE, JSON, ("Expires", "Fri, 20 Nov 2026 14:00:00 GMT")), manifest()),
    "separate-status": Response(200, (DATE, JSON, ("X-Export-Status", "500")), outcome("processing")),
    "failed": Response(500, (DATE, JSON), outcome(None)),
    "cancelled": Response(404, (DATE,), outcome("not-found", f"{SECRET} was cancelled.  No status to report.")),
    "purged": Response(404, (DATE,), outcome("processing", f"HAPI-2040: Unknown instance ID: {SECRET}")),
    "too-many": Response(429, (("Retry-After", "7"),), outcome("throttled")),
    "transient": Response(500, (JSON,), outcome("transient")),
    "unauthorized": Response(401, (), outcome("login")),
    "proxy": Response(502, (("Content-Type", "text/html"),), SECRET.encode()),
    "login-page": Response(200, (("Content-Type", "text/html"),), SECRET.encode()),
}


def answer(request: Request) -> Response:
    """Answer for the job that is asked for."""
    assert request.path == "/fhir/$export-poll-status"
    ((name, job),) = request.query
    assert name == "_jobId"
    return ANSWERS.get(job, ANSWERS["purged"])
