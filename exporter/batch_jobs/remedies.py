"""What an operator should do about an error of the Admin API. Nothing here sends anything."""

from ..errors import (
    AuthFailed,
    ClientFault,
    ExporterError,
    Forbidden,
    NotFhir,
    TimedOut,
    TooLarge,
    Truncated,
    WrongResource,
)

PERMISSIONS = (
    "Grant the user of --batch-jobs.username the permissions ACCESS_ADMIN_JSON and VIEW_BATCH_JOBS (Smile CDR)."
)

CREDENTIALS = (
    "Check --batch-jobs.username and --batch-jobs.password-file. The user needs the permissions ACCESS_ADMIN_JSON and "
    "VIEW_BATCH_JOBS (Smile CDR)."
)
ADDRESS = (
    "Check that --batch-jobs.module is the id of a FHIR Storage module, and --batch-jobs.url the base URL of the JSON "
    "Admin API (port 9000 by default), not of FHIR."
)

_REMEDIES: tuple[tuple[type[ExporterError], str], ...] = (
    (Forbidden, PERMISSIONS),
    (AuthFailed, CREDENTIALS),
    (ClientFault, ADDRESS),
    (NotFhir, "Check that --batch-jobs.url is the JSON Admin API, not the Web Portal or a login page."),
    (WrongResource, "Check that --batch-jobs.url is the JSON Admin API; if it is, please report its version."),
    (TimedOut, "Check the load of the node with the Admin API; if it is only slow, raise --fhir.timeout."),
    (TooLarge, "Let Smile CDR purge ended jobs earlier."),
    (Truncated, "Look for a proxy that cuts off long responses."),
)
"""The first row whose class fits."""


def remedy_for(error: ExporterError) -> str:
    """Return what to do: in words of its own, else those of the error, which speak of the FHIR server's option."""
    own = next((remedy for kind, remedy in _REMEDIES if isinstance(error, kind)), None)
    return own or error.remedy.replace("--fhir.url", "--batch-jobs.url").replace("the FHIR server", "the Admin API")
