"""The token endpoint: the one other server that credentials may go to, asked with the same limits as the FHIR server.

Its address is fixed by `--fhir.oauth2.token-url`, or the FHIR server names it, and then `domain` judges it. It is asked
for again only when the endpoint cannot be reached or is not one, never because it refuses a client.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from msgspec import Raw, Struct
from msgspec.json import Decoder

from ..config import FhirSettings
from ..errors import (
    ConfigurationError,
    LinkRefused,
    ServerError,
    ServerFault,
    Throttled,
    TimedOut,
    TlsFailed,
    TokenEndpointFaulty,
    TokenEndpointUnknown,
    TokenEndpointUnreachable,
    TokenEndpointUntrusted,
    TokenFailed,
    Unreachable,
)
from ..fhir.http import Api, Http, Reply
from ..fhir.http_status import error_for, is_json
from ..fhir.links import BaseUrl, parse_base_url, resolve
from ..metrics.vocabulary import Operation
from ..task.fhir_json import ABSENT, decode_or_none
from .domain import is_trusted

OPTION = "--fhir.oauth2.token-url"
ENDPOINT = Api(OPTION, "application/json", "JSON")
DISCOVERY = Api("--fhir.url", "application/json", "JSON")
WELL_KNOWN = (".well-known/smart-configuration", ".well-known/openid-configuration")
"""Below the FHIR base: SMART App Launch first, then OpenID Connect Discovery."""

_FAULTS: tuple[tuple[type[ServerError], type[TokenFailed]], ...] = (
    (Unreachable, TokenEndpointUnreachable),
    (TimedOut, TokenEndpointUnreachable),
    (TlsFailed, TokenEndpointUntrusted),
)


class _Configuration(Struct):
    token_endpoint: Raw = ABSENT


_CONFIGURATION = Decoder(_Configuration)
_TEXT = Decoder(str)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A token endpoint that may be asked. `url` is exactly as it was configured or named: SMART's audience."""

    url: str
    discovered: bool
    http: Http = field(repr=False)

    @property
    def host_and_port(self) -> str:
        """Where it is, for people."""
        return self.http.host_and_port


class TokenEndpoint:
    """Finds the token endpoint and asks it. `seconds` limits each of the two; `connect` makes a client of a server."""

    def __init__(self, settings: FhirSettings, connect: Callable[[str, Api], Http], seconds: float) -> None:
        self._base = settings.url
        self._connect = connect
        self._seconds = seconds
        fixed = settings.oauth2.token_url
        self._found = None if fixed is None else self._endpoint(fixed, discovered=False)

    def find(self) -> Endpoint:
        """Return the endpoint; discovers it where it is not known. Raises a ServerError."""
        if self._found is None:
            self._found = self._discover()
        return self._found

    def post(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        """Send a request for a token, each by a connection of its own; raises TokenFailed where no answer comes."""
        endpoint = self.find()
        try:
            with endpoint.http.session(self._seconds) as session:
                return session.post(endpoint.url, Operation.TOKEN, form, headers)
        except ServerError as error:
            self.forget()
            raise _translated(error, endpoint.host_and_port) from None
        finally:
            endpoint.http.close()

    def forget(self) -> None:
        """Ask the FHIR server again for the endpoint next time, if it was asked before."""
        if self._found is not None and self._found.discovered:
            self._found = None

    def _endpoint(self, url: str, *, discovered: bool) -> Endpoint:
        """Make an endpoint; raises ConfigurationError or LinkRefused for what is no address."""
        http = self._connect(url.partition("?")[0], ENDPOINT)
        resolve(http.base, url)
        return Endpoint(url, discovered, http)

    def _discover(self) -> Endpoint:
        http = self._connect(self._base, DISCOVERY)
        try:
            with http.session(self._seconds) as session:
                for path in WELL_KNOWN:
                    url = _token_endpoint(session.ask(path, Operation.TOKEN), http.host_and_port)
                    if url is not None:
                        return self._checked(url, parse_base_url(http.base))
        finally:
            http.close()
        raise TokenEndpointUnknown(
            f"{http.host_and_port} names no token endpoint, neither in {WELL_KNOWN[0]} nor in {WELL_KNOWN[1]}."
        )

    def _checked(self, url: str, home: BaseUrl) -> Endpoint:
        """Judge what the FHIR server named."""
        try:
            endpoint = self._endpoint(url, discovered=True)
        except (ConfigurationError, LinkRefused):
            raise TokenEndpointUnknown(f"{home.address} names a token endpoint whose address is malformed.") from None
        if not is_trusted(home, parse_base_url(endpoint.http.base)):
            raise TokenEndpointUnknown(
                f"{home.address} names a token endpoint that is not https, or not on its own host or domain; "
                "credentials are not sent there unless it is configured."
            )
        return endpoint


def _token_endpoint(reply: Reply, host_and_port: str) -> str | None:
    """Return what a configuration names; None where it is not there. Raises what a busy or broken server calls for."""
    if reply.status != HTTPStatus.OK:
        error = error_for(host_and_port, reply.status, reply.headers, Operation.TOKEN)
        if isinstance(error, Throttled | ServerFault):
            raise error
        return None
    found = decode_or_none(reply.body, _CONFIGURATION) if is_json(reply.headers) else None
    return None if found is None else decode_or_none(found.token_endpoint, _TEXT)


def _translated(error: ServerError, host_and_port: str) -> TokenFailed:
    """Say that it was the token endpoint, in the words of the fault."""
    kind = next((ours for theirs, ours in _FAULTS if isinstance(error, theirs)), TokenEndpointFaulty)
    return kind(f"The token endpoint {host_and_port} failed: {error}")
