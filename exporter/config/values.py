"""From the text of an option to its value, one function for each kind of value.

A parser raises InvalidValue with a sentence that continues "<source>: …". No sentence repeats the text that was given:
it may be a secret in the wrong place.
"""

import ipaddress
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

from ..task.model import Coding

Parser = Callable[[str], object]
T = TypeVar("T")

_DURATION = re.compile(
    r"(?:([0-9]{1,9})y)?(?:([0-9]{1,9})w)?(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?"
    r"(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?(?:([0-9]{1,9})ms)?"
)
_OPERATION_PATH = re.compile(r"(?!.*(?:^|/)\.+(?:/|\Z))[A-Za-z0-9._~$-]{1,64}(?:/[A-Za-z0-9._~$-]{1,64}){0,7}")
_UNIT_SECONDS = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001)
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_HIGHEST_PORT = 65535
_MOST_BUSINESS_DAYS = 100
_OWN_PARAMETERS = frozenset({"_lastUpdated", "_sort", "_count", "_elements", "_summary", "_id", "_format"})
"""What each search of the exporter sets itself; a second one would break its windows, pages or counts."""


class InvalidValue(ValueError):
    """The text is not a value of this kind; the message says what would be."""


@dataclass(frozen=True, slots=True)
class Limited(Generic[T]):
    """A parser that takes only some values; `allowed` says which, for help texts."""

    read: Callable[[str], T]
    allowed: str

    def __call__(self, text: str) -> T:
        """Parse a text."""
        return self.read(text)


class RawValue(NamedTuple):
    """What one source gives for an option, not parsed: one text, or several if the option is repeatable."""

    source: str
    """How to find it: a flag, an environment variable, or a line of the file."""
    texts: tuple[str, ...]


class ConfigProblem(NamedTuple):
    """One line for the operator: where it is, and what is wrong there. It never contains the value that was given."""

    source: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.source}: {self.sentence}"


class Address(NamedTuple):
    """Where to listen; an IPv6 host has no brackets, and an empty host means every address."""

    host: str
    port: int


def operation_path(text: str) -> str:
    """Parse the end of a path: plain segments without escapes, dots alone or slashes around them."""
    if not _OPERATION_PATH.fullmatch(text):
        raise InvalidValue("must be a path below the base URL such as $export-poll-status, without a slash at its ends")
    return text


def user_name(text: str) -> str:
    """Parse a user name that basic authentication can send (RFC 7617 section 2)."""
    if not text.isprintable() or ":" in text:
        raise InvalidValue("must not contain a colon or control characters")
    return text


def duration(text: str) -> float:
    """Parse what Prometheus' `model.ParseDuration` parses, such as `1h30m` or `0`, into seconds."""
    if text == "0":
        return 0.0
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise InvalidValue("must be a duration such as 500ms, 30s, 5m, 1h30m or 1d")
    return float(sum(int(count) * unit for count, unit in zip(found.groups("0"), _UNIT_SECONDS, strict=True)))


def _positive_duration(text: str) -> float:
    seconds = duration(text)
    if not seconds:
        raise InvalidValue("must be longer than 0s")
    return seconds


positive_duration = Limited(_positive_duration, "longer than 0s")
"""Parses a duration above zero, into seconds."""


class DeadlineLength(NamedTuple):
    """How long a deadline is: in seconds, or in business days."""

    seconds: float = 0
    business_days: int = 0


def _deadline(text: str) -> DeadlineLength:
    found = re.fullmatch(r"([0-9]{1,3})bd", text)
    if found is None:
        try:
            return DeadlineLength(seconds=positive_duration(text))
        except InvalidValue:
            raise InvalidValue("must be a duration such as 24h or 1d12h, or business days such as 1bd") from None
    if not 1 <= int(found[1]) <= _MOST_BUSINESS_DAYS:
        raise InvalidValue(f"must be from 1bd to {_MOST_BUSINESS_DAYS}bd")
    return DeadlineLength(business_days=int(found[1]))


