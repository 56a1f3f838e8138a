"""What a token endpoint's answer means, and that none of its words is repeated."""

import json
from typing import Any

import pytest

from exporter.errors import (
    AssertionRefused,
    ClientRefused,
    ErrorReason,
    GrantRefused,
    ScopeRefused,
    ServerError,
    TokenEndpointFaulty,
    TokenFailed,
    TokenThrottled,
)
from exporter.fhir.http import Reply
from exporter.oauth2.answer import ASSUMED_SECONDS, LONGEST_SECONDS, Grant, read_grant

CANARY = "CanaryWords17"
JSON = {"content-type": "application/json;charset=UTF-8"}
GOOD = {"access_token": "abc", "token_type": "Bearer", "expires_in": 300}


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, data, headers=JSON | {name.replace("_", "-"): value for name, value in headers.items()})


def read(body: object, status: int = 200, **headers: str) -> Grant:
    return read_grant(reply(body, status, **headers), "auth:443", ClientRefused)


def refusal(body: object, status: int = 400, kind: type[TokenFailed] = ClientRefused, **headers: str) -> ServerError:
    with pytest.raises(ServerError) as raised:
        read_grant(reply(body, status, **headers), "auth:443", kind)
    assert CANARY not in f"{raised.value!r}{raised.value}{vars(raised.value)}"
    assert raised.value.reason is ErrorReason.TOKEN
    assert "auth:443" in str(raised.value)
    return raised.value


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_is_one_in_any_case(kind: str) -> None:
    assert read(GOOD | {"token_type": kind}) == Grant("abc", 300.0, None)


def test_the_token_is_not_in_the_repr() -> None:
    assert CANARY not in repr(read(GOOD | {"access_token": CANARY}))


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        *(("60", 60), ('"60"', 60), ("59.5", 59.5), ("1", 1), ('"3600.0"', 3600)),
        *(("99999999999", LONGEST_SECONDS), ("1" + "0" * 400, LONGEST_SECONDS), ("1e300", LONGEST_SECONDS)),
        *((raw, ASSUMED_SECONDS) for raw in ("0", "-1", "null", "true", '"soon"', '""', '"1e5"', "[60]", "{}")),
        ("1e999", ASSUMED_SECONDS),
    ],
)
def test_a_lifetime_is_read_or_assumed(raw: str, seconds: float) -> None:
    body = b'{"access_token":"abc","token_type":"Bearer","expires_in":%s}' % raw.encode()
    assert read(body).seconds == seconds


def test_a_missing_lifetime_is_assumed() -> None:
    assert read({"access_token": "abc", "token_type": "Bearer"}).seconds == ASSUMED_SECONDS


@pytest.mark.parametrize(
    ("seconds", "after"), [(300, 240), (3600, 2880), (150, 120), (100, 70), (60, 30), (40, 20), (10, 5), (1, 1)]
)
def test_a_token_is_renewed_early_and_never_at_once(seconds: float, after: float) -> None:
    assert Grant("abc", seconds, None).renew_after_seconds == after


NO_TOKENS: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"<html>" + CANARY.encode(),
    "cut": b'{"access_token": "' + CANARY.encode(),
    "a list": [CANARY],
    "a text": CANARY,
    "no token": {"token_type": "Bearer"},
    "an empty token": GOOD | {"access_token": ""},
    "a number": GOOD | {"access_token": 7},
    "no type": {"access_token": CANARY},
    "another type": GOOD | {"access_token": CANARY, "token_type": "DPoP"},
    "a line break": GOOD | {"access_token": f"{CANARY}\r\nX-Header: y"},
    "a blank": GOOD | {"access_token": f"{CANARY} x"},
    "another script": GOOD | {"access_token": f"{CANARY}é"},
    "too long": GOOD | {"access_token": CANARY * 9999},
    "bad UTF-8": b'{"access_token": "' + CANARY.encode() + b'\xff", "token_type": "Bearer"}',
    "deep": b'{"access_token": ' + b"[" * 99999,
    "an error": {"error": CANARY},
}


@pytest.mark.parametrize("name", NO_TOKENS)
def test_what_is_no_token_is_said_to_be_none(name: str) -> None:
    assert isinstance(refusal(NO_TOKENS[name], 200), TokenEndpointFaulty)


def test_a_token_in_another_content_type_is_none() -> None:
    assert isinstance(refusal(GOOD, 200, content_type="text/html"), TokenEndpointFaulty)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("invalid_client", ClientRefused),
        ("invalid_grant", ClientRefused),
        ("unauthorized_client", GrantRefused),
        ("unsupported_grant_type", GrantRefused),
        ("invalid_scope", ScopeRefused),
        ("invalid_request", TokenFailed),
        ("temporarily_unavailable", TokenEndpointFaulty),
        (CANARY, TokenEndpointFaulty),
    ],
)
@pytest.mark.parametrize("status", [400, 403])
def test_an_error_code_decides(code: str, error: type[ServerError], status: int) -> None:
    found = refusal({"error": code, "error_description": CANARY, "error_uri": CANARY}, status)
    assert type(found) is error
    assert (code in str(found)) == (code != CANARY)


def test_who_is_refused_depends_on_what_was_sent() -> None:
    assert isinstance(refusal({"error": "invalid_client"}, 401, AssertionRefused), AssertionRefused)


@pytest.mark.parametrize("body", [b"", b"<html>", {"error": CANARY}, {"error": [CANARY]}])
def test_a_401_without_a_code_refuses_the_client(body: object) -> None:
    assert isinstance(refusal(body, 401), ClientRefused)


@pytest.mark.parametrize("status", [199, 201, 204, 301, 302, 307, 308, 400, 403, 404, 405, 418, 500, 502, 503, 999])
def test_any_other_status_is_a_fault_of_the_endpoint(status: int) -> None:
    found = refusal(CANARY.encode(), status, location=f"https://evil.example/{CANARY}")
    assert isinstance(found, TokenEndpointFaulty)
    assert ("redirect" in str(found)) == (status // 100 == 3)


@pytest.mark.parametrize(("status", "header", "wait"), [(429, "7", 7), (429, CANARY, None), (503, "99999", 300)])
def test_a_busy_endpoint_is_waited_for(status: int, header: str, wait: float | None) -> None:
    found = refusal(b"", status, retry_after=header)
    assert isinstance(found, TokenThrottled)
    assert found.wait == wait
