"""Kill an exporter and break its disk so many times, and print the figures: `python -m tests.crash --kills 500`."""

import argparse
import logging
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from .faults import Faults
from .kills import Kills
from .truth import Violation


def main() -> int:
    """Run what the arguments ask for; 1 at a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, metavar="N")
    parser.add_argument("--faults", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), metavar="N")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    tell(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="crash-") as name:
        try:
            run(Path(name), asked)
        except Violation as violation:
            tell(f"VIOLATION: {violation}")
            return 1
    tell("0 violations")
    return 0


def run(folder: Path, asked: argparse.Namespace) -> None:
    """Do both, and print what was done, also where it ends at a violation."""
    began, kills = time.monotonic(), Kills(folder / "kills", random.Random(asked.seed))
    try:
        kills.run(asked.kills)
    finally:
        figures(f"{kills.done} kills with signal 9", kills.looks, began, kills.killed)
    began, faults = time.monotonic(), Faults(folder / "faults", random.Random(asked.seed))
    try:
        faults.run(asked.faults)
    finally:
        figures(f"{sum(faults.rounds.values())} faults of the disk", faults.looks, began, faults.rounds, faults.seen)


def figures(what: str, looks: int, began: float, *counts: Mapping[str, int]) -> None:
    """Print one half of the result."""
    tell(f"{what} in {time.monotonic() - began:.0f} s, {looks} expositions compared with the truth")
    for each in counts:
        tell("".join(f"  {n:4} {name}\n" for name, n in sorted(each.items())))


def tell(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
