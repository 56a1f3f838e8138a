"""The file of --web.config.file: what it may say, and every fault with its line and key, without its value."""

from ssl import TLSVersion

import pytest

from exporter.config.web_file import parse, seconds
from exporter.config.web_options import ClientAuth, RateLimit

HASH = "$2y$10$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq"
PAIR = "tls_server_config:\n  cert_file: c\n  key_file: k\n"
CLIENTS = PAIR + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca\n"


def problems(text: str) -> list[str]:
    return [str(each).removeprefix("--web.config.file ") for each in parse(text).problems]


@pytest.mark.parametrize("text", ["", "{}", "tls_server_config:\n", "basic_auth_users:\nrate_limit: {}\n"])
def test_an_empty_file_protects_nothing(text: str) -> None:
    file = parse(text)
    assert (file.tls, dict(file.users), file.headers, file.rate_limit, file.problems) == (None, {}, (), None, ())


def test_defaults_of_tls() -> None:
    tls = parse(PAIR).tls
    assert tls is not None
    assert (tls.cert.path, tls.key.path, tls.client_ca) == ("c", "k", None)
    assert (tls.client_auth, tls.allowed_sans) == (ClientAuth.NONE, None)
    assert (tls.min_version, tls.max_version) == (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)
    assert (tls.ciphers, tls.curve) == (None, None)


def test_everything_that_tls_may_say() -> None:
    file = parse(
        "tls_server_config:\n  cert: C\n  key: K\n  client_ca: CA\n  client_auth_type: RequireAndVerifyClientCert\n"
        "  client_allowed_sans: [a.example, 192.0.2.1, 'spiffe://x/y', o@example.org]\n"
        "  min_version: TLS12\n  max_version: TLS13\n  prefer_server_cipher_suites: false\n"
        "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n"
        "  curve_preferences: [X25519]\n"
    )
    assert file.problems == ()
    tls = file.tls
    assert tls is not None
    assert tls.client_ca is not None
    assert (tls.cert.text, tls.key.text, tls.client_ca.text) == ("C", "K", "CA")
    assert tls.allowed_sans == frozenset({"a.example", "192.0.2.1", "spiffe://x/y", "o@example.org"})
    assert (tls.ciphers, tls.curve) == ("ECDHE-RSA-AES128-GCM-SHA256", "X25519")


