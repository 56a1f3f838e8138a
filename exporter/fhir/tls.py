"""TLS to the FHIR server: trusted authorities and the client certificate, made again when their files change."""

import logging
import ssl
import threading
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ..config import FhirSettings
from ..config.files import Stamp, stamp
from ..errors import ConfigurationError
from ..logs import log_event

logger = logging.getLogger(__name__)


class TlsFiles(NamedTuple):
    """Paths of PEM files. Without a CA file the system's authorities are trusted, as they are at the start."""

    ca: str | None
    certificate: str | None
    key: str | None

    def stamps(self) -> tuple[Stamp | None, ...]:
        """Look whether the files are still the same; None for one that is not there, or no regular file."""
        return tuple(stamp(Path(path)) for path in self if path is not None)


class ClientTls:
    """The context for new connections. Raises ConfigurationError for files that cannot be used at the start.

    Later such files change nothing: the log says so, once for each change, and what was read before stays in use.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._stamps = files.stamps()
        self._context = _make_context(files)

    def context(self) -> ssl.SSLContext:
        """Return the context of the newest files that can be used; any thread may ask."""
        with self._lock:
            stamps = self._files.stamps()
            if stamps != self._stamps:
                self._stamps = stamps
                self._read_again()
            return self._context

    def _read_again(self) -> None:
        """Read what changed, but wait for the writer of no pipe."""
        try:
            self._context = _make_context(self._files, self._stamps)
        except ConfigurationError as error:
            for problem in error.problems:
                remedy = "Replace the files again; until then those that were read before are used."
                log_event(logger, logging.WARNING, "new TLS files are not used", problem=problem, remedy=remedy)
        else:
            log_event(logger, logging.INFO, "TLS files were read again")


def client_tls(settings: FhirSettings) -> ClientTls:
    """Return what makes contexts of the files that the settings name; raises ConfigurationError."""
    return _shared(TlsFiles(settings.ca_file, settings.client_cert_file, settings.client_key_file))


@lru_cache(maxsize=4)
def _shared(files: TlsFiles) -> ClientTls:
    """Share it among all that connect with these files: reading the authorities takes longer than a request."""
    return ClientTls(files)


def _make_context(files: TlsFiles, stamps: Collection[Stamp | None] = ()) -> ssl.SSLContext:
    """Not by `create_default_context`: that one writes session keys to a file when SSLKEYLOGFILE says so."""
    if None in stamps:
        raise ConfigurationError(("a file of --fhir.ca-file, --fhir.client-cert-file or its key is missing",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    problems = []
    try:
        if files.ca:
            context.load_verify_locations(files.ca)
        else:
            context.load_default_certs()
    except (OSError, ValueError):
        problems.append(f"--fhir.ca-file: {files.ca} holds no PEM certificates that can be read")
    try:
        if files.certificate:
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ValueError):
        problems.append(
            f"--fhir.client-cert-file: {files.certificate} and its key cannot be read, do not match, or are encrypted"
        )
    if problems:
        raise ConfigurationError(tuple(problems))
    return context


def _no_password() -> str:
    """Keep OpenSSL from asking on the terminal."""
    return ""
