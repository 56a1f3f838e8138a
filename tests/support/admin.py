"""The Admin API of a Smile CDR behind httpx, honest or hostile, and jobs for it."""

from collections.abc import Callable, Mapping
from typing import Any

from exporter.batch_jobs.client import BatchJobs
from exporter.config import FhirSettings
from exporter.demo.batch_jobs import MODULE, AdminApi, Job, respond
from exporter.demo.server import Request, Response
from exporter.fhir.auth import Anonymous, Auth
from exporter.fhir.http import ADMIN, Http

from .fake import Answer, RecordingTransport

BASE = "http://admin.example:9000"
CANARY = "CanaryMember48213"

FIRST = "2026-11-20T10:00:00.000-05:00"
"""15:00 in UTC."""


def job(number: int = 1, status: str = "IN_PROGRESS", name: str = "BULK_EXPORT", **elements: Any) -> Job:
    """Make a job as HAPI 8.8.0 writes one, with members in all that is nobody's business."""
    usual = {
        "name": name,
        "id": f"job-{number}",
        "version": 1,
        "status": status,
        "createTime": FIRST,
        "startTime": FIRST,
        "errorCount": 0,
        "parameters": {"patientIds": [f"Patient/{CANARY}"], "consent": CANARY},
        "report": CANARY,
        "errorMessage": f"Patient {CANARY} failed",
        "warningMessages": CANARY,
        "userData": {"member": CANARY},
        "triggeringUsername": CANARY,
        "estimatedTimeRemaining": CANARY,
    }
    return {key: value for key, value in (usual | elements).items() if value is not None}


def api(*jobs: Job, earlier: bool = False) -> AdminApi:
    """Make an honest API with these jobs."""
    return AdminApi(lambda: jobs, earlier=earlier)


def client(answer: Answer, auth: Auth | None = None) -> tuple[BatchJobs, RecordingTransport]:
    """Put a client before an API; the transport has what was asked."""
    transport = RecordingTransport(answer)
    http = Http(FhirSettings(url=BASE, timeout=2.0), auth or Anonymous(), transport=transport, api=ADMIN)
    return BatchJobs(http, MODULE), transport


def always(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Callable[[Request], Response]:
    """Answer everything alike."""
    sent = {"content-type": "application/json", **(headers or {})}
    return lambda _: Response(status, tuple(sent.items()), body)


__all__ = ["BASE", "CANARY", "FIRST", "always", "api", "client", "job", "respond"]
