"""Every way this programme can fail, as one tree.

    ExporterError
    ├── ConfigurationError      the operator's flags, variables or file are at fault (exit 2)
    ├── ServerError             a FHIR server, or what stands before it, is at fault
    │   ├── Unreachable         no connection
    │   ├── TimedOut            no whole answer within the time allowed
    │   ├── TlsFailed           no trusted encrypted connection
    │   ├── AuthFailed          401, 403, or no credentials to send
    │   ├── Throttled           429, or 503 with Retry-After; carries how long to wait
    │   │   └── CountThrottled  the count for a progress bar was throttled, which is not needed
    │   ├── ClientFault         another 4xx: the server refuses what we ask
    │   ├── ServerFault         5xx
    │   ├── Redirected          3xx, which we never follow
    │   ├── NotFhir             an answer that is no FHIR JSON
    │   ├── Truncated           an answer that ends before its end
    │   ├── TooLarge            an answer past the size we accept
    │   ├── WrongResource       FHIR, but not the resource that was asked for
    │   ├── NothingThere        no Task at all where there were some: a lost right looks like that
    │   ├── CursorExpired       410 on a page link
    │   ├── LinkRefused         a page link that leads away from the server's own base
    │   ├── LinkCycle           page links without end
    │   └── Cached              an old answer to a first page, in spite of no-cache
    ├── LedgerError             the ledger cannot be used
    │   ├── LedgerInUse         another process holds it
    │   ├── LedgerForeign       it belongs to another source, or is no ledger
    │   ├── LedgerDamaged       the file was a ledger, and cannot be read any more
    │   ├── LedgerTooNew        a later version of this programme wrote it
    │   └── LedgerFailed        the disk or the file failed while running
    └── AddressUnusable         we cannot listen where we were told to

Each class says why (`reason`, a closed word that becomes a label) and what to do (`remedy`).
A message holds our own words only: never a URL with a query, a body, a header or an identifier.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorReason(StrEnum):
    """The closed vocabulary of the label `reason` of `fhir_task_exporter_errors_total`."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    AUTH = "auth"
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
    """The root: `str()` is a sentence for a person, `remedy` says what to do next."""

    reason: ClassVar[ErrorReason] = ErrorReason.INTERNAL
    remedy: ClassVar[str] = "Please report this, with the log line, to the project."


class ConfigurationError(ExporterError):
    """All faults of a configuration at once, one line each, each with its source."""

    remedy: ClassVar[str] = "Fix the options listed above; docs/configuration.md describes every option."

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ServerError(ExporterError):
    """The FHIR server, or something between it and us, did not do what a search needs."""


class Unreachable(ServerError):
    """No connection could be made, or it broke before an answer."""

    reason = ErrorReason.UNREACHABLE
    remedy = "Check the host and port of --fhir.url, DNS, and the firewall between."


class TimedOut(ServerError):
    """The answer was not whole within `--fhir.timeout` or `--poll.timeout`."""

    reason = ErrorReason.TIMEOUT
    remedy = "Look at the load of the FHIR server; if it is only slow, raise --fhir.timeout, or --poll.timeout."


class TlsFailed(ServerError):
    """The certificate is not trusted, does not fit the name, or TLS could not be agreed."""

    reason = ErrorReason.TLS
    remedy = "Give the private authority in --fhir.ca-file; check the certificate's name and dates."


class AuthFailed(ServerError):
    """The server refused our credentials, or they could not be read."""

    reason = ErrorReason.AUTH
    remedy = "Check the credentials and that they may read Task and Organization (FHIR_READ_ALL_OF_TYPE)."


class Throttled(ServerError):
    """The server asks us to wait. `wait` is in seconds, already capped; None when it did not say."""

    reason = ErrorReason.THROTTLED
    remedy = "Nothing at once: we wait as asked. If it lasts, allow this client more requests."

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class CountThrottled(Throttled):
    """The same for a count that only shows progress: the walk waits, and goes on without counts."""


