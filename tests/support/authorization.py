"""A simulated authorization server, which verifies what it is sent, and a FHIR server that takes its tokens."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from exporter.demo.store import Store

from . import fake

TOKEN_URL = "https://auth.fhir.example/oauth2/token"
CLIENT = "exporter client"
SECRET = "CanarySecret+5%: up"
KEY_ID = "canary-key-1"
TOKEN = "CanaryAccess"
WORDS = "CanaryWords666"
"""What the server says beside its error code."""

Answer = Callable[[httpx.Request], httpx.Response]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def new_key(kind: str, number: int = 0) -> PrivateKey:
    """Make a private key, once: `RSA-2048`, `P-384` and their like. `number` tells keys of a kind apart."""
    if kind.startswith("RSA-"):
        return rsa.generate_private_key(65537, int(kind[4:]))
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[kind])


def pem(key: PrivateKey, password: bytes | None = None) -> str:
    """Write a key as PKCS #8."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, encryption).decode()


def jwk(key: PrivateKey, **members: str) -> dict[str, Any]:
    """Write a private key as a JWK."""
    found: dict[str, Any]
    if isinstance(key, rsa.RSAPrivateKey):
        found = RSAAlgorithm.to_jwk(key, as_dict=True)
    else:
        found = ECAlgorithm.to_jwk(key, as_dict=True)
    found.pop("key_ops", None)
    return found | members


@dataclass
class AuthorizationServer:
    """Gives tokens to one client, by its secret or by its key, and keeps what it was asked and why it refused."""

    clock: fake.HandClock
    secret: str | None = None
    key: PrivateKey | None = None
    url: str = TOKEN_URL
    audience: str = TOKEN_URL
    jwt_type: str = "JWT"
    ahead_seconds: float = 0
    """How far its clock is ahead of everyone else's."""
    members: dict[str, Any] = field(default_factory=lambda: {"expires_in": 300})
    """What its answers hold beside the token and its type."""
    answer: Answer | None = None
    """Answers instead."""
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[httpx.Headers] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    @property
    def now(self) -> float:
        return self.clock.at / 1000 + self.ahead_seconds

    def handle(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.asked.append(form)
        self.headers.append(request.headers)
        if self.answer is not None:
            return self.answer(request)
        why = self._judge(request, form)
        if why:
            self.refused.append(why)
            return self.reply(401, {"error": "invalid_client", "error_description": WORDS})
        token = f"{TOKEN}-{len(self.asked)}"
        self.valid.add(token)
        return self.reply(200, {"access_token": token, "token_type": "bearer", **self.members})

    def reply(self, status: int, body: object, **headers: str) -> httpx.Response:
        """Answer with JSON, and the time."""
        date = {"Date": formatdate(int(self.now), usegmt=True), "Content-Type": "application/json"}
        return httpx.Response(status, headers={**date, **headers}, stream=httpx.ByteStream(json.dumps(body).encode()))

    def _judge(self, request: httpx.Request, form: dict[str, str]) -> str:
        if request.method != "POST" or form.get("grant_type") != "client_credentials":
            return "request"
        if self.key is not None:
            return self._judge_assertion(self.key, form)
        if request.headers.get("authorization", "").startswith("Basic "):
            name, _, secret = httpx_basic(request).partition(":")
            given = (unquote_plus(name), unquote_plus(secret))
        else:
            given = (form.get("client_id", ""), form.get("client_secret", ""))
        return "" if given == (CLIENT, self.secret) else "secret"

    def _judge_assertion(self, key: PrivateKey, form: dict[str, str]) -> str:
        if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            return "assertion type"
        if "client_secret" in form or "authorization" in form:
            return "secret beside an assertion"
        assertion = form.get("client_assertion", "")
        algorithm = "RS384" if isinstance(key, rsa.RSAPrivateKey) else "ES384"
        options: Any = {"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "aud", "exp", "jti", "iat"]}
        try:
            found = jwt.decode(
                assertion, key.public_key(), [algorithm], audience=self.audience, issuer=CLIENT, options=options
            )
        except jwt.InvalidTokenError as error:
            return type(error).__name__
        return self._judge_claims(jwt.get_unverified_header(assertion), found)

    def _judge_claims(self, head: dict[str, Any], claims: dict[str, Any]) -> str:
        jti, exp = claims["jti"], claims["exp"]
        fresh = jti not in self._seen
        self._seen.add(jti)
        faults = {
            "kid": head.get("kid") != KEY_ID,
            "typ": head.get("typ") != self.jwt_type,
            "sub": claims["sub"] != CLIENT,
            "aud": claims["aud"] != self.audience,
            "jti": not fresh or len(jti) < 16,
            "expired": exp <= self.now,
            "lives too long": exp > self.now + 300,
            "from the future": claims["iat"] > self.now,
        }
        return ", ".join(name for name, is_so in faults.items() if is_so)


def httpx_basic(request: httpx.Request) -> str:
    """Decode the user and password of a request."""
    return base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()


class ProtectedServer(fake.RecordingTransport):
    """The simulated FHIR server, which answers 401 without a token of the authorization server."""

    def __init__(self, source: Store | fake.Answer, authorization: AuthorizationServer) -> None:
        super().__init__(fake.honest(source) if isinstance(source, Store) else source)
        self.authorization = authorization
        self.names: object = {"token_endpoint": authorization.url}
        """What its smart-configuration holds; None: it has none."""
        self.openid: object = None
        """What its openid-configuration holds; None: it has none."""
        self.discoveries: list[str] = []
        self.token_requests: list[httpx.Request] = []

    def _respond(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).partition("?")[0] == self.authorization.url.partition("?")[0]:
            self.token_requests.append(request)
            return self.authorization.handle(request)
        if "/.well-known/" in request.url.path:
            assert "authorization" not in request.headers
            self.discoveries.append(request.url.path)
            named = self.names if request.url.path.endswith("smart-configuration") else self.openid
            return self.authorization.reply(404 if named is None else 200, named)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.authorization.valid:
            return self.authorization.reply(401, {"resourceType": "OperationOutcome"})
        return super()._respond(request)


def write_secret(folder: Path, text: str, name: str = "secret") -> str:
    """Write a secret to a file that only we can read; returns its path."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)
