"""Run the table, or what of it has these words in its names, and print what was seen: `python -m tests.hostile tls`."""

import sys
import time

from .cases import CASES
from .corpus import run
from .table import HEADER, line, summary


def main(words: list[str]) -> int:
    """Return the exit code: 1 where a case went wrong."""
    cases = [case for case in CASES if all(word in case.name for word in words)]
    began = time.monotonic()
    sys.stdout.write(f"{HEADER}\n")
    seen = run(cases, lambda each: _write(line(each)))
    _write(summary(seen, time.monotonic() - began))
    return 1 if any(each.faults for each in seen) else 0


def _write(text: str) -> None:
    """Write a line at once: several threads do."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
