"""Structured logging: one event per line, on stderr, as logfmt or JSON.

The exporter logs by `log_event(logger, logging.INFO, "poll complete", tasks=3)`. Every line, a library's too, is
escaped, and whatever looks like a credential or a query string is masked: the last line of defense. An exception is
logged by its class and traceback, never by its message, which may repeat what a server sent.

See docs/design.md#privacy.
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
"""Capped at WARNING. At INFO, httpx logs whole URLs with their queries; at DEBUG, httpcore and hpack log headers."""

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
    """Send all logs of the process to `stream`, by default stderr. Calling it again replaces the earlier configuration.

    `level` and `form` are `--log.level` and `--log.format`.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(LineFormatter(FORMS[form]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_event(logger: logging.Logger, level: int, message: str, **fields: Field) -> None:
    """Log one event. The message is a constant, so that it can be searched for; whatever varies is a field."""
    logger.log(level, "%s", message, extra={"fields": fields}, stacklevel=2)


def log_bug(logger: logging.Logger, message: str, error: BaseException) -> None:
    """Log an unexpected exception by its class and traceback, since its own message could contain anything."""
    log_event(logger, logging.ERROR, message, error=type(error).__name__, where=traceback_summary(error))


class LineFormatter(logging.Formatter):
    """Formats a record as one line, escaped and masked, whoever logged it."""

    def __init__(self, write: Callable[[Fields], str]) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        """Format time, level, logger and message, then the fields of the event."""
        return self._write(dict(_masked_field(name, value) for name, value in _fields(record)))


def mask_secrets(text: str) -> str:
    """Mask whatever looks like a credential, the query string of a URL, or a user and password in it."""
    hidden = _CREDENTIALS.sub(lambda match: f"{match[1] or match[2] or match[3]} {MASK}", text)
    return _USER_INFO.sub(f"{MASK}@", _QUERY.sub(f"?{MASK}", _JWT.sub(MASK, hidden)))


def format_logfmt(fields: Fields) -> str:
    """Write `name=value …`; a value with other than plain characters becomes a JSON string."""
    return " ".join(f"{name}={_logfmt_value(value)}" for name, value in fields.items())


def format_json(value: Fields | Field) -> str:
    """Write JSON in printable ASCII, so that no control character is left."""
    return json.dumps(value, ensure_ascii=True)


FORMS: Mapping[str, Callable[[Fields], str]] = {"logfmt": format_logfmt, "json": format_json}


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
    """Return the message; a library may log with arguments that do not fit, which must not raise here."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def traceback_summary(error: BaseException) -> str:
    """List the files, lines and functions of a traceback, outermost first, without the exception's message."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames)


def _masked_field(name: str, value: Field) -> tuple[str, Field]:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return name, value
    return name, MASK if _SECRET_NAMES.search(name) else mask_secrets(str(value))


def _logfmt_value(value: Field) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else format_json(value)
