"""The private key of an OAuth2 client: from the text of its file to a key that signs. Nothing here reads a file.

Rule 1: what a key must be is checked here and not left to PyJWT, whose errors speak of other things: it calls a cut
private key a public one, fails with an AttributeError at the first signature of a public JWK, only warns of RSA keys
of 1024 bits, and takes a JWK without `alg` for RS256.
Rule 2: no sentence repeats anything of the file.

It is no part of `oauth2`, because `config` reads the key too: a wrong one is a problem of the configuration.

PyJWT and cryptography are imported when a key is read: they cost 10 MB of memory, which only their users pay.

See docs/authentication.md.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SHORTEST_RSA = 2048
"""Bits: RFC 7518, 3.3."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_CURVE = "secp384r1"


class Algorithm(StrEnum):
    """The two algorithms of SMART Backend Services."""

    RS384 = "RS384"
    ES384 = "ES384"


class KeyUnusable(ValueError):
    """The text is not a key that can sign; the message says what it is, and what is needed."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that was found fit, its algorithm, and the key id under which the server knows its public half."""

    algorithm: Algorithm
    key_id: str
    _key: "RSAPrivateKey | EllipticCurvePrivateKey" = field(repr=False)

    def sign(self, claims: Mapping[str, object], jwt_type: str) -> str:
        """Write a JWT with these claims; its header names the key and the type."""
        import jwt

        headers = {"kid": self.key_id, "typ": jwt_type}
        return jwt.encode(dict(claims), self._key, self.algorithm.value, headers)


def read_key(text: str, key_id: str | None) -> SigningKey:
    """Read a PEM, a JWK, or a JWKS, from which `key_id` chooses; raises KeyUnusable."""
    if text.lstrip().startswith(("{", "[")):
        found = _chosen(_json(text), key_id)
        name = found.get("kid", key_id)
        key = _from_jwk(found)
    else:
        name, key = key_id, _from_pem(text)
    algorithm = _algorithm(key)
    if not isinstance(name, str) or not name:
        raise KeyUnusable("has no key id (kid); set --fhir.oauth2.key-id to the id under which the key is registered")
    return SigningKey(algorithm, name, key)


def _from_pem(text: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    block = _BLOCK.search(text)
    if block is None:
        raise KeyUnusable(_what_it_is(text))
    if block[1].startswith("ENCRYPTED") or "ENCRYPTED" in block[0]:
        raise KeyUnusable("key is encrypted with a password; write it without one, in a file that only we can read")
    if block[1].startswith("OPENSSH"):
        raise KeyUnusable("key is in the format of OpenSSH; convert it with ssh-keygen -p -m PKCS8")
    try:
        return load_pem_private_key(block[0].encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable("private key is damaged, or of a kind that is not supported") from None


def _what_it_is(text: str) -> str:
    """Say what a text without a complete private key is."""
    if re.search(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----", text):
        return "private key is cut off: its END line is missing"
    if "-----BEGIN CERTIFICATE-----" in text:
        return "is a certificate; the private key is needed"
    if re.search(r"-----BEGIN [A-Z ]*PUBLIC KEY-----", text):
        return "is a public key; the private key is needed"
    return "is not a private key in PEM, nor a JWK"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise KeyUnusable("is not a JWK: it is cut off, or no JSON") from None


def _chosen(document: Any, key_id: str | None) -> Mapping[str, Any]:
    """Return the only key of a document, or the one of this id."""
    keys = document.get("keys", [document]) if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
        raise KeyUnusable("is neither a JWK nor a JWKS")
    return _one_of(keys, key_id)


def _one_of(keys: Sequence[Mapping[str, Any]], key_id: str | None) -> Mapping[str, Any]:
    if not keys:
        raise KeyUnusable("is a JWKS without a key")
    if len(keys) > 1 and key_id is None:
        raise KeyUnusable("is a JWKS of several keys; set --fhir.oauth2.key-id to the kid of one of them")
    fitting = [each for each in keys if key_id is None or each.get("kid", key_id) == key_id]
    if len(fitting) != 1:
        raise KeyUnusable("has no key, or more than one, whose kid is that of --fhir.oauth2.key-id")
    return fitting[0]


def _from_jwk(found: Mapping[str, Any]) -> Any:
    from jwt import PyJWTError
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm

    makers = {"RSA": RSAAlgorithm.from_jwk, "EC": ECAlgorithm.from_jwk}
    kind = found.get("kty")
    if kind not in ("RSA", "EC"):
        raise KeyUnusable("is a JWK of another type than RSA or EC")
    if "d" not in found:
        raise KeyUnusable("is a public JWK; the private one, with the member d, is needed")
    try:
        key = makers[kind](dict(found))
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        raise KeyUnusable("private JWK is damaged, or of a curve that is not supported") from None
    algorithm = _algorithm(key)
    if found.get("alg", algorithm.value) != algorithm.value:
        raise KeyUnusable(f"is a JWK whose alg is not {algorithm}, the algorithm of SMART for a key of its type")
    return key


def _algorithm(key: Any) -> Algorithm:
    """Return the algorithm that a key is for; raises KeyUnusable where it is for none of ours."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key, RSAPrivateKey):
        if key.key_size < SHORTEST_RSA:
            raise KeyUnusable(f"RSA key is too short; RS384 needs at least {SHORTEST_RSA} bits")
        return Algorithm.RS384
    if isinstance(key, EllipticCurvePrivateKey):
        if key.curve.name != _CURVE:
            raise KeyUnusable("key is of another elliptic curve; ES384 needs P-384 (secp384r1)")
        return Algorithm.ES384
    raise KeyUnusable("key is neither RSA nor EC; RS384 needs RSA, ES384 an EC key of the curve P-384")
