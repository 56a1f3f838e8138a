"""TLS towards the FHIR server: whom we trust, and who we say we are."""

import ssl
from pathlib import Path

from ..errors import ConfigurationError


def client_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Make a context, to be shared: reading the authorities takes longer than a request.

    Not by `create_default_context`: that one writes session keys to a file when SSLKEYLOGFILE says so.
    Raises ConfigurationError for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    faults = []
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
        else:
            context.load_default_certs()
    except (OSError, ValueError):
        faults.append(f"--fhir.ca-file: {ca_file} holds no PEM certificates that can be read")
    try:
        if cert_file:
            context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError):
        faults.append(
            f"--fhir.client-cert-file: {cert_file} and its key cannot be read, or do not fit, or are encrypted"
        )
    if faults:
        raise ConfigurationError(tuple(faults))
    return context


def caused_by_tls(error: BaseException | None) -> bool:
    """Whether TLS is what failed, somewhere below."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _no_password() -> str:
    """Keep OpenSSL from asking on the terminal."""
    return ""
