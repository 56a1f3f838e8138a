"""The files that we ship for monitoring, read for the tests; and the programmes that judge them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[3]
GRAFANA = ROOT / "grafana"
RULES = GRAFANA / "rules"
RUNBOOKS = ROOT / "docs" / "runbooks"
PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}


class Rule(NamedTuple):
    """A rule and the file it stands in; what is written there is `said`."""

    file: str
    name: str
    expression: str
    said: dict[str, Any]

    @property
    def is_alert(self) -> bool:
        return "alert" in self.said

    @property
    def severity(self) -> str:
        return str(self.said["labels"]["severity"])


def parse(file: str, text: str) -> list[Rule]:
    return [
        Rule(file, said.get("alert") or said["record"], said["expr"], said)
        for group in yaml.safe_load(text)["groups"]
        for said in group["rules"]
    ]


ALL = [rule for name in ("alerts.yaml", "recording.yaml") for rule in parse(name, (RULES / name).read_text())]
ALERTS = [rule for rule in ALL if rule.is_alert]
RECORDED = [rule for rule in ALL if not rule.is_alert]
ALERT_NAMES = sorted({rule.name for rule in ALERTS})
THRESHOLDS: dict[str, dict[str, float]] = yaml.safe_load((GRAFANA / "thresholds.yaml").read_text())


def program(name: str) -> str:
    """Find a programme; where there is none, fail in CI and skip on a laptop."""
    path = shutil.which(name)
    if path is None:
        sentence = f"{name} is not installed: it comes with Debian's package {PACKAGES[name]}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(sentence)
    return path


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program(name), *arguments], capture_output=True, text=True, check=False, timeout=110)
