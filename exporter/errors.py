"""All errors of the exporter, as one tree.

    ExporterError
    ├── ConfigurationError      flags, environment variables or the configuration file are wrong (exit 2)
    ├── ServerError             the FHIR server, or a proxy in front of it, failed
    │   ├── Unreachable         no connection: no route, network down, or a cause not told apart
    │   │   ├── NameNotFound    the host name has no address (DNS)
    │   │   ├── ConnectRefused  nothing listens on the port
    │   │   └── ConnectionReset the connection was reset, or closed without an answer
    │   ├── TimedOut            no complete response within the timeout
    │   ├── TlsFailed           no trusted TLS connection, for another cause than these
    │   │   ├── UnknownAuthority    the certificate is self-signed, or of an authority that is not trusted
    │   │   ├── WrongHostName       the certificate is for another host name
    │   │   ├── CertificateExpired  the certificate has expired, or is not valid yet
    │   │   ├── NotTls          the port does not speak TLS
    │   │   └── TlsExpected     the port speaks TLS, and was asked in plain HTTP
    │   ├── AuthFailed          401, or no credentials to send
    │   │   ├── Forbidden       403: the credentials are known, a right is missing
    │   │   │   └── ExportForbidden     the same for the status of an export job
    │   │   └── TokenFailed     no access token could be obtained (OAuth2), for another cause than these
    │   │       ├── TokenEndpointUnknown        the FHIR server names no token endpoint that may be used
    │   │       ├── TokenEndpointUnreachable    no answer from the token endpoint, or not in time
    │   │       ├── TokenEndpointUntrusted      no trusted TLS connection to the token endpoint
    │   │       ├── TokenEndpointFaulty         it answered with an error of its own, or with no token
    │   │       ├── ClientRefused       invalid_client: it does not accept client id and secret
    │   │       ├── AssertionRefused    invalid_client: it does not accept client id and signed assertion
    │   │       ├── GrantRefused        the client may not use client credentials
    │   │       └── ScopeRefused        the client may not have the scopes
    │   ├── Throttled           429, or 503 with Retry-After; carries how long to wait
    │   │   ├── CountThrottled  an optional count, for showing progress, was throttled
    │   │   └── TokenThrottled  the same from the token endpoint
    │   ├── ClientFault         another 4xx: the server rejects the request
    │   │   └── NotFound        404: nothing is at this path
    │   ├── ServerFault         5xx
    │   ├── Redirected          3xx, which is never followed
    │   ├── NotFhir             the response is not FHIR JSON
    │   ├── Truncated           the response was cut off
    │   ├── TooLarge            the response exceeds the size limit
    │   ├── WrongResource       FHIR, but not the requested resource
    │   ├── NothingThere        no Task at all where there were some, as after losing the right to read
    │   ├── CursorExpired       410 on a page link
    │   ├── LinkRefused         a page link outside the server's own base URL
    │   ├── LinkCycle           page links that repeat or never end
    │   └── Cached              a cached first page, in spite of no-cache
    ├── LedgerError             the ledger cannot be used
    │   ├── LedgerInUse         another process has it open
    │   │   └── LedgerHeld      the same, for a command about the file
    │   ├── LedgerAbsent        a command finds no file
    │   ├── LedgerForeign       it is not a ledger, or belongs to another source
    │   │   └── LedgerOfAnotherSource   another FHIR server or selection of Tasks
    │   ├── LedgerNotRebound    it was not shown that another server holds the same Tasks
    │   ├── LedgerBackupFailed  a copy could not be made
    │   ├── LedgerOutdated      a command cannot work on it before it is migrated
    │   ├── LedgerDamaged       the file was a ledger, but can no longer be read
    │   ├── LedgerTooNew        written by a later version of the exporter
    │   ├── LedgerFailed        I/O on the disk or the file failed at run time
    │   │   └── LedgerUnreadable    its tables are not as this version knows them
    │   ├── LedgerLost          removed or moved away while it is in use
    │   │   └── LedgerReplaced  another file is at its path now
    │   ├── LedgerWalLost       the same for the `-wal` beside it
    │   ├── LedgerReadOnly      it, or its file system, has become read-only while it is in use
    │   └── LedgerUnseen        its path cannot be looked at any more
    ├── TargetRefused           an export job whose status we were asked for is not one of our own server
    └── AddressUnusable         the web server cannot listen on the configured address

Each class has a `reason` (a closed set of values, used as a label) and a `remedy` (what the operator should do).
Messages are fixed text: never a URL with a query, a body, a header or an identifier.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorReason(StrEnum):
    """The values of the label `reason` of `fhir_task_exporter_errors_total`."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    AUTH = "auth"
    TOKEN = "token"  # noqa: S105 - a word for what failed
    THROTTLED = "throttled"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    REDIRECT = "redirect"
    NOT_FHIR = "not_fhir"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    WRONG_RESOURCE = "wrong_resource"
    CURSOR_EXPIRED = "cursor_expired"
    LINK_REFUSED = "link_refused"
    LINK_CYCLE = "link_cycle"
    CACHED = "cached"
    LEDGER = "ledger"
    INTERNAL = "internal"


