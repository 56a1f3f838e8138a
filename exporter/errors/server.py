"""Errors of the FHIR server, or of what is between it and us."""

from .base import ErrorReason, ExporterError


class ServerError(ExporterError):
    """The FHIR server, or something between it and the exporter, failed a request."""


class Unreachable(ServerError):
    """No connection could be made, or it broke before a response."""

    reason = ErrorReason.UNREACHABLE
    remedy = "Check the scheme, host and port of --fhir.url, the network, and the firewall in between."


class NameNotFound(Unreachable):
    """The host name could not be resolved to an address."""

    remedy = "Check the host name in --fhir.url for typing errors, and the DNS settings of this machine or container."


class ConnectRefused(Unreachable):
    """The host answered that nothing listens on the port, or a firewall rejected the connection."""

    remedy = "Check the port of --fhir.url, that the FHIR server is running and listens there, and the firewall."


class ConnectionReset(Unreachable):
    """The connection was made, then reset or closed without an answer."""

    remedy = (
        "Check the log of the FHIR server and of a proxy or balancer in front of it; if the port speaks TLS, "
        "--fhir.url must begin with https://."
    )


class TimedOut(ServerError):
    """The response was not complete within `--fhir.timeout` or `--poll.timeout`."""

    reason = ErrorReason.TIMEOUT
    remedy = "Check the load of the FHIR server; if it is only slow, raise --fhir.timeout or --poll.timeout."


class TlsFailed(ServerError):
    """The TLS handshake failed."""

    reason = ErrorReason.TLS
    remedy = (
        "Set --fhir.client-cert-file and --fhir.client-key-file if the server requires a client certificate; "
        "check that it accepts TLS 1.2 or later."
    )


class UnknownAuthority(TlsFailed):
    """The certificate is self-signed, or was issued by an authority that is not trusted."""

    remedy = (
        "Set --fhir.ca-file to a PEM file with the CA of the certificate (or the certificate, if it is self-signed)."
    )


class WrongHostName(TlsFailed):
    """The certificate is for another host name or IP address than that of `--fhir.url`."""

    remedy = "Use a name from the certificate in --fhir.url, or get a certificate for this name."


class CertificateExpired(TlsFailed):
    """The certificate, or one of its authorities, has expired or is not valid yet."""

    remedy = "Renew the server's certificate; if its dates are right, set the clock of this machine."


class NotTls(TlsFailed):
    """The port does not speak TLS."""

    remedy = "Check the port of --fhir.url; begin it with http:// only if the server does not use TLS at all."


class TlsExpected(TlsFailed):
    """The port speaks TLS, but `--fhir.url` begins with http://."""

    remedy = "Begin --fhir.url with https://, or set it to the server's port for plain HTTP."


class AuthFailed(ServerError):
    """The server did not accept the credentials (401), or they could not be read."""

    reason = ErrorReason.AUTH
    remedy = "Check the credentials: user name and password, or a token that has not expired, valid for this server."


class Forbidden(AuthFailed):
    """403: the server knows the credentials, but they lack a right."""

    remedy = (
        "Grant the right to read Task and Organization: FHIR_READ_ALL_OF_TYPE for both, "
        "or the scopes system/Task.read and system/Organization.read."
    )


class ExportForbidden(Forbidden):
    """403 for the status of an export job."""

    remedy = (
        "Allow the exporter's user to read the status of export jobs; "
        "some servers show a job only to the user that started it."
    )


class Throttled(ServerError):
    """The server asks the client to wait. `wait` is in seconds, already capped; None if not given."""

    reason = ErrorReason.THROTTLED
    remedy = "No action needed: the exporter waits as asked. If it continues, raise the request limit for this client."

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class CountThrottled(Throttled):
    """The same for a count that only shows progress: the walk waits, then continues without counts."""


class ClientFault(ServerError):
    """A 4xx that is neither authentication nor throttling; `status` is the HTTP status."""

    reason = ErrorReason.CLIENT_ERROR
    remedy = "Check --fhir.search for a parameter that the server does not know, and that --fhir.url is the FHIR base."

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ClientFault):
    """A 404 to what every FHIR server has."""

    remedy = "There is no FHIR API at this path; most end in /fhir. Check the path of --fhir.url."


class ServerFault(ServerError):
    """A 5xx."""

    reason = ErrorReason.SERVER_ERROR
    remedy = "Check the log of the FHIR server at the time of this message."


class Redirected(ServerError):
    """A 3xx. Following it could carry credentials to another host."""

    reason = ErrorReason.REDIRECT
    remedy = "Set --fhir.url to the redirect target, if you trust it."


class NotFhir(ServerError):
    """HTML, an empty body, broken JSON, another content type or encoding."""

    reason = ErrorReason.NOT_FHIR
    remedy = "There may be a login page or a proxy at --fhir.url; open it in a browser."


class Truncated(ServerError):
    """The body was cut off."""

    reason = ErrorReason.TRUNCATED
    remedy = "Look for a proxy that cuts off long responses; a smaller --fhir.page-size may help."


class TooLarge(ServerError):
    """The body exceeds the size limit, before or after decompression."""

    reason = ErrorReason.TOO_LARGE
    remedy = "Lower --fhir.page-size."


class WrongResource(ServerError):
    """FHIR, but not the requested searchset Bundle (or Organization)."""

    reason = ErrorReason.WRONG_RESOURCE
    remedy = "Check that --fhir.url is the FHIR base URL, not a path below it."


class NothingThere(ServerError):
    """Searches find no Task at all, and reads do not show that they were deleted."""

    reason = ErrorReason.WRONG_RESOURCE
    remedy = "Check that the exporter may still read Task. No Task counts as vanished until a search returns one."


class CursorExpired(ServerError):
    """The search behind a page link has expired on the server (HAPI-0417)."""

    reason = ErrorReason.CURSOR_EXPIRED
    remedy = "No action needed: the walk continues from its last committed page."


class LinkRefused(ServerError):
    """A page link to another scheme, host, port or path than the base URL."""

    reason = ErrorReason.LINK_REFUSED
    remedy = "Correct the server's fixed base URL; if a proxy rewrites it, set --fhir.rewrite-links."


class LinkCycle(ServerError):
    """Page links that repeat, or never end."""

    reason = ErrorReason.LINK_CYCLE
    remedy = "Look for a cache or proxy in front of the server that returns the wrong page."


class Cached(ServerError):
    """The first page came from a cache and may be outdated."""

    reason = ErrorReason.CACHED
    remedy = "Pass Cache-Control: no-cache through to the FHIR server, or turn off its result cache."
