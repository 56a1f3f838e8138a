"""The web configuration in force, and its file, which is read again when it changes or when we are asked to.

Rule: a file with problems changes nothing. What was read last stays in force, users who were removed since included.

See docs/web-configuration.md#reload.
"""

import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from ..config.web_config import ReadWebConfig, WebConfig, read_web_config, stamps, weakened
from ..config.web_file import FLAG
from ..errors import ConfigurationError
from ..logs import log_event
from ..metrics.vocabulary import ConfigFile
from ..reload import Reread, log_reread

logger = logging.getLogger(__name__)


class FixedWebConfig:
    """A configuration without a file, so that nothing ever changes it."""

    changes = False
    """Whether `look` may find something new."""

    def __init__(self, config: WebConfig | None = None) -> None:
        self._current = config or WebConfig()

    def current(self) -> WebConfig:
        """Return the configuration in force; any thread may ask."""
        return self._current

    def look(self) -> None:
        """Look whether there is something new; called once a second."""


class WebConfigFile(FixedWebConfig):
    """The configuration of a file. `report` hears whether it is in force after each change, and at the start.

    Raises ConfigurationError, with every problem, if the file cannot be used at the start.
    """

    changes = True

    def __init__(self, path: Path, report: Callable[[bool], None] = lambda _used: None) -> None:
        self._path = path
        self._report = report
        self._lock = threading.Lock()
        read = read_web_config(path)
        if read.config is None:
            raise ConfigurationError(tuple(str(each) for each in read.problems))
        super().__init__(read.config)
        self._last = read
        self._seen = read.stamps
        self._accept(read, read.config)
        report(True)

    def look(self) -> None:
        """Read the file again if it changed, or one that it names: at the second look, when nobody writes any more."""
        now = stamps(self._last.files)
        if now != self._last.stamps and now == self._seen:
            read = self.reread()
            log_reread(logger, read)
            self._report(not read.problems)
        self._seen = now

    def reread(self) -> Reread:
        """Read the file again, changed or not. Any thread may ask; the caller logs and reports."""
        before = self._last.stamps
        problems = self._read()
        changed = not problems and self._last.stamps != before
        return Reread(ConfigFile.WEB, problems, (FLAG,) if changed else ())

    def _read(self) -> tuple[str, ...]:
        with self._lock:
            self._last = read = read_web_config(self._path)
            if read.config is None:
                return tuple(str(each) for each in read.problems)
            if problems := weakened(self._current, read.config):
                return tuple(str(each) for each in problems)
            self._accept(read, read.config)
            return ()

    def _accept(self, read: ReadWebConfig, config: WebConfig) -> None:
        self._current = config
        for each in read.warnings:
            log_event(logger, logging.WARNING, "the web configuration should be changed", warning=str(each))


class NewestContext(ssl.SSLContext):
    """A context for a server that never changes it: each handshake is that of the context in force."""

    def __new__(cls, _current: Callable[[], WebConfig]) -> Self:
        """Make a context of which nothing is used but its type."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, current: Callable[[], WebConfig]) -> None:
        self._newest = current

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a handshake."""
        context = self._newest().tls
        if context is None:
            raise ssl.SSLError("there is no certificate")
        return context.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
