"""Reads the file of `--web.config.file`, with the certificates that it names, into what the web server needs.

See docs/web-configuration.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from .files import Stamp, mode_for_others, read_regular_file, stamp
from .values import ConfigProblem, InvalidValue
from .web_file import FLAG, parse
from .web_options import ClientAuth, RateLimit, WebFile
from .web_tls import MAX_BYTES, ServerContext, make_context, pem_files

Stamps = tuple[Stamp | None, ...]
"""Those of several files; None for one that is not there."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """How the web server protects itself; the default is not at all. `users` as in WebFile."""

    tls: ServerContext | None = None
    client_auth: ClientAuth = ClientAuth.NONE
    users: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    rate_limit: RateLimit | None = None

    @property
    def scheme(self) -> str:
        """What its URLs begin with."""
        return "https" if self.tls else "http"

    @property
    def authenticates(self) -> bool:
        """Whether nobody gets an answer without a password or a certificate."""
        return bool(self.users) or self.client_auth is ClientAuth.REQUIRED


class ReadWebConfig(NamedTuple):
    """The outcome of reading: `config` is None if there are problems.

    `files` is everything that was read for it, and `stamps` what they looked like just before.
    """

    config: WebConfig | None
    problems: tuple[ConfigProblem, ...]
    warnings: tuple[ConfigProblem, ...]
    files: tuple[Path, ...]
    stamps: Stamps


def read_web_config(path: Path) -> ReadWebConfig:
    """Read the file and all that it names; every problem is in the result."""
    before = stamps((path,))
    try:
        text = read_regular_file(path, MAX_BYTES).decode("utf-8-sig")
    except InvalidValue as invalid:
        return ReadWebConfig(None, (ConfigProblem(FLAG, str(invalid)),), (), (path,), before)
    except UnicodeDecodeError:
        return ReadWebConfig(None, (ConfigProblem(FLAG, "file is not UTF-8 text"),), (), (path,), before)
    file = parse(text)
    files = pem_files(file.tls, path.parent) if file.tls else ()
    before += stamps(files)
    context, problems = make_context(file.tls, path.parent) if file.tls else (None, [])
    problems = [*file.problems, *problems]
    warnings = (*file.warnings, *_open_to_others(file, path))
    return ReadWebConfig(
        None if problems else _config(file, context), tuple(problems), warnings, (path, *files), before
    )


def _config(file: WebFile, context: ServerContext | None) -> WebConfig:
    policy = file.tls.client_auth if file.tls else ClientAuth.NONE
    return WebConfig(context, policy, file.users, file.headers, file.rate_limit)


def _open_to_others(file: WebFile, path: Path) -> Iterator[ConfigProblem]:
    """Warn of secrets that others on this machine may read or write."""
    if file.users or (file.tls and file.tls.key.text):
        yield from _exposed(path, FLAG)
    if file.tls and file.tls.key.path:
        yield from _exposed(path.parent / file.tls.key.path, file.tls.key.source)


def _exposed(path: Path, source: str) -> Iterator[ConfigProblem]:
    mode = mode_for_others(path)
    if mode is not None:
        yield ConfigProblem(
            source, f"others on this machine may read or write this file (mode {mode}); run chmod o= on it"
        )


def stamps(files: Iterable[Path]) -> Stamps:
    """Look at files without opening them."""
    return tuple(stamp(path) for path in files)


_WEAKER = "cannot be removed while the exporter runs: restart it to do so"


def weakened(old: WebConfig, new: WebConfig) -> tuple[ConfigProblem, ...]:
    """List what a running server does not change: whether it speaks TLS, and whether it authenticates at all.

    A file that is being written may be seen half: what stands there must not open the server.
    """
    problems = []
    if (old.tls is None) != (new.tls is None):
        problems.append(ConfigProblem(FLAG, "TLS cannot be turned on or off while the exporter runs: restart it"))
    if old.users and not new.users:
        problems.append(ConfigProblem(FLAG, f"basic_auth_users {_WEAKER}"))
    if old.client_auth is ClientAuth.REQUIRED and new.client_auth is not ClientAuth.REQUIRED:
        problems.append(ConfigProblem(FLAG, f"client_auth_type: RequireAndVerifyClientCert {_WEAKER}"))
    if old.tls and new.tls and old.tls.allowed_sans is not None and new.tls.allowed_sans is None:
        problems.append(ConfigProblem(FLAG, f"client_allowed_sans {_WEAKER}"))
    return tuple(problems)
