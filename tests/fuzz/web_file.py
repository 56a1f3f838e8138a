"""Target: the file of `--web.config.file`, to what the web server needs, or to problems that repeat nothing of it."""

import math
import shutil
import tempfile
from atexit import register
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml

from exporter.config.web_config import WebConfig, read_web_config
from exporter.config.web_options import CURVES, HEADERS, TLS12_SUITES, ClientAuth, cost_of
from exporter.web.rate_limit import RateLimiter

from .configuration import nodes
from .rules import demand, demand_silence

HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
"""Of the toolkit's own examples."""
_KEYS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit", "headers")


def check(data: bytes) -> None:
    """Read the bytes as the file."""
    file = _folder() / "f"
    file.write_bytes(data)
    read = read_web_config(file)
    demand((read.config is None) == bool(read.problems), "there is a configuration, or there are problems")
    secrets = [value for value in (*_scalars(data), *_users(data)) if value not in str(file)]
    for problem in (*read.problems, *read.warnings):
        demand_silence(RuntimeError(str(problem)), secrets)
    if read.config is not None:
        _check_config(read.config)


def _check_config(config: WebConfig) -> None:
    demand(all(4 <= cost_of(hashed) <= 31 for hashed in config.users.values()), "a password has a bcrypt hash")
    for name, value in config.headers:
        demand(name in {each.lower() for each in HEADERS}, "a header is one of a closed list")
        demand(value.isascii() and value.isprintable(), "a header is printable ASCII on one line")
    if config.rate_limit is not None:
        demand(math.isfinite(config.rate_limit.interval) and config.rate_limit.interval > 0, "an interval is a time")
        RateLimiter().allows(config.rate_limit)
    if config.client_auth is not ClientAuth.NONE:
        demand(config.tls, "certificates are asked for over TLS only")


def _scalars(data: bytes) -> Iterator[str]:
    """Every value; those that are keys too are no secrets."""
    try:
        keys, values = nodes(data)
    except yaml.YAMLError:
        keys, values = set(), data.decode("utf-8", "replace").split("\n")
    except (ValueError, OverflowError, RecursionError):  # our own code has to handle these
        return
    yield from (value for value in values if value.strip() not in "\n".join(keys))


def _users(data: bytes) -> Iterator[str]:
    """The names of users: somebody may have written a password in their place."""
    try:
        root = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == "basic_auth_users" and isinstance(value, yaml.MappingNode):
            yield from (name.value for name, _ in value.value if isinstance(name, yaml.ScalarNode))


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def dictionary() -> Iterator[str]:
    """Words that the mutator puts in."""
    yield from (f"{key}: " for key in _KEYS)
    yield from ("cert_file: ", "key_file: ", "client_ca_file: ", "cert: ", "key: ", "client_ca: ", "client_auth_type: ")
    yield from (
        "client_allowed_sans: [",
        "min_version: TLS12",
        "max_version: TLS13",
        "cipher_suites: [",
        "http2: false",
    )
    yield from ("curve_preferences: [", "prefer_server_cipher_suites: true", "interval: 1s", "burst: 5", "1.5us", "µs")
    yield from (*HEADERS, *TLS12_SUITES, *CURVES, *(each.value for each in ClientAuth), "RequireAnyClientCert")
    yield from (HASH, "nosniff", "deny", "---\n", '"\\ud800"', "&a ", "*a", "<<: ", "!!null ", "\n  ", "- ")
    yield from ("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\n")


def seeds() -> Iterator[bytes]:
    """A file with each section, good and bad."""
    yield b""
    yield f"basic_auth_users:\n  alice: {HASH}\n  'bob smith': {HASH}\n".encode()
    yield b"basic_auth_users:\n  alice: not-a-hash\n"
    yield b"rate_limit: {interval: 1s, burst: 5}\nhttp_server_config: {http2: false}\n"
    yield b"rate_limit: {interval: 1.5h30m, burst: -1}\n"
    yield from (f"http_server_config: {{headers: {{{name}: deny}}}}\n".encode() for name in HEADERS)
    yield from (f"http_server_config: {{headers: {{{name}: nosniff}}}}\n".encode() for name in HEADERS)
    pair = "tls_server_config:\n  cert_file: a.pem\n  key_file: a.key\n"
    yield pair.encode()
    for policy in (*(each.value for each in ClientAuth), "RequireAnyClientCert"):
        yield f"{pair}  client_auth_type: {policy}\n  client_ca_file: ca.pem\n  client_allowed_sans: [a, b]\n".encode()
    yield f"{pair}  min_version: TLS13\n  max_version: TLS12\n  cipher_suites: [{', '.join(TLS12_SUITES)}]\n".encode()
    yield f"{pair}  curve_preferences: [X25519]\n  prefer_server_cipher_suites: true\n".encode()
    yield b"tls_server_config:\n  key: a\n  cert: |\n    -----BEGIN CERTIFICATE-----\n    -----END CERTIFICATE-----"
    yield "http_server_config: {headers: {X-XSS-Protection: '1; é'}}\n".encode()
    yield b"tls_server_config: {}\nunknown: 1\nrate_limit:\n"
