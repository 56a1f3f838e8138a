"""Which secret files others on this machine may read or write: by the last three bits of their mode.

They are reported and not refused, since Kubernetes mounts secrets with mode 0644 unless it is told otherwise. Bits of
the group are right: with `fsGroup` they are how the exporter may read the file at all.
"""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .options import Settings

_OTHERS = stat.S_IROTH | stat.S_IWOTH


class ExposedFile(NamedTuple):
    """A secret file that others may read or write, and its mode as `chmod` takes it."""

    path: str
    mode: str


def exposed_files(settings: Settings) -> tuple[ExposedFile, ...]:
    """Look at the secret files now. What cannot be looked at is left to its reader."""
    return tuple(_exposed(dict.fromkeys(secret_files(settings))))


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


def _exposed(paths: Iterable[str]) -> Iterator[ExposedFile]:
    for path in paths:
        try:
            mode = Path(path).stat().st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and mode & _OTHERS:
            yield ExposedFile(path, f"{stat.S_IMODE(mode):04o}")
