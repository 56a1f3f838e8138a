"""The root of the tree, its reasons, and errors of the configuration and of our own port."""

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
