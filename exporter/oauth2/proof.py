"""How the exporter shows which client it is: by a secret (RFC 6749, 2.3.1) or by a signed assertion (RFC 7523).

The secret and the key are read from files, and again when those change.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote_plus

from ..config import OAuth2Settings
from ..errors import AssertionRefused, AuthFailed, ClientRefused, TokenFailed
from ..fhir.auth import SecretFile, basic
from ..logs import log_event
from ..signing import KeyUnusable, SigningKey, read_key
from ..task.model import Instant

logger = logging.getLogger(__name__)

ASSERTION_SECONDS = 240
"""SMART allows five minutes; the server's clock may be a little behind."""
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Proven:
    """What to add to a request for a token."""

    form: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Proof(Protocol):
    """A way to show which client asks."""

    refusal: type[TokenFailed]
    """What it means if it is not accepted."""

    @property
    def name(self) -> str:
        """What is sent, for people."""

    def make(self, endpoint: str, now: Instant) -> Proven:
        """Make a proof for one request, by the token endpoint's clock; raises AuthFailed."""

    def changed(self) -> bool:
        """Whether the file holds something else than what was used last."""


def make_proof(settings: OAuth2Settings) -> Proof | None:
    """Choose the proof for the options; None where there is no client. The options were found consistent."""
    if settings.client_id is None:
        return None
    if settings.private_key_file is not None:
        return SignedAssertion(settings.client_id, settings.private_key_file, settings)
    if settings.client_secret_file is not None:
        return ClientSecret(settings.client_id, settings.client_secret_file, settings.auth_method)
    return None


class ClientSecret:
    """A client id and a secret, in a header or in the form."""

    refusal: type[TokenFailed] = ClientRefused

    def __init__(self, client_id: str, path: str, method: str) -> None:
        self._client_id = client_id
        self._file = SecretFile(Path(path))
        self._method = method
        self._used: str | None = None

    @property
    def name(self) -> str:
        """Name the method, in RFC 7591's words."""
        return f"client_secret_{self._method}"

    def make(self, endpoint: str, now: Instant) -> Proven:  # noqa: ARG002 - a secret is the same for all
        """Return id and secret as they are now."""
        self._used = secret = self._file.read()
        if self._method == "post":
            return Proven({"client_id": self._client_id, "client_secret": secret})
        return Proven({}, basic(quote_plus(self._client_id), quote_plus(secret)))

    def changed(self) -> bool:
        """Whether there is another secret by now, which no request was made with."""
        before = self._used
        try:
            self._used = self._file.read()
        except AuthFailed:
            return False
        return before is not None and self._used != before


class SignedAssertion:
    """A JWT signed by the client's private key (`private_key_jwt`).

    After a rotation that went wrong the previous key stays in use: the server still knows it.
    """

    refusal: type[TokenFailed] = AssertionRefused

    def __init__(self, client_id: str, path: str, settings: OAuth2Settings) -> None:
        self._client_id = client_id
        self._path = path
        self._file = SecretFile(Path(path))
        self._key_id = settings.key_id
        self._audience = settings.audience
        self._jwt_type = settings.jwt_type
        self._key: SigningKey | None = None
        self._text = ""
        self._broken = False

    @property
    def name(self) -> str:
        """Name the method, and the algorithm once the key is known."""
        return "private_key_jwt" if self._key is None else f"private_key_jwt ({self._key.algorithm})"

    def make(self, endpoint: str, now: Instant) -> Proven:
        """Sign an assertion that no request before had."""
        issued = now // 1000
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._audience or endpoint,
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        assertion = self._current_key().sign(claims, self._jwt_type)
        return Proven({"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion})

    def changed(self) -> bool:
        """Whether there is another key by now."""
        before = self._key
        try:
            return self._current_key() is not before
        except AuthFailed:
            return False

    def _current_key(self) -> SigningKey:
        try:
            text = self._file.read()
            if text != self._text or self._key is None:
                self._text = text
                self._key = read_key(text, self._key_id)
                self._broken = False
        except (AuthFailed, KeyUnusable) as error:
            self._keep(error)
        if self._key is None:
            raise AuthFailed(f"The private key file {self._path} holds no key.")
        return self._key

    def _keep(self, error: AuthFailed | KeyUnusable) -> None:
        """Go on with the key in force, and say so once; raises AuthFailed where there is none."""
        said = str(error) if isinstance(error, AuthFailed) else f"The private key file {self._path}: {error}."
        if self._key is None:
            raise AuthFailed(said) from None
        if not self._broken:
            message = "the private key file cannot be used; the previous key stays in use"
            log_event(logger, logging.WARNING, message, error=said)
        self._broken = True
