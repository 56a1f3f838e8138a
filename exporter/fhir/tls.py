"""TLS to the FHIR server: trusted authorities and the client certificate."""

import ssl

from ..config import FhirSettings
from ..errors import ConfigurationError


def client_context(settings: FhirSettings) -> ssl.SSLContext:
    """Make a context to be shared: reading the authorities takes longer than a request.

    Not by `create_default_context`: that one writes session keys to a file when SSLKEYLOGFILE says so.
    Raises ConfigurationError for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    problems = []
    try:
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
        else:
            context.load_default_certs()
    except (OSError, ValueError):
        problems.append(f"--fhir.ca-file: {settings.ca_file} holds no PEM certificates that can be read")
    try:
        if settings.client_cert_file:
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file, password=_no_password)
    except (OSError, ValueError):
        certificate = settings.client_cert_file
        problems.append(
            f"--fhir.client-cert-file: {certificate} and its key cannot be read, do not match, or are encrypted"
        )
    if problems:
        raise ConfigurationError(tuple(problems))
    return context


def _no_password() -> str:
    """Keep OpenSSL from asking on the terminal."""
    return ""
