"""The audit of known vulnerabilities: a scanner that reaches no database must not pass for one that found nothing."""

import os
import subprocess
from pathlib import Path

import pytest

from .deploy.files import ROOT

FINDS = 'echo "urllib3 1.24.1 PYSEC-2019-133 1.24.3"; exit 1'
CANARY_ONLY = f'case "$*" in *canary.lock*) {FINDS};; esac; echo "No known vulnerabilities found"'
SCANNERS = {
    "finds the canary alone": CANARY_ONLY,
    "finds the canary and a package of ours": FINDS,
    "knows nothing": 'echo "No known vulnerabilities found"',
    "reaches no database": 'echo "ERROR: CVE service unreachable" >&2; exit 1',
    "is broken": "exit 127",
}


def audit(folder: Path, scanner: str, *, ci: bool) -> subprocess.CompletedProcess[str]:
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\n{SCANNERS[scanner]}\n")
    program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"PIP_AUDIT": str(program)}
    if ci:
        environment["CI"] = "true"
    return subprocess.run([ROOT / ".ci/audit"], env=environment, capture_output=True, text=True, check=False)


def test_it_passes_when_only_the_canary_is_vulnerable(tmp_path: Path) -> None:
    ended = audit(tmp_path, "finds the canary alone", ci=True)
    assert ended.returncode == 0
    assert all(f"audit: {lock}" in ended.stdout for lock in ("requirements.lock", "requirements-build.lock"))


@pytest.mark.parametrize("ci", [True, False])
def test_it_fails_when_a_package_of_ours_is_vulnerable(tmp_path: Path, ci: bool) -> None:
    assert audit(tmp_path, "finds the canary and a package of ours", ci=ci).returncode == 1


@pytest.mark.parametrize("scanner", ["knows nothing", "reaches no database", "is broken"])
def test_an_audit_of_nothing_fails_in_ci_and_is_skipped_with_a_sentence_elsewhere(tmp_path: Path, scanner: str) -> None:
    in_ci = audit(tmp_path, scanner, ci=True)
    assert in_ci.returncode == 1
    assert "audited nothing" in in_ci.stdout
    elsewhere = audit(tmp_path, scanner, ci=False)
    assert elsewhere.returncode == 0
    assert "was not reached" in elsewhere.stdout
    assert "skipped" in elsewhere.stdout
