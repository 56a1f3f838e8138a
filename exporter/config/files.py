"""Reading the files of a configuration: with a limit, and again only what gives its text twice."""

import stat
from pathlib import Path

from .values import InvalidValue


def read_regular_file(path: Path, most_bytes: int) -> bytes:
    """Read a file that can be read again when it changes: no pipe and no device. Raises InvalidValue."""
    try:
        # Opening a pipe would wait for its writer.
        regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        raise InvalidValue("file does not exist") from None
    except (OSError, ValueError) as error:
        raise InvalidValue(f"file cannot be read ({type(error).__name__})") from None
    if not regular:
        raise InvalidValue("is not a regular file")
    return read_limited(path, most_bytes)


def read_limited(path: Path, most_bytes: int) -> bytes:
    """Read whatever it is, a pipe too, to its end or to the limit. Raises InvalidValue."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        raise InvalidValue(f"file cannot be read ({type(error).__name__})") from None
    if len(content) > most_bytes:
        raise InvalidValue(f"file is larger than {most_bytes // 1024} KiB")
    return content
