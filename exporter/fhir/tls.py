"""TLS to the FHIR server: trusted authorities and the client certificate."""

import ssl
from functools import lru_cache

from ..config import FhirSettings
from ..errors import ConfigurationError


def client_context(settings: FhirSettings) -> ssl.SSLContext:
    """Return the context for these files, shared by all connections: reading the authorities takes long.

    Not by `create_default_context`: that one writes session keys to a file when SSLKEYLOGFILE says so.
    Raises ConfigurationError for files that cannot be used.
    """
    return _context(settings.ca_file, settings.client_cert_file, settings.client_key_file)


@lru_cache(maxsize=4)
def _context(ca_file: str | None, client_cert_file: str | None, client_key_file: str | None) -> ssl.SSLContext:
    """Files are read once: one that is being replaced must not keep a discovered token endpoint from being asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    problems = []
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        else:
            context.load_default_certs()
    except (OSError, ValueError):
        problems.append(f"--fhir.ca-file: {ca_file} holds no PEM certificates that can be read")
    try:
        if client_cert_file:
            context.load_cert_chain(client_cert_file, client_key_file, password=_no_password)
    except (OSError, ValueError):
        certificate = client_cert_file
        problems.append(
            f"--fhir.client-cert-file: {certificate} and its key cannot be read, do not match, or are encrypted"
        )
    if problems:
        raise ConfigurationError(tuple(problems))
    return context


def _no_password() -> str:
    """Keep OpenSSL from asking on the terminal."""
    return ""
