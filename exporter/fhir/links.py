"""Where a page link may lead: to the server's own base and nowhere else.

The answer is always built on the origin of the base, never on that of the link: whatever two parsers may think of an
odd host, no request and no credential can go elsewhere. Paths are checked by an allow-list, because a proxy may undo
what we would have to forbid (`%2e%2e`, `..;`, `%252f`). Nothing here sends anything, and no message repeats the
server's text.

See docs/design.md#links.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from ..errors import LinkRefused

LONGEST_LINK = 8192
"""Characters. Longer ones are no page links of any server known, and a seen set must stay small."""

_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535
_PRINTABLE = re.compile(r"[!-~]*")
_PARTS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_TAIL = re.compile(r"(?:/(?!\.+(?:/|\Z))[A-Za-z0-9._~$!'()*+,=&@:-]+)*/?")
"""What may follow the base path: plain segments, none of dots alone, no escapes, no `;` parameters."""


class BaseUrl(NamedTuple):
    """A base address in parts; `port` is never absent, `path` has no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> str:
        """The host and the port, and nothing that could be a secret: for people."""
        return f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The address without its path; a port that goes without saying is left out."""
        return f"{self.scheme}://{self.host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


class _Parts(NamedTuple):
    scheme: str | None
    authority: str | None
    path: str
    query: str


@lru_cache(maxsize=16)
def parse_base_url(base: str) -> BaseUrl:
    """Take a base address apart; raises LinkRefused for anything but scheme, host, port and path."""
    parts = _split(base)
    if parts.authority is None or parts.query or "#" in base:
        raise LinkRefused("The base address needs a scheme and a host, and takes no query or fragment.")
    return BaseUrl(*_origin(parts.scheme or "", parts.authority), parts.path.rstrip("/"))


def resolve(base: str, link: str, rewrite: bool = False) -> str:
    """Return the address of `link`, which is at `base` or below it; raises LinkRefused.

    A relative link is one to the service base (FHIR R4, http.html#general). With `rewrite` only path and query are
    kept, and a path that is not below ours becomes ours: for servers that do not know the name a proxy gives them.
    """
    home, parts = parse_base_url(base), _split(link)
    if not rewrite:
        _check_origin(home, parts)
    elif (parts.scheme or home.scheme).lower() not in _PORTS:
        raise LinkRefused("A page link is not http or https.")
    path = _absolute(home, parts)
    if rewrite and not _below(home, path):
        path = home.path + ("/Task" if path.rstrip("/").endswith("/Task") else "")
    if not _below(home, path) or not _TAIL.fullmatch(path, len(home.path)):
        raise LinkRefused("A page link leads outside the path of the base address.")
    return home.origin + path + parts.query


def _split(link: str) -> _Parts:
    found = _PARTS.fullmatch(link)
    if len(link) > LONGEST_LINK or not _PRINTABLE.fullmatch(link) or found is None:
        raise LinkRefused("A link is too long or holds blanks, control or other characters that no address has.")
    return _Parts(found["scheme"], found["authority"], found["path"], found["query"] or "")


def _origin(scheme: str, authority: str) -> tuple[str, str, int]:
    scheme, found = scheme.lower(), _AUTHORITY.fullmatch(authority)
    if scheme not in _PORTS or found is None:
        raise LinkRefused("A link is not http or https, or names a user, or no plain host.")
    port = int(found["port"] or _PORTS[scheme])
    if port > _HIGHEST_PORT:
        raise LinkRefused("A link names a port that does not exist.")
    return scheme, found["host"].lower(), port


def _check_origin(home: BaseUrl, parts: _Parts) -> None:
    if parts.authority is None:
        if parts.scheme is not None:
            raise LinkRefused("A page link has a scheme and no host.")
    elif _origin(parts.scheme or home.scheme, parts.authority) != home[:3]:
        raise LinkRefused("A page link names another scheme, host or port than the base address.")


def _absolute(home: BaseUrl, parts: _Parts) -> str:
    if parts.authority is not None or parts.path.startswith("/"):
        return parts.path
    return f"{home.path}/{parts.path}" if parts.path else home.path


def _below(home: BaseUrl, path: str) -> bool:
    return path == home.path or path.startswith(f"{home.path}/")
