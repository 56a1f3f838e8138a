"""Credentials for the FHIR server: headers for one request at a time.

Secrets are read from files, and again when the files change; no repr, message or log line shows one.
`links` checks the address before any headers are made for it.

See docs/design.md#authentication.
"""

import base64
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from ..errors import AuthFailed

LARGEST_BYTES = 64 * 1024
VISIBLE = re.compile(r"[!-~]+")
"""Visible ASCII: what a header may hold, so that no token can split one in two."""


class Auth(Protocol):
    """A way to authenticate."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers for one request; raises AuthFailed where there is nothing to send."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Look for other headers than those that got a 401; True where there are some: one more try makes sense.

        Several threads may share credentials, so by now they may be others than those `refused`.
        """


class Anonymous:
    """No authentication."""

    def headers(self) -> Mapping[str, str]:
        """Return none."""
        return {}

    def renew(self, refused: Mapping[str, str]) -> bool:  # noqa: ARG002 - there are no others
        """Return False: there is nothing else to send."""
        return False


class SecretFile:
    """A secret in a file, read again when its time, size or inode changes (Kubernetes swaps a link).

    A pipe gives its text once, and is opened only as the first of all: else that would wait for a writer for good.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._forgotten = False
        self._text = ""

    def read(self) -> str:
        """Return the secret without the blanks around it; raises AuthFailed, naming the file."""
        try:
            found = self._path.stat()
            is_regular = stat.S_ISREG(found.st_mode)
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino) if is_regular else (0, 0, found.st_ino)
            if stamp != self._stamp or (self._forgotten and is_regular):
                self._check_kind(is_regular=is_regular)
                self._text = self._load()
                self._stamp, self._forgotten = stamp, False
        except OSError as error:
            raise AuthFailed(f"The secret file {self._path} cannot be read ({error.strerror}).") from error
        return self._text

    def forget(self) -> None:
        """Let the file be read again, whatever its time."""
        self._forgotten = True

    def _check_kind(self, *, is_regular: bool) -> None:
        if not is_regular and self._stamp is not None:
            raise AuthFailed(f"The secret file {self._path} became something else than a regular file.")

    def _load(self) -> str:
        with self._path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
        try:
            text = data.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            text = ""
        if not text or len(data) > LARGEST_BYTES:
            raise AuthFailed(f"The secret file {self._path} is empty, too large or not UTF-8 text.")
        return text


class BearerFile:
    """A bearer token in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SecretFile(path)

    def headers(self) -> Mapping[str, str]:
        """Return the token that the file holds now."""
        token = self._file.read()
        if not VISIBLE.fullmatch(token):
            raise AuthFailed(f"The token file {self._path} contains characters that are not allowed in a token.")
        return {"Authorization": f"Bearer {token}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Check whether the file holds another token by now."""
        self._file.forget()
        return self.headers() != refused


def basic(username: str, password: str) -> Mapping[str, str]:
    """Make the header for a name and a password (RFC 7617, in UTF-8)."""
    pair = f"{username}:{password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}


class Basic:
    """A user name, and a password in a file (RFC 7617, in UTF-8)."""

    def __init__(self, username: str, path: Path) -> None:
        self._username = username
        self._file = SecretFile(path)

    def headers(self) -> Mapping[str, str]:
        """Return name and password as they are now."""
        return basic(self._username, self._file.read())

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Check whether the file holds another password by now."""
        self._file.forget()
        return self.headers() != refused
