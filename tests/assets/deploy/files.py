"""The files that people run the exporter from, read for the tests."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

from exporter.config import CONFIG_FILE, OPTIONS

ROOT = Path(__file__).parents[3]
EXPORTER = ROOT / "deploy/exporter"

OPTION_VARIABLES = {option.variable for option in (CONFIG_FILE, *OPTIONS)}
PREFIX = "FHIR_TASK_EXPORTER_"
LEDGER_FOLDER = "/var/lib/fhir-task-exporter"
USER = 65532


def read(path: Path | str) -> Any:
    """Read one YAML document; a path is relative to the repository."""
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def fallback_version() -> str:
    """The version of a build without git, as in the container: `.dev0` of the next release."""
    found: str = pyproject()["tool"]["hatch"]["version"]["fallback-version"]
    return found


def next_release() -> str:
    return fallback_version().removesuffix(".dev0")


def ours(variables: set[str]) -> set[str]:
    return {name for name in variables if name.startswith(PREFIX)}


def instructions(text: str) -> list[tuple[str, str]]:
    """Read a Dockerfile: each instruction and what it is given, comments left out and continued lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = lines.replace("\\\n", "")
    split = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), " ".join(rest.split())) for word, _, rest in split]


def stages(text: str) -> list[list[tuple[str, str]]]:
    """Split a Dockerfile at each FROM; what stands before the first is left out."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions(text):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found
