"""The files of a configuration: read with a limit, and looked at without opening them."""

import stat
from pathlib import Path

from .values import InvalidValue

Stamp = tuple[int, ...]
"""What changes when a file gets another content, or another file takes its place."""

_OTHERS = stat.S_IROTH | stat.S_IWOTH


def stamp(path: Path) -> Stamp | None:
    """Look at a regular file; None where there is none, or none that can be looked at."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def mode_for_others(path: Path) -> str | None:
    """Return the mode of a regular file, as `chmod` takes it, if others on this machine may read or write it."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return f"{stat.S_IMODE(mode):04o}" if stat.S_ISREG(mode) and mode & _OTHERS else None


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
