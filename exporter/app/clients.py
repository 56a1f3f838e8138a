"""The clients that the commands ask through: of the FHIR server, of export jobs, of the Admin API.

Rule: the clients of the FHIR server in one process share their credentials, since a token is one for all.

See docs/design.md#authentication.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..batch_jobs.client import BatchJobs
from ..clock import Clock, SystemClock
from ..config import FhirSettings, OAuth2Settings, Settings
from ..fhir.auth import Anonymous, Auth, Basic, BearerFile
from ..fhir.client import FhirServer, SearchOptions
from ..fhir.export_status import ExportStatus
from ..fhir.http import ADMIN, Api, Http, Transport
from ..metrics.telemetry import Telemetry
from ..oauth2 import OAuth2, TokenEndpoint, make_proof
from ..task.model import Task
from ..task.reasons import classifier


@dataclass(frozen=True, slots=True)
class Connection:
    """What every client of the FHIR server in a process shares: credentials, metrics, and in tests the network."""

    auth: Auth
    telemetry: Telemetry
    transport: Transport | None = None


def connect(settings: Settings, clock: Clock | None = None, transport: Transport | None = None) -> Connection:
    """Make the connection of a command that serves no metrics: nobody reads its telemetry."""
    telemetry = Telemetry()
    return Connection(fhir_auth(settings, clock or SystemClock(), telemetry, transport), telemetry, transport)


def fhir_auth(settings: Settings, clock: Clock, telemetry: Telemetry, transport: Transport | None = None) -> Auth:
    """Make the credentials for the FHIR server. They may be a token, of which a process has one."""
    fhir, proof = settings.fhir, make_proof(settings.fhir.oauth2)
    if proof is None:
        return _auth(fhir)

    def http_for(url: str, api: Api) -> Http:
        return Http(replace(fhir, url=url), telemetry=telemetry, transport=transport, api=api)

    endpoint = TokenEndpoint(fhir, http_for, min(fhir.timeout, settings.poll.timeout))
    return OAuth2(proof, endpoint, fhir.oauth2.scope, clock, telemetry)


def _auth(fhir: FhirSettings) -> Auth:
    if fhir.bearer_token_file is not None:
        return BearerFile(Path(fhir.bearer_token_file))
    if fhir.username is not None and fhir.password_file is not None:
        return Basic(fhir.username, Path(fhir.password_file))
    return Anonymous()


def fhir_server(settings: Settings, connection: Connection) -> FhirServer:
    """Make the client of the FHIR server."""
    http = Http(settings.fhir, connection.auth, connection.telemetry, transport=connection.transport)
    return FhirServer(http, settings.fhir, SearchOptions(classifier(settings.reasons), settings.poll.timeout))


def export_status(settings: Settings, connection: Connection) -> ExportStatus:
    """Make a client that asks for the status of export jobs, with a connection of its own."""
    http = Http(settings.fhir, connection.auth, connection.telemetry, transport=connection.transport)
    return ExportStatus(http, settings.probe_path)


def batch_jobs(settings: Settings, transport: Transport | None = None) -> BatchJobs | None:
    """Make the client of the Admin API, with a connection and credentials of its own; None if it is not configured."""
    own = settings.batch_jobs
    if own.url is None or own.module is None:
        return None
    admin = replace(
        settings.fhir,
        url=own.url,
        bearer_token_file=None,
        oauth2=OAuth2Settings(),
        username=own.username,
        password_file=own.password_file,
    )
    return BatchJobs(Http(admin, _auth(admin), transport=transport, api=ADMIN), own.module)


def read_tasks(server: FhirServer, ids: Sequence[str]) -> Sequence[Task]:
    """Read Tasks by id, in a window of their own."""
    with server.window() as window:
        return window.read(ids).tasks