deadline = Limited(_deadline, f"longer than 0s, or 1bd to {_MOST_BUSINESS_DAYS}bd")
"""Parses a duration above zero, or a number of business days."""


def whole_number(lowest: int, highest: int) -> Limited[int]:
    """Make a parser for whole numbers, limits included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise InvalidValue(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return Limited(read, f"{lowest} to {highest}")


def number(lowest: float, highest: float) -> Limited[float]:
    """Make a parser for decimal numbers, limits included."""

    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not lowest <= float(text) <= highest:
            raise InvalidValue(f"must be a number from {lowest:g} to {highest:g}")
        return float(text)

    return Limited(read, f"{lowest:g} to {highest:g}")


def switch(text: str) -> bool:
    """Parse true or false, in the spellings of YAML and shells."""
    if text.lower() not in _WORDS:
        raise InvalidValue("must be true or false")
    return _WORDS[text.lower()]


def one_of(*words: str) -> Limited[str]:
    """Make a parser for a closed vocabulary, in any case."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise InvalidValue(f"must be one of {', '.join(words)}")
        return text.lower()

    return Limited(read, f"one of {', '.join(words)}")


def coding(text: str) -> Coding | None:
    """Parse a FHIR token, `system|code`; None for empty text."""
    if not text:
        return None
    system, bar, code = text.partition("|")
    if not (system and bar and code) or "|" in code or not text.isprintable() or " " in text:
        raise InvalidValue("must be system|code, or empty for any")
    return Coding(system, code)


def search_parameter(text: str) -> tuple[str, str]:
    """Parse a FHIR search parameter, `name=value`; the value is not escaped."""
    name, equals, value = text.partition("=")
    if not (name and equals and value) or not re.fullmatch(r"[A-Za-z0-9_.:-]+", name) or not value.isprintable():
        raise InvalidValue("must be name=value, as in a FHIR search")
    if name.partition(":")[0] in _OWN_PARAMETERS:
        raise InvalidValue(f"must not set {name.partition(':')[0]}; the exporter sets it")
    return name, value


def base_url(text: str) -> str:
    """Parse the base URL of a FHIR endpoint. Slashes at its end are dropped, so that one source has one URL."""
    return _url(text, "--fhir.username and --fhir.password-file", "; use --fhir.search for search parameters")


def admin_url(text: str) -> str:
    """Parse the base URL of the Admin API."""
    return _url(text, "--batch-jobs.username and --batch-jobs.password-file")


def token_url(text: str) -> str:
    """Parse the URL of a token endpoint, exactly as it is: it is the audience of assertions. It may have a query."""
    _url(text.partition("?")[0], "--fhir.oauth2.client-id and --fhir.oauth2.client-secret-file")
    if "#" in text or _split(text) is None:
        raise InvalidValue("must not contain a fragment")
    return text


def client_id(text: str) -> str:
    """Parse a client id (RFC 6749, appendix A.1): printable ASCII."""
    if not re.fullmatch(r"[ -~]{1,1000}", text):
        raise InvalidValue("must be printable ASCII")
    return text


def visible(text: str) -> str:
    """Parse what a claim or a header of a JWT is to hold."""
    if not text.isprintable() or " " in text:
        raise InvalidValue("must not contain blanks or control characters")
    return text


def scope(text: str) -> str:
    """Parse scopes, separated by blanks (RFC 6749, appendix A.4)."""
    if not re.fullmatch(r"[!#-\[\]-~ ]*", text):
        raise InvalidValue("must be scopes separated by blanks, without quotation marks or backslashes")
    return " ".join(text.split())


def jwt_type(text: str) -> str:
    """Parse the type of a JWT: a media type without `application/`."""
    if not re.fullmatch(r"[A-Za-z0-9.+_-]{1,100}", text):
        raise InvalidValue("must be a type such as JWT or client-authentication+jwt")
    return text


