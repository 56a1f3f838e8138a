"""Which secret files others on this machine may read or write: by the last three bits of their mode.

They are reported and not refused, since Kubernetes mounts secrets with mode 0644 unless it is told otherwise. Bits of
the group are right: with `fsGroup` they are how the exporter may read the file at all.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .files import mode_for_others
from .options import Settings


class ExposedFile(NamedTuple):
    """A secret file that others may read or write, and its mode as `chmod` takes it."""

    path: str
    mode: str


def exposed_files(settings: Settings) -> tuple[ExposedFile, ...]:
    """Look at the secret files now. What cannot be looked at is left to its reader."""
    paths = dict.fromkeys(secret_files(settings))
    return tuple(ExposedFile(path, mode) for path in paths if (mode := mode_for_others(Path(path))) is not None)


def secret_files(settings: Settings) -> Iterator[str]:
    """List the configured files that hold a secret. A client certificate is one where it holds the key, too."""
    fhir, oauth2 = settings.fhir, settings.fhir.oauth2
    paths = (
        fhir.bearer_token_file,
        fhir.password_file,
        oauth2.client_secret_file,
        oauth2.private_key_file,
        fhir.client_key_file or fhir.client_cert_file,
        settings.batch_jobs.password_file,
    )
    yield from (path for path in paths if path is not None)
