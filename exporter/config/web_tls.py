"""What TLS options become: the context of a server, from certificates and keys in files or in the file itself.

See docs/web-configuration.md.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from time import time
from typing import IO, Any

from .files import read_regular_file
from .values import ConfigProblem, InvalidValue
from .web_options import ClientAuth, Pem, TlsOptions

MAX_BYTES = 1024 * 1024
"""Of one file: a configuration or a certificate chain has some thousand."""


class CheckedConnection(ssl.SSLObject):
    """A connection of a client that is refused, at the end of its handshake, if its certificate has no allowed name."""

    def do_handshake(self) -> None:
        """Do the handshake. Raises SSLCertVerificationError, as for a certificate that is not trusted."""
        super().do_handshake()
        context = self.context
        certificate = self.getpeercert()
        if isinstance(context, ServerContext) and not context.allows(certificate):
            raise ssl.SSLCertVerificationError("the client's certificate has no allowed name")
        if self.session_reused and certificate and _has_expired(certificate):
            raise ssl.SSLCertVerificationError("the client's certificate has expired")


class ServerContext(ssl.SSLContext):
    """A context for a server. `allowed_sans` are the names of clients that may connect; None: all that verify."""

    allowed_sans: frozenset[str] | None = None
    sslobject_class = CheckedConnection

    def allows(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client may connect; `certificate` as Python decodes it, empty without one."""
        return self.allowed_sans is None or not self.allowed_sans.isdisjoint(subject_names(certificate or {}))


def _has_expired(certificate: Mapping[str, Any]) -> bool:
    return ssl.cert_time_to_seconds(certificate["notAfter"]) < time()


def subject_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """List the names of a certificate as Go writes them: DNS, email, IP address and URI."""
    for kind, name in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            yield name
        elif kind == "IP Address":
            yield _ip(name)


def _ip(text: str) -> str:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return text
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def make_context(options: TlsOptions, folder: Path) -> tuple[ServerContext | None, list[ConfigProblem]]:
    """Build the context, or list every problem; relative paths begin in `folder`."""
    problems: list[ConfigProblem] = []
    cert, key = (_read(pem, folder, problems) for pem in (options.cert, options.key))
    client_ca = _read(options.client_ca, folder, problems) if options.client_ca else None
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    if cert is not None and key is not None:
        problems += _load_pair(context, options, cert, key)
    if options.client_ca and client_ca is not None:
        problems += _load_authorities(context, options.client_ca, client_ca)
    if problems:
        return None, problems
    _apply(context, options)
    return context, []


def pem_files(options: TlsOptions, folder: Path) -> tuple[Path, ...]:
    """List the files that the options name."""
    pems = (options.cert, options.key, options.client_ca)
    return tuple(folder / pem.path for pem in pems if pem is not None and pem.path)


def _read(pem: Pem, folder: Path, problems: list[ConfigProblem]) -> bytes | None:
    if not pem.path:
        return pem.text.encode()
    try:
        return read_regular_file(folder / pem.path, MAX_BYTES)
    except InvalidValue as invalid:
        problems.append(ConfigProblem(pem.source, str(invalid)))
        return None


def _load_pair(context: ssl.SSLContext, options: TlsOptions, cert: bytes, key: bytes) -> Iterator[ConfigProblem]:
    try:
        with _as_file(cert) as cert_file, _as_file(key) as key_file:
            context.load_cert_chain(cert_file, key_file, password=_refuse_password)
    except InvalidValue as invalid:
        yield ConfigProblem(options.key.source, str(invalid))
    except ssl.SSLError as error:
        yield _pair_problem(options, cert, error)
    except OSError as error:
        yield ConfigProblem(options.cert.source, f"OpenSSL cannot be given the certificate ({type(error).__name__})")


def _pair_problem(options: TlsOptions, cert: bytes, error: ssl.SSLError) -> ConfigProblem:
    if error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):  # the latter for a key of another type
        return ConfigProblem(options.key.source, "is not the key of the certificate")
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
        return ConfigProblem(options.cert.source, "the certificate is too weak: its key is short, or its hash is old")
    if _has_certificate(cert):
        return ConfigProblem(options.key.source, "is not a private key in PEM")
    return ConfigProblem(options.cert.source, "is not a certificate in PEM")


def _has_certificate(cert: bytes) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=cert.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        return False
    return True


def _refuse_password() -> str:
    """OpenSSL would ask at the terminal."""
    raise InvalidValue("is encrypted; store it without a passphrase")


def _load_authorities(context: ssl.SSLContext, pem: Pem, content: bytes) -> Iterator[ConfigProblem]:
    try:
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        yield ConfigProblem(pem.source, "has no certificate in PEM")


_MODES = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}


def _apply(context: ServerContext, options: TlsOptions) -> None:
    context.minimum_version, context.maximum_version = options.min_version, options.max_version
    context.verify_mode = _MODES[options.client_auth]
    # As in Go, each authority of the file is trusted, an intermediate one without its root, too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.allowed_sans = options.allowed_sans
    if options.ciphers is not None:
        context.set_ciphers(options.ciphers)
    if options.curve is not None:
        context.set_ecdh_curve(options.curve)
    # A resumed session brings along a client's certificate that OpenSSL verifies no more. Python cannot turn off those
    # that TLS 1.2 resumes without a ticket: CheckedConnection looks at them. A new context knows none of the old.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give OpenSSL, which takes only paths, what we hold in memory; it reaches no disk where Linux can help it."""
    with _nameless_file() as file:
        file.write(content)
        file.flush()
        yield file.name if isinstance(file.name, str) else f"/proc/self/fd/{file.fileno()}"


def _nameless_file() -> IO[bytes]:
    try:
        return os.fdopen(os.memfd_create("pem", os.MFD_CLOEXEC), "wb")
    except (AttributeError, OSError):  # another system, or a sandbox that does not allow it
        return tempfile.NamedTemporaryFile()  # mode 0600