def _url(text: str, credentials: str, instead_of_query: str = "") -> str:
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidValue("must be an absolute http:// or https:// URL")
    if "@" in parts.netloc:
        raise InvalidValue(f"must not contain a user name or password; use {credentials}")
    if "?" in text or "#" in text:
        raise InvalidValue(f"must not contain a query or fragment{instead_of_query}")
    return text.rstrip("/")


def module_id(text: str) -> str:
    """Parse the id of a module of Smile CDR. It becomes part of a path."""
    if not re.fullmatch(r"(?!\.+\Z)[A-Za-z0-9_.-]{1,100}", text):
        raise InvalidValue("must be the id of a module: letters, digits, underscores, dots and hyphens")
    return text


def _split(text: str) -> SplitResult | None:
    """Split a URL; None if it is malformed, such as one with a port that is not a number."""
    if not text.isprintable() or " " in text or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def is_loopback(url: str) -> bool:
    """Whether a base URL leads to this machine, so that what is sent does not cross a network."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen_address(text: str) -> Address:
    """Parse `host:port`, `[IPv6]:port`, or `:port` for every address, as Go does; port 0 means any free one."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]*)):([0-9]{1,5})", text)
    if found is None or int(found[3]) > _HIGHEST_PORT:
        raise InvalidValue("must be host:port, such as 127.0.0.1:9842, [::1]:9842, or :9842 for every address")
    return Address(found[1] or found[2], int(found[3]))


def host_name(text: str) -> str:
    """Parse a host name, or an IP address, as it stands in a request's header `Host` without the port."""
    if re.fullmatch(r"[A-Za-z0-9._-]{1,253}", text) is None and not _is_ipv6(text):
        raise InvalidValue("must be a host name or an IP address, without port and scheme")
    return text.lower().removesuffix(".")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def readable_file(text: str) -> str:
    """Check that a file can be read now. It is not opened: it may be a pipe, and secrets are replaced later."""
    try:
        mode = Path(text).stat().st_mode
    except FileNotFoundError:
        raise InvalidValue("file does not exist") from None
    except ValueError:  # a NUL, or half of a surrogate pair
        raise InvalidValue("must be a file path") from None
    except OSError as error:
        raise InvalidValue(f"file cannot be read ({type(error).__name__})") from None
    if stat.S_ISDIR(mode):
        raise InvalidValue("is a directory, not a file")
    if not os.access(text, os.R_OK):
        raise InvalidValue("file is not readable by this user")
    return text


def secret_file(text: str) -> str:
    """Check that the file of a secret can be read now and is not empty. Later it may be replaced, by a better one."""
    path = readable_file(text)
    found = Path(path).stat()
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise InvalidValue("file is empty")
    return path


MEMORY = ":memory:"


def ledger(text: str) -> str:
    """Parse the path of a ledger, or `:memory:`."""
    if text.startswith(("postgresql:", "postgres:")):
        raise InvalidValue("PostgreSQL is not supported in this version; use a file path")
    if "://" in text or not text.isprintable():
        raise InvalidValue("must be a file path or :memory:")
    try:
        is_folder = Path(text).is_dir()
    except OSError as error:
        raise InvalidValue(f"path cannot be used ({type(error).__name__})") from None
    if is_folder:
        raise InvalidValue("is a directory, not a file")
    return text


_PATHS: frozenset[Parser] = frozenset({readable_file, secret_file, ledger})


def is_path(parse: Parser) -> bool:
    """Whether the values of a parser are paths."""
    return parse in _PATHS


def path_from(folder: Path, text: str) -> str:
    """Return a path that a file in `folder` contains: a relative one starts there, wherever the process was started."""
    stripped = text.strip()
    return text if not stripped or stripped == MEMORY or "://" in stripped else str(folder / stripped)