def test_without_a_suite_for_tls_1_2_there_is_no_tls_1_2() -> None:
    file = parse(PAIR + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\nhttp_server_config: {http2: false}\n")
    assert file.problems == ()
    assert file.tls is not None
    assert (file.tls.min_version, file.tls.ciphers) == (TLSVersion.TLSv1_3, None)


def test_names_of_users_stay_as_they_are_written() -> None:
    users = parse(f"basic_auth_users:\n  yes: {HASH}\n  007: {HASH}\n  null: {HASH}\n  1e3: {HASH}\n").users
    assert dict(users) == dict.fromkeys(("yes", "007", "null", "1e3"), HASH.encode())


def test_headers_have_lower_case_names_and_blank_ones_are_unset() -> None:
    file = parse(
        "http_server_config:\n  http2: true\n  headers:\n    X-XSS-Protection: 1\n    X-Frame-Options: sameorigin\n"
        "    Content-Security-Policy: ''\n"
    )
    assert (file.headers, file.problems) == ((("x-xss-protection", "1"), ("x-frame-options", "sameorigin")), ())


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("{interval: 1s, burst: 5}", RateLimit(1.0, 5)),
        ("{interval: 1m30s}", RateLimit(90.0, 0)),
        ("{interval: 0, burst: 5}", None),
        ("{interval: '0s'}", None),
        ("{burst: 5}", None),
    ],
)
def test_a_rate_limit(text: str, limit: RateLimit | None) -> None:
    file = parse(f"rate_limit: {text}")
    assert (file.rate_limit, file.problems) == (limit, ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5h", 5400.0),
        ("100ms", 0.1),
        ("2us", 2e-6),
        ("1", None),
        ("-1s", None),
        ("1s ", None),
        ("", None),
        ("1d", None),
    ],
)
def test_durations_are_those_of_go(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", ["line 1: is not valid YAML; check quotes, indentation and colons here and just above"]),
        ("word", ["line 1: must be a mapping of keys to values"]),
        ("tls_config: {}", ["line 1, tls_config: unknown key; did you mean tls_server_config?"]),
        ("rate_limit: 1s", ["line 1, rate_limit: must be a mapping of keys to values"]),
        ("rate_limit: {}\nrate_limit: {}", ["line 2, rate_limit: duplicate key, first on line 1"]),
        (
            PAIR + "  cert_filse: x",
            ["line 4, tls_server_config.cert_filse: unknown key; did you mean tls_server_config.cert_file?"],
        ),
        (PAIR + "  cert: x", ["line 4, tls_server_config.cert: cannot be combined with cert_file; leave one out"]),
        ("tls_server_config: {cert_file: c}", ["line 1, tls_server_config: is missing one of key or key_file"]),
        (
            "tls_server_config: {min_version: TLS13}",
            [
                "line 1, tls_server_config: is missing one of cert or cert_file",
                "line 1, tls_server_config: is missing one of key or key_file",
            ],
        ),
        (
            "tls_server_config: {cert_file: [c], key_file: k}",
            ["line 1, tls_server_config.cert_file: must have a single value"],
        ),
        (
            PAIR + "  client_ca_file: x",
            [
                (
                    "line 4, tls_server_config.client_ca_file: has no effect without client_auth_type; "
                    "set it to RequireAndVerifyClientCert"
                )
            ],
        ),
        (
            PAIR + "  client_auth_type: NoClientCert\n  client_allowed_sans: [x]",
            [
                (
                    "line 5, tls_server_config.client_allowed_sans: has no effect without client_auth_type; "
                    "set it to RequireAndVerifyClientCert"
                )
            ],
        ),
        (
            CLIENTS + "  client_allowed_sans: []",
            ["line 6, tls_server_config.client_allowed_sans: must not be empty: no client could connect"],
        ),
        (
            PAIR + "  min_version: TLS11",
            ["line 4, tls_server_config.min_version: TLS 1.0 and 1.1 are not supported; use TLS12 or TLS13"],
        ),
        (PAIR + "  max_version: SSL3", ["line 4, tls_server_config.max_version: must be TLS12 or TLS13"]),
        (
            PAIR + "  min_version: TLS13\n  max_version: TLS12",
            ["line 5, tls_server_config.max_version: must not be below min_version"],
        ),
        (
            PAIR + "  prefer_server_cipher_suites: 'true'",
            ["line 4, tls_server_config.prefer_server_cipher_suites: must be true or false"],
        ),
        (
            PAIR + "  cipher_suites:\n  - TLS_RSA_WITH_AES_128_CBC_SHA",
            ["line 5, tls_server_config.cipher_suites: unknown name; did you mean TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA?"],
        ),
        (
            PAIR + "  max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\nhttp_server_config: {http2: no}",
            ["line 5, tls_server_config.cipher_suites: has no suite for TLS 1.2, which max_version asks for"],
        ),
        (PAIR + "  cipher_suites: x", ["line 4, tls_server_config.cipher_suites: must be a list"]),
        (
            PAIR + "  curve_preferences: [CurveP256, CurveP384]",
            [
                (
                    "line 4, tls_server_config.curve_preferences: only one curve is supported; "
                    "leave the key out to allow all of them"
                )
            ],
        ),
        (PAIR + "  curve_preferences: [P]", ["line 4, tls_server_config.curve_preferences: unknown name"]),
        ("http_server_config: {http2: 1}", ["line 1, http_server_config.http2: must be true or false"]),
        (
            "http_server_config: {headers: {x-frame-options: deny}}",
            [
                (
                    "line 1, http_server_config.headers.x-frame-options: unknown key; "
                    "did you mean http_server_config.headers.X-Frame-Options?"
                )
            ],
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}",
            ["line 1, http_server_config.headers.X-Frame-Options: must be deny or sameorigin"],
        ),
        (
            'http_server_config: {headers: {Content-Security-Policy: "a\\r\\nSet-Cookie: b"}}',
            ["line 1, http_server_config.headers.Content-Security-Policy: must be printable ASCII on one line"],
        ),
        (
            "basic_auth_users: {canary: canary}",
            ["line 1, basic_auth_users: must be a bcrypt hash, as `htpasswd -nBC 10 NAME` prints it"],
        ),
        (
            f"basic_auth_users:\n  canary: {HASH}\n  canary: {HASH}",
            ["line 3, basic_auth_users: duplicate key, first on line 2"],
        ),
        (
            f"basic_auth_users:\n  'can:ary': {HASH}",
            ["line 2, basic_auth_users: a user name must not be empty or contain a colon"],
        ),
        ("rate_limit: {interval: 1}", ["line 1, rate_limit.interval: must be a duration such as 1s or 100ms"]),
        ("rate_limit: {interval: 1s, burst: -1}", ["line 1, rate_limit.burst: must be a whole number"]),
    ],
)
def test_problems(text: str, expected: list[str]) -> None:
    found = problems(text)
    assert found == expected
    assert "canary" not in "".join(found)


@pytest.mark.parametrize("policy", ["RequestClientCert", "RequireAnyClientCert", "RequireClientCert"])
def test_what_python_cannot_do_is_refused_with_a_sentence(policy: str) -> None:
    assert problems(PAIR + f"  client_auth_type: {policy}\n  client_ca_file: x") == [
        (
            "line 4, tls_server_config.client_auth_type: is not supported: it would take certificates without "
            "verifying them; use VerifyClientCertIfGiven or RequireAndVerifyClientCert"
        )
    ]


def test_all_problems_are_found_at_once() -> None:
    assert len(problems("a: 1\nrate_limit: {burst: x}\nbasic_auth_users: {u: p}\ntls_server_config: {key: k}")) == 4


@pytest.mark.parametrize("suite", ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"])
def test_http2_needs_a_suite_as_in_the_toolkit(suite: str) -> None:
    text = PAIR + f"  cipher_suites: [{suite}]\n"
    assert "for HTTP/2; add one, or set http_server_config.http2 to false" in problems(text)[0]
    assert problems(text + "http_server_config: {http2: false}") == []
    assert problems(text + "  min_version: TLS13") == []


def test_warnings() -> None:
    file = parse(
        PAIR + "  client_auth_type: VerifyClientCertIfGiven\nbasic_auth_users:\n  slow: " + HASH.replace("$10$", "$15$")
    )
    assert [str(each) for each in file.warnings] == [
        (
            "--web.config.file line 4, tls_server_config.client_auth_type: without client_ca_file, "
            "no certificate of a client is accepted"
        ),
        (
            "--web.config.file line 6, basic_auth_users: takes seconds to check, as does each wrong password; "
            "use a cost up to 14"
        ),
    ]


def test_secrets_are_not_in_the_representation() -> None:
    text = repr(parse(f"tls_server_config: {{cert: canary, key: canary}}\nbasic_auth_users: {{canary: {HASH}}}"))
    assert "canary" not in text
    assert HASH not in text
