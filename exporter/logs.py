"""How log lines are written: one event a line, on stderr, as logfmt or JSON.

`event(logger, logging.INFO, "poll complete", tasks=3)` is how the program logs. Whatever reaches a line, from us or
from a library, is escaped and passes the last wall: what looks like a credential or a query is masked. An exception
shows as its class and its places in the code, never as its message, which may repeat what a server sent.
"""

import json
import logging
import math
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TextIO

Field = str | int | float | bool | None
Fields = Mapping[str, Field]

NOISY = ("httpx", "httpcore", "hpack", "hypercorn", "asyncio")
"""At INFO, httpx writes whole URLs with their queries; at DEBUG, httpcore and hpack write headers."""

MASK = "***"
_CREDENTIALS = re.compile(
    r"(?i)"
    r"\b(bearer|basic)\s+(?!token\b|auth\b|authentication\b)[^\s,;\"']+"
    r"|\b((?:proxy-)?authorization|cookie|x-api-key)\b[\"']?\s*[:=]\s*[^\r\n]+"
    r"|\b(password|passwd|token|secret|access_token|client_assertion|client_secret)\b[\"']?\s*[:=]\s*[^\s,;&]+"
)
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?")
_QUERY = re.compile(r"\?[^\s\"'<>)]+")
_USER_INFO = re.compile(r"(?<=://)[^\s/@]+@")
_SECRET_NAMES = re.compile(r"(?i)password|passwd|token|secret|authorization|cookie")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+*,~<>()\[\]-]+")


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send all logs of the process to `stream` (stderr), as `logfmt` or `json`; may be called again."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(LineFormatter(FORMS[form]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def event(logger: logging.Logger, level: int, message: str, **fields: Field) -> None:
    """Log one event with its fields. The message is a constant of ours; what varies is a field."""
    logger.log(level, "%s", message, extra={"fields": fields}, stacklevel=2)


def log_bug(logger: logging.Logger, message: str, error: BaseException) -> None:
    """Log an unexpected exception by its class and traceback, since its own message could contain anything."""
    event(logger, logging.ERROR, message, error=type(error).__name__, where=traceback_summary(error))


class LineFormatter(logging.Formatter):
    """Makes one line of a record; what is not ours to show cannot pass, whoever logged it."""

    def __init__(self, write: Callable[[Fields], str]) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        """Order the fields: when, how bad, who, what, then the event's own."""
        return self._write(dict(_masked(name, value) for name, value in _fields(record)))


def masked(text: str) -> str:
    """Mask what looks like a credential, the query of a URL, or its user and password."""
    hidden = _CREDENTIALS.sub(lambda found: f"{found[1] or found[2] or found[3]} {MASK}", text)
    return _USER_INFO.sub(f"{MASK}@", _QUERY.sub(f"?{MASK}", _JWT.sub(MASK, hidden)))


def logfmt(fields: Fields) -> str:
    """Write `name=value …`, quoted as JSON strings where anything but plain characters is in them."""
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in fields.items())


def as_json(value: Fields | Field) -> str:
    """Write JSON, printable ASCII only, so that no control character is left."""
    return json.dumps(value, ensure_ascii=True)


FORMS: Mapping[str, Callable[[Fields], str]] = {"logfmt": logfmt, "json": as_json}


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Field]]:
    yield "ts", datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield "level", record.levelname.lower()
    yield "logger", record.name
    yield "msg", _message(record)
    for name, value in getattr(record, "fields", {}).items():
        yield re.sub(r"[^A-Za-z0-9_]", "_", str(name)), value
    if record.exc_info and record.exc_info[1] is not None:
        yield "error", type(record.exc_info[1]).__name__
        yield "at", traceback_summary(record.exc_info[1])


def _message(record: logging.LogRecord) -> str:
    """Fill in the message; a library that gets its arguments wrong must not end us."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def traceback_summary(error: BaseException) -> str:
    """Tell where an exception came through: files, lines and functions, outermost first, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames)


def _masked(name: str, value: Field) -> tuple[str, Field]:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return name, value
    return name, MASK if _SECRET_NAMES.search(name) else masked(str(value))


def _logfmt_value(value: Field) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else as_json(value)
