"""The file of `--web.config.file`, in the format of Prometheus' exporter-toolkit (v0.20.0). Pure: it opens nothing.

Rule 1: what the toolkit refuses is refused, and so is what Python cannot do: never a weaker protection than was asked.
Rule 2: every problem has its line and key. No value is repeated, nor the name of a user: it may be a password.

See docs/web-configuration.md.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from ssl import TLSVersion
from types import MappingProxyType

from yaml import Node, ScalarNode

from .values import ConfigProblem
from .web_options import (
    CURVES,
    HEADERS,
    TLS12_SUITES,
    TLS13_SUITES,
    ClientAuth,
    Pem,
    RateLimit,
    TlsOptions,
    WebFile,
    cost_of,
)
from .yaml_file import Malformed, NodeReader, below, compose, is_null

FLAG = "--web.config.file"

_BOOLEAN = "tag:yaml.org,2002:bool"
_TRUE = frozenset({"true", "yes", "on"})
_BCRYPT = re.compile(r"\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_GO_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{0,9})?(?:ns|us|µs|ms|s|m|h))+")
_GO_PART = re.compile(r"([0-9.]+)([a-zµ]+)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]*")
_SLOW_COST = 14

_HTTP2_SUITES = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}
_VERSIONS = {"TLS12": TLSVersion.TLSv1_2, "TLS13": TLSVersion.TLSv1_3}
_OLD_VERSIONS = {"TLS10", "TLS11"}
_UNVERIFIED = {"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"}


def parse(text: str) -> WebFile:
    """Read the text of the file; every problem is in the result."""
    try:
        root = compose(text, FLAG)
    except Malformed as error:
        return WebFile(problems=(error.problem,))
    reader = WebFileReader()
    parsers: Mapping[str, Callable[[Node], object]] = {
        "tls_server_config": reader.tls,
        "http_server_config": reader.http,
        "basic_auth_users": reader.users,
        "rate_limit": reader.rate_limit,
    }
    sections = reader.nodes.section(root, "", parsers)
    found = {name: parsers[name](node) for name, node in sections.items()}
    tls, users, rate = (found.get(name) for name in ("tls_server_config", "basic_auth_users", "rate_limit"))
    reader.require_http2_suite()
    return WebFile(
        tls=tls if isinstance(tls, TlsOptions) else None,
        users=users if isinstance(users, Mapping) else MappingProxyType({}),
        headers=tuple(reader.headers.items()),
        rate_limit=rate if isinstance(rate, RateLimit) else None,
        problems=tuple(reader.nodes.problems),
        warnings=tuple(reader.warnings),
    )


def seconds(text: str) -> float | None:
    """Parse what Go's `time.ParseDuration` parses, without a sign; None for anything else."""
    if text == "0":
        return 0.0
    if not _GO_DURATION.fullmatch(text):
        return None
    return sum(float(count) * _UNITS[unit] for count, unit in _GO_PART.findall(text))


