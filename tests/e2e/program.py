"""Running a program of Prometheus' family: it logs where it listens, and is ended whatever happens."""

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def listening(command: Sequence[str], log: Path, within: float, ready: str = "") -> Iterator[str]:
    """Run `command` in the folder of `log` until the block ends; gives its address once the log has `ready` too."""
    with log.open("wb") as stream:
        popen = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=log.parent)
        try:
            yield _address(popen, log, within, ready)
        finally:
            popen.kill()  # its data are thrown away, so nothing need be saved
            popen.wait()


def _address(popen: subprocess.Popen[bytes], log: Path, within: float, ready: str) -> str:
    """Read from its log where it listens."""
    end = time.monotonic() + within
    while time.monotonic() < end and popen.poll() is None:
        said = log.read_text()
        found = re.search(r'msg="Listening on" address=(\S+)', said)
        if found and ready in said:
            return f"http://{found[1]}"
        time.sleep(0.05)
    raise AssertionError(f"it did not start: {log.read_text()[-4000:]}")
