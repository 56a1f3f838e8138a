"""Target: what a token endpoint answers, what a FHIR server says of it, and the file with the client's private key.

An input is a line with a status and a Content-Type, then a body; the body is read as a key, too.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from exporter.errors import AssertionRefused, LinkRefused, TokenFailed, TokenThrottled
from exporter.fhir.http import Reply
from exporter.fhir.links import parse_base_url
from exporter.oauth2.answer import Grant, read_grant
from exporter.oauth2.domain import is_trusted
from exporter.signing import KeyUnusable, read_key

from .rules import demand, demand_silence

LONGEST_SECONDS = 86_400
HOME = parse_base_url("https://cdr.example.org/fhir")
_HEADER = re.compile(r"[!-~]+")


def check(data: bytes) -> None:
    """Read an answer, then its body as a key, then its words as addresses."""
    first, _, body = data.partition(b"\n")
    number, _, kind = first.decode("latin-1").partition(" ")
    status = int(number) if re.fullmatch("[1-5][0-9]{2}", number) else 200
    values = [text.decode("utf-8", "replace") for text in re.findall(rb'"([^"\\]{8,})"', body)]
    headers = {"content-type": kind or "application/json", "retry-after": kind}
    try:
        grant = read_grant(Reply(status, body, headers=headers), "auth.example.org:443", AssertionRefused)
    except (TokenFailed, TokenThrottled) as error:
        demand_silence(error, values)
    else:
        _check_grant(grant)
    text = body.decode("utf-8", "replace")
    for key_id in (None, "key-1"):
        _check_key(text, key_id, values)
    for value in values:
        _check_endpoint(value)


def _check_grant(grant: Grant) -> None:
    demand(_HEADER.fullmatch(grant.token), "a token fits into a header")
    demand(math.isfinite(grant.seconds) and 0 < grant.seconds <= LONGEST_SECONDS, "a token lives for a while")
    demand(0 < grant.renew_after_seconds <= max(grant.seconds, 1), "a token is renewed before its end")
    demand(repr(grant) == repr(replace(grant, token="another")), "a token is in no repr")


def _check_key(text: str, key_id: str | None, values: list[str]) -> None:
    try:
        key = read_key(text, key_id)
    except KeyUnusable as unusable:
        demand_silence(unusable, [*values, *text.split("\n")])
        return
    demand(key.key_id, "a key has an id")
    demand(key.sign({"iss": "a"}, "JWT").count(".") == 2, "a key signs")


def _check_endpoint(address: str) -> None:
    """No address that is trusted is plain HTTP, nor on another domain."""
    try:
        found = parse_base_url(address.partition("?")[0])
    except LinkRefused:
        return
    if is_trusted(HOME, found):
        demand(found.scheme == "https", "credentials are sent over TLS")
        host = found.host.removesuffix(".")  # the root of DNS: the same domain
        demand(host == "example.org" or host.endswith(".example.org"), "credentials stay in the domain")


def dictionary() -> Iterator[str]:
    """Words that the mutator puts in."""
    yield from (
        "access_token",
        "token_type",
        "Bearer",
        "expires_in",
        "scope",
        "error",
        "invalid_client",
        "invalid_scope",
    )
    yield from ("invalid_grant", "invalid_request", "server_error", "application/json", "200 ", "400 ", "401 ", "503 ")
    yield from (
        "kty",
        "crv",
        "P-384",
        "P-256",
        "RSA",
        "EC",
        "OKP",
        "keys",
        "kid",
        "alg",
        "ES384",
        "RS384",
        '"d":"',
        '"n":"',
    )
    yield from ("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN EC PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n")
    yield from ("ENCRYPTED", "CERTIFICATE", "OPENSSH", "https://auth.example.org/token", "example.org.", "@", "127.1")


def seeds() -> Iterator[bytes]:
    """Answers and keys; the keys are made of small numbers, and worth nothing."""
    grant = b'{"access_token":"abc.def","token_type":"Bearer","expires_in":300,"scope":"system/Task.read"}'
    yield b"200 application/json\n" + grant
    yield b"200 text/html\n" + grant
    yield b"200 \n" + grant.replace(b"300", b'"60"').replace(b"Bearer", b"mac")
    for code in ("invalid_client", "invalid_scope", "unauthorized_client", "temporarily_unavailable", "own_word"):
        yield f'400 application/json\n{{"error":"{code}","error_description":"Patient 12345678"}}'.encode()
    yield b"200 \n" + grant.replace(b"300", b"1e9")
    yield b"200 \n" + grant.replace(b"abc.def", b"abc def")
    yield b"429 120\n"
    yield b"302 text/html\n"
    yield b'200 \n{"token_endpoint":"https://auth.example.org/token?a=b","other":"https://example.com/token"}'
    for curve in (ec.SECP384R1(), ec.SECP256R1()):
        key = ec.derive_private_key(12_345, curve)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        jwk = {**json.loads(ECAlgorithm.to_jwk(key)), "kid": "key-1"}
        yield b"200 \n" + pem
        yield f"200 \n{json.dumps(jwk)}".encode()
        yield f"200 \n{json.dumps({'keys': [jwk, {**jwk, 'kid': 'key-2'}]})}".encode()
    yield b'200 \n{"kty":"RSA","kid":"key-1","alg":"RS384","n":"yw","e":"AQAB","d":"AQ"}'
    yield b"200 \n-----BEGIN PRIVATE KEY-----\nYQ==\n"
    yield b"200 \n-----BEGIN PUBLIC KEY-----\nYQ==\n-----END PUBLIC KEY-----\n"
