"""Errors of the token endpoint."""

from .base import ErrorReason
from .server import AuthFailed, Throttled


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


class TokenThrottled(Throttled):
    """The token endpoint asks the client to wait."""

    reason = ErrorReason.TOKEN
    remedy = "No action needed: the exporter waits as asked. If it continues, raise the limit of the token endpoint."