class ClientFault(ServerError):
    """A 4xx that is neither authentication nor throttling; `status` is the HTTP status."""

    reason = ErrorReason.CLIENT_ERROR
    remedy = "Check that --fhir.url is the FHIR base, and --fhir.search for parameters it does not know."

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ServerFault(ServerError):
    """A 5xx."""

    reason = ErrorReason.SERVER_ERROR
    remedy = "Look into the log of the FHIR server at the time of this message."


class Redirected(ServerError):
    """A 3xx. Following it could carry credentials to another host."""

    reason = ErrorReason.REDIRECT
    remedy = "Set --fhir.url to the address that the server redirects to, if you trust it."


class NotFhir(ServerError):
    """HTML, an empty body, broken JSON, another content type or encoding."""

    reason = ErrorReason.NOT_FHIR
    remedy = "A login page or a proxy may stand at --fhir.url; open it by hand."


class Truncated(ServerError):
    """The body ended early."""

    reason = ErrorReason.TRUNCATED
    remedy = "Look for a proxy that cuts long answers; a smaller --fhir.page-size may help."


class TooLarge(ServerError):
    """The body, or what it inflates to, is past the cap."""

    reason = ErrorReason.TOO_LARGE
    remedy = "Lower --fhir.page-size."


class WrongResource(ServerError):
    """FHIR, but no searchset Bundle (or no Organization) where one was asked for."""

    reason = ErrorReason.WRONG_RESOURCE
    remedy = "Check that --fhir.url is the FHIR base and not below it."


class NothingThere(ServerError):
    """Searches find no Task at all, and reads do not say that they were deleted."""

    reason = ErrorReason.WRONG_RESOURCE
    remedy = "Check that the exporter may still read Task. No Task is counted as vanished until the server shows one."


class CursorExpired(ServerError):
    """The server has forgotten the search that a page link belongs to (HAPI-0417)."""

    reason = ErrorReason.CURSOR_EXPIRED
    remedy = "Nothing: the walk goes on from its last committed page."


class LinkRefused(ServerError):
    """A page link to another scheme, host, port or path than the base."""

    reason = ErrorReason.LINK_REFUSED
    remedy = "Correct the server's fixed base URL; or, if a proxy rewrites it, set --fhir.rewrite-links."


class LinkCycle(ServerError):
    """Page links that come back, or do not end."""

    reason = ErrorReason.LINK_CYCLE
    remedy = "Look for a cache or proxy before the server that answers a page with another."


class Cached(ServerError):
    """The first page came from a cache, so it may be old."""

    reason = ErrorReason.CACHED
    remedy = "Let Cache-Control: no-cache through to the FHIR server, or switch its result cache off."


class LedgerError(ExporterError):
    """The ledger cannot be opened, read or written."""

    reason = ErrorReason.LEDGER
    remedy = "Check the path of --ledger, its permissions and the free space of its disk."


class LedgerInUse(LedgerError):
    """Another process has the ledger open."""

    remedy = "Stop the other exporter, or give this one a ledger of its own."


class LedgerForeign(LedgerError):
    """The file is no ledger, lost its tables, or was made for another server or selection."""

    remedy = "Give this source a ledger of its own with --ledger; or move the old file away to start with an empty one."


class LedgerTooNew(LedgerError):
    """The ledger's schema is newer than this programme."""

    remedy = "Install the version that wrote it, or a later one."


class LedgerDamaged(LedgerError):
    """The file was a ledger, and cannot be read any more; opening it sets it aside."""

    remedy = "Check the disk. serve will set the file aside and make a new one, with counters that start at 0."


class LedgerFailed(LedgerError):
    """Reading or writing failed while running: disk full, I/O error, damage."""


class AddressUnusable(ExporterError):
    """We cannot listen where we were told to."""

    remedy = "Stop what already listens there, or set --web.listen-address to an address of this machine."
