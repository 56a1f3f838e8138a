"""What real servers are made of, fetched and built once, and kept in the user's cache folder for the next run."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


def once(name: str, sources: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """Let `make` fill a folder named after the content of its sources; half a folder never gets that name."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fhir-task-exporter"
    digest = hashlib.sha256(b"\0".join(file.name.encode() + b"\0" + file.read_bytes() for file in sources))
    made = cache / f"{name}-{digest.hexdigest()[:16]}"
    made.parent.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes: one makes it, the others wait for it
        if not made.is_dir():
            with tempfile.TemporaryDirectory(dir=made.parent) as temporary:
                make(Path(temporary, "made"))
                Path(temporary, "made").rename(made)
    return made
