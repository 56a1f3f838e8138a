"""`python -m tests.fuzz`: fuzz every target at once, try one input, or keep what a long run has found."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from .corpus import HERE, TARGETS, keep, kept, unpack

ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "fuzz"
LONGEST_INPUT = 8192
SLOWEST_SECONDS = 25
"""An input that takes longer is a finding: it could keep the exporter busy."""
MOST_MEMORY_MB = 1024
UNAVAILABLE = (
    "fuzzing needs atheris, which has packages for Linux on x86-64 and Python 3.11 to 3.13 only; run it there. "
    "What earlier runs found is tested everywhere: .venv/bin/pytest tests/fuzz"
)


@dataclass(frozen=True, slots=True)
class Run:
    """A target that is being fuzzed."""

    target: str
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        return BUILD / self.target / "log"

    def report(self) -> str:
        """Wait for its end; says what was done, or where the input is that broke a rule."""
        code = self.process.wait()
        text = self.log.read_text("utf-8", "replace")
        runs = re.findall(r"Done (\d+) runs in (\d+) second", text)
        covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
        if code == 0 and runs and covered:
            (branches, features, inputs), (count, seconds) = covered[-1], runs[-1]
            return (
                f"{self.target}: ok, {count} runs in {seconds} s, "
                f"{branches} branches and {features} features covered by {inputs} inputs"
            )
        return f"{self.target}: FAILED with exit code {code}\n{self._finding(text)}"

    def _finding(self, text: str) -> str:
        written = re.findall(r"Test unit written to (\S+)", text)
        if not written:
            return f"  nothing was found; the log ends so:\n{text[-2000:]}"
        path = written[-1]
        return (
            f"  the input is in {path}; try it: .venv/bin/python -m tests.fuzz --input {self.target} {path}\n"
            f"  then keep it as tests/fuzz/found/{self.target}/NAME, with a name that says what it broke"
        )


def fuzz(targets: Iterable[str], seconds: int, seed: int) -> int:
    """Fuzz all targets side by side for so long; the exit code is 1 if a rule was broken."""
    runs = [start(target, [f"-max_total_time={seconds}", f"-seed={seed}"]) for target in targets]
    reports = [run.report() for run in runs]
    _say(*reports)
    return int(any("FAILED" in report for report in reports))


def start(target: str, how: list[str]) -> Run:
    """Start one target, with these options of libFuzzer."""
    module = import_module(f"tests.fuzz.{target}")
    folder = BUILD / target
    unpack((*module.seeds(), *kept(target)), folder / "corpus")
    words = (word.encode().decode("latin-1") for word in module.dictionary())
    quoted = ("".join(_quoted(character) for character in word) for word in words)
    (folder / "words").write_text("".join(f'"{word}"\n' for word in quoted))
    options = [
        *(f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/", f"-max_len={LONGEST_INPUT}"),
        *(f"-timeout={SLOWEST_SECONDS}", f"-rss_limit_mb={MOST_MEMORY_MB}", *how, str(folder / "corpus")),
    ]
    with (folder / "log").open("wb") as log:
        return Run(target, subprocess.Popen(_command(target, options), stdout=log, stderr=subprocess.STDOUT, cwd=ROOT))


def _quoted(character: str) -> str:
    return character if character.isascii() and character.isalnum() else f"\\x{ord(character):02X}"


def _command(target: str, options: list[str]) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz.fuzzer", target, *options]


def merge(targets: Iterable[str]) -> None:
    """Put into the repository those inputs of build/fuzz that cover something that smaller ones do not."""
    for target in targets:
        with tempfile.TemporaryDirectory() as merged:
            options = ["-merge=1", f"-max_len={LONGEST_INPUT}", merged, str(BUILD / target / "corpus")]
            subprocess.run(_command(target, options), check=True, capture_output=True, cwd=ROOT)
            inputs = [path.read_bytes() for path in Path(merged).iterdir()]
        _say(f"{target}: {keep(target, inputs)} of {len(inputs)} inputs fit into tests/fuzz/corpus")


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def main(arguments: list[str] | None = None) -> int:
    """Do as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together, which run side by side")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--input", nargs=2, metavar=("TARGET", "FILE"), help="try one input")
    parser.add_argument("--keep", action="store_true", help="write the corpus of the repository from build/fuzz")
    given = parser.parse_args(arguments)
    if given.input:
        import_module(f"tests.fuzz.{given.input[0]}").check(Path(given.input[1]).read_bytes())
        return 0
    if find_spec("atheris") is None:
        _say(UNAVAILABLE)
        return int("CI" in os.environ)
    if given.keep:
        merge(given.targets)
        return 0
    return fuzz(given.targets, given.seconds, given.seed)


if __name__ == "__main__":
    sys.exit(main())
