"""Each way in which a file is no key that can sign, and each way in which it is one."""

import json
from typing import Any

import jwt
import pytest

from exporter.signing import KeyUnusable, SigningKey, read_key

from ..support.authorization import jwk, new_key, pem

RSA, EC = new_key("RSA-2048"), new_key("P-384")
CLAIMS = {"sub": "me"}


def public_pem() -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def traditional(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    text: str = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return text


def traditional_encrypted() -> str:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    form = PrivateFormat.TraditionalOpenSSL
    return RSA.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"word")).decode()


def openssh() -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return EC.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def ed25519() -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return pem(Ed25519PrivateKey.generate())  # type: ignore[arg-type] # a key that is none of ours


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"

GOOD: dict[str, tuple[str, str | None, str]] = {
    "RSA": (pem(RSA), "id", "RS384"),
    "EC": (pem(EC), "id", "ES384"),
    "traditional RSA": (traditional(RSA), "id", "RS384"),
    "traditional EC with its parameters": (PARAMETERS + traditional(EC), "id", "ES384"),
    "a certificate before it": (CERTIFICATE + pem(RSA), "id", "RS384"),
    "RSA JWK without alg": (json.dumps(jwk(RSA)), "id", "RS384"),
    "EC JWK without alg": (json.dumps(jwk(EC)), "id", "ES384"),
    "JWK with its own id": (json.dumps(jwk(EC, kid="id", alg="ES384")), None, "ES384"),
    "JWKS with one key": (json.dumps({"keys": [jwk(EC, kid="id")]}), None, "ES384"),
    "JWKS with several": (json.dumps({"keys": [jwk(RSA, kid="other"), jwk(EC, kid="id")]}), "id", "ES384"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_key_signs_with_the_algorithm_of_its_type(name: str) -> None:
    text, key_id, algorithm = GOOD[name]
    key = read_key(text, key_id)
    signed = key.sign(CLAIMS, "JWT")
    assert jwt.get_unverified_header(signed) == {"alg": algorithm, "kid": "id", "typ": "JWT"}
    public = (RSA if algorithm == "RS384" else EC).public_key()
    assert jwt.decode(signed, public, algorithms=[algorithm]) == CLAIMS


BAD: dict[str, tuple[str, str | None, str]] = {
    "empty": ("", "id", "is not a private key in PEM, nor a JWK"),
    "a text": ("password", "id", "is not a private key"),
    "encrypted": (pem(RSA, b"word"), "id", "encrypted"),
    "encrypted the old way": (traditional_encrypted(), "id", "encrypted"),
    "cut": (pem(RSA)[:800], "id", "cut off"),
    "cut inside": (pem(RSA)[:400] + pem(RSA)[600:], "id", "damaged"),
    "public": (public_pem(), "id", "public key"),
    "a certificate": (CERTIFICATE, "id", "certificate"),
    "OpenSSH": (openssh(), "id", "ssh-keygen"),
    "Ed25519": (ed25519(), "id", "neither RSA nor EC"),
    "short RSA": (pem(new_key("RSA-1024")), "id", "2048"),
    "P-256": (pem(new_key("P-256")), "id", "P-384"),
    "P-521": (pem(new_key("P-521")), "id", "P-384"),
    "PEM without an id": (pem(RSA), None, "--fhir.oauth2.key-id"),
    "JWK without an id": (json.dumps(jwk(RSA)), None, "--fhir.oauth2.key-id"),
    "JWK with a number for an id": (json.dumps(jwk(RSA) | {"kid": 7}), None, "--fhir.oauth2.key-id"),
    "JWK with another id": (json.dumps(jwk(RSA, kid="other")), "id", "kid"),
    "public JWK": (
        json.dumps({k: v for k, v in jwk(RSA, kid="id").items() if k in {"kty", "n", "e", "kid"}}),
        None,
        "public JWK",
    ),
    "JWK of RS256": (json.dumps(jwk(RSA, alg="RS256")), "id", "RS384"),
    "JWK of the other algorithm": (json.dumps(jwk(EC, alg="RS384")), "id", "ES384"),
    "JWK of P-256": (json.dumps(jwk(new_key("P-256"))), "id", "P-384"),
    "JWK of a short RSA": (json.dumps(jwk(new_key("RSA-1024"))), "id", "2048"),
    "symmetric JWK": (json.dumps({"kty": "oct", "k": "abc"}), "id", "RSA or EC"),
    "JWK without a type": (json.dumps({"d": "abc"}), "id", "RSA or EC"),
    "JWK of nothing": (json.dumps({"kty": "RSA", "d": "abc"}), "id", "damaged"),
    "JWK of numbers": (json.dumps(jwk(EC) | {"x": 5}), "id", "damaged"),
    "JWK of bad base64": (json.dumps(jwk(RSA) | {"n": "%%%"}), "id", "damaged"),
    "JWK cut": (json.dumps(jwk(RSA))[:100], "id", "cut off"),
    "JWKS of several": (json.dumps({"keys": [jwk(RSA, kid="a"), jwk(EC, kid="b")]}), None, "several"),
    "JWKS without this one": (json.dumps({"keys": [jwk(RSA, kid="a"), jwk(EC, kid="b")]}), "id", "kid"),
    "JWKS without any": (json.dumps({"keys": []}), "id", "without a key"),
    "JWKS of texts": (json.dumps({"keys": ["x"]}), "id", "JWKS"),
    "a list": ("[]", "id", "JWKS"),
    "deep": ('{"a":' + "[" * 99999, "id", "JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_key_is_refused_in_words_that_say_what_it_is(name: str) -> None:
    text, key_id, said = BAD[name]
    with pytest.raises(KeyUnusable) as raised:
        read_key(text, key_id)
    assert said in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert not any(word in str(raised.value) for word in text.split() if len(word) > 20)


def test_no_repr_shows_a_key() -> None:
    key = read_key(pem(EC), "id")
    assert repr(key) == "SigningKey(algorithm=<Algorithm.ES384: 'ES384'>, key_id='id')"
    assert isinstance(key, SigningKey)
