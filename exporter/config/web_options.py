"""What `--web.config.file` can say: the values that are allowed, as the toolkit spells them, and what they become.

See docs/web-configuration.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ssl import TLSVersion
from types import MappingProxyType

from .values import ConfigProblem

HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""The headers that may be set, spelled so, and their values where only some are allowed."""

TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""Always offered where TLS 1.3 is, whatever is configured; so in Go."""
TLS12_SUITES: Mapping[str, str] = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
"""Go's secure suites for TLS 1.2, and what OpenSSL calls them."""
CURVES: Mapping[str, str] = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}


class ClientAuth(Enum):
    """Whether clients show a certificate. One that is shown is always verified."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate or a key: the text itself, or the path of its file as it was written; `source` is its place."""

    source: str
    text: str = field(default="", repr=False)
    path: str = ""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How to speak TLS. `allowed_sans` is None where any verified client may connect; the rest as OpenSSL names it."""

    cert: Pem
    key: Pem
    client_ca: Pem | None = None
    client_auth: ClientAuth = ClientAuth.NONE
    allowed_sans: frozenset[str] | None = None
    min_version: TLSVersion = TLSVersion.TLSv1_2
    max_version: TLSVersion = TLSVersion.TLSv1_3
    ciphers: str | None = None
    curve: str | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A request every `interval` seconds, and `burst` at once."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebFile:
    """What the file says. `users` has a bcrypt hash for each name; header names are lower case."""

    tls: TlsOptions | None = None
    users: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    rate_limit: RateLimit | None = None
    problems: tuple[ConfigProblem, ...] = ()
    warnings: tuple[ConfigProblem, ...] = ()


def cost_of(hashed: bytes) -> int:
    """Return the cost of a bcrypt hash, or of its salt: each step doubles the work."""
    return int(hashed[4:6])
