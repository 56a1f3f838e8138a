"""What `check` says about the rights to read: Task, Organization, metadata. Nothing here sends anything.

See docs/fhir-quirks.md#permissions.
"""

from http import HTTPStatus
from typing import NamedTuple

from ..errors import AuthFailed, ServerError
from ..task.capability import Capability
from .findings import Finding, Mark, info, ok, warn


class Right(NamedTuple):
    """What may be read, how bad it is where it may not, and how to grant it."""

    resource: str
    mark_if_refused: Mark
    remedy: str


TASK = Right("Task", Mark.FAIL, "Grant FHIR_READ_ALL_OF_TYPE Task (Smile CDR), or the scope system/Task.read.")
ORGANIZATION = Right(
    "Organization",
    Mark.FAIL,
    "Grant FHIR_READ_ALL_OF_TYPE Organization (Smile CDR), or the scope system/Organization.read. Until then payers "
    "are shown by configured name, by identifier, or as unknown.",
)
METADATA = Right(
    "metadata", Mark.WARN, "Grant FHIR_CAPABILITIES (Smile CDR) to see here which server it is; nothing else needs it."
)


def refused(right: Right, error: AuthFailed) -> Finding:
    """Report a right that is missing."""
    return Finding(right.mark_if_refused, f"{right.resource}: may not be read; {error}", right.remedy)


TASK_READ = ok("Task: can be searched")
ORGANIZATION_READ = ok("Organization: can be read")


def organization_searched(status: int) -> Finding:
    """Report a search for any Organization: what is left to ask where no payer refers to one that is there."""
    if status == HTTPStatus.OK:
        return ok("Organization: can be searched; no payer of the sample was named by one")
    text = f"Organization: the server does not offer it (it answered {status})"
    return warn(text, "Give payers names under `payers:` in the file of --config.file.")


def described(capability: Capability) -> Finding:
    """Report what the server calls itself."""
    said = f"metadata: {capability.software or 'unknown software'}, FHIR {capability.fhir_version or 'version unknown'}"
    if capability.fhir_version.startswith("4."):
        return ok(said)
    return warn(said, "The exporter is made for FHIR R4; compare its numbers with some Tasks by hand.")


def undescribed(error: ServerError) -> Finding:
    """Report that the server does not describe itself: the exporter does not need it."""
    if isinstance(error, AuthFailed):
        return refused(METADATA, error)
    return info(f"metadata: {error}", "No action is needed: the exporter does not use it.")