class WebFileReader:
    """Reads the sections of the file, one method each."""

    def __init__(self) -> None:
        self.nodes = NodeReader(FLAG)
        self.warnings: list[ConfigProblem] = []
        self.headers: dict[str, str] = {}
        self._http2 = True
        self._suites: tuple[Node, frozenset[str]] | None = None
        """Cipher suites that TLS 1.2 may use, where they matter to HTTP/2."""

    def http(self, node: Node) -> None:
        """Read `http_server_config`."""
        found = self.nodes.section(node, "http_server_config", ("http2", "headers"))
        if "http2" in found:
            self._http2 = self._boolean(found["http2"], "http_server_config.http2", default=True)
        if "headers" in found:
            name = "http_server_config.headers"
            for key, value in self.nodes.section(found["headers"], name, HEADERS).items():
                self._header(key, value, below(name, key))

    def _header(self, key: str, node: Node, name: str) -> None:
        text, allowed = self._text(node, name), HEADERS[key]
        if not text:
            return
        if allowed and text not in allowed:
            self.nodes.problem(node, name, f"must be {' or '.join(allowed)}")
        elif not _PRINTABLE_ASCII.fullmatch(text):
            self.nodes.problem(node, name, "must be printable ASCII on one line")
        else:
            self.headers[key.lower()] = text

    def users(self, node: Node) -> Mapping[str, bytes]:
        """Read `basic_auth_users`."""
        section, found = "basic_auth_users", {}
        for key, value in self.nodes.mapping(node, section, secret=True):
            if not key.value or ":" in key.value:
                self.nodes.problem(key, section, "a user name must not be empty or contain a colon")
            text = self._text(value, section)
            if not _BCRYPT.fullmatch(text):
                self.nodes.problem(value, section, "must be a bcrypt hash, as `htpasswd -nBC 10 NAME` prints it")
                continue
            found[key.value] = text.encode()
            if cost_of(found[key.value]) > _SLOW_COST:
                said = f"takes seconds to check, as does each wrong password; use a cost up to {_SLOW_COST}"
                self.warnings.append(ConfigProblem(self.nodes.source(value, section), said))
        return MappingProxyType(found)

    def rate_limit(self, node: Node) -> RateLimit | None:
        """Read `rate_limit`; None where the interval is 0, which turns it off."""
        found = self.nodes.section(node, "rate_limit", ("interval", "burst"))
        interval, burst = 0.0, 0
        if "interval" in found:
            parsed = seconds(self._text(found["interval"], "rate_limit.interval") or "0")
            if parsed is None:
                self.nodes.problem(found["interval"], "rate_limit.interval", "must be a duration such as 1s or 100ms")
            interval = parsed or 0.0
        if "burst" in found:
            text = self._text(found["burst"], "rate_limit.burst") or "0"
            if not re.fullmatch(r"[0-9]{1,9}", text):
                self.nodes.problem(found["burst"], "rate_limit.burst", "must be a whole number")
            else:
                burst = int(text)
        return RateLimit(interval, burst) if interval else None

    def tls(self, node: Node) -> TlsOptions | None:
        """Read `tls_server_config`; None without a key in it. One with any needs a certificate: TLS was wanted."""
        section = "tls_server_config"
        found = {
            key: value
            for key, value in self.nodes.section(node, section, _TLS_KEYS).items()
            if not is_null(value) and getattr(value, "value", None) != ""
        }
        cert, key = (self._pem(found, name) for name in ("cert", "key"))
        if not found:
            return None
        for name, pem in (("cert", cert), ("key", key)):
            if pem is None:
                self.nodes.problem(node, section, f"is missing one of {name} or {name}_file")
        policy = self._policy(found)
        oldest, newest = self._versions(found)
        if "prefer_server_cipher_suites" in found:
            self._boolean(found["prefer_server_cipher_suites"], f"{section}.prefer_server_cipher_suites", default=True)
        options = TlsOptions(
            cert=cert or Pem(""),
            key=key or Pem(""),
            client_ca=self._pem(found, "client_ca"),
            client_auth=policy,
            allowed_sans=self._allowed_sans(found),
            min_version=oldest,
            max_version=newest,
            curve=self._curve(found),
        )
        self._check_policy(found, options)
        ciphers, lowest = self._ciphers(found, options)
        return replace(options, ciphers=ciphers, min_version=lowest) if cert and key else None

    def require_http2_suite(self) -> None:
        """Refuse what the toolkit refuses with HTTP/2 on, though HTTP/2 is not spoken here."""
        if self._suites is None or not self._http2 or self._suites[1] & _HTTP2_SUITES:
            return
        one, other = sorted(_HTTP2_SUITES)
        said = f"needs {other} or {one} for HTTP/2; add one, or set http_server_config.http2 to false"
        self.nodes.problem(self._suites[0], "tls_server_config.cipher_suites", said)

    def _pem(self, found: Mapping[str, Node], key: str) -> Pem | None:
        name, file = f"tls_server_config.{key}", f"{key}_file"
        if key in found and file in found:
            self.nodes.problem(found[key], name, f"cannot be combined with {file}; leave one out")
        if file in found:
            text = self._text(found[file], f"{name}_file")
            return Pem(self.nodes.source(found[file], f"{name}_file"), path=text)
        if key in found:
            return Pem(self.nodes.source(found[key], name), text=self._text(found[key], name))
        return None

    def _policy(self, found: Mapping[str, Node]) -> ClientAuth:
        if (node := found.get("client_auth_type")) is None:
            return ClientAuth.NONE
        name, text = "tls_server_config.client_auth_type", self._text(node, "tls_server_config.client_auth_type")
        verifying = f"{ClientAuth.IF_GIVEN.value} or {ClientAuth.REQUIRED.value}"
        if text in {each.value for each in ClientAuth}:
            return ClientAuth(text)
        if text in _UNVERIFIED:
            said = f"is not supported: it would take certificates without verifying them; use {verifying}"
        else:
            said = f"must be {ClientAuth.NONE.value}, {verifying}"
        self.nodes.problem(node, name, said)
        return ClientAuth.NONE

    def _check_policy(self, found: Mapping[str, Node], options: TlsOptions) -> None:
        """Refuse a certificate authority or names without a policy: they would protect nothing."""
        section = "tls_server_config"
        if options.client_auth is ClientAuth.NONE:
            valid = "client_auth_type" not in found or getattr(found["client_auth_type"], "value", "") == "NoClientCert"
            for key in ("client_ca", "client_ca_file", "client_allowed_sans") if valid else ():
                if key in found:
                    said = "has no effect without client_auth_type; set it to RequireAndVerifyClientCert"
                    self.nodes.problem(found[key], below(section, key), said)
        elif options.client_ca is None:
            said = "without client_ca_file, no certificate of a client is accepted"
            source = self.nodes.source(found["client_auth_type"], f"{section}.client_auth_type")
            self.warnings.append(ConfigProblem(source, said))

    def _allowed_sans(self, found: Mapping[str, Node]) -> frozenset[str] | None:
        if (node := found.get("client_allowed_sans")) is None:
            return None
        name = "tls_server_config.client_allowed_sans"
        sans = frozenset(self.nodes.text(each, name) for each in self.nodes.rows(node, name))
        if not sans:
            self.nodes.problem(node, name, "must not be empty: no client could connect")
        return sans

    def _versions(self, found: Mapping[str, Node]) -> tuple[TLSVersion, TLSVersion]:
        """Return the lowest and the highest version of TLS."""
        oldest, newest = (self._version(found, name) for name in ("min_version", "max_version"))
        if oldest and newest and oldest > newest:
            self.nodes.problem(found["max_version"], "tls_server_config.max_version", "must not be below min_version")
        return oldest or TLSVersion.TLSv1_2, newest or TLSVersion.TLSv1_3

    def _version(self, found: Mapping[str, Node], key: str) -> TLSVersion | None:
        if (node := found.get(key)) is None:
            return None
        name, text = f"tls_server_config.{key}", self._text(node, f"tls_server_config.{key}")
        if text in _OLD_VERSIONS:
            self.nodes.problem(node, name, "TLS 1.0 and 1.1 are not supported; use TLS12 or TLS13")
        elif text not in _VERSIONS:
            self.nodes.problem(node, name, "must be TLS12 or TLS13")
        return _VERSIONS.get(text)

    def _curve(self, found: Mapping[str, Node]) -> str | None:
        name = "tls_server_config.curve_preferences"
        rows = list(self._words(found, "curve_preferences", CURVES))
        if len(rows) > 1:
            self.nodes.problem(rows[1][0], name, "only one curve is supported; leave the key out to allow all of them")
        return CURVES.get(rows[0][1]) if rows else None

    def _ciphers(self, found: Mapping[str, Node], options: TlsOptions) -> tuple[str | None, TLSVersion]:
        """Return the suites for TLS 1.2 as OpenSSL takes them, and the lowest version: 1.3, where there is none."""
        rows = list(self._words(found, "cipher_suites", {*TLS13_SUITES, *TLS12_SUITES}))
        lowest = options.min_version
        if not rows or lowest is TLSVersion.TLSv1_3:
            return None, lowest
        words = [word for _, word in rows]
        self._suites = (found["cipher_suites"], frozenset(words))
        ours = [TLS12_SUITES[word] for word in words if word in TLS12_SUITES]
        if ours:
            return ":".join(ours), lowest
        if options.max_version is TLSVersion.TLSv1_2:
            said = "has no suite for TLS 1.2, which max_version asks for"
            self.nodes.problem(found["cipher_suites"], "tls_server_config.cipher_suites", said)
        return None, TLSVersion.TLSv1_3

    def _words(
        self, found: Mapping[str, Node], key: str, known: Mapping[str, str] | set[str]
    ) -> Iterator[tuple[Node, str]]:
        """Yield the words of a list that are known; others are problems."""
        name = f"tls_server_config.{key}"
        for node in self.nodes.rows(found.get(key), name):
            text = self.nodes.text(node, name)
            if text in known:
                yield node, text
            elif text:
                close = get_close_matches(text, known, 1)
                self.nodes.problem(node, name, "unknown name" + (f"; did you mean {close[0]}?" if close else ""))

    def _text(self, node: Node, name: str) -> str:
        """Return the text of a value; empty where there is none, with a problem where it is no single value."""
        if not isinstance(node, ScalarNode):
            self.nodes.problem(node, name, "must have a single value")
            return ""
        return "" if is_null(node) else str(node.value)

    def _boolean(self, node: Node, name: str, *, default: bool) -> bool:
        if is_null(node):
            return default
        if node.tag != _BOOLEAN:
            self.nodes.problem(node, name, "must be true or false")
        return str(node.value).lower() in _TRUE


_TLS_KEYS = (
    *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type", "client_allowed_sans"),
    *("min_version", "max_version", "cipher_suites", "curve_preferences", "prefer_server_cipher_suites"),
)
