"""The steps that `check` walks, and at which of them an error stops it. Nothing here sends anything.

Rule: `check` makes no connection beside the client's. The class of the first search's error tells which step failed,
and up to which one everything is proven to work.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from ..config import FhirSettings
from ..errors import (
    AuthFailed,
    ConnectionReset,
    ConnectRefused,
    Forbidden,
    NameNotFound,
    ServerError,
    TimedOut,
    TlsFailed,
    Unreachable,
)
from ..fhir.links import BaseUrl
from . import rights
from .findings import Finding, fail, failed, info, ok, warn


class Step(StrEnum):
    """What is tested, in this order."""

    CONFIGURATION = "configuration"
    LEDGER = "ledger"
    TOKEN = "token"  # noqa: S105 - the name of a step
    NAME = "name"
    CONNECT = "connect"
    TLS = "TLS"
    AUTHENTICATION = "authentication"
    TASK = "Task"
    ORGANIZATION = "Organization"
    SEARCH_PARAMETERS = "search parameters"


class Stop(NamedTuple):
    """The step that failed, and the last one that is proven to work."""

    at: Step
    proven: Step


STOPS: tuple[tuple[type[ServerError], Stop], ...] = (
    (NameNotFound, Stop(Step.NAME, Step.LEDGER)),
    (ConnectRefused, Stop(Step.CONNECT, Step.NAME)),
    (ConnectionReset, Stop(Step.CONNECT, Step.NAME)),
    (Unreachable, Stop(Step.CONNECT, Step.LEDGER)),
    (TimedOut, Stop(Step.CONNECT, Step.LEDGER)),
    (TlsFailed, Stop(Step.TLS, Step.CONNECT)),
    (Forbidden, Stop(Step.TASK, Step.AUTHENTICATION)),
    (AuthFailed, Stop(Step.AUTHENTICATION, Step.TLS)),
    (ServerError, Stop(Step.TASK, Step.TLS)),
)
"""The first row whose class fits. A time limit may pass while the name is looked up, so it proves nothing; the last row
is any other answer, which does not prove that the credentials are good."""


def stop_at(error: ServerError) -> Stop:
    """Judge the error of the first search."""
    return next(stop for kind, stop in STOPS if isinstance(error, kind))


NOT_ACCEPTED = (
    "The token endpoint gave a token, but the FHIR server accepts none from there: let it trust this authorization "
    "server, and check that --fhir.oauth2.token-url belongs to it and that --fhir.oauth2.scope is enough."
)


def until(last: Step) -> list[Step]:
    """List the steps up to this one."""
    order = list(Step)
    return order[: order.index(last) + 1]


def passed(fhir: FhirSettings, home: BaseUrl, proven: Step) -> Iterator[Finding]:
    """Report the steps on the way to the server that are proven to work."""
    lines = {
        Step.NAME: _named(home.host),
        Step.CONNECT: ok(f"connect: {home.address} answers"),
        Step.TLS: _encrypted(fhir, home),
        Step.AUTHENTICATION: _authenticated(fhir),
    }
    yield from (lines[step] for step in until(proven) if step in lines)


def stopped(fhir: FhirSettings, home: BaseUrl, error: ServerError) -> Finding:
    """Report the step that failed, and what was tried there."""
    stop = stop_at(error)
    if isinstance(error, Forbidden):
        return rights.refused(rights.TASK, error)
    if stop.at is Step.TLS and home.scheme == "https":
        return fail(f"TLS: {error} Certificates are checked against {_authorities(fhir)}.", error.remedy)
    if stop.at is Step.AUTHENTICATION and fhir.oauth2.client_id:
        return fail(f"authentication: {error} The access token is not accepted.", NOT_ACCEPTED)
    if stop.at is Step.AUTHENTICATION and not _credentials(fhir):
        remedy = "Set --fhir.username and --fhir.password-file, --fhir.bearer-token-file, or the options --fhir.oauth2."
        return fail(f"authentication: {error} No credentials are configured.", remedy)
    return failed(stop.at, error)


def not_tested(at: Step, tested: Collection[Step]) -> Iterator[Finding]:
    """Name the steps that were not reached, in one line."""
    rest = ", ".join(step for step in Step if step not in tested)
    if rest:
        yield info(f"stopped at {at}; not tested: {rest}")


def _named(host: str) -> Finding:
    return ok(f"name: {host} is an address" if _address(host) else f"name: {host} was found")


def _encrypted(fhir: FhirSettings, home: BaseUrl) -> Finding:
    if home.scheme == "https":
        return ok(f"TLS: the certificate is trusted, by {_authorities(fhir)}")
    address = _address(home.host)
    if home.host == "localhost" or (address is not None and address.is_loopback):
        return ok("TLS: none (http); nothing is encrypted, and nothing leaves this machine")
    return warn(
        "TLS: none (http); nothing is encrypted, neither credentials nor Tasks", "Use https in --fhir.url if you can."
    )


def _authorities(fhir: FhirSettings) -> str:
    return f"the authorities in --fhir.ca-file {fhir.ca_file}" if fhir.ca_file else "the authorities of this system"


def _authenticated(fhir: FhirSettings) -> Finding:
    credentials = _credentials(fhir)
    return ok(
        f"authentication: {credentials} not refused" if credentials else "authentication: none is configured or needed"
    )


def _credentials(fhir: FhirSettings) -> str:
    """Name what is sent; empty where nothing is."""
    kinds = (
        ("basic authentication", fhir.username),
        ("bearer token", fhir.bearer_token_file),
        ("access token", fhir.oauth2.client_id),
        ("client certificate", fhir.client_cert_file),
    )
    return " and ".join(kind for kind, is_set in kinds if is_set)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None
