"""What broke a request before its answer began: from what the libraries raise to an error that says what to do.

Rule: the judgement reads types and codes, and constant texts of the libraries; nothing that a server or a certificate
says gets into a sentence.
"""

import errno
import socket
import ssl
from collections.abc import Iterator

from ..errors import (
    CertificateExpired,
    ConnectionReset,
    ConnectRefused,
    NameNotFound,
    NotTls,
    ServerError,
    TlsFailed,
    UnknownAuthority,
    Unreachable,
    WrongHostName,
)

Fault = tuple[type[ServerError], str]
"""A class, and its sentence with a place for host and port."""

_CERTIFICATES: dict[int, Fault] = {
    2: (UnknownAuthority, "The certificate of {} was issued by an authority that is not trusted."),
    9: (CertificateExpired, "The certificate of {} is not valid yet."),
    10: (CertificateExpired, "The certificate of {} has expired."),
    18: (UnknownAuthority, "The certificate of {} is self-signed and not trusted."),
    19: (UnknownAuthority, "The certificate of {} was issued by a private authority that is not trusted."),
    20: (UnknownAuthority, "The certificate of {} was issued by an authority that is not trusted."),
    21: (
        UnknownAuthority,
        "The certificate of {} comes without the certificate of its authority, or it is not trusted.",
    ),
    62: (WrongHostName, "The certificate of {} is for another host name."),
    64: (WrongHostName, "The certificate of {} is not for this IP address."),
}
"""By the codes X509_V_ERR_… of OpenSSL."""

_NOT_TLS: Fault = (NotTls, "{} does not speak TLS on this port.")
_NO_CLIENT_CERTIFICATE: Fault = (TlsFailed, "{} requires a client certificate.")
_BAD_CLIENT_CERTIFICATE: Fault = (TlsFailed, "{} does not accept the client certificate.")
_NO_COMMON_TLS: Fault = (TlsFailed, "{} and the exporter have no TLS version or cipher in common.")
_NO_AGREEMENT: Fault = (
    TlsFailed,
    "{} ended the TLS handshake: a client certificate, or another TLS version, is required.",
)

_TLS: dict[str, Fault] = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "BAD_RECORD_TYPE": _NOT_TLS,
    "UNKNOWN_PROTOCOL": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "UNEXPECTED_EOF_WHILE_READING": (TlsFailed, "{} closed the connection during the TLS handshake."),
    "CERTIFICATE_VERIFY_FAILED": (TlsFailed, "The certificate of {} cannot be verified."),
    "UNSUPPORTED_PROTOCOL": _NO_COMMON_TLS,
    "ALERT_PROTOCOL_VERSION": _NO_COMMON_TLS,
    "ALERT_INSUFFICIENT_SECURITY": _NO_COMMON_TLS,
    "ALERT_HANDSHAKE_FAILURE": _NO_AGREEMENT,
    "ALERT_CERTIFICATE_REQUIRED": _NO_CLIENT_CERTIFICATE,
    "ALERT_NO_CERTIFICATE": _NO_CLIENT_CERTIFICATE,
    "ALERT_BAD_CERTIFICATE": _BAD_CLIENT_CERTIFICATE,
    "ALERT_UNSUPPORTED_CERTIFICATE": _BAD_CLIENT_CERTIFICATE,
    "ALERT_CERTIFICATE_EXPIRED": _BAD_CLIENT_CERTIFICATE,
    "ALERT_CERTIFICATE_REVOKED": _BAD_CLIENT_CERTIFICATE,
    "ALERT_CERTIFICATE_UNKNOWN": _BAD_CLIENT_CERTIFICATE,
    "ALERT_UNKNOWN_CA": _BAD_CLIENT_CERTIFICATE,
    "ALERT_ACCESS_DENIED": _BAD_CLIENT_CERTIFICATE,
    "ALERT_INTERNAL_ERROR": (TlsFailed, "{} failed during the TLS handshake."),
    "UNRECOGNIZED_NAME": (WrongHostName, "{} has no certificate for this host name."),
}
"""By the reasons of OpenSSL, those of an alert without the version of TLS in front."""

_TLS_FAILED: Fault = (TlsFailed, "The TLS handshake with {} failed.")

_NETWORK: tuple[tuple[type[OSError], Fault], ...] = (
    (socket.gaierror, (NameNotFound, "The host name of {} cannot be resolved.")),
    (ConnectionRefusedError, (ConnectRefused, "{} refused the connection.")),
    (ConnectionResetError, (ConnectionReset, "{} reset the connection without an answer.")),
    (ConnectionAbortedError, (ConnectionReset, "{} reset the connection without an answer.")),
    (BrokenPipeError, (ConnectionReset, "{} closed the connection without an answer.")),
)

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_NO_ROUTE_FAULT: Fault = (Unreachable, "There is no network route to {}.")

_PROTOCOL: tuple[tuple[str, Fault], ...] = (
    ("Server disconnected", (ConnectionReset, "{} closed the connection without an answer.")),
    # h11 says so of an answer whose first byte is no text: a TLS alert, for one.
    ("illegal request line", (Unreachable, "{} answered with something other than HTTP, perhaps TLS.")),
)
"""By how the text of a protocol error begins; httpcore and h11 write these themselves."""

_NOT_HTTP: Fault = (Unreachable, "{} answered with something other than HTTP.")
_UNREACHABLE: Fault = (Unreachable, "{} cannot be reached.")


def network_fault(error: Exception, host_and_port: str, *, protocol: bool) -> ServerError:
    """Choose the ServerError for what broke a request; `protocol`: something was received, and it was no HTTP."""
    kind, sentence = _protocol_fault(error) if protocol else _socket_fault(error)
    return kind(sentence.format(host_and_port))


def _socket_fault(error: Exception) -> Fault:
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _tls_fault(cause)
    for cause in causes:
        if isinstance(cause, OSError):
            return _os_fault(cause)
    return _UNREACHABLE


def _tls_fault(error: ssl.SSLError) -> Fault:
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _CERTIFICATES:
        return _CERTIFICATES[error.verify_code]
    reason = error.reason or ""
    return next((fault for name, fault in _TLS.items() if reason.endswith(name)), _TLS_FAILED)


def _os_fault(error: OSError) -> Fault:
    if error.errno in _NO_ROUTE:
        return _NO_ROUTE_FAULT
    return next((fault for kind, fault in _NETWORK if isinstance(error, kind)), _UNREACHABLE)


def _protocol_fault(error: Exception) -> Fault:
    return next((fault for start, fault in _PROTOCOL if str(error).startswith(start)), _NOT_HTTP)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
