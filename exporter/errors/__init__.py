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

from .base import (
    AddressUnusable,
    ConfigurationError,
    ErrorReason,
    ExporterError,
    TargetRefused,
)
from .ledger import (
    LedgerAbsent,
    LedgerBackupFailed,
    LedgerDamaged,
    LedgerError,
    LedgerFailed,
    LedgerForeign,
    LedgerHeld,
    LedgerInUse,
    LedgerLost,
    LedgerNotRebound,
    LedgerOfAnotherSource,
    LedgerOutdated,
    LedgerReadOnly,
    LedgerReplaced,
    LedgerTooNew,
    LedgerUnreadable,
    LedgerUnseen,
    LedgerWalLost,
)
from .server import (
    AuthFailed,
    Cached,
    CertificateExpired,
    ClientFault,
    ConnectionReset,
    ConnectRefused,
    CountThrottled,
    CursorExpired,
    ExportForbidden,
    Forbidden,
    LinkCycle,
    LinkRefused,
    NameNotFound,
    NotFhir,
    NotFound,
    NothingThere,
    NotTls,
    Redirected,
    ServerError,
    ServerFault,
    Throttled,
    TimedOut,
    TlsExpected,
    TlsFailed,
    TooLarge,
    Truncated,
    UnknownAuthority,
    Unreachable,
    WrongHostName,
    WrongResource,
)
from .token import (
    AssertionRefused,
    ClientRefused,
    GrantRefused,
    ScopeRefused,
    TokenEndpointFaulty,
    TokenEndpointUnknown,
    TokenEndpointUnreachable,
    TokenEndpointUntrusted,
    TokenFailed,
    TokenThrottled,
)

__all__ = [
    "AddressUnusable",
    "AssertionRefused",
    "AuthFailed",
    "Cached",
    "CertificateExpired",
    "ClientFault",
    "ClientRefused",
    "ConfigurationError",
    "ConnectRefused",
    "ConnectionReset",
    "CountThrottled",
    "CursorExpired",
    "ErrorReason",
    "ExportForbidden",
    "ExporterError",
    "Forbidden",
    "GrantRefused",
    "LedgerAbsent",
    "LedgerBackupFailed",
    "LedgerDamaged",
    "LedgerError",
    "LedgerFailed",
    "LedgerForeign",
    "LedgerHeld",
    "LedgerInUse",
    "LedgerLost",
    "LedgerNotRebound",
    "LedgerOfAnotherSource",
    "LedgerOutdated",
    "LedgerReadOnly",
    "LedgerReplaced",
    "LedgerTooNew",
    "LedgerUnreadable",
    "LedgerUnseen",
    "LedgerWalLost",
    "LinkCycle",
    "LinkRefused",
    "NameNotFound",
    "NotFhir",
    "NotFound",
    "NotTls",
    "NothingThere",
    "Redirected",
    "ScopeRefused",
    "ServerError",
    "ServerFault",
    "TargetRefused",
    "Throttled",
    "TimedOut",
    "TlsExpected",
    "TlsFailed",
    "TokenEndpointFaulty",
    "TokenEndpointUnknown",
    "TokenEndpointUnreachable",
    "TokenEndpointUntrusted",
    "TokenFailed",
    "TokenThrottled",
    "TooLarge",
    "Truncated",
    "UnknownAuthority",
    "Unreachable",
    "WrongHostName",
    "WrongResource",
]
