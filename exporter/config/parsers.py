"""How each kind of option is read: one function a kind, from text to value.

A parser raises `Refused` with a sentence that completes "<option> …". No sentence ever holds the text that was given:
it may be a secret in the wrong place.
"""

import ipaddress
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from ..task.model import Coding

Parser = Callable[[str], object]

_DURATION = re.compile(
    r"(?:([0-9]{1,9})y)?(?:([0-9]{1,9})w)?(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?"
    r"(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?"
)
_UNIT_SECONDS = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001)
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_HIGHEST_PORT = 65535
_OWN_PARAMETERS = frozenset({"_lastUpdated", "_sort", "_count", "_elements", "_summary", "_id", "_format"})
"""What each search sets by itself: a second one would break windows, pages or counts."""


class Refused(ValueError):
    """The text is no value of its kind; the message says what would be."""


class Address(NamedTuple):
    """Where to listen; an IPv6 host stands without brackets."""

    host: str
    port: int


def user_name(given: str) -> str:
    """Take a user name as basic authentication can carry it (RFC 7617 section 2)."""
    if not given.isprintable() or ":" in given:
        raise Refused("must not contain a colon or control characters")
    return given


def duration(given: str) -> float:
    """Read what Prometheus' `model.ParseDuration` reads, `1h30m` or `0`; the value is in seconds."""
    if given == "0":
        return 0.0
    found = _DURATION.fullmatch(given)
    if found is None or not given:
        raise Refused("must be a duration such as 500ms, 30s, 5m, 1h30m or 1d")
    return float(sum(int(count) * unit for count, unit in zip(found.groups("0"), _UNIT_SECONDS, strict=True)))


def positive_duration(given: str) -> float:
    """Read a duration that must not be nothing, in seconds."""
    seconds = duration(given)
    if not seconds:
        raise Refused("must be longer than 0s")
    return seconds


def deadline(given: str) -> float:
    """Read a duration, in seconds; business days are understood well enough to be refused."""
    if re.fullmatch(r"[0-9]+bd", given):
        raise Refused("cannot be in business days in this version; give hours, such as 24h")
    return positive_duration(given)


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a parser for the whole numbers from `lowest` to `highest`."""

    def read(given: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", given) or not lowest <= int(given) <= highest:
            raise Refused(f"must be a whole number from {lowest} to {highest}")
        return int(given)

    return read


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """Make a parser for the decimal numbers from `lowest` to `highest`."""

    def read(given: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", given) or not lowest <= float(given) <= highest:
            raise Refused(f"must be a number from {lowest:g} to {highest:g}")
        return float(given)

    return read


def switch(given: str) -> bool:
    """Read true or false, in the spellings that YAML and shells know."""
    if given.lower() not in _WORDS:
        raise Refused("must be true or false")
    return _WORDS[given.lower()]


def one_of(*words: str) -> Callable[[str], str]:
    """Make a parser for a closed vocabulary."""

    def read(given: str) -> str:
        if given.lower() not in words:
            raise Refused(f"must be one of {', '.join(words)}")
        return given.lower()

    return read


def coding(given: str) -> Coding | None:
    """Read a FHIR token, `system|code`; empty text means: do not look at it."""
    if not given:
        return None
    system, bar, code = given.partition("|")
    if not (system and bar and code) or "|" in code or not given.isprintable() or " " in given:
        raise Refused("must be system|code, or empty to switch it off")
    return Coding(system, code)


def search_parameter(given: str) -> tuple[str, str]:
    """Read one further FHIR search parameter, `name=value`, the value unescaped."""
    name, equals, value = given.partition("=")
    if not (name and equals and value) or not re.fullmatch(r"[A-Za-z0-9_.:-]+", name) or not value.isprintable():
        raise Refused("must be name=value, as in a FHIR search")
    if name.partition(":")[0] in _OWN_PARAMETERS:
        raise Refused(f"must not set {name.partition(':')[0]}: the exporter sets it itself")
    return name, value


def base_url(given: str) -> str:
    """Read the base URL of a FHIR endpoint; a slash at its end is dropped, so that it names one source only."""
    parts = _split(given)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("must be an absolute http:// or https:// URL")
    if "@" in parts.netloc:
        raise Refused("must not hold a user or password; use --fhir.username and --fhir.password-file")
    if "?" in given or "#" in given:
        raise Refused("must not hold a query or fragment; use --fhir.search for search parameters")
    return given.rstrip("/")


def _split(given: str) -> SplitResult | None:
    """Take a URL apart; None when it is none (a port that is no number, say)."""
    if not given.isprintable() or " " in given or "\\" in given:
        return None
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError:
        return None
    return parts


def loopback(url: str) -> bool:
    """Whether a base URL leads to this very machine, where nobody else listens to what is sent."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen_address(given: str) -> Address:
    """Read `host:port` or `[IPv6]:port`; port 0 means any free one."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", given)
    if found is None or int(found[3]) > _HIGHEST_PORT:
        raise Refused("must be host:port, such as 127.0.0.1:9842, [::1]:9842, or 0.0.0.0:9842 for every address")
    return Address(found[1] or found[2], int(found[3]))


def readable_file(given: str) -> str:
    """Read a path whose file may be read now. It is not opened: it may be a pipe, and secrets are replaced later."""
    if "\0" in given:
        raise Refused("must be the path of a file")
    try:
        mode = Path(given).stat().st_mode
    except FileNotFoundError:
        raise Refused("names a file that does not exist") from None
    except OSError as error:
        raise Refused(f"names a file that cannot be read ({type(error).__name__})") from None
    if stat.S_ISDIR(mode):
        raise Refused("names a directory, not a file")
    if not os.access(given, os.R_OK):
        raise Refused("names a file that this user may not read")
    return given


def ledger(given: str) -> str:
    """Read the path of a ledger, or `:memory:`."""
    if given.startswith(("postgresql:", "postgres:")):
        raise Refused("cannot be PostgreSQL in this version; give the path of a file")
    if "://" in given or not given.isprintable():
        raise Refused("must be the path of a file, or :memory:")
    return given
