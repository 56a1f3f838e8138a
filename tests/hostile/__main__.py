"""Run the table, or what of it has these words in its names, and print what was seen: `python -m tests.hostile tls`."""

import sys
import time

from .cases import CASES
from .corpus import run
from .judge import Seen
from .table import line, summary


def main(words: list[str]) -> int:
    cases = [case for case in CASES if all(word in case.name for word in words)]
    began = time.monotonic()
    seen = run(cases, lambda each: print(line(each) + "\n", end="", flush=True))
    print(summary(seen, time.monotonic() - began))
    return 1 if any(each.faults for each in seen) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
