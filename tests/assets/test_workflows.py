"""The workflows of GitHub: what they run is pinned, and each job may do no more than it must."""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from .deploy.files import ROOT, read

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(path.name for path in FOLDER.glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

MAY_WRITE = {
    ("release.yml", "image"): {"packages"},
    ("release.yml", "sign"): {"packages", "id-token", "attestations"},
    ("release.yml", "pypi"): {"id-token"},
    ("release.yml", "release"): {"contents"},
}
"""Every right to write that a job has. No other job has one, and a new right needs a reason here."""


def jobs(file: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(FOLDER / file)["jobs"]
    return found


def every_job() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in FILES:
        for name, job in jobs(file).items():
            yield file, name, job


def used(text: str) -> list[str]:
    return [line.strip() for line in re.findall(r"^[ -]*uses:(.*)$", text, re.MULTILINE)]


def unpinned(text: str) -> list[str]:
    """Name what a workflow uses that is neither a file of this repository nor pinned by its commit and version."""
    return [each for each in used(text) if not each.startswith("./") and not PINNED.fullmatch(each)]


def needed(name: str) -> set[str]:
    """Name the jobs of the release that must have ended before this one."""
    found = jobs("release.yml")[name].get("needs", [])
    direct = {found} if isinstance(found, str) else set(found)
    return direct | {each for step in direct for each in needed(step)}


def test_the_three_workflows_are_read() -> None:
    assert FILES == ["audit.yml", "ci.yml", "release.yml"]


@pytest.mark.parametrize("file", FILES)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(file: str) -> None:
    text = (FOLDER / file).read_text("utf-8")
    assert used(text)
    assert unpinned(text) == []


def test_one_action_has_one_commit() -> None:
    every = {each for file in FILES for each in used((FOLDER / file).read_text("utf-8")) if not each.startswith("./")}
    assert len({each.partition("@")[0] for each in every}) == len(every)


@pytest.mark.parametrize(
    "uses",
    ["actions/checkout@v6", "actions/checkout@8e8c483 # v6.0.1", f"actions/checkout@{'a' * 40}", "docker://alpine:3"],
)
def test_an_action_that_is_not_pinned_would_be_found(uses: str) -> None:
    assert unpinned(f"      - uses: {uses}\n") == [uses]


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_allowed_but_by_the_job_that_needs_it(file: str) -> None:
    assert read(FOLDER / file)["permissions"] == {}
    assert all("permissions" in job for job in jobs(file).values())


def test_jobs_may_write_only_what_they_must() -> None:
    may = {(file, name): job["permissions"] for file, name, job in every_job()}
    writing = {place: {right for right, how in rights.items() if how == "write"} for place, rights in may.items()}
    assert {place: rights for place, rights in writing.items() if rights} == MAY_WRITE


def test_who_can_sign_or_publish_runs_no_code_of_the_repository_and_no_package() -> None:
    for (file, name), rights in MAY_WRITE.items():
        steps = jobs(file)[name]["steps"]
        if rights != {"packages"}:  # the image is built from the checkout
            assert not [step for step in steps if "checkout" in step.get("uses", "")], name
            assert not [step for step in steps if re.search(r"\b(pip|make|npm)\b|\.ci/", step.get("run", ""))], name


def test_no_checkout_leaves_its_token_behind() -> None:
    steps = [step for _, _, job in every_job() for step in job.get("steps", ()) if "checkout@" in step.get("uses", "")]
    assert steps
    assert all(step["with"]["persist-credentials"] is False for step in steps)


def test_no_expression_is_pasted_into_a_script() -> None:
    scripts = [step["run"] for _, _, job in every_job() for step in job.get("steps", ()) if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script], "pass it by `env`, or a name can become code"


def test_nothing_is_published_before_the_gate_and_the_signatures() -> None:
    assert jobs("release.yml")["gate"]["uses"] == "./.github/workflows/ci.yml"
    assert needed("image") == needed("build") == {"gate"}
    assert {"gate", "build", "image", "sbom", "sign"} <= needed("pypi")
    assert "pypi" in needed("release")
    assert jobs("ci.yml")["audit"]["uses"] == "./.github/workflows/audit.yml"
    assert ".ci/run" in [step.get("run") for step in jobs("ci.yml")["gate"]["steps"]]


@pytest.mark.parametrize(
    ("version", "found"), [("Unreleased", "- "), ("99.0.0", None), ("", None), ("Unreleased] - x", None)]
)
def test_the_notes_of_a_release_are_its_section_of_the_changelog(version: str, found: str | None) -> None:
    ended = subprocess.run([ROOT / ".ci/release-notes", version], capture_output=True, text=True, check=False)
    assert (ended.returncode == 0) == (found is not None)
    assert "## [" not in ended.stdout
    assert (found or "") in ended.stdout