class ExporterError(Exception):
    """Base class: `str()` is a sentence for the operator, `remedy` says what to do next."""

    reason: ClassVar[ErrorReason] = ErrorReason.INTERNAL
    remedy: ClassVar[str] = "This is a bug: please report it to the project, with the log line."


class ConfigurationError(ExporterError):
    """All configuration problems at once, one line each, each with its source."""

    remedy: ClassVar[str] = "Fix the options listed above."

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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


class TokenFailed(AuthFailed):
    """No access token could be obtained by OAuth2. The token endpoint may be another server than the FHIR server."""

    reason = ErrorReason.TOKEN
    remedy = "Check --fhir.oauth2.client-id and the other options of --fhir.oauth2 with the authorization server."


class TokenEndpointUnknown(TokenFailed):
    """The FHIR server was asked for its token endpoint, and named none that may be used."""

    remedy = "Set --fhir.oauth2.token-url to the token endpoint of the authorization server."


class TokenEndpointUnreachable(TokenFailed):
    """The token endpoint could not be asked, or did not answer in time."""

    remedy = (
        "Check that the authorization server is running, its address (--fhir.oauth2.token-url, or what the FHIR server "
        "names in .well-known/smart-configuration), and the firewall in between."
    )


class TokenEndpointUntrusted(TokenFailed):
    """There is no trusted TLS connection to the token endpoint."""

    remedy = (
        "--fhir.ca-file, --fhir.client-cert-file and --fhir.client-key-file are used for the token endpoint too: "
        "put the authorities of both servers into --fhir.ca-file, and check the address of the token endpoint."
    )


class TokenEndpointFaulty(TokenFailed):
    """The token endpoint answered with an error that is not about the client, or with something else than a token."""

    remedy = "Check --fhir.oauth2.token-url, and the log of the authorization server at the time of this message."


class ClientRefused(TokenFailed):
    """The token endpoint does not accept client id and secret."""

    remedy = (
        "Check --fhir.oauth2.client-id, and that the secret is not mistyped, replaced or expired (Smile CDR lets "
        "secrets expire); then whether the server wants the secret by --fhir.oauth2.auth-method post instead of basic."
    )


class AssertionRefused(TokenFailed):
    """The token endpoint does not accept client id and signed assertion."""

    remedy = (
        "Check that the public key of --fhir.oauth2.private-key-file is registered for --fhir.oauth2.client-id, under "
        "the same key id (--fhir.oauth2.key-id); then which audience the server expects: its token endpoint, exactly, "
        "unless --fhir.oauth2.audience says otherwise."
    )


class GrantRefused(TokenFailed):
    """The client is known, but may not ask for tokens in this way."""

    remedy = "Allow the grant type client_credentials for the client of --fhir.oauth2.client-id."


class ScopeRefused(TokenFailed):
    """The client is known, but may not have what it asks for."""

    remedy = "Grant the scopes of --fhir.oauth2.scope to the client, or ask for those that it has."


class Throttled(ServerError):
    """The server asks the client to wait. `wait` is in seconds, already capped; None if not given."""

    reason = ErrorReason.THROTTLED
    remedy = "No action needed: the exporter waits as asked. If it continues, raise the request limit for this client."

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class CountThrottled(Throttled):
    """The same for a count that only shows progress: the walk waits, then continues without counts."""


class TokenThrottled(Throttled):
    """The token endpoint asks the client to wait."""

    reason = ErrorReason.TOKEN
    remedy = "No action needed: the exporter waits as asked. If it continues, raise the limit of the token endpoint."


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


