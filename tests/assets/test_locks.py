"""The lock files hold, with hashes, what pyproject.toml asks for: nothing less, nothing more, no other version."""

import re
from importlib.metadata import requires
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as plain

from .deploy.files import ROOT, pyproject

RUN, BUILD, DEVELOP = "requirements.lock", "requirements-build.lock", "requirements-dev.lock"
PROJECT = pyproject()["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = {
    RUN: [*PROJECT["dependencies"], *EXTRAS["holidays"]],
    BUILD: pyproject()["build-system"]["requires"],
    DEVELOP: [*PROJECT["dependencies"], *EXTRAS["holidays"], *EXTRAS["dev"]],
}


def entries(text: str) -> list[str]:
    """Split a lock file into its requirements, each with the lines of its hashes."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [" ".join(entry.split()) for entry in lines.replace("\\\n", "").splitlines() if entry.strip()]


def locked(file: str) -> dict[str, Requirement]:
    found = [Requirement(entry.partition(" --hash=")[0]) for entry in entries((ROOT / file).read_text("utf-8"))]
    return {plain(each.name): each for each in found}


def version(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    return pin.version


def missing(asked: list[str], held: dict[str, Requirement]) -> list[str]:
    """Name what is asked for and not held, or held in a version that does not fit."""
    wanted = [each for each in map(Requirement, asked) if plain(each.name) != plain(PROJECT["name"])]
    return [
        str(each)
        for each in wanted
        if plain(each.name) not in held or version(held[plain(each.name)]) not in each.specifier
    ]


def reached(asked: list[str]) -> set[str]:
    """Follow the metadata of the installed packages from what is asked for, on this machine and Python."""
    names: set[tuple[str, str]] = set()
    queue = [Requirement(each) for each in asked]
    while queue:
        each = queue.pop()
        steps = {(plain(each.name), extra) for extra in ("", *each.extras)} - names
        names |= steps
        for name, extra in steps:
            needs: list[Any] = [Requirement(text) for text in requires(name) or ()]
            queue += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in names}


@pytest.mark.parametrize("file", ASKED)
def test_everything_that_is_asked_for_is_locked_in_a_version_that_fits(file: str) -> None:
    assert missing(ASKED[file], locked(file)) == [], "run `make lock`"


@pytest.mark.parametrize("file", [RUN, BUILD])
def test_a_lock_holds_what_is_needed_and_nothing_else(file: str) -> None:
    here = {name for name, each in locked(file).items() if each.marker is None or each.marker.evaluate()}
    assert here == reached(ASKED[file]), "run `make lock`"


@pytest.mark.parametrize("file", ASKED)
def test_every_locked_package_has_one_version_and_its_hashes(file: str) -> None:
    for entry in entries((ROOT / file).read_text("utf-8")):
        requirement, *hashes = entry.split(" --hash=")
        assert version(Requirement(requirement))
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), entry


def test_the_locks_agree_on_versions() -> None:
    develop = locked(DEVELOP)
    for file in (RUN, BUILD):
        others = {name: version(each) for name, each in locked(file).items()}
        assert others == {name: version(develop[name]) for name in others}


def test_no_other_file_of_versions_is_left() -> None:
    assert sorted(path.name for path in ROOT.glob("*.lock")) == sorted(ASKED)
    assert not (ROOT / "constraints.txt").exists(), "lock files have replaced it: run `make lock`"
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "install --require-hashes --only-binary :all:" in makefile
    assert all(file in makefile for file in ASKED)


@pytest.mark.parametrize(
    ("asked", "faults"),
    [("httpx>=0.28", []), ("httpx>=99", ["httpx>=99"]), ("requests", ["requests"]), ("HTTPX<1", [])],
)
def test_a_lock_that_lags_behind_would_be_found(asked: str, faults: list[str]) -> None:
    assert missing([asked], locked(RUN)) == faults


def test_a_lock_is_read_entry_by_entry() -> None:
    text = "# made\na==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n"
    text += "b==2 ; python_version < '3.12' --hash=sha256:02\n"
    assert entries(text) == [
        "a==1 --hash=sha256:00 --hash=sha256:01",
        "b==2 ; python_version < '3.12' --hash=sha256:02",
    ]