class LedgerError(ExporterError):
    """The ledger cannot be opened, read or written."""

    reason = ErrorReason.LEDGER
    remedy = "Check the path of --ledger, its permissions and the free disk space."


class LedgerInUse(LedgerError):
    """Another process has the ledger open."""

    remedy = "Stop the other exporter, or set --ledger to another path."


class LedgerHeld(LedgerInUse):
    """The same, for a command about the file."""

    remedy = "Stop the exporter for this command; it catches up when it starts again."


class LedgerAbsent(LedgerError):
    """There is no file for a command to work on."""

    remedy = "Check the path of --ledger; serve creates a ledger when it starts."


class LedgerForeign(LedgerError):
    """The file is not a ledger, or lost its tables."""

    remedy = "Set --ledger to another path; or move the file away to start with an empty ledger."


class LedgerOfAnotherSource(LedgerForeign):
    """The ledger was made for another FHIR server, or another selection of Tasks."""

    remedy = (
        "Correct --fhir.url and the selection, or set --ledger to another path for this server. "
        "If the same server only changed its address, start with --ledger.rebind."
    )


class LedgerNotRebound(LedgerError):
    """The ledger was left with the server it belongs to."""

    remedy = (
        "Nothing was changed. If it is the same server, start again when it answers and holds all of its Tasks; "
        "for another one, set --ledger to another path."
    )


class LedgerBackupFailed(LedgerError):
    """The copy could not be made."""

    remedy = "Choose a new file in a folder that this user can write, with room for a copy of the ledger."


class LedgerOutdated(LedgerError):
    """The ledger has the schema of an earlier version."""

    remedy = "Back it up, then start serve with this version: it migrates the ledger."


class LedgerTooNew(LedgerError):
    """The ledger's schema is newer than this version of the exporter."""

    remedy = "Install the version that wrote the ledger, or a later one."


class LedgerDamaged(LedgerError):
    """The file was a ledger, but can no longer be read; opening it sets it aside."""

    remedy = "Check the disk. serve sets the file aside and creates a new ledger; its counters start at 0."


class LedgerFailed(LedgerError):
    """Reading or writing failed at run time: disk full, I/O error, damage."""


class LedgerUnreadable(LedgerFailed):
    """A table is missing, or holds what no version of this schema writes, or only a later one."""

    remedy = (
        "Install the version that wrote the ledger; if it is this one, the file is damaged: restore a backup, or move "
        "it and its -wal away to start with an empty ledger."
    )


class LedgerLost(LedgerError):
    """The file is no longer at its path. The open one works until the process ends, then it may be gone."""

    remedy = (
        "The exporter goes on counting in the open file until it ends. If the ledger was moved, stop the exporter, "
        "move the file back and start again; if it was deleted, restart when you can: counters then start at 0."
    )


class LedgerReplaced(LedgerLost):
    """Another file is at the path, perhaps the ledger of another exporter."""

    remedy = (
        "The exporter goes on counting in the file that it opened. Stop any other exporter that uses this path; then "
        "stop this one, put the right file there without a -wal of another ledger beside it, and start again."
    )


class LedgerWalLost(LedgerError):
    """The `-wal` beside the ledger is gone, and with it, at a power cut or kill, the last commits."""

    remedy = (
        "Restart the exporter now, by SIGTERM: as it ends, it writes everything into the ledger, and nothing is lost. "
        "If it is killed instead, the last commits are lost."
    )


class LedgerReadOnly(LedgerError):
    """The ledger cannot be written any more, or not by the next process."""

    remedy = (
        "Make the ledger and its file system writable again for the exporter's user (mode 0600); if the system has "
        "mounted the disk read-only, check the disk."
    )


class LedgerUnseen(LedgerError):
    """The system refuses to say what is at the path."""

    remedy = "Check the permissions of the folder of --ledger, and the disk or file server that it is on."


class TargetRefused(ExporterError):
    """A status URL of an export job that is not at `--probe.path` on our own server, or asks for more than a job."""

    reason = ErrorReason.LINK_REFUSED
    remedy = (
        "Give the status URL from the Content-Location of the export, on the server of --fhir.url, or only the job id; "
        "if its path ends otherwise, set --probe.path."
    )


class AddressUnusable(ExporterError):
    """The web server cannot listen on the configured address."""

    remedy = (
        "Stop the process that already listens there, or set --web.listen-address to another port or address of this "
        "machine, such as 127.0.0.1:9843."
    )
